//! Links that are cut, leaders that die, members that leave.

use crate::side::{Side, join};
use cairn_model::{region::RegionTrouble, table::PeerCluster};
use std::collections::BTreeMap;

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_go_on_while_the_link_is_cut_and_are_equal_after_it_is_healed() {
    let (east, west) = tokio::join!(Side::start("east", 1), Side::start("west", 1));
    let (mut here, mut there) = tokio::join!(east.table(1), west.table(1));
    join(&mut here, &mut there).await;
    here.put(1, 1).await;
    there.comes_to(&[(1, 1)].into()).await;
    here.replicates("west").await;
    there.replicates("east").await;
    [&east, &west].iter().for_each(|side| side.link.cut());
    for id in 0..20 {
        here.put(id, 2).await;
        there.put(id + 10, 3).await;
    }
    here.trouble("west", RegionTrouble::Unreachable).await;
    there.trouble("east", RegionTrouble::Unreachable).await;
    assert_eq!(here.contents().await.len(), 20, "nothing comes over a link that is cut");
    [&east, &west].iter().for_each(|side| side.link.heal());
    let expected: BTreeMap<u64, u64> = (0..30).map(|id| (id, if id < 20 { 2 } else { 3 })).collect();
    here.comes_to(&expected).await;
    there.comes_to(&expected).await;
    here.replicates("west").await;
    there.replicates("east").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leads_next_reads_on_and_is_read_from() {
    let (mut east, west) = tokio::join!(Side::start("east", 3), Side::start("west", 1));
    let mut expected = BTreeMap::new();
    let there;
    let view = {
        let (mut here, mut other) = tokio::join!(east.table(1), west.table(1));
        join(&mut here, &mut other).await;
        there = other;
        for id in 0..20 {
            here.put(id, 1).await;
            expected.insert(id, 1);
        }
        there.comes_to(&expected).await;
        here.view
    };
    let leader = east.group.leader().await;
    east.group.kill_node(leader);
    let here = east.known(1, view);
    for id in 20..40 {
        there.put(id, 2).await;
        here.put(id + 20, 3).await;
        expected.extend([(id, 2), (id + 20, 3)]);
    }
    here.comes_to(&expected).await;
    there.comes_to(&expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_of_a_region_that_is_no_member_any_more() {
    let (east, west) = tokio::join!(Side::start("east", 1), Side::start("west", 1));
    let (mut here, mut there) = tokio::join!(east.table(1), west.table(1));
    join(&mut here, &mut there).await;
    there.put(1, 1).await;
    here.comes_to(&[(1, 1)].into()).await;
    here.list(&[]).await;
    there.put(2, 2).await;
    here.reads_nothing_of("west").await;
    there.trouble("east", RegionTrouble::Untrusted).await;
    assert_eq!(here.contents().await, [(1, 1)].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_region_gets_writes_from_the_second_where_it_does_not_reach_the_first() {
    let (east, north, west) = tokio::join!(Side::start("east", 1), Side::start("north", 1), Side::start("west", 1));
    let (mut here, mut third, mut there) = tokio::join!(east.table(1), north.table(1), west.table(1));
    let out_of_reach = |side: &Side| PeerCluster { endpoint: "https://127.0.0.1:1".into(), ..side.bundle() };
    here.list(&[("west", west.bundle()), ("north", out_of_reach(&north))]).await;
    third.list(&[("west", west.bundle()), ("east", out_of_reach(&east))]).await;
    there.list(&[("east", east.bundle()), ("north", north.bundle())]).await;
    for id in 0..10 {
        here.put(id, 1).await;
        third.put(id + 10, 2).await;
    }
    let expected: BTreeMap<u64, u64> = (0..20).map(|id| (id, if id < 10 { 1 } else { 2 })).collect();
    for table in [&here, &third, &there] {
        table.comes_to(&expected).await;
    }
    third.trouble("east", RegionTrouble::Unreachable).await;
    third.replicates("west").await;
}
