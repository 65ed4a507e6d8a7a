//! A table and its index whose throughput follows what they consume, each what it consumes itself.

use crate::support::{World, api_server::ApiServer, wait};
use cairn_crds::{Table, TableResourceStatus};
use cairn_model::{
    consumption::{Consumption, MinuteConsumption, PartitionConsumption},
    ids::PartitionId,
    node::{FedReport, ReplicaReport},
};
use kube::api::PostParams;
use serde_json::json;

/// Minutes since the Unix epoch.
const LAST: u64 = 1_000;

pub(crate) async fn play(server: &ApiServer) {
    a_table_and_its_index_are_scaled_by_what_each_consumes(server).await;
}

/// Writes from 5 to 100 units, of the table and of the index, from 5 on.
fn table() -> Table {
    let units = json!({"readCapacityUnits": 5, "writeCapacityUnits": 5});
    let scaling = json!({"write": {"minUnits": 5, "maxUnits": 100}});
    let table = json!({
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

async fn a_table_and_its_index_are_scaled_by_what_each_consumes(server: &ApiServer) {
    let world = World::new(server, "scaled").await;
    world.api::<Table>().create(&PostParams::default(), &table()).await.unwrap();
    let [of_table, of_index] = wait("the table and its index to be made", || async {
        Some([replica(&world, false)?, replica(&world, true)?].map(|replica| replica.descriptor.partition_id))
    })
    .await;
    consume(&world, [(of_table, 14), (of_index, 28)]);
    world.fleet.with(|nodes| {
        let replicas = nodes.values_mut().flat_map(|node| &mut node.replicas);
        for replica in replicas.filter(|replica| replica.definition.index_of.is_some()) {
            replica.fed_by = vec![FedReport { partition_id: of_table, complete: true, through: 1 }];
        }
    });
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
