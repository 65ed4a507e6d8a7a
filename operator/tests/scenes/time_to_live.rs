//! Tables whose items expire.

use crate::{
    merge,
    support::{World, api_server::ApiServer, wait},
};
use cairn_crds::Table;
use cairn_model::table::TimeToLive;
use serde_json::{Value, json};

pub(crate) async fn play(server: &ApiServer) {
    a_table_expires_from_its_first_definition_on(server).await;
    time_to_live_follows_the_spec(server).await;
}

/// What the nodes keep of the one table they hold.
fn held(world: &World) -> Option<TimeToLive> {
    let definition =
        world.fleet.with(|nodes| nodes.values().find_map(|node| node.replicas.first().map(|r| r.definition.clone())));
    definition?.time_to_live
}

async fn ask(world: &World, time_to_live: Value) {
    merge(&world.api::<Table>(), "users", json!({"spec": {"timeToLive": time_to_live}})).await;
}

/// Waits until the nodes' items expire by an attribute, or don't; the status says the same.
async fn wait_held(world: &World, attribute_name: Option<&str>) -> Option<TimeToLive> {
    wait(&format!("items to expire by {attribute_name:?}"), || async {
        let held = held(world);
        let noted = world.table("users").await.status.unwrap_or_default().time_to_live.map(|noted| noted.definition());
        let is_so = held.as_ref().map(|held| held.attribute_name.as_str()) == attribute_name && held == noted;
        is_so.then_some(held)
    })
    .await
}

async fn a_table_expires_from_its_first_definition_on(server: &ApiServer) {
    let world = World::new(server, "ttl-first").await;
    world.create_table("users", ", timeToLive: {attributeName: ends, enabled: true}").await;
    let table = world.wait_active("users").await;
    assert_eq!(table.status.as_ref().unwrap().schema_version, Some(1));
    let on = wait_held(&world, Some("ends")).await;
    assert!(on.is_some_and(|on| on.enabled_at_ms > 0));
    assert_eq!(table.definition().unwrap().time_to_live, held(&world), "routers and nodes know the same");
}

async fn time_to_live_follows_the_spec(server: &ApiServer) {
    let world = World::new(server, "ttl-changes").await;
    world.create_table("users", "").await;
    world.wait_active("users").await;
    ask(&world, json!({"attributeName": "ends"})).await;
    let first = wait_held(&world, Some("ends")).await;
    merge(&world.api::<Table>(), "users", json!({"spec": {"deletionProtectionEnabled": true}})).await;
    wait("the definition to change", || async {
        (world.table("users").await.status.unwrap().schema_version == Some(3)).then_some(())
    })
    .await;
    assert_eq!(held(&world), first, "it is on since when it was");
    ask(&world, json!({"attributeName": "expires"})).await;
    wait_held(&world, Some("expires")).await;
    ask(&world, json!({"enabled": false})).await;
    wait_held(&world, None).await;
}
