//! What is left of deleted tables for a while: the records of their streams.

use super::{Directory, Engine};
use crate::{Changes, EngineError, Store, StoreSnapshot, layout, record::RetiredReplica};
use cairn_model::{ids::PartitionId, time::Timestamp};
use std::collections::BTreeSet;

/// Past so many on a node the oldest go before their time: each is in every report of the node.
const RETIRED_MAX: usize = 500;

impl<S: Store> Engine<S> {
    /// All retired replicas, by partition id.
    pub fn all_retired(&self) -> Vec<RetiredReplica> {
        self.directory.read().retired.values().cloned().collect()
    }

    pub fn retired(&self, partition_id: PartitionId) -> Option<RetiredReplica> {
        self.directory.read().retired.get(&partition_id).cloned()
    }

    /// Whether the records of streams under a storage id are all there: not, once its replica was dropped. What was read before this
    /// was asked was all there.
    pub fn has_streams(&self, storage_id: u64) -> bool {
        self.is_live(storage_id) || self.retired_under(storage_id).is_some()
    }

    /// The time of the last entry that the replica under a storage id has applied, or had when it was retired.
    pub fn entry_time(&self, storage_id: u64) -> Option<Timestamp> {
        let live = self.applied(storage_id).map(|applied| applied.entry_time);
        live.or_else(|| self.retired_under(storage_id))
    }

    /// When the last entry of the retired replica under a storage id was made, if there is one.
    pub(super) fn retired_under(&self, storage_id: u64) -> Option<Timestamp> {
        let directory = self.directory.read();
        let retired = directory.retired.values().find(|retired| retired.storage_id == storage_id)?;
        Some(retired.entry_time)
    }

    /// Drops, durably, what is left of retired replicas of which nobody can read anything any more, and of those that are too many. Must
    /// not run beside [`Self::reclaim`]. `now_ms`: milliseconds since the Unix epoch.
    pub fn drop_retired(&self, now_ms: u64) -> Result<(), EngineError> {
        let mut node = self.node.lock();
        let mut all = self.all_retired();
        all.sort_by_key(RetiredReplica::until_ms);
        let surplus = all.len().saturating_sub(RETIRED_MAX);
        let due = all.partition_point(|retired| retired.until_ms() <= now_ms).max(surplus);
        if due == 0 {
            return Ok(());
        }
        let mut changes = Changes::default();
        for retired in &all[..due] {
            changes.delete(layout::retired(retired.descriptor.partition_id));
            changes.put(layout::dead(retired.storage_id), Vec::new());
        }
        let mut directory = self.directory.write();
        for retired in &all[..due] {
            directory.retired.remove(&retired.descriptor.partition_id);
            // Anew: the records were passed over.
            node.dead.insert(retired.storage_id, None);
        }
        drop(directory);
        self.store.commit(changes)?;
        self.store.persist()?;
        Ok(())
    }
}

/// Takes up what the store has of retired replicas. Of one that was damaged nothing can be trusted, and it goes; others have it too.
pub(super) fn open(
    snapshot: &impl StoreSnapshot,
    directory: &mut Directory,
    damage: Option<&str>,
    changes: &mut Changes,
    dead: &mut BTreeSet<u64>,
) -> Result<(), EngineError> {
    let (lower, upper) = layout::all_retired();
    for pair in snapshot.range(lower, upper, true) {
        let retired = RetiredReplica::decode(&pair?.1)?;
        let partition_id = retired.descriptor.partition_id;
        if let Some(reason) = damage {
            tracing::error!(%partition_id, reason, "the streams of a deleted table are damaged, and are given up");
            changes.delete(layout::retired(partition_id));
            changes.put(layout::dead(retired.storage_id), Vec::new());
            dead.insert(retired.storage_id);
        } else {
            directory.retired.insert(partition_id, retired);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;
    use bytes::Bytes;
    use cairn_model::{
        TableDefinition,
        descriptor::{KeyRange, PartitionDescriptor},
        ids::TableId,
        table::{KeyAttribute, KeySchema, ScalarType, StreamViewType},
    };

    const GOLDEN: &str = r#"{"storageId":7,"descriptor":{"partitionId":"01010101-0101-0101-0101-010101010101","tableId":"02020202-0202-0202-0202-020202020202","range":{"start":"","end":""},"epoch":1,"members":[],"nextReplicaId":1,"parents":[]},"definition":{"account":"game","tableName":"users","tableId":"02020202-0202-0202-0202-020202020202","schemaVersion":1,"keySchema":{"partition":{"name":"Id","scalarType":"S"}},"billingMode":"PAY_PER_REQUEST","deletionProtectionEnabled":false,"creationTimeMs":0,"stream":{"past":[{"viewType":"KEYS_ONLY","enabledAtMs":1000,"disabledAtMs":5000}]}},"entryTime":65536}"#;

    fn retired() -> RetiredReplica {
        let partition = KeyAttribute { name: "Id".into(), scalar_type: ScalarType::S };
        let table_id = TableId([2; 16]);
        let mut table = TableDefinition::new("game", "users", table_id, KeySchema { partition, sort: None });
        table.set_stream(Some(StreamViewType::KeysOnly), 1_000);
        RetiredReplica {
            storage_id: 7,
            descriptor: PartitionDescriptor::first(PartitionId([1; 16]), table_id, KeyRange::default(), Vec::new()),
            definition: table.retired(5_000),
            entry_time: Timestamp::from_millis(1),
        }
    }

    #[test]
    fn records_of_format_version_1_stay_readable() {
        let golden = [b"\x01", GOLDEN.as_bytes()].concat();
        assert_eq!(retired().encode().unwrap(), golden);
        assert_eq!(RetiredReplica::decode(&golden).unwrap(), retired());
        assert!(RetiredReplica::decode(&golden[..golden.len() - 1]).is_err());
        assert!(RetiredReplica::decode(b"\x02{}").is_err());
    }

    #[test]
    fn of_a_damaged_store_nothing_retired_is_taken_up() {
        let store = MemoryStore::default();
        let mut changes = Changes::default();
        changes.put(layout::retired(PartitionId([1; 16])), retired().encode().unwrap());
        store.commit(changes).unwrap();
        let taken_up = |damage| {
            let (mut directory, mut changes, mut dead) = (Directory::default(), Changes::default(), BTreeSet::new());
            open(&store.snapshot(), &mut directory, damage, &mut changes, &mut dead).unwrap();
            (directory.retired.len(), dead.into_iter().collect::<Vec<_>>(), changes)
        };
        assert!(matches!(taken_up(None), (1, dead, changes) if dead.is_empty() && changes.is_empty()));
        let (count, dead, changes) = taken_up(Some("a journal"));
        assert_eq!((count, dead), (0, vec![7]));
        store.commit(changes).unwrap();
        assert_eq!(store.get(&layout::retired(PartitionId([1; 16]))).unwrap(), None);
        assert_eq!(store.get(&layout::dead(7)).unwrap(), Some(Bytes::new()));
    }
}
