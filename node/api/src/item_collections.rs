//! `ItemCollectionMetrics`: how large the collections of written items are, of tables with local indexes.

use crate::output::{Object, write_list};
use cairn_model::{Item, ServiceError, TableDefinition, key::EncodedKey};
use cairn_replication::operation::WriteOutcome;
use std::collections::BTreeMap;

const GIGABYTE: u64 = 1 << 30;

/// One collection: the items of one partition key value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CollectionMetrics {
    key: Item,
    /// With what the local indexes show of the items.
    bytes: u64,
}

impl CollectionMetrics {
    /// Of the item that was written, where the table has local indexes.
    pub(crate) fn of(
        table: &TableDefinition,
        key: &EncodedKey,
        outcome: &WriteOutcome,
    ) -> Result<Option<Self>, ServiceError> {
        let Some(bytes) = outcome.collection_bytes.filter(|_| !table.local_indexes.is_empty()) else { return Ok(None) };
        let mut key = key.decode(&table.key_schema)?;
        key.retain(|name, _| *name == table.key_schema.partition.name);
        Ok(Some(Self { key, bytes }))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut metrics = Object::begin(out);
        metrics.item("ItemCollectionKey", &self.key);
        let gigabytes = self.bytes / GIGABYTE;
        write_list(metrics.field("SizeEstimateRangeGB"), [gigabytes, gigabytes + 1], |bound, out| {
            out.extend_from_slice(format!("{bound}.0").as_bytes());
        });
        metrics.end();
    }

    /// Adds what a later write found: of each collection, the last is told.
    pub(crate) fn note(self, collections: &mut Vec<Self>) {
        match collections.iter_mut().find(|known| known.key == self.key) {
            Some(known) => *known = self,
            None => collections.push(self),
        }
    }
}

/// The field `ItemCollectionMetrics` of several tables, where there are any.
pub(crate) fn write_tables(collections: &BTreeMap<&str, Vec<CollectionMetrics>>, answer: &mut Object<'_>) {
    if collections.is_empty() {
        return;
    }
    let mut tables = answer.object("ItemCollectionMetrics");
    for (name, collections) in collections {
        write_list(tables.escaped_field(name), collections, CollectionMetrics::write);
    }
    tables.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::AttributeValue;

    fn metrics(bytes: u64) -> CollectionMetrics {
        CollectionMetrics { key: Item::from([("Id".to_owned(), AttributeValue::S("anna".to_owned()))]), bytes }
    }

    #[test]
    fn a_size_lies_between_whole_gigabytes() {
        for (bytes, range) in
            [(0, "[0.0,1.0]"), (GIGABYTE - 1, "[0.0,1.0]"), (GIGABYTE, "[1.0,2.0]"), (10 * GIGABYTE, "[10.0,11.0]")]
        {
            let mut out = Vec::new();
            metrics(bytes).write(&mut out);
            let expected = format!(r#"{{"ItemCollectionKey":{{"Id":{{"S":"anna"}}}},"SizeEstimateRangeGB":{range}}}"#);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn a_collection_is_told_once_as_it_was_last() {
        let mut collections = Vec::new();
        metrics(1).note(&mut collections);
        metrics(2).note(&mut collections);
        assert_eq!(collections, [metrics(2)]);
    }
}
