//! What an item's attributes must be to be keys of the table's indexes, in DynamoDB's words. An attribute that is missing keeps
//! the item out of an index; one that can't be a key is refused with the write.

use crate::{
    AttributeValue, Item, ServiceError, TableDefinition,
    key::{empty_kind, partition_key_too_long, sort_key_too_long},
    keys::Keys,
    size,
    table::KeyAttribute,
};

/// An attribute that one of a table's indexes has as a key, but for the partition key that a local one has of its table.
#[derive(Clone, Copy, Debug)]
pub struct IndexKey<'a> {
    pub index_name: &'a str,
    pub attribute: &'a KeyAttribute,
    /// What is wrong with a value of so many bytes.
    too_long: fn(usize) -> Option<&'static str>,
}

impl TableDefinition {
    /// The keys of all indexes, the global ones' first, as they were declared.
    pub fn index_keys(&self) -> impl Iterator<Item = IndexKey<'_>> {
        let of_global = self.global_indexes.iter().flat_map(|index| {
            let Keys { partition, sort } = index.key_schema.keys();
            let partition = partition.iter().map(|attribute| (attribute, partition_key_too_long as fn(usize) -> _));
            let sort = sort.iter().map(|attribute| (attribute, sort_key_too_long as fn(usize) -> _));
            let keys = partition.chain(sort);
            keys.map(|(attribute, too_long)| IndexKey { index_name: &index.index_name, attribute, too_long })
        });
        let of_local = self.local_indexes.iter().map(|index| IndexKey {
            index_name: &index.index_name,
            attribute: &index.sort,
            too_long: sort_key_too_long,
        });
        of_global.chain(of_local)
    }
}

/// Checks an item that is put.
pub fn check_index_keys(definition: &TableDefinition, item: &Item) -> Result<(), ServiceError> {
    by_name(definition).into_iter().try_for_each(|key| {
        let Some(value) = item.get(&key.attribute.name) else { return Ok(()) };
        check_index_key_type(key.attribute, value, key.index_name)?;
        if let Some(kind) = empty_kind(value) {
            return Err(ServiceError::validation(format!(
                "One or more parameter values are not valid. A value specified for a secondary index key is not supported. \
                 The AttributeValue for a key attribute cannot contain an empty {kind} value. IndexName: {}, IndexKey: {}",
                key.index_name, key.attribute.name
            )));
        }
        match (key.too_long)(size::value_size(value)) {
            Some(problem) => {
                Err(ServiceError::validation(format!("One or more parameter values were invalid: {problem}")))
            }
            None => Ok(()),
        }
    })
}

/// Checks what an update made of an item: only what it changed, so that an update of something else never fails for what
/// was there. (Values that an update's own text gives are checked before, by [`check_index_key_type`].)
pub fn check_updated_index_keys(
    definition: &TableDefinition,
    before: Option<&Item>,
    after: &Item,
) -> Result<(), ServiceError> {
    by_name(definition).into_iter().try_for_each(|key| {
        let name = &key.attribute.name;
        let Some(value) = after.get(name) else { return Ok(()) };
        if before.and_then(|before| before.get(name)) == Some(value) {
            return Ok(());
        }
        let problem = if !key.attribute.scalar_type.is_type_of(value) {
            "The update expression attempted to update the secondary index key to unsupported type".to_owned()
        } else if let Some(kind) = empty_kind(value) {
            format!(
                "One or more parameter values are not valid. The update expression attempted to update a secondary index \
                 key to a value that is not supported. The AttributeValue for a key attribute cannot contain an empty \
                 {kind} value."
            )
        } else if (key.too_long)(size::value_size(value)).is_some() {
            "The update expression attempted to update the secondary index key beyond allowed size limits".to_owned()
        } else {
            return Ok(());
        };
        Err(ServiceError::validation(problem))
    })
}

/// Checks the type of a value that is to be a key attribute of the index.
pub fn check_index_key_type(
    attribute: &KeyAttribute,
    value: &AttributeValue,
    index_name: &str,
) -> Result<(), ServiceError> {
    if attribute.scalar_type.is_type_of(value) {
        return Ok(());
    }
    Err(ServiceError::validation(format!(
        "One or more parameter values were invalid: Type mismatch for Index Key {} Expected: {} Actual: {} IndexName: {index_name}",
        attribute.name,
        attribute.scalar_type.name(),
        value.type_name()
    )))
}

