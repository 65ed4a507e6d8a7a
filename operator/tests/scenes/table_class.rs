//! A table whose class changes as often as it may, and once more.

use crate::{
    merge,
    support::{World, api_server::ApiServer, wait},
};
use cairn_crds::Table;
use cairn_model::table::{TableClass, TableDefinition};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

pub(crate) async fn play(server: &ApiServer) {
    a_third_change_of_the_class_waits_for_its_time_and_holds_up_nothing_else(server).await;
}

/// What the nodes keep of the one table they hold.
fn held(world: &World) -> TableDefinition {
    world.fleet.with(|nodes| nodes.values().find_map(|node| Some(node.replicas.first()?.definition.clone()))).unwrap()
}

async fn ask(world: &World, change: Value) {
    merge(&world.api::<Table>(), "users", change).await;
}

/// Waits until the nodes have the class, and the status says so; how many updates of it are noted.
async fn wait_noted(world: &World, class: TableClass) -> usize {
    wait("the class to be noted", || async {
        let noted = world.table("users").await.status?.table_class?;
        let is_so = noted.table_class == class && held(world).table_class.unwrap_or_default() == class;
        is_so.then_some(noted.update_date_times.len())
    })
    .await
}

async fn a_third_change_of_the_class_waits_for_its_time_and_holds_up_nothing_else(server: &ApiServer) {
    let world = World::new(server, "table-class").await;
    world.create_table("users", "").await;
    assert_eq!(wait_noted(&world, TableClass::Standard).await, 0);
    for (updates, class) in [(1, TableClass::StandardInfrequentAccess), (2, TableClass::Standard)] {
        ask(&world, json!({"spec": {"tableClass": class}})).await;
        assert_eq!(wait_noted(&world, class).await, updates);
    }
    let infrequent = TableClass::StandardInfrequentAccess;
    ask(&world, json!({"spec": {"tableClass": infrequent, "deletionProtectionEnabled": true}})).await;
    let message = world.wait_reason("users", "TableClassLimited").await;
    assert!(message.contains("spec.tableClass") && message.contains("it will at "), "{message}");
    wait("everything else to follow", || async { held(&world).deletion_protection_enabled.then_some(()) }).await;
    assert_eq!(held(&world).table_class, Some(TableClass::Standard));
    world.wait_active("users").await;
    world.ahead.store(30 * 24 * 3_600 + 60, Ordering::SeqCst);
    ask(&world, json!({"metadata": {"annotations": {"tests/ahead": "30 days"}}})).await;
    assert_eq!(wait_noted(&world, infrequent).await, 2);
    world.wait_reason("users", "Ready").await;
}
