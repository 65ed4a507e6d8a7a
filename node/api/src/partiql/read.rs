//! SELECT, as the GetItem, the Queries or the Scan that it is.

pub(crate) use super::select_list::{Row, SelectList};

use super::next_token::{self, Position};
use crate::{
    TableView,
    capacity::HalfUnits,
    errors,
    operations::{Call, behind, ordered},
};
use bytes::Bytes;
use cairn_expression::{
    Condition,
    partiql::{ReadKeys, Select},
};
use cairn_model::{
    AttributeValue, Item, KeySchema, ServiceError,
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
    pub(crate) units: HalfUnits,
    /// Where the next page begins, if there is more.
    pub(crate) next: Option<Position>,
    pub(crate) last_evaluated_key: Option<Item>,
}

impl ReadPlan {
    pub(crate) fn new(select: Select, schema: &KeySchema) -> Result<Self, ServiceError> {
        let ReadKeys { partitions, sort, filter, forward } = ReadKeys::of(select.condition, &select.order, schema)?;
        let list = SelectList::new(select.projection);
        let Some(partitions) = partitions else {
            let ranges = vec![(Bound::Unbounded, Bound::Unbounded)];
            return Ok(Self { reads: Reads::Ranges { ranges, forward: true }, filter, list });
        };
        if let [partition] = partitions.as_slice()
            && let Some(key) = whole_key(partition, &sort, schema)
        {
            return Ok(Self { reads: Reads::Item(EncodedKey::from_key(schema, &key)?), filter, list });
        }
        let ranges = partitions.iter().map(|partition| bounds(partition, &sort)).collect::<Result<_, _>>()?;
        Ok(Self { reads: Reads::Ranges { ranges, forward }, filter, list })
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
            Self { reads: Reads::Item(key), filter: None, list } => Some((key, list)),
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
        Ok(Page { rows: row.into_iter().collect(), units: HalfUnits::read(size, consistent), ..Page::default() })
    }

    async fn ranges(
        &self,
        call: &Call<'_>,
        table: &TableView,
        ranges: &[KeyBounds],
        forward: bool,
        options: ReadOptions,
    ) -> Result<Page, ServiceError> {
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
                projection: self.list.attributes(),
                count_only: false,
                consistent: options.consistent,
                index: None,
            };
            let outcome = call.range(table, request).await?;
            items_left = items_left.map(|left| left.saturating_sub(outcome.scanned_count));
            bytes_left = bytes_left.saturating_sub(outcome.bytes_read);
            page.units = page.units.plus(HalfUnits::read(outcome.bytes_read, options.consistent));
            for item in outcome.items {
                page.rows.push(self.list.row(item)?);
            }
            if let Some(last) = outcome.last_evaluated_key {
                let key = EncodedKey::from_key(&table.definition.key_schema, &last).map_err(|_| errors::internal())?;
                page.next = Some(Position { range, after: Some(key.0) });
                page.last_evaluated_key = Some(last);
                break;
            }
        }
        Ok(page)
    }
}

/// The one key that a partition key and what holds of the sort key allow, if it is one.
fn whole_key(partition: &AttributeValue, sort: &[SortCondition], schema: &KeySchema) -> Option<Item> {
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
