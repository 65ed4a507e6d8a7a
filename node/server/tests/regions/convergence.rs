//! What is written on one side appears on the other.

use crate::side::{Side, join};
use std::collections::BTreeMap;

#[tokio::test(flavor = "multi_thread")]
async fn writes_on_either_side_appear_on_the_other() {
    let (east, west) = tokio::join!(Side::start("east", 1), Side::start("west", 1));
    let (mut here, mut there) = tokio::join!(east.table(1), west.table(1));
    join(&mut here, &mut there).await;
    let mut expected = BTreeMap::new();
    for id in 0..40 {
        let table = if id % 2 == 0 { &here } else { &there };
        table.put(id, id).await;
        expected.insert(id, id);
    }
    here.comes_to(&expected).await;
    there.comes_to(&expected).await;
    there.delete(0).await;
    here.put(1, 100).await;
    expected.remove(&0);
    expected.insert(1, 100);
    here.comes_to(&expected).await;
    there.comes_to(&expected).await;
    let report = here.report_that("west", |report| report.pending_records == Some(0)).await;
    assert!(report.latency_ms.is_some_and(|ms| ms < 5_000) && report.last_success_ms.is_some(), "{report:?}");
    assert!(report.clock_offset_ms.is_some_and(|ms| ms.abs() < 1_000) && report.problem.is_none(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_data_is_copied_while_writes_go_on() {
    let (east, west) = tokio::join!(Side::start("east", 1), Side::start("west", 1));
    let (mut here, mut there) = tokio::join!(east.table(1), west.table(1));
    let mut expected = BTreeMap::new();
    for id in 0..300 {
        here.put(id, 1).await;
        expected.insert(id, 1);
    }
    join(&mut here, &mut there).await;
    for id in 250..350 {
        here.put(id, 2).await;
        expected.insert(id, 2);
    }
    there.comes_to(&expected).await;
    there.replicates("east").await;
    here.replicates("west").await;
    here.comes_to(&expected).await;
}
