//! Other regions in memory: all that are added are replicas at once, CREATING until a test says more.

use crate::client::NOW_MS;
use async_trait::async_trait;
use cairn_api::{
    GlobalTables, TableView,
    global_tables::{GlobalTable, Replica, ReplicaUpdate},
};
use cairn_model::{ServiceError, region::ReplicaStatus};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

#[derive(Default)]
pub(crate) struct MemoryRegions(Mutex<BTreeMap<String, GlobalTable>>);

impl MemoryRegions {
    fn tables(&self) -> MutexGuard<'_, BTreeMap<String, GlobalTable>> {
        self.0.lock().unwrap()
    }

    /// The operator and the storage nodes are done with what was asked for.
    pub(crate) fn settle(&self, table: &str) {
        let mut tables = self.tables();
        let global = tables.get_mut(table).unwrap();
        global.changing = false;
        global.replicas.retain(|replica| replica.status != ReplicaStatus::Deleting);
        global.replicas.iter_mut().for_each(|replica| replica.status = ReplicaStatus::Active);
        if global.replicas.is_empty() {
            tables.remove(table);
        }
    }

    pub(crate) fn set(&self, table: &str, region: &str, status: ReplicaStatus, description: &str, percent: u8) {
        let mut tables = self.tables();
        let replicas = &mut tables.get_mut(table).unwrap().replicas;
        let replica = replicas.iter_mut().find(|replica| replica.region == region).unwrap();
        replica.status = status;
        replica.description = Some(description.to_owned());
        replica.percent_progress = Some(percent);
    }
}

#[async_trait]
impl GlobalTables for MemoryRegions {
    fn describe(&self, table: &TableView) -> Option<GlobalTable> {
        self.tables().get(&table.definition.table_name).cloned()
    }

    async fn update_replicas(&self, table: &TableView, update: ReplicaUpdate) -> Result<(), ServiceError> {
        let mut tables = self.tables();
        let global = tables.entry(table.definition.table_name.clone()).or_insert_with(|| GlobalTable {
            creation_time_ms: NOW_MS,
            changing: true,
            replicas: Vec::new(),
        });
        global.changing = true;
        for replica in global.replicas.iter_mut().filter(|replica| update.delete.contains(&replica.region)) {
            replica.status = ReplicaStatus::Deleting;
        }
        global.replicas.extend(update.create.into_iter().map(|region| Replica {
            region,
            status: ReplicaStatus::Creating,
            description: None,
            percent_progress: None,
        }));
        global.replicas.sort_by(|one, other| one.region.cmp(&other.region));
        Ok(())
    }
}