/// DynamoDB tells of the first index by name.
fn by_name(definition: &TableDefinition) -> Vec<IndexKey<'_>> {
    let mut keys: Vec<IndexKey<'_>> = definition.index_keys().collect();
    keys.sort_by(|one, two| one.index_name.cmp(two.index_name));
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        KeySchema,
        ids::TableId,
        index::{IndexProjection, LocalIndex, NewGlobalIndex, ProjectionType},
        number::Number,
        table::ScalarType,
    };
    use std::collections::BTreeSet;

    fn attribute(name: &str, scalar_type: ScalarType) -> KeyAttribute {
        KeyAttribute { name: name.to_owned(), scalar_type }
    }

    fn index(slot: u8, index_name: &str, sort: KeyAttribute) -> LocalIndex {
        let projection =
            IndexProjection { projection_type: ProjectionType::KeysOnly, non_key_attributes: BTreeSet::new() };
        LocalIndex { index_name: index_name.to_owned(), slot, sort, projection }
    }

    /// Indexes by `text` and `blob`, declared against the order of their names.
    fn definition() -> TableDefinition {
        TableDefinition {
            local_indexes: vec![
                index(1, "zz-text", attribute("text", ScalarType::S)),
                index(2, "aa-blob", attribute("blob", ScalarType::B)),
            ],
            ..TableDefinition::new(
                "a",
                "games",
                TableId([0; 16]),
                KeySchema { partition: attribute("Id", ScalarType::S), sort: Some(attribute("Game", ScalarType::N)) },
            )
        }
    }

    fn item(attributes: &[(&str, AttributeValue)]) -> Item {
        attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn text(text: impl Into<String>) -> AttributeValue {
        AttributeValue::S(text.into())
    }

    fn number() -> AttributeValue {
        AttributeValue::N(Number::from(7_u64))
    }

    fn put_refused(attributes: &[(&str, AttributeValue)]) -> String {
        check_index_keys(&definition(), &item(attributes)).unwrap_err().message
    }

    fn update_refused(before: &[(&str, AttributeValue)], after: &[(&str, AttributeValue)]) -> String {
        check_updated_index_keys(&definition(), Some(&item(before)), &item(after)).unwrap_err().message
    }

    #[test]
    fn what_is_missing_or_fits_is_no_fault() {
        for attributes in [&[][..], &[("text", text("x".repeat(1024)))], &[("other", number())]] {
            assert_eq!(check_index_keys(&definition(), &item(attributes)), Ok(()));
            assert_eq!(check_updated_index_keys(&definition(), None, &item(attributes)), Ok(()));
        }
    }

    #[test]
    fn an_item_whose_index_key_is_of_another_type_is_refused_naming_the_first_index_by_name() {
        assert_eq!(
            put_refused(&[("text", number()), ("blob", text("x"))]),
            "One or more parameter values were invalid: Type mismatch for Index Key blob Expected: B Actual: S \
             IndexName: aa-blob"
        );
    }

    #[test]
    fn an_item_whose_index_key_is_empty_or_too_long_is_refused() {
        assert_eq!(
            put_refused(&[("text", text(""))]),
            "One or more parameter values are not valid. A value specified for a secondary index key is not supported. \
             The AttributeValue for a key attribute cannot contain an empty string value. IndexName: zz-text, IndexKey: \
             text"
        );
        assert!(put_refused(&[("blob", AttributeValue::B([0; 0][..].into()))]).contains("empty binary value"));
        assert_eq!(
            put_refused(&[("text", text("x".repeat(1025)))]),
            "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of \
             1024 bytes"
        );
    }

    #[test]
    fn the_keys_of_a_global_index_are_checked_as_keys_of_partition_and_sort() {
        let by_text = NewGlobalIndex {
            index_name: "ab-text".to_owned(),
            key_schema: KeySchema {
                partition: attribute("text", ScalarType::S),
                sort: Some(attribute("other", ScalarType::N)),
            }
            .into(),
            projection: IndexProjection { projection_type: ProjectionType::All, non_key_attributes: BTreeSet::new() },
            provisioned_throughput: None,
            on_demand_throughput: None,
            warm_throughput: None,
        };
        let global_indexes = vec![by_text.into_index(TableId([1; 16]), 0)];
        let definition = TableDefinition { local_indexes: Vec::new(), global_indexes, ..definition() };
        let refused = |attributes: &[(&str, AttributeValue)]| {
            check_index_keys(&definition, &item(attributes)).map_err(|error| error.message)
        };
        assert_eq!(refused(&[("text", text("x".repeat(2048)))]), Ok(()));
        assert_eq!(
            refused(&[("text", text("x".repeat(2049)))]).unwrap_err(),
            "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes"
        );
        assert_eq!(
            refused(&[("other", text("x"))]).unwrap_err(),
            "One or more parameter values were invalid: Type mismatch for Index Key other Expected: N Actual: S IndexName: \
             ab-text"
        );
    }

    #[test]
    fn an_update_is_refused_only_for_the_index_keys_that_it_changed() {
        let stale = [("text", number())];
        assert_eq!(check_updated_index_keys(&definition(), Some(&item(&stale)), &item(&stale)), Ok(()));
        assert_eq!(
            update_refused(&[], &stale),
            "The update expression attempted to update the secondary index key to unsupported type"
        );
        assert_eq!(
            update_refused(&stale, &[("text", text(""))]),
            "One or more parameter values are not valid. The update expression attempted to update a secondary index key to \
             a value that is not supported. The AttributeValue for a key attribute cannot contain an empty string value."
        );
        assert_eq!(
            update_refused(&[("text", text("x"))], &[("text", text("x".repeat(1025)))]),
            "The update expression attempted to update the secondary index key beyond allowed size limits"
        );
    }
}
