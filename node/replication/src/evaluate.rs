//! What one write does to one item: condition, update, size rules and what its client is answered. Pure.

use crate::operation::{ReturnValues, WriteAction, WriteOutcome, WriteRequest};
use cairn_model::{
    ErrorKind, Item, ServiceError,
    codec::{EncodedItem, StoredVersion},
    index_keys::check_updated_index_keys,
    limits::ITEM_BYTES_MAX,
    table::TableDefinition,
};

/// What becomes of the item.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    Put(EncodedItem),
    Delete,
    Nothing,
}

/// Evaluates a write on the item as it is, none where there is none. An error (a failed condition, an update that can't be)
/// changes nothing.
pub(crate) fn evaluate(
    definition: &TableDefinition,
    request: &WriteRequest,
    current: Option<&StoredVersion>,
) -> Result<(Change, WriteOutcome), ServiceError> {
    let current = current.map(|version| &version.item);
    let reads_item = request.condition.is_some() || matches!(request.action, WriteAction::Update { .. });
    let item = match current {
        Some(current) if reads_item => Some(current.decode()?),
        _ => None,
    };
    if let Some(condition) = &request.condition
        && !condition.evaluate(item.as_ref())
    {
        let mut error = ServiceError::new(ErrorKind::ConditionalCheckFailedException, "The conditional request failed");
        error.item = item.filter(|_| request.return_item_on_condition_failure);
        error.met_bytes = current.map_or(Ok(0), EncodedItem::size)?;
        return Err(error);
    }
    let size_before = current.map_or(Ok(0), EncodedItem::size)?;
    let old_if_asked = || current.cloned().filter(|_| request.return_values == ReturnValues::AllOld);
    match &request.action {
        WriteAction::Put(new) => {
            let outcome = WriteOutcome {
                attributes: old_if_asked(),
                size_before,
                size_after: new.size()?,
                ..WriteOutcome::of_nothing()
            };
            Ok((Change::Put(new.clone()), outcome))
        }
        WriteAction::Delete => {
            let outcome = WriteOutcome { attributes: old_if_asked(), size_before, ..WriteOutcome::of_nothing() };
            Ok((if current.is_some() { Change::Delete } else { Change::Nothing }, outcome))
        }
        WriteAction::Update { key_attributes, update } => {
            // "Nothing happens; there is no attribute to delete" (reference, AttributeValueUpdate): what is not there is not made,
            // and no path in it is wrong (as was measured at DynamoDB).
            if item.is_none() && update.only_takes_away() {
                return Ok((Change::Nothing, WriteOutcome::of_nothing()));
            }
            let mut new = item.clone().unwrap_or_else(|| key_attributes.clone());
            let touched = update.apply(&mut new)?;
            check_updated_index_keys(definition, item.as_ref(), &new)?;
            let encoded = EncodedItem::encode(&new);
            let size_after = encoded.size()?;
            if size_after as usize > ITEM_BYTES_MAX {
                return Err(ServiceError::validation("Item size to update has exceeded the maximum allowed size"));
            }
            let attributes = match request.return_values {
                ReturnValues::None => None,
                ReturnValues::AllOld => current.cloned(),
                ReturnValues::AllNew => Some(encoded.clone()),
                ReturnValues::UpdatedOld => item.and_then(|old| not_empty(touched.project_old(&old))),
                ReturnValues::UpdatedNew => not_empty(touched.project_new(&new)),
            };
            let outcome = WriteOutcome { attributes, size_before, size_after, ..WriteOutcome::of_nothing() };
            Ok((Change::Put(encoded), outcome))
        }
    }
}

