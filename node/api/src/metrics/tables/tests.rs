//! What the number of tables does to requests.

use super::*;
use crate::{
    catalog::{NewTable, TableUpdate, TableView},
    errors,
    tags::{TagUpdate, Tags},
};
use async_trait::async_trait;
use cairn_model::{
    KeySchema, ServiceError,
    table::{BillingMode, KeyAttribute, ScalarType},
    throughput::ThroughputHistory,
};
use std::{sync::mpsc, thread};

/// All tables are gone.
struct Nothing;

#[async_trait]
impl Catalog for Nothing {
    fn table(&self, _account: &str, _name: &str) -> Option<Arc<TableView>> {
        None
    }

    fn list_tables(&self, _account: &str) -> Vec<String> {
        Vec::new()
    }

    async fn create_table(&self, _account: &str, _table: NewTable) -> Result<Arc<TableView>, ServiceError> {
        Err(errors::internal())
    }

    async fn update_table(&self, _: &str, name: &str, _update: TableUpdate) -> Result<Arc<TableView>, ServiceError> {
        Err(errors::table_not_found(name))
    }

    async fn delete_table(&self, _account: &str, name: &str) -> Result<Arc<TableView>, ServiceError> {
        Err(errors::table_not_found(name))
    }

    fn throughput_history(&self, _table: &TableView) -> ThroughputHistory {
        ThroughputHistory::default()
    }

    async fn tags(&self, _table: &TableView) -> Result<Tags, ServiceError> {
        Ok(Tags::default())
    }

    async fn update_tags(&self, _account: &str, name: &str, _update: TagUpdate) -> Result<(), ServiceError> {
        Err(errors::table_not_found(name))
    }
}

fn definition(number: usize) -> TableDefinition {
    let table = NewTable {
        local_indexes: Vec::new(),
        global_indexes: Vec::new(),
        table_name: format!("table-{number}"),
        key_schema: KeySchema {
            partition: KeyAttribute { name: "Id".to_owned(), scalar_type: ScalarType::S },
            sort: None,
        },
        billing_mode: BillingMode::PayPerRequest,
        provisioned_throughput: None,
        on_demand_throughput: None,
        warm_throughput: None,
        table_class: None,
        deletion_protection_enabled: false,
        stream: None,
        tags: Tags::default(),
    };
    table.into_definition("game", TableId((number as u128).to_be_bytes()), 0, || TableId([0; 16]))
}

fn full() -> TableMeters {
    let meters = TableMeters::new(Arc::new(Nothing), &Registry::new()).unwrap();
    for number in 0..TABLES_MAX {
        assert!(meters.of((&definition(number)).into()).is_some());
        meters.user_error(&number.to_string());
    }
    meters
}

#[test]
fn a_table_that_is_not_counted_waits_for_nobody() {
    let meters = full();
    let (_tables, _users) = (meters.tables.read(), meters.users.read());
    let (done, is_done) = mpsc::channel();
    let others = meters.clone();
    thread::spawn(move || {
        let counted = others.of((&definition(TABLES_MAX)).into()).is_some();
        others.user_error("another");
        done.send(counted)
    });
    assert_eq!(is_done.recv_timeout(Duration::from_secs(5)), Ok(false));
}

#[test]
fn tables_that_are_gone_are_forgotten() {
    let meters = full();
    meters.retain();
    assert!(meters.tables.read().is_empty());
    assert!(meters.of((&definition(TABLES_MAX)).into()).is_some());
}
