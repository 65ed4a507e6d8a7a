//! Archives as they are played for the controllers: one bucket, and beside each node an archive that ships to it.

use super::fake::Fleet;
use cairn_model::{
    archive::{
        ArchiveAnswer, ArchiveCall, ArchiveOwner, ArchiveRefusal, ArchiveReport, BackupOrder, BackupReport,
        BackupState, Recovery, RecoveryWindow, Resolved, RestoreOrigin, RestoreProgress, TableArchive,
        import::{ImportFailure, ImportOutcome, ImportProgress, ImportReport},
    },
    descriptor::PartitionDescriptor,
    ids::{PartitionId, TableId},
    node::{ReplicaReport, ReplicaState},
    table::TableDefinition,
    time::Timestamp,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// What a restored table has, other than one that was made empty.
pub(crate) const RESTORED_ITEMS: u64 = 42;

#[derive(Default)]
pub(crate) struct Contents {
    /// What whoever wants to restore something is told.
    pub(crate) source: Option<Result<TableDefinition, ArchiveRefusal>>,
    /// While there is one, backups and loads end with it.
    pub(crate) failure: Option<String>,
    /// How often a load was asked after, and the last that was.
    pub(crate) loads: u32,
    pub(crate) load: Option<(String, PartitionDescriptor, TableDefinition)>,
    /// Why imports fail for good, if they do; and the last one, as the archive tells of it.
    pub(crate) import_failure: Option<String>,
    pub(crate) import: Option<ImportReport>,
    /// How much of an import that finishes is no item.
    pub(crate) rejected_items: u64,
    /// Whether loads come to their end.
    pub(crate) finishes: bool,
    pub(crate) backups: BTreeMap<String, BackupOrder>,
    /// Each with whether its archive goes too.
    pub(crate) deleted: Vec<(TableId, bool)>,
}

#[derive(Clone, Default)]
pub(crate) struct Bucket(Arc<Mutex<Contents>>);

impl Bucket {
    /// Has the archives beside the nodes of the fleet ship to this bucket.
    pub(crate) fn serve(&self, fleet: &Fleet) {
        let (bucket, nodes) = (self.clone(), fleet.clone());
        fleet.archive(move |address, call| bucket.answer(&nodes, &address.replace(":7401", ":7400"), call));
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Contents) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// Brings the last load to its end, though nobody asks after it.
    pub(crate) fn finish(&self, fleet: &Fleet) {
        let (address, descriptor, definition) = self.with(|contents| contents.load.take()).unwrap();
        adopt(fleet, &address, &descriptor, &definition);
    }

    fn answer(&self, fleet: &Fleet, address: &str, call: &ArchiveCall) -> ArchiveAnswer {
        self.with(|contents| match call {
            ArchiveCall::Report => report(fleet, address),
            ArchiveCall::Resolve { .. } => resolve(contents),
            ArchiveCall::Restore { descriptor, definition, .. } => {
                contents.loads += 1;
                contents.load = Some((address.to_owned(), descriptor.clone(), definition.clone()));
                if let Some(message) = &contents.failure {
                    return refused(ArchiveRefusal::Failed, message);
                }
                if !contents.finishes {
                    let progress = RestoreProgress::Loading { bytes_done: 37, bytes_total: 100 };
                    return ArchiveAnswer::Restore(progress);
                }
                adopt(fleet, address, descriptor, definition);
                ArchiveAnswer::Restore(RestoreProgress::Done)
            }
            ArchiveCall::Import { descriptor, order } => {
                contents.loads += 1;
                contents.load = Some((address.to_owned(), descriptor.clone(), order.definition.clone()));
                if let Some(message) = &contents.failure {
                    return refused(ArchiveRefusal::Failed, message);
                }
                let outcome = import_outcome(contents);
                if outcome.as_ref().is_some_and(|outcome| outcome.completed) {
                    adopt(fleet, address, descriptor, &order.definition);
                }
                let progress = ImportProgress { imported_item_count: 5, ..ImportProgress::default() };
                let report = match outcome {
                    Some(outcome) => ImportReport::ended(order.clone(), outcome, String::new()),
                    None => ImportReport::in_progress(order.clone(), progress),
                };
                contents.import = Some(report.clone());
                ArchiveAnswer::Import(Box::new(report))
            }
            ArchiveCall::DescribeImport { import_id } => match &contents.import {
                Some(import) if import.order.import_id == *import_id => ArchiveAnswer::Import(Box::new(import.clone())),
                _ => refused(ArchiveRefusal::NotFound, "the bucket has no such import"),
            },
            ArchiveCall::CreateBackup { partition_id, backup } => {
                if let Some(message) = &contents.failure {
                    return refused(ArchiveRefusal::Failed, message);
                }
                if !leads(fleet, address, *partition_id) {
                    return refused(ArchiveRefusal::NotLeader, "the node does not lead it");
                }
                contents.backups.insert(backup.backup_id.clone(), backup.clone());
                ArchiveAnswer::Backup(Box::new(BackupReport {
                    order: backup.clone(),
                    state: BackupState::Available,
                    item_count: 7,
                    table_size_bytes: 700,
                    size_bytes: 300,
                    bytes_done: 700,
                }))
            }
            ArchiveCall::MarkDeleted { table_id, with_archive, .. } => {
                // As archives do, it takes no notice of what it was told already: an operator that is overtaken tells it again.
                if !contents.deleted.contains(&(*table_id, *with_archive)) {
                    contents.deleted.push((*table_id, *with_archive));
                }
                ArchiveAnswer::Done
            }
            other => refused(ArchiveRefusal::Invalid, &format!("not played: {other:?}")),
        })
    }
}

fn refused(reason: ArchiveRefusal, message: &str) -> ArchiveAnswer {
    ArchiveAnswer::Refused { reason, message: message.to_owned() }
}

/// How an import ends, if it does.
fn import_outcome(contents: &Contents) -> Option<ImportOutcome> {
    let ended = ImportOutcome::interrupted(1_763_719_200_000);
    if let Some(message) = &contents.import_failure {
        let failure = ImportFailure { code: "S3NoSuchBucket".to_owned(), message: message.clone() };
        return Some(ImportOutcome { failure: Some(failure), ..ended });
    }
    let error_count = contents.rejected_items;
    let progress = ImportProgress { imported_item_count: RESTORED_ITEMS, error_count, ..ImportProgress::default() };
    let failure = (error_count > 0)
        .then(|| ImportFailure { code: "ItemValidationError".to_owned(), message: "some are no items".to_owned() });
    contents.finishes.then_some(ImportOutcome { progress, completed: true, failure, ..ended })
}

/// Every table with recovery on that the node leads can be restored up to now.
fn report(fleet: &Fleet, address: &str) -> ArchiveAnswer {
    let now_ms = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap();
    let tables = fleet.with(|nodes| {
        let led = nodes[address].replicas.iter().filter(|replica| replica.state == ReplicaState::Leader);
        led.filter_map(|replica| {
            let on = replica.definition.continuous_backups?;
            let windows = vec![RecoveryWindow { earliest_ms: on.enabled_at_ms, latest_ms: now_ms }];
            let recovery = Recovery { windows, problems: Vec::new() };
            Some(TableArchive { table_id: replica.definition.table_id, recovery })
        })
        .collect()
    });
    ArchiveAnswer::Report(ArchiveReport { version: "0".into(), unreachable: None, tables })
}

fn resolve(contents: &Contents) -> ArchiveAnswer {
    match &contents.source {
        Some(Ok(definition)) => {
            let owner = ArchiveOwner { region: "east".into(), account: definition.account.clone() };
            ArchiveAnswer::Resolved(Box::new(Resolved {
                origin: RestoreOrigin::Table {
                    owner,
                    table_id: definition.table_id,
                    at: Timestamp::from_millis(1_763_719_200_123),
                },
                table_arn: format!("arn:aws:dynamodb:east:{}:table/{}", definition.account, definition.table_name),
                definition: definition.clone(),
                backup_arn: None,
                restore_time_ms: 1_763_719_200_123,
            }))
        }
        Some(Err(reason)) => refused(*reason, "the log of 10:00 to 10:05 is missing"),
        None => refused(ArchiveRefusal::NotFound, "the bucket has no such table"),
    }
}

fn leads(fleet: &Fleet, address: &str, partition: PartitionId) -> bool {
    fleet.with(|nodes| {
        let mut replicas = nodes[address].replicas.iter();
        replicas.any(|replica| replica.state == ReplicaState::Leader && replica.descriptor.partition_id == partition)
    })
}

/// The node has the partition from now on, and its peers follow.
fn adopt(fleet: &Fleet, address: &str, descriptor: &PartitionDescriptor, definition: &TableDefinition) {
    fleet.with(|nodes| {
        for member in &descriptor.members {
            let node = nodes.get_mut(&member.address).unwrap();
            if node.replicas.iter().any(|replica| replica.descriptor.partition_id == descriptor.partition_id) {
                continue;
            }
            let state = if member.address == address { ReplicaState::Leader } else { ReplicaState::Follower };
            node.replicas.push(ReplicaReport {
                term: 1,
                applied_index: 1,
                caught_up: true,
                item_count: RESTORED_ITEMS,
                size_bytes: 4_200,
                ..ReplicaReport::new(member.replica_id, state, descriptor.clone(), definition.clone())
            });
        }
    });
}
