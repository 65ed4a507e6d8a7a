//! SELECT, as the GetItem, the Queries or the Scan that it is.

pub(crate) use super::select_list::{Row, SelectList};

use super::next_token::{self, Position};
use crate::{
    TableView,
    capacity::{ConsumedCapacity, HalfUnits},
    errors,
    operations::{Call, behind, ordered},
    read_target::ReadTarget,
    validation::select::Select as SelectedAttributes,
};
use bytes::Bytes;
use cairn_expression::{
    Condition,
    partiql::{ReadKeys, Select},
};
use cairn_model::{
    AttributeValue, Item, ServiceError,
    key::{EncodedKey, KeyBounds, SortCondition, sort_bounds},
    limits,
};
use cairn_replication::operation::{GetRequest, RangeRequest};
use std::ops::{Bound, RangeBounds};

/// A SELECT on its table, ready to be read.
#[derive(Clone, Debug)]
pub(crate) struct ReadPlan {
    reads: Reads,
    filter: Option<Condition>,
    list: SelectList,
    index_name: Option<String>,
}

#[derive(Clone, Debug)]
enum Reads {
    Item(EncodedKey),
    /// One after the other.
    Ranges {
        ranges: Vec<KeyBounds>,
        forward: bool,
    },
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
        let ReadKeys { partitions, sort, alternatives, filter, forward, by_key } =
            ReadKeys::of(select.condition, &select.order, &schema)?;
        let list = SelectList::new(select.projection);
        target.check_projection(list.attributes().as_ref())?;
        if let Some(filter) = filter.as_ref().filter(|_| by_key) {
            target.check_filter(filter)?;
        }
        let reads = match partitions {
            None => Reads::Ranges { ranges: vec![(Bound::Unbounded, Bound::Unbounded)], forward: true },
            Some(partitions) => match item_key(target, &partitions, &sort).filter(|_| alternatives.is_empty()) {
                Some(key) => Reads::Item(EncodedKey::from_key(&schema, &key)?),
                None => Reads::Ranges { ranges: ranges(&partitions, &sort, alternatives)?, forward },
            },
        };
        Ok(Self { reads, filter, list, index_name: select.index })
    }

    /// The key of the one item that can be read; none where there can be more.
    pub(crate) fn item_key(&self) -> Option<&EncodedKey> {
        match &self.reads {
            Reads::Item(key) => Some(key),
            Reads::Ranges { .. } => None,
        }
    }

    /// The key of the one item that is read, and what is shown of it; none where more is asked.
    pub(crate) fn into_get(self) -> Option<(EncodedKey, SelectList)> {
        match self {
            Self { reads: Reads::Item(key), filter: None, list, index_name: None } => Some((key, list)),
            _ => None,
        }
    }

    /// Whether items are asked for more than their keys.
    pub(crate) fn is_filtered(&self) -> bool {
        self.filter.is_some()
    }

    pub(crate) async fn run(
        &self,
        call: &Call<'_>,
        table: &TableView,
        options: ReadOptions,
    ) -> Result<Page, ServiceError> {
        match &self.reads {
            Reads::Item(_) if options.from.is_some() => Err(next_token::invalid()),
            Reads::Item(key) => self.item(call, table, key, options.consistent).await,
            Reads::Ranges { ranges, forward } => self.ranges(call, table, ranges, *forward, options).await,
        }
    }

    async fn item(
        &self,
        call: &Call<'_>,
        table: &TableView,
        key: &EncodedKey,
        consistent: bool,
    ) -> Result<Page, ServiceError> {
        // A filter sees the whole item.
        let projection = if self.filter.is_none() { self.list.attributes() } else { None };
        let request = GetRequest { keys: vec![key.clone()], projection, consistent };
        let found = call.get(table, request).await?.items.pop().flatten();
        let size = found.as_ref().map_or(0, |(_, size)| u64::from(*size));
        let row = match (found, &self.filter) {
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
        ranges: &[KeyBounds],
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
        for (range, bounds) in (from.range..).zip(rest) {
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
                filter: self.filter.clone(),
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

/// The one key of the table that the partition keys and what holds of the sort key allow, if it is one. Keys of an index
/// can be those of several items.
fn item_key(target: ReadTarget<'_>, partitions: &[AttributeValue], sort: &[SortCondition]) -> Option<Item> {
    let schema = &target.table().key_schema;
    let ([partition], false) = (partitions, target.is_index()) else { return None };
    let mut key = Item::from([(schema.partition.name.clone(), partition.clone())]);
    match (&schema.sort, sort) {
        (None, []) => {}
        (Some(attribute), [SortCondition::Equal(value)]) => {
            key.insert(attribute.name.clone(), value.clone());
        }
        _ => return None,
    }
    Some(key)
}

/// In each of the partitions, what all of the conditions allow together with each of the alternatives, if there are any.
fn ranges(
    partitions: &[AttributeValue],
    sort: &[SortCondition],
    mut alternatives: Vec<Vec<SortCondition>>,
) -> Result<Vec<KeyBounds>, ServiceError> {
    if alternatives.is_empty() {
        alternatives.push(Vec::new());
    }
    alternatives.iter_mut().for_each(|alternative| alternative.extend_from_slice(sort));
    let of = |partition| alternatives.iter().map(move |alternative| bounds(partition, alternative));
    partitions.iter().flat_map(of).collect()
}

/// The keys of a partition key value that all of the conditions allow.
fn bounds(partition: &AttributeValue, sort: &[SortCondition]) -> Result<KeyBounds, ServiceError> {
    let whole = sort_bounds(partition, None)?;
    let (lower, upper) = sort.iter().try_fold(whole, |(lower, upper), condition| {
        let (low, high) = sort_bounds(partition, Some(condition))?;
        Ok::<_, ServiceError>((highest(lower, low), lowest(upper, high)))
    })?;
    Ok(ordered(lower, upper))
}

/// The higher of two lower bounds.
fn highest(one: Bound<Bytes>, two: Bound<Bytes>) -> Bound<Bytes> {
    let place = |bound: &Bound<Bytes>| match bound {
        Bound::Unbounded => None,
        Bound::Included(key) => Some((key.clone(), 0)),
        Bound::Excluded(key) => Some((key.clone(), 1)),
    };
    if place(&one) < place(&two) { two } else { one }
}

/// The lower of two upper bounds.
fn lowest(one: Bound<Bytes>, two: Bound<Bytes>) -> Bound<Bytes> {
    let place = |bound: &Bound<Bytes>| match bound {
        Bound::Excluded(key) => (0, key.clone(), 0),
        Bound::Included(key) => (0, key.clone(), 1),
        Bound::Unbounded => (1, Bytes::new(), 0),
    };
    if place(&two) < place(&one) { two } else { one }
}

/// What is left of a range behind a key of it.
fn going_on(bounds: KeyBounds, after: Option<Bytes>, forward: bool) -> Result<KeyBounds, ServiceError> {
    let Some(key) = after else { return Ok(bounds) };
    if !bounds.contains(&key) {
        return Err(next_token::invalid());
    }
    Ok(behind(bounds, key, forward))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::number::Number;

    #[test]
    fn several_conditions_on_the_sort_key_narrow_one_range() {
        let partition = AttributeValue::S("a".into());
        let number = |value: u64| AttributeValue::N(Number::from(value));
        let key = |value: u64| match sort_bounds(&partition, Some(&SortCondition::Equal(number(value)))).unwrap().0 {
            Bound::Included(key) => key,
            other => panic!("{other:?}"),
        };
        let found = |conditions: &[SortCondition]| {
            let bounds = bounds(&partition, conditions).unwrap();
            (1..=5).filter(|at| bounds.contains(&key(*at))).collect::<Vec<_>>()
        };
        let (above, below) = (SortCondition::Greater(number(1)), SortCondition::LessOrEqual(number(4)));
        assert_eq!(found(&[]), [1, 2, 3, 4, 5]);
        assert_eq!(found(&[above.clone(), below.clone()]), [2, 3, 4]);
        assert_eq!(found(&[below.clone(), above, SortCondition::Less(number(4))]), [2, 3]);
        assert_eq!(found(&[below, SortCondition::Greater(number(4))]), [0_u64; 0]);
        assert_eq!(found(&[SortCondition::Equal(number(2)), SortCondition::Equal(number(3))]), [0_u64; 0]);
    }
}
