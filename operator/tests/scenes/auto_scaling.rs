//! A table and its index whose throughput follows what they consume, each what it consumes itself.

use crate::{
    merge,
    support::{World, api_server::ApiServer, wait},
};
use cairn_crds::{Table, TableResourceStatus};
use cairn_model::{
    consumption::{Consumption, MinuteConsumption, PartitionConsumption},
    ids::PartitionId,
    node::{FedReport, ReplicaReport},
};
use kube::api::PostParams;
use serde_json::json;
use std::sync::atomic::Ordering;

/// Minutes since the Unix epoch.
const LAST: u64 = 1_000;

pub(crate) async fn play(server: &ApiServer) {
    a_table_and_its_index_are_scaled_by_what_each_consumes(server).await;
    a_decrease_that_has_to_wait_holds_up_nothing_else(server).await;
}

/// Writes from 5 to 100 units, of the index and, with `scaled`, of the table, from 5 on.
fn table(scaled: bool) -> Table {
    let units = json!({"readCapacityUnits": 5, "writeCapacityUnits": 5});
    let scaling = json!({"write": {"minUnits": 5, "maxUnits": 100}});
    let mut table = json!({
        "apiVersion": "cairn.dev/v1alpha1", "kind": "Table", "metadata": {"name": "games"},
        "spec": {
            "attributeDefinitions": [
                {"attributeName": "Id", "attributeType": "S"}, {"attributeName": "Team", "attributeType": "S"},
            ],
            "keySchema": [{"attributeName": "Id", "keyType": "HASH"}],
            "billingMode": "PROVISIONED", "provisionedThroughput": units, "autoScaling": scaling,
            "globalSecondaryIndexes": [{
                "indexName": "by-Team", "projection": {"projectionType": "ALL"},
                "keySchema": [{"attributeName": "Team", "keyType": "HASH"}],
                "provisionedThroughput": units, "autoScaling": scaling,
            }],
        },
    });
    if !scaled {
        table["spec"].as_object_mut().unwrap().remove("autoScaling");
    }
    serde_json::from_value(table).unwrap()
}

fn replica(world: &World, of_index: bool) -> Option<ReplicaReport> {
    world.fleet.with(|nodes| {
        let mut replicas = nodes.values().flat_map(|node| &node.replicas);
        replicas.find(|replica| replica.definition.index_of.is_some() == of_index).cloned()
    })
}

/// Has one node tell that writes cost so many units a second in the last two minutes, and the others that they know of none.
fn consume(world: &World, units: [(PartitionId, u64); 2]) {
    let minutes = |units: u64| (LAST - 1..=LAST).map(move |minute| (minute, units * 120));
    let partitions = units.map(|(partition_id, units)| PartitionConsumption {
        partition_id,
        minutes: minutes(units)
            .map(|(minute, write_half_units)| MinuteConsumption { minute, read_half_units: 0, write_half_units })
            .collect(),
    });
    world.fleet.with(|nodes| {
        for (number, node) in nodes.values_mut().enumerate() {
            let partitions = if number == 0 { partitions.to_vec() } else { Vec::new() };
            node.consumption = Some(Consumption { first_minute: 0, last_minute: LAST, partitions });
        }
    });
}

/// Waits until the table and its index are made, and has the index filled; their partitions.
async fn made(world: &World) -> [PartitionId; 2] {
    let [of_table, of_index] = wait("the table and its index to be made", || async {
        Some([replica(world, false)?, replica(world, true)?].map(|replica| replica.descriptor.partition_id))
    })
    .await;
    world.fleet.with(|nodes| {
        let replicas = nodes.values_mut().flat_map(|node| &mut node.replicas);
        for replica in replicas.filter(|replica| replica.definition.index_of.is_some()) {
            replica.fed_by = vec![FedReport { partition_id: of_table, complete: true, through: 1 }];
        }
    });
    [of_table, of_index]
}

async fn a_table_and_its_index_are_scaled_by_what_each_consumes(server: &ApiServer) {
    let world = World::new(server, "scaled").await;
    world.api::<Table>().create(&PostParams::default(), &table(true)).await.unwrap();
    let [of_table, of_index] = made(&world).await;
    consume(&world, [(of_table, 14), (of_index, 28)]);
    wait("what the nodes hold to follow", || async {
        let [table, index] = [replica(&world, false)?, replica(&world, true)?].map(|replica| replica.definition);
        let held = [
            table.provisioned_throughput?,
            table.global_indexes.first()?.provisioned_throughput?,
            index.provisioned_throughput?,
        ];
        (held.map(|units| units.write_capacity_units) == [20, 40, 40]).then_some(())
    })
    .await;
    let table = world.wait_active("games").await;
    let status: TableResourceStatus = table.status.clone().unwrap();
    let units = |scaling: &Option<cairn_crds::table::AutoScalingStatus>| scaling.as_ref().unwrap().units;
    let [scaled, index] = [units(&status.auto_scaling), units(&status.global_secondary_indexes[0].auto_scaling)];
    assert_eq!((scaled.write_capacity_units, index.write_capacity_units), (20, 40));
    assert_eq!((scaled.read_capacity_units, index.read_capacity_units), (5, 5));
    let described = table.definition().unwrap().global_indexes.remove(0).provisioned_throughput.unwrap();
    assert_eq!(described.write_capacity_units, 40, "what the routers know");
}

async fn a_decrease_that_has_to_wait_holds_up_nothing_else(server: &ApiServer) {
    let world = World::new(server, "limited").await;
    world.api::<Table>().create(&PostParams::default(), &table(false)).await.unwrap();
    let [of_table, of_index] = made(&world).await;
    world.wait_active("games").await;
    let reads = |units: u64| json!({"readCapacityUnits": units, "writeCapacityUnits": 5});
    let held = || replica(&world, false).unwrap().definition;
    for units in [100, 90, 80, 70, 60] {
        merge(&world.api::<Table>(), "games", json!({"spec": {"provisionedThroughput": reads(units)}})).await;
        wait("the units to be noted", || async {
            let noted = world.table("games").await.status?.throughput?.provisioned_throughput?;
            (noted.read_capacity_units == i64::try_from(units).unwrap()).then_some(())
        })
        .await;
    }
    let change = json!({"spec": {"provisionedThroughput": reads(50), "deletionProtectionEnabled": true}});
    merge(&world.api::<Table>(), "games", change).await;
    let message = world.wait_reason("games", "ThroughputDecreaseLimited").await;
    assert!(message.contains("spec.provisionedThroughput") && message.contains("it will at "), "{message}");
    consume(&world, [(of_table, 0), (of_index, 28)]);
    wait("everything else to follow", || async {
        let definition = held();
        let of_index = definition.global_indexes.first()?.provisioned_throughput?;
        (definition.deletion_protection_enabled && of_index.write_capacity_units == 40).then_some(())
    })
    .await;
    assert_eq!(held().provisioned_throughput.unwrap().read_capacity_units, 60);
    world.wait_active("games").await;
    world.ahead.store(3_700, Ordering::SeqCst);
    world.wait_reason("games", "Ready").await;
    assert_eq!(held().provisioned_throughput.unwrap().read_capacity_units, 50);
}
