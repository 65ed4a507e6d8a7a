//! SELECT, as the GetItem, the Queries or the Scan that it is.

pub(crate) use super::select_list::{Row, SelectList};

use super::next_token::{self, Position};
use crate::{
    TableView,
    capacity::{ConsumedCapacity, HalfUnits},
    errors,
    operations::{Call, behind},
    read_target::ReadTarget,
    validation::select::Select as SelectedAttributes,
};
use bytes::Bytes;
use cairn_expression::{
    Condition,
    partiql::{Filter, KeyRead, ReadKeys, Select},
};
use cairn_model::{
    Item, ServiceError,
    key::{EncodedKey, KeyBounds},
    limits,
};
use cairn_replication::operation::{GetRequest, RangeRequest};
use std::ops::{Bound, RangeBounds};

/// A SELECT on its table, ready to be read.
#[derive(Clone, Debug)]
pub(crate) struct ReadPlan {
    reads: Reads,
    list: SelectList,
    index_name: Option<String>,
}

#[derive(Clone, Debug)]
enum Reads {
    Item {
        key: EncodedKey,
        filter: Filter,
    },
    /// One after the other.
    Ranges {
        ranges: Vec<Range>,
        forward: bool,
    },
}

#[derive(Clone, Debug)]
struct Range {
    bounds: KeyBounds,
    /// What is asked of the items in it.
    filter: Filter,
}

/// How to read.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadOptions {
    pub(crate) consistent: bool,
    /// Items to evaluate at most.
    pub(crate) limit: Option<u32>,
    pub(crate) from: Option<Position>,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) rows: Vec<Row>,
    pub(crate) consumed: ConsumedCapacity,
    /// Where the next page begins, if there is more.
    pub(crate) next: Option<Position>,
    pub(crate) last_evaluated_key: Option<Item>,
}

impl ReadPlan {
    /// `consistent`: whether it is to be read so.
    pub(crate) fn new(select: Select, table: &TableView, consistent: bool) -> Result<Self, ServiceError> {
        let target = target(table, select.index.as_deref())?;
        if consistent && target.is_global_index() {
            return Err(ServiceError::validation(
                "Strongly consistent read is not supported on Global Secondary Indexes",
            ));
        }
        let several = "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys.";
        let schema = target.keys().one_of_each().ok_or_else(|| ServiceError::validation(several))?;
        let keys = ReadKeys::of(select.condition, &select.order, &schema)?;
        let list = SelectList::new(select.projection);
        target.check_projection(list.attributes().as_ref())?;
        target.check_filters(&keys.filters())?;
        let reads = match keys {
            ReadKeys::All(filter) => {
                let all = Range { bounds: (Bound::Unbounded, Bound::Unbounded), filter };
                Reads::Ranges { ranges: vec![all], forward: true }
            }
            ReadKeys::Branches { reads, forward } => match item_key(target, &reads) {
                Some(key) => Reads::Item {
                    key: EncodedKey::from_key(&schema, &key)?,
                    filter: reads.into_iter().next().map(|read| read.filter).unwrap_or_default(),
                },
                None => Reads::Ranges { ranges: ranges(reads), forward },
            },
        };
        Ok(Self { reads, list, index_name: select.index })
    }

    /// The key of the one item that can be read; none where there can be more.
    pub(crate) fn item_key(&self) -> Option<&EncodedKey> {
        match &self.reads {
            Reads::Item { key, .. } => Some(key),
            Reads::Ranges { .. } => None,
        }
    }

    /// The key of the one item that is read, and what is shown of it; none where more is asked.
    pub(crate) fn into_get(self) -> Option<(EncodedKey, SelectList)> {
        match self.reads {
            Reads::Item { key, filter } if filter.is_empty() => Some((key, self.list)),
            _ => None,
        }
    }

    /// Whether the one item is asked for more than its key.
    pub(crate) fn is_filtered(&self) -> bool {
        matches!(&self.reads, Reads::Item { filter, .. } if !filter.is_empty())
    }

    pub(crate) async fn run(
        &self,
        call: &Call<'_>,
        table: &TableView,
        options: ReadOptions,
    ) -> Result<Page, ServiceError> {
        match &self.reads {
            Reads::Item { .. } if options.from.is_some() => Err(next_token::invalid()),
            Reads::Item { key, filter } => self.item(call, table, key, filter.condition(), options.consistent).await,
            Reads::Ranges { ranges, forward } => self.ranges(call, table, ranges, *forward, options).await,
        }
    }

