//! What is wrong between two regions is told, each by its name, on the side that can't read.

use crate::side::{Side, join};
use cairn_model::{
    TableDefinition,
    index::{IndexProjection, LocalIndex, ProjectionType},
    region::{RegionState, RegionTrouble},
    table::{KeyAttribute, PeerCluster, ScalarType},
};

/// What the east tells of the west, that lists it, when the east has another bundle than it should.
async fn told_with(change: impl FnOnce(&mut PeerCluster, &Side), reason: RegionTrouble) -> String {
    let (east, west) = tokio::join!(Side::start("east", 1), Side::start("west", 1));
    let (mut here, mut there) = tokio::join!(east.table(1), west.table(1));
    there.list(&[("east", east.bundle())]).await;
    let mut bundle = west.bundle();
    change(&mut bundle, &east);
    here.list(&[("west", bundle)]).await;
    let told = here.trouble("west", reason).await;
    // Nobody needs to start anything anew.
    here.list(&[("west", west.bundle())]).await;
    here.replicates("west").await;
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_this_side_does_not_know_is_told() {
    let told = told_with(|bundle, east| bundle.ca = east.group.ca(), RegionTrouble::Untrusted).await;
    assert!(told.contains("exchange the peer bundles"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_than_the_bundle_says_is_told() {
    let told = told_with(|bundle, _| bundle.cluster_id = "another".into(), RegionTrouble::WrongCluster).await;
    assert!(told.contains("cluster-west") && told.contains("another"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_where_nobody_is_is_told() {
    let told = told_with(|bundle, _| bundle.endpoint = "https://127.0.0.1:1".into(), RegionTrouble::Unreachable).await;
    assert!(told.contains("https://127.0.0.1:1"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_other_side_does_not_have_or_not_list_is_told() {
    let (east, west) = tokio::join!(Side::start("east", 1), Side::start("west", 1));
    let mut tables = Vec::new();
    for number in 1..=6 {
        tables.push(east.table(number).await);
    }
    // The west knows nobody yet.
    tables[0].list(&[("west", west.bundle())]).await;
    let told = tables[0].trouble("west", RegionTrouble::Untrusted).await;
    assert!(told.contains("exchange the peer bundles"), "{told}");

    let mut there = west.table(1).await;
    there.list(&[("east", east.bundle())]).await;
    tables[0].replicates("west").await;

    tables[1].list(&[("west", west.bundle())]).await;
    let told = tables[1].trouble("west", RegionTrouble::TableMissing).await;
    assert!(told.contains("region west") && told.contains("table-2"), "{told}");

    let alone = west.table(3).await;
    tables[2].list(&[("west", west.bundle())]).await;
    let told = tables[2].trouble("west", RegionTrouble::NotListed).await;
    assert!(told.contains("spec.replicas"), "{told}");
    drop(alone);

    let sort = KeyAttribute { name: "At".into(), scalar_type: ScalarType::N };
    let mut other_keys = west.table_with(4, |definition| definition.key_schema.sort = Some(sort)).await;
    join(&mut tables[3], &mut other_keys).await;
    let told = tables[3].trouble("west", RegionTrouble::KeySchemaDiffers).await;
    assert!(told.contains("Id (S), At (N)"), "{told}");

    let index = |name: &str, slot, projection_type| LocalIndex {
        index_name: name.into(),
        slot,
        sort: KeyAttribute { name: "Rank".into(), scalar_type: ScalarType::N },
        projection: IndexProjection { projection_type, non_key_attributes: [].into() },
    };
    let sort = KeyAttribute { name: "At".into(), scalar_type: ScalarType::N };
    let indexed = |indexes: Vec<LocalIndex>| {
        let sort = sort.clone();
        move |definition: &mut TableDefinition| {
            definition.key_schema.sort = Some(sort);
            definition.local_indexes = indexes;
        }
    };
    let own = vec![index("by-age", 1, ProjectionType::All), index("by-rank", 2, ProjectionType::KeysOnly)];
    let mut here = east.table_with(8, indexed(own.clone())).await;
    let other = vec![index("by-age", 1, ProjectionType::All), index("by-rank", 2, ProjectionType::All)];
    let mut other_indexes = west.table_with(8, indexed(other)).await;
    join(&mut here, &mut other_indexes).await;
    let told = here.trouble("west", RegionTrouble::IndexesDiffer).await;
    assert!(told.contains("by-rank (Rank N, KeysOnly)") && told.contains("by-rank (Rank N, All)"), "{told}");

    // The same in other slots.
    let mut here = east.table_with(9, indexed(own.clone())).await;
    let swapped = own.into_iter().rev().zip(1..).map(|(index, slot)| LocalIndex { slot, ..index }).collect();
    let mut there = west.table_with(9, indexed(swapped)).await;
    join(&mut here, &mut there).await;
    here.replicates("west").await;

    // The west's routers under another region's name.
    tables[4].list(&[("north", west.bundle())]).await;
    tables[4].trouble("north", RegionTrouble::WrongCluster).await;

    // The west knows the east by another cluster id.
    let mut there = west.table(6).await;
    there.list(&[("east", PeerCluster { cluster_id: "another".into(), ..east.bundle() })]).await;
    tables[5].list(&[("west", west.bundle())]).await;
    let told = tables[5].trouble("west", RegionTrouble::WrongCluster).await;
    assert!(told.contains("apply the peer bundle"), "{told}");
    assert_eq!(tables[5].report("west").await.unwrap().state, RegionState::Connecting);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nodes_of_another_account_are_not_let_in() {
    let (shop, west) = tokio::join!(Side::start_as("east", "shop", 1), Side::start("west", 1));
    let (mut theirs, mut there) = tokio::join!(shop.table(1), west.table(1));
    join(&mut theirs, &mut there).await;
    there.put(1, 1).await;
    // Their table says that it is this account's; their certificate does not.
    theirs.trouble("west", RegionTrouble::Untrusted).await;
    assert!(theirs.contents().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_both_had_items_are_not_joined() {
    let (east, west) = tokio::join!(Side::start("east", 1), Side::start("west", 1));
    let (mut here, mut there) = tokio::join!(east.table(1), west.table(1));
    here.put(1, 1).await;
    there.put(2, 2).await;
    join(&mut here, &mut there).await;
    let told = here.trouble("west", RegionTrouble::NotEmpty).await;
    assert!(told.contains("delete one of them"), "{told}");
    there.trouble("east", RegionTrouble::NotEmpty).await;
    assert_eq!((here.contents().await, there.contents().await), ([(1, 1)].into(), [(2, 2)].into()));
}
