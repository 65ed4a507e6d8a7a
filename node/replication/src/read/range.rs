//! One page of a range: of the table, or of one of its local indexes.

use super::{ReadError, ReadPlace, contains};
use crate::operation::{IndexRead, RangeOutcome, RangeRequest};
use bytes::Bytes;
use cairn_engine::{Engine, Store};
use cairn_model::{
    Item, KeySchema, ServiceError,
    codec::{CodecError, EncodedItem, StoredVersion},
    index::{LocalIndex, ProjectionType},
    key::{EncodedKey, only_key},
    limits::READ_UNIT_BYTES,
    size,
};
use std::ops::Bound;

pub(super) fn range<S: Store>(
    engine: &Engine<S>,
    place: ReadPlace<'_>,
    request: &RangeRequest,
) -> Result<RangeOutcome, ReadError> {
    let lower = higher_lower(&request.lower, &place.range.start);
    let upper = lower_upper(&request.upper, &place.range.end);
    match &request.index {
        None => match only_key(&request.lower, &request.upper, place.schema) {
            // In a global index others may lie under the keys of one.
            Some(key) if place.index_of.is_none() => of_key(engine, place, &key, Page::new(request)),
            _ => of_table(engine, place, (lower, upper), Page::new(request)),
        },
        Some(read) => of_index(engine, place, (lower, upper), read, Page::new(request)),
    }
}

/// A range of one key, read as that: the store can tell that most of its files lack a key, but not what lies in a range.
fn of_key<S: Store>(
    engine: &Engine<S>,
    place: ReadPlace<'_>,
    key: &EncodedKey,
    mut page: Page<'_>,
) -> Result<RangeOutcome, ReadError> {
    if contains(place.range, key)
        && let Some(bytes) = engine.get(place.storage_id, key)?
    {
        page.take_of_table(key, bytes, place)?;
    }
    Ok(page.outcome)
}

fn of_table<S: Store>(
    engine: &Engine<S>,
    place: ReadPlace<'_>,
    (lower, upper): (Bound<&[u8]>, Bound<&[u8]>),
    mut page: Page<'_>,
) -> Result<RangeOutcome, ReadError> {
    for found in engine.scan(place.storage_id, lower, upper, page.request.forward) {
        let (key, bytes) = found?;
        page.take_of_table(&key, bytes, place)?;
        if page.is_full() {
            break;
        }
    }
    Ok(page.outcome)
}

fn of_index<S: Store>(
    engine: &Engine<S>,
    place: ReadPlace<'_>,
    bounds: (Bound<&[u8]>, Bound<&[u8]>),
    read: &IndexRead,
    mut page: Page<'_>,
) -> Result<RangeOutcome, ReadError> {
    let index = place.local_indexes.iter().find(|index| index.index_name == read.index_name).ok_or_else(|| {
        ServiceError::validation(format!("The table does not have the specified index: {}", read.index_name))
    })?;
    for found in engine.scan_index(place.storage_id, index.slot, bounds, page.request.forward) {
        let (_, key, bytes) = found?;
        let item = StoredVersion::parse(bytes)?.item;
        let (shown, size_bytes) = shown(index, place.schema, &item)?;
        if read.whole_items {
            page.outcome.fetched_units += u64::from(item.size()?).div_ceil(READ_UNIT_BYTES as u64);
        }
        page.take(size_bytes, item.clone(), shown.filter(|_| !read.whole_items))?;
        if page.is_full() {
            let mut last = key.decode(place.schema)?;
            let without = CodecError::Damaged("an item is in an index without the index's sort key");
            last.insert(index.sort.name.clone(), item.get(&index.sort.name)?.ok_or(without)?);
            page.outcome.last_evaluated_key = Some(last);
            break;
        }
    }
    Ok(page.outcome)
}

/// What an index shows of an item, none if all of it, and its size.
fn shown(index: &LocalIndex, schema: &KeySchema, item: &EncodedItem) -> Result<(Option<Item>, u64), CodecError> {
    if index.projection.projection_type == ProjectionType::All {
        return Ok((None, u64::from(item.size()?)));
    }
    let shown = index.project(schema, item.decode()?);
    let size_bytes = size::item_size(&shown) as u64;
    Ok((Some(shown), size_bytes))
}

/// A page that is being read.
struct Page<'a> {
    request: &'a RangeRequest,
    outcome: RangeOutcome,
    /// Of what was read, whole items that were fetched counted whole: they would come to far more than what the index shows.
    bytes: u64,
}

impl<'a> Page<'a> {
    fn new(request: &'a RangeRequest) -> Self {
        let outcome = RangeOutcome {
            items: Vec::new(),
            count: 0,
            scanned_count: 0,
            bytes_read: 0,
            fetched_units: 0,
            last_evaluated_key: None,
        };
        Self { request, outcome, bytes: 0 }
    }

    /// The next item of the table, which is the last evaluated where it fills the page.
    fn take_of_table(&mut self, key: &EncodedKey, bytes: Bytes, place: ReadPlace<'_>) -> Result<(), CodecError> {
        let item = StoredVersion::parse(bytes)?.item;
        self.take(u64::from(item.size()?), item, None)?;
        if self.is_full() {
            self.outcome.last_evaluated_key = Some(match place.index_of {
                None => key.decode(place.schema)?,
                Some(of) => key.decode_in_global_index(of.keys(place.schema), &of.key_schema)?,
            });
        }
        Ok(())
    }

    /// The next item; `part` is what there is to see of it, if not all.
    fn take(&mut self, bytes_read: u64, item: EncodedItem, part: Option<Item>) -> Result<(), CodecError> {
        let Self { request, outcome, bytes } = self;
        outcome.scanned_count += 1;
        outcome.bytes_read += bytes_read;
        *bytes += if part.is_some() { bytes_read } else { u64::from(item.size()?) };
        let is_part = part.is_some();
        let decoded = match (&request.filter, &request.projection) {
            (None, None) => part,
            _ => Some(part.map_or_else(|| item.decode(), Ok)?),
        };
        if request.filter.as_ref().is_some_and(|filter| !filter.evaluate(decoded.as_ref())) {
            return Ok(());
        }
        outcome.count += 1;
        if !request.count_only {
            outcome.items.push(match (&request.projection, &decoded) {
                (Some(projection), Some(decoded)) => EncodedItem::encode(&projection.project(decoded)),
                (None, Some(part)) if is_part => EncodedItem::encode(part),
                _ => item,
            });
        }
        Ok(())
    }

    /// DynamoDB does not look ahead either: a page that ends with the last item still names it.
    fn is_full(&self) -> bool {
        self.request.limit.is_some_and(|limit| self.outcome.scanned_count >= limit)
            || self.bytes >= u64::from(self.request.page_bytes)
    }
}

fn higher_lower<'a>(asked: &'a Bound<Bytes>, start: &'a Bytes) -> Bound<&'a [u8]> {
    match asked {
        Bound::Included(bound) if bound >= start => Bound::Included(bound),
        Bound::Excluded(bound) if bound >= start => Bound::Excluded(bound),
        _ => Bound::Included(start),
    }
}

fn lower_upper<'a>(asked: &'a Bound<Bytes>, end: &'a Bytes) -> Bound<&'a [u8]> {
    match asked {
        Bound::Included(bound) if end.is_empty() || bound < end => Bound::Included(bound),
        Bound::Excluded(bound) if end.is_empty() || bound <= end => Bound::Excluded(bound),
        Bound::Unbounded if end.is_empty() => Bound::Unbounded,
        _ => Bound::Excluded(end),
    }
}

#[cfg(test)]
mod tests;
