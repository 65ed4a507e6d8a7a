//! Tables with global indexes: hidden partitions that come, are fed, heal and go.

use crate::{
    merge,
    support::{World, api_server::ApiServer, bucket::Bucket, wait},
};
use cairn_crds::{Table, TableResourceStatus, table::GlobalSecondaryIndexStatus};
use cairn_model::{
    archive::import::ImportStatus,
    ids::{NodeId, TableId},
    index::GlobalIndex,
    node::{FedReport, ReplicaReport, ReplicaState},
    table::{TableDefinition, TableStatus},
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

pub(crate) async fn play(server: &ApiServer) {
    a_table_is_made_with_its_indexes_and_serves_once_they_are_filled(server).await;
    an_imported_table_is_told_where_its_indexes_are_and_serves_once_they_are_filled(server).await;
    indexes_come_and_go_while_the_table_serves(server).await;
    an_index_heals_as_its_table_does(server).await;
    what_two_own_each_can_take_out_again(server).await;
}

fn index(name: &str, key: &str) -> Value {
    json!({
        "indexName": name, "projection": {"projectionType": "ALL"},
        "keySchema": [{"attributeName": key, "keyType": "HASH"}],
    })
}

/// What of a spec the indexes say, one for each of these attributes.
fn indexed(keys: &[&str]) -> Value {
    let attribute = |name: &&str| json!({"attributeName": name, "attributeType": "S"});
    let attributes: Vec<Value> = ["Id"].iter().chain(keys).map(attribute).collect();
    let indexes: Vec<Value> = keys.iter().map(|key| index(&format!("by-{key}"), key)).collect();
    json!({"attributeDefinitions": attributes, "globalSecondaryIndexes": indexes})
}

fn table(keys: &[&str]) -> Table {
    let mut spec = indexed(keys);
    spec["keySchema"] = json!([{"attributeName": "Id", "keyType": "HASH"}]);
    spec["billingMode"] = json!("PAY_PER_REQUEST");
    let table = json!({
        "apiVersion": "cairn.dev/v1alpha1", "kind": "Table", "metadata": {"name": "games"}, "spec": spec,
    });
    serde_json::from_value(table).unwrap()
}

fn replicas(world: &World, is_wanted: impl Fn(&ReplicaReport) -> bool) -> Vec<ReplicaReport> {
    world.fleet.with(|nodes| nodes.values().flat_map(|node| &node.replicas).filter(|r| is_wanted(r)).cloned().collect())
}

/// What the table's own partition has.
fn held(world: &World) -> TableDefinition {
    replicas(world, |replica| replica.definition.index_of.is_none()).remove(0).definition
}

fn held_index(world: &World, name: &str) -> Option<GlobalIndex> {
    held(world).global_indexes.into_iter().find(|index| index.index_name == name)
}

fn of_index(world: &World, id: TableId) -> Vec<ReplicaReport> {
    replicas(world, |replica| replica.descriptor.table_id == id)
}

/// Has every index say that it has all of its table.
fn fill(world: &World) {
    let source = replicas(world, |replica| replica.definition.index_of.is_none()).remove(0).descriptor.partition_id;
    world.fleet.with(|nodes| {
        let replicas = nodes.values_mut().flat_map(|node| &mut node.replicas);
        for replica in replicas.filter(|replica| replica.definition.index_of.is_some()) {
            replica.fed_by = vec![FedReport { partition_id: source, complete: true, through: 1 }];
        }
    });
}

async fn status(world: &World) -> TableResourceStatus {
    world.table("games").await.status.unwrap_or_default()
}

/// Waits until the first index of this name is so, or is none.
async fn wait_index(world: &World, name: &str, wanted: Option<TableStatus>) -> Option<GlobalSecondaryIndexStatus> {
    wait(&format!("the index {name} to be {wanted:?}"), || async {
        let entries = status(world).await.global_secondary_indexes;
        let entry = entries.into_iter().find(|entry| entry.index_name == name);
        (entry.as_ref().map(|entry| entry.index_status) == wanted).then_some(entry)
    })
    .await
}

async fn a_table_is_made_with_its_indexes_and_serves_once_they_are_filled(server: &ApiServer) {
    let world = World::new(server, "gsi-first").await;
    let tables: Api<Table> = world.api();
    tables.create(&PostParams::default(), &table(&["Team", "Rank"])).await.unwrap();
    world.wait_reason("games", "IndexesCreating").await;
    let status = status(&world).await;
    assert_eq!((status.table_status, status.indexes_ready.as_deref()), (Some(TableStatus::Creating), Some("0/2")));
    let filling = wait_index(&world, "by-Rank", Some(TableStatus::Creating)).await.unwrap();
    assert_eq!((filling.slot, filling.backfilling), (1, Some(true)));
    let definition = held(&world);
    assert_eq!((definition.schema_version, definition.global_indexes.len()), (1, 2));
    for index in &definition.global_indexes {
        let replicas = of_index(&world, index.index_id);
        assert_eq!((replicas.len(), index.partitions[0].members.len()), (3, 3));
        assert!(replicas.iter().all(|replica| replica.definition == definition.of_index(index)));
    }
    fill(&world);
    let table = world.wait_active("games").await;
    assert_eq!(table.status.as_ref().unwrap().indexes_ready.as_deref(), Some("2/2"));
    assert_eq!(table.definition().unwrap(), definition, "routers and nodes know the same");

    tables.delete("games", &DeleteParams::default()).await.unwrap();
    wait("the data of the table and its indexes to be gone", || async {
        replicas(&world, |_| true).is_empty().then_some(())
    })
    .await;
}

async fn an_imported_table_is_told_where_its_indexes_are_and_serves_once_they_are_filled(server: &ApiServer) {
    let defaults = "{volume: {size: 1Gi}, archive: {url: 's3://tables'}}";
    let (world, bucket) = (World::with_defaults(server, "gsi-import", defaults, &[]).await, Bucket::default());
    bucket.serve(&world.fleet);
    bucket.with(|contents| contents.finishes = true);
    let mut imported = table(&["Team", "Rank"]);
    let from = json!({"s3BucketSource": {"s3Bucket": "source"}, "inputFormat": "ION"});
    imported.spec.import_from = Some(serde_json::from_value(from).unwrap());
    world.api().create(&PostParams::default(), &imported).await.unwrap();
    for name in ["by-Team", "by-Rank"] {
        wait("the table to know where its index is", || async {
            wait_index(&world, name, Some(TableStatus::Creating)).await?.backfilling?;
            held_index(&world, name).filter(|index| index.partitions.iter().any(|at| at.members.len() == 3))
        })
        .await;
    }
    let filling = status(&world).await;
    assert_eq!(filling.table_status, Some(TableStatus::Creating));
    assert!(
        filling.import.is_some_and(|import| import.is_in_progress()),
        "what is COMPLETED can be queried by its indexes"
    );
    fill(&world);
    let table = world.wait_active("games").await;
    assert_eq!(table.definition().unwrap().global_indexes.len(), 2);
    wait("the import to be told as ended", || async {
        status(&world).await.import.filter(|import| import.import_status == ImportStatus::Completed)
    })
    .await;
}

async fn indexes_come_and_go_while_the_table_serves(server: &ApiServer) {
    let world = World::new(server, "gsi-later").await;
    let tables: Api<Table> = world.api();
    tables.create(&PostParams::default(), &table(&[])).await.unwrap();
    world.wait_active("games").await;

    merge(&tables, "games", json!({"spec": indexed(&["Team"])})).await;
    wait("the index to be filled", || async {
        let status = status(&world).await;
        let is_filling = status.global_secondary_indexes.iter().any(|entry| entry.backfilling == Some(true));
        (is_filling && status.table_status == Some(TableStatus::Active)).then_some(())
    })
    .await;
    fill(&world);
    let first = wait_index(&world, "by-Team", Some(TableStatus::Active)).await.unwrap();
    assert_eq!(held(&world).schema_version, 2);

    // Of one that is there only the throughput changes.
    let mut other = indexed(&["Team"]);
    other["globalSecondaryIndexes"][0]["projection"] = json!({"projectionType": "KEYS_ONLY"});
    let refused = tables.patch("games", &PatchParams::default(), &Patch::Merge(&json!({"spec": other}))).await;
    assert!(refused.unwrap_err().to_string().contains("keySchema and projection of a global index can't change"));
    let mut retyped = indexed(&["Team"]);
    retyped["attributeDefinitions"][1]["attributeType"] = json!("N");
    let refused = tables.patch("games", &PatchParams::default(), &Patch::Merge(&json!({"spec": retyped}))).await;
    assert!(refused.unwrap_err().to_string().contains("the type of a key attribute can't change"));
    let mut limited = indexed(&["Team"]);
    limited["globalSecondaryIndexes"][0]["onDemandThroughput"] = json!({"maxReadRequestUnits": 5});
    merge(&tables, "games", json!({"spec": limited})).await;
    let id: TableId = first.index_id.parse().unwrap();
    wait("the index to have its maximum", || async {
        let is_so = |definition: &TableDefinition| definition.on_demand_throughput.is_some();
        of_index(&world, id).iter().all(|replica| is_so(&replica.definition)).then_some(())
    })
    .await;
    wait_index(&world, "by-Team", Some(TableStatus::Active)).await;

    // One goes and another comes in one manifest.
    merge(&tables, "games", json!({"spec": indexed(&["Rank"])})).await;
    wait_index(&world, "by-Rank", Some(TableStatus::Creating)).await;
    wait_index(&world, "by-Team", None).await;
    wait("the data of the index to be gone", || async { of_index(&world, id).is_empty().then_some(()) }).await;
    fill(&world);
    wait_index(&world, "by-Rank", Some(TableStatus::Active)).await;
    assert!(held_index(&world, "by-Team").is_none());
    assert_eq!(world.group("default").await.status.unwrap().pending_drops.len(), 0);

    // And one comes again under its name, as another.
    merge(&tables, "games", json!({"spec": indexed(&["Rank", "Team"])})).await;
    let again = wait_index(&world, "by-Team", Some(TableStatus::Creating)).await.unwrap();
    assert_ne!(again.index_id, first.index_id);
    wait("the definition to have it", || async { held_index(&world, "by-Team") }).await;
    fill(&world);
    wait_index(&world, "by-Team", Some(TableStatus::Active)).await;
    assert_eq!(status(&world).await.indexes_ready.as_deref(), Some("2/2"));
}

async fn an_index_heals_as_its_table_does(server: &ApiServer) {
    let world = World::new(server, "gsi-heals").await;
    world.api::<Table>().create(&PostParams::default(), &table(&["Team"])).await.unwrap();
    wait("the index to be there", || async {
        let is_led = |r: &ReplicaReport| r.definition.index_of.is_some() && r.state == ReplicaState::Leader;
        (!replicas(&world, is_led).is_empty()).then_some(())
    })
    .await;
    fill(&world);
    world.wait_active("games").await;
    let id = held_index(&world, "by-Team").unwrap().index_id;

    // A volume is emptied under a node that leads nothing.
    let emptied = NodeId([9; 16]);
    world.fleet.with(|nodes| {
        let leads = |replica: &ReplicaReport| replica.state == ReplicaState::Leader;
        let node = nodes.values_mut().find(|node| !node.replicas.iter().any(leads)).unwrap();
        node.node_id = emptied;
        node.replicas.clear();
    });
    wait("the index to be on the new node, and its table to know", || async {
        let index = held_index(&world, "by-Team")?;
        let members = &index.partitions.first()?.members;
        (of_index(&world, id).len() == 3 && members.iter().any(|member| member.node_id == emptied)).then_some(())
    })
    .await;
    let table = world.wait_active("games").await;
    assert_eq!(table.status.unwrap().global_secondary_indexes[0].index_status, TableStatus::Active);
}

/// The router applies as the manager `cairn-api` only what nobody else has: what is left out of such an apply stays.
async fn what_two_own_each_can_take_out_again(server: &ApiServer) {
    let world = World::new(server, "gsi-shared").await;
    let tables: Api<Table> = world.api();
    let apply = async |manager: &str, table: &Value| {
        tables.patch("games", &PatchParams::apply(manager), &Patch::Apply(table)).await.unwrap()
    };
    let of_manifest = serde_json::to_value(table(&["Team"])).unwrap();
    apply("manifests", &of_manifest).await;
    let mut of_api = of_manifest.clone();
    of_api["spec"]["attributeDefinitions"] = json!([{"attributeName": "Rank", "attributeType": "S"}]);
    of_api["spec"]["globalSecondaryIndexes"] = json!([index("by-Rank", "Rank")]);
    let both = apply("cairn-api", &of_api).await;
    let names = |table: &Table| -> Vec<String> {
        table.spec.global_secondary_indexes.iter().flatten().map(|index| index.index_name.clone()).collect()
    };
    assert_eq!(names(&both), ["by-Rank", "by-Team"].map(str::to_owned).iter().rev().cloned().collect::<Vec<_>>());
    of_api["spec"].as_object_mut().unwrap().remove("attributeDefinitions");
    of_api["spec"].as_object_mut().unwrap().remove("globalSecondaryIndexes");
    let left = apply("cairn-api", &of_api).await;
    assert_eq!((names(&left), left.spec.attribute_definitions.len()), (vec!["by-Team".to_owned()], 2));
}
