//! Tables with local indexes, which never change.

use crate::{
    merge,
    support::{World, api_server::ApiServer},
};
use cairn_crds::Table;
use cairn_model::table::TableDefinition;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

pub(crate) async fn play(server: &ApiServer) {
    local_indexes_come_with_a_table_and_stay_as_they_are(server).await;
}

fn index(name: &str, sort: &str, projection: Value) -> Value {
    json!({
        "indexName": name, "projection": projection,
        "keySchema": [{"attributeName": "Id", "keyType": "HASH"}, {"attributeName": sort, "keyType": "RANGE"}],
    })
}

fn table(indexes: &[Value]) -> Table {
    let attribute = |name: &str| json!({"attributeName": name, "attributeType": "S"});
    let table = json!({
        "apiVersion": "cairn.dev/v1alpha1", "kind": "Table", "metadata": {"name": "games"},
        "spec": {
            "attributeDefinitions": [attribute("Id"), attribute("Game"), attribute("Rank"), attribute("Age")],
            "keySchema": [{"attributeName": "Id", "keyType": "HASH"}, {"attributeName": "Game", "keyType": "RANGE"}],
            "billingMode": "PAY_PER_REQUEST", "localSecondaryIndexes": indexes,
        },
    });
    serde_json::from_value(table).unwrap()
}

/// What every node holds.
fn held(world: &World) -> Vec<TableDefinition> {
    world.fleet.with(|nodes| nodes.values().flat_map(|node| &node.replicas).map(|r| r.definition.clone()).collect())
}

fn slots(definition: &TableDefinition) -> Vec<(&str, u8)> {
    definition.local_indexes.iter().map(|index| (index.index_name.as_str(), index.slot)).collect()
}

async fn local_indexes_come_with_a_table_and_stay_as_they_are(server: &ApiServer) {
    let world = World::new(server, "indexes").await;
    let tables: Api<Table> = world.api();
    let included = json!({"projectionType": "INCLUDE", "nonKeyAttributes": ["Team", "Name"]});
    let indexes = [index("by-rank", "Rank", included), index("by-age", "Age", json!({"projectionType": "ALL"}))];
    tables.create(&PostParams::default(), &table(&indexes)).await.unwrap();
    world.wait_active("games").await;
    assert_eq!(held(&world).len(), 3);
    assert!(held(&world).iter().all(|held| slots(held) == [("by-rank", 2), ("by-age", 1)]), "{:?}", held(&world));

    // The same in another order, with a change that is one.
    let [by_rank, by_age] = indexes;
    let swapped = json!({"localSecondaryIndexes": [by_age, by_rank], "deletionProtectionEnabled": true});
    merge(&tables, "games", json!({"spec": swapped})).await;
    crate::support::wait("the change to be there", || async {
        held(&world).iter().all(|held| held.deletion_protection_enabled).then_some(())
    })
    .await;
    assert!(held(&world).iter().all(|held| held.schema_version == 2 && slots(held)[0] == ("by-rank", 2)));
    world.wait_active("games").await;

    let other = index("by-rank", "Rank", json!({"projectionType": "KEYS_ONLY"}));
    let patch = json!({"spec": {"localSecondaryIndexes": [by_age, other]}});
    let refused = tables.patch("games", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap_err();
    assert!(refused.to_string().contains("localSecondaryIndexes can't change"), "{refused}");

    // What got past the rules is told, and nothing is ordered.
    world.fleet.with(|nodes| {
        let replicas = nodes.values_mut().flat_map(|node| &mut node.replicas);
        replicas.for_each(|replica| replica.definition.local_indexes.truncate(1));
    });
    merge(&tables, "games", json!({"spec": {"tableClass": "STANDARD"}})).await;
    let told = world.wait_reason("games", "Unchangeable").await;
    assert!(told.contains("spec.localSecondaryIndexes") && told.contains("by-rank"), "{told}");
    assert!(held(&world).iter().all(|held| held.schema_version == 2 && held.table_class.is_none()));
    merge(&tables, "games", json!({"spec": {"deletionProtectionEnabled": false}})).await;
}