fn not_empty(item: Item) -> Option<EncodedItem> {
    (!item.is_empty()).then(|| EncodedItem::encode(&item))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use bytes::Bytes;
    use cairn_expression::{Placeholders, Update};
    use cairn_model::{AttributeValue, time::Timestamp};

    fn stored(item: &Item) -> StoredVersion {
        StoredVersion { version_time: Timestamp(1), origin: Bytes::new(), item: EncodedItem::encode(item) }
    }

    fn outcome(request: &WriteRequest, current: Option<&StoredVersion>) -> WriteOutcome {
        evaluate(&testing::definition(), request, current).unwrap().1
    }

    fn error(request: &WriteRequest, current: Option<&StoredVersion>) -> ServiceError {
        evaluate(&testing::definition(), request, current).unwrap_err()
    }

    #[test]
    fn a_put_tells_the_sizes_before_and_after() {
        let outcome = outcome(&testing::put(1, "a", 7), Some(&stored(&testing::item("a", 1_000_000_007))));
        assert_eq!(
            outcome,
            WriteOutcome {
                attributes: None,
                size_before: 10,
                size_after: 6,
                indexes: Vec::new(),
                collection_bytes: None
            }
        );
    }

    #[test]
    fn all_old_is_the_item_before_and_nothing_for_a_new_one() {
        let request = WriteRequest { return_values: ReturnValues::AllOld, ..testing::put(1, "a", 7) };
        let before = stored(&testing::item("a", 1));
        assert_eq!(outcome(&request, Some(&before)).attributes, Some(before.item));
        assert_eq!(outcome(&request, None).attributes, None);
    }

    #[test]
    fn an_update_makes_a_missing_item_with_its_key() {
        let (change, outcome) = evaluate(&testing::definition(), &testing::add(1, "a", 5), None).unwrap();
        assert_eq!(change, Change::Put(EncodedItem::encode(&testing::item("a", 5))));
        assert_eq!(outcome.attributes, Some(EncodedItem::encode(&testing::number("n", 5))));
    }

    #[test]
    fn updated_old_is_what_was_at_the_paths() {
        let request = WriteRequest { return_values: ReturnValues::UpdatedOld, ..testing::add(1, "a", 5) };
        let outcome = outcome(&request, Some(&stored(&testing::item("a", 2))));
        assert_eq!(outcome.attributes, Some(EncodedItem::encode(&testing::number("n", 2))));
    }

    #[test]
    fn deleting_nothing_changes_nothing() {
        assert_eq!(
            evaluate(&testing::definition(), &testing::delete(1, "a"), None),
            Ok((Change::Nothing, WriteOutcome::of_nothing()))
        );
    }

    #[test]
    fn an_update_that_only_takes_away_makes_no_item() {
        let update = |text: &str, values: Option<Item>| {
            let update = Update::parse(text, &mut Placeholders::new(None, values).unwrap()).unwrap();
            let action = WriteAction::Update { key_attributes: testing::key_attributes("a"), update };
            WriteRequest { action, return_values: ReturnValues::AllNew, ..testing::put(1, "a", 1) }
        };
        let set = || Some(Item::from([(":s".to_owned(), AttributeValue::Ss(vec!["x".to_owned()]))]));
        for request in
            [update("REMOVE n.m, l[0]", None), update("DELETE s :s", set()), update("REMOVE n DELETE s :s", set())]
        {
            let nothing = Ok((Change::Nothing, WriteOutcome::of_nothing()));
            assert_eq!(evaluate(&testing::definition(), &request, None), nothing);
        }
        let made = update("REMOVE n ADD s :s", set());
        assert_ne!(evaluate(&testing::definition(), &made, None).unwrap().0, Change::Nothing);
        assert_eq!(
            error(&update("REMOVE n.m ADD s :s", set()), None).message,
            "The document path provided in the update expression is invalid for update"
        );
        assert_eq!(
            error(&update("REMOVE s.m", None), Some(&stored(&testing::item("a", 1)))).message,
            "The document path provided in the update expression is invalid for update"
        );
        let emptied =
            evaluate(&testing::definition(), &update("REMOVE n", None), Some(&stored(&testing::item("a", 1))));
        assert_eq!(emptied.unwrap().0, Change::Put(EncodedItem::encode(&testing::key_attributes("a"))));
    }

    #[test]
    fn a_failed_condition_shows_the_item_only_if_asked() {
        let (mut request, before) = (testing::put_new(1, "a", 1), stored(&testing::item("a", 2)));
        let failed = error(&request, Some(&before));
        assert_eq!(failed.kind, ErrorKind::ConditionalCheckFailedException);
        assert_eq!(failed.message, "The conditional request failed");
        assert_eq!((failed.item, failed.met_bytes), (None, before.item.size().unwrap()));
        request.return_item_on_condition_failure = true;
        assert_eq!(error(&request, Some(&before)).item, Some(testing::item("a", 2)));
    }

    #[test]
    fn an_update_may_not_grow_an_item_past_its_limit() {
        let values = Item::from([(":v".to_owned(), AttributeValue::S("x".repeat(300 * 1024)))]);
        let mut placeholders = Placeholders::new(None, Some(values)).unwrap();
        let update = Update::parse("SET v = :v", &mut placeholders).unwrap();
        let action = WriteAction::Update { key_attributes: testing::key_attributes("a"), update };
        let request = WriteRequest { action, ..testing::put(1, "a", 1) };
        let mut item = testing::item("a", 1);
        item.insert("w".to_owned(), AttributeValue::S("x".repeat(150 * 1024)));
        assert_eq!(
            error(&request, Some(&stored(&item))).message,
            "Item size to update has exceeded the maximum allowed size"
        );
    }
}