    async fn item(
        &self,
        call: &Call<'_>,
        table: &TableView,
        key: &EncodedKey,
        filter: Option<Condition>,
        consistent: bool,
    ) -> Result<Page, ServiceError> {
        // A filter sees the whole item.
        let projection = if filter.is_none() { self.list.attributes() } else { None };
        let request = GetRequest { keys: vec![key.clone()], projection, consistent };
        let found = call.get(table, request).await?.items.pop().flatten();
        let size = found.as_ref().map_or(0, |(_, size)| u64::from(*size));
        let row = match (found, filter) {
            (None, _) => None,
            (Some((item, _)), None) => Some(self.list.row(item)?),
            (Some((item, _)), Some(filter)) => {
                let item = item.decode()?;
                filter.evaluate(Some(&item)).then(|| Row::Made(self.list.of(item)))
            }
        };
        let consumed = HalfUnits::read(size, consistent).into();
        Ok(Page { rows: row.into_iter().collect(), consumed, ..Page::default() })
    }

    async fn ranges(
        &self,
        call: &Call<'_>,
        table: &TableView,
        ranges: &[Range],
        forward: bool,
        options: ReadOptions,
    ) -> Result<Page, ServiceError> {
        let target = target(table, self.index_name.as_deref())?;
        let projection = self.list.attributes();
        let index = target.index_read(SelectedAttributes::Items, projection.as_ref());
        let whole_items = index.as_ref().is_some_and(|read| read.whole_items);
        let from = options.from.unwrap_or_default();
        let first = usize::from(from.range);
        let mut after = from.after;
        let mut items_left = options.limit;
        let mut bytes_left = limits::PAGE_BYTES_MAX as u64;
        let mut page = Page::default();
        let rest = ranges.get(first..).filter(|rest| !rest.is_empty()).ok_or_else(next_token::invalid)?;
        for (range, Range { bounds, filter }) in (from.range..).zip(rest) {
            if items_left == Some(0) || bytes_left == 0 {
                page.next = Some(Position { range, after: None });
                break;
            }
            let (lower, upper) = going_on(bounds.clone(), after.take(), forward)?;
            let request = RangeRequest {
                lower,
                upper,
                forward,
                limit: items_left,
                page_bytes: u32::try_from(bytes_left).unwrap_or(u32::MAX),
                filter: filter.condition(),
                projection: projection.clone(),
                count_only: false,
                consistent: options.consistent,
                index: index.clone(),
            };
            let outcome = call.range(target, request).await?;
            items_left = items_left.map(|left| left.saturating_sub(outcome.scanned_count));
            // What was fetched for an index is more than what was read of it.
            let fetched = if whole_items { outcome.items.iter().map(|item| item.0.len() as u64).sum() } else { 0 };
            bytes_left = bytes_left.saturating_sub(outcome.bytes_read.max(fetched));
            page.consumed.add(&ConsumedCapacity::range(target.charged(), &outcome, options.consistent));
            for item in outcome.items {
                page.rows.push(self.list.row(item)?);
            }
            if let Some(last) = outcome.last_evaluated_key {
                let after = target.encoded_key(&last).map_err(|_| errors::internal())?;
                page.next = Some(Position { range, after: Some(after) });
                page.last_evaluated_key = Some(last);
                break;
            }
        }
        Ok(page)
    }
}

/// The table or its index, with PartiQL's words for one that it doesn't have.
fn target<'t>(table: &'t TableView, index_name: Option<&str>) -> Result<ReadTarget<'t>, ServiceError> {
    ReadTarget::of(table, index_name)
        .ok_or_else(|| ServiceError::validation("The table does not have the specified index"))
}

/// The one key of the table that is read, if it is one. Keys of an index can be those of several items.
fn item_key(target: ReadTarget<'_>, reads: &[KeyRead]) -> Option<Item> {
    let ([read], false) = (reads, target.is_index()) else { return None };
    read.key(&target.table().key_schema)
}

/// What no key fits is not read, unless there is nothing else.
fn ranges(reads: Vec<KeyRead>) -> Vec<Range> {
    let (empty, mut reads): (Vec<_>, Vec<_>) = reads.into_iter().partition(KeyRead::is_empty);
    if reads.is_empty() {
        reads.extend(empty.into_iter().next());
    }
    reads.into_iter().map(|read| Range { bounds: read.bounds(), filter: read.filter }).collect()
}

/// What is left of a range behind a key of it.
fn going_on(bounds: KeyBounds, after: Option<Bytes>, forward: bool) -> Result<KeyBounds, ServiceError> {
    let Some(key) = after else { return Ok(bounds) };
    if !bounds.contains(&key) {
        return Err(next_token::invalid());
    }
    Ok(behind(bounds, key, forward))
}
