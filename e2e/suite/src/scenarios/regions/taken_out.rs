//! A region leaves, goes on alone, and is let in again only once it is empty.

use super::{ANCHOR, NO_SECOND, PATIENCE, both, global_table, put, read, table, wait_read, wait_reason};
use crate::{
    harness::{Verdict, World},
    scenarios::tables,
};
use anyhow::{Result, ensure};
use std::time::Duration;
use tokio::time::sleep;

const NAME: &str = "estranged";
const SETTLED: Duration = Duration::from_secs(3);

pub(crate) async fn a_region_is_taken_out_and_comes_back_empty(world: &mut World) -> Result<Verdict> {
    let Some(mut pair) = both(world)? else { return Ok(Verdict::Skipped(NO_SECOND)) };
    let (east_name, west_name) = (pair.east.name(), pair.west.name());
    pair.declare(ANCHOR).await?;
    pair.declare(NAME).await?;
    let (east, west) = pair.clients()?;
    put(&east, NAME, "shared", "1").await?;
    wait_read(&west, NAME, "shared", "1").await?;

    // Out: by a word on its own side. It goes on alone.
    pair.west.delete("globaltables.cairn.dev", NAME)?;
    wait_reason(pair.east, NAME, "NotListed", &[west_name])?;
    put(&west, NAME, "shared", "west's").await?;
    put(&east, NAME, "shared", "east's").await?;
    put(&east, NAME, "of-east", "1").await?;
    let description = tables::wait_exists(&west, NAME).await?;
    ensure!(description["Table"]["Replicas"].as_array().is_none_or(Vec::is_empty), "west says {description}");
    sleep(SETTLED).await;
    ensure!(read(&west, NAME, "shared").await?.as_deref() == Some("west's"), "west is not left alone");
    ensure!(read(&east, NAME, "shared").await?.as_deref() == Some("east's"), "east is not left alone");

    // Back with data: nobody's is changed.
    let held = (east.scan(NAME, PATIENCE).await?, west.scan(NAME, PATIENCE).await?);
    pair.west.cluster.apply(&[], &global_table(NAME, east_name, ""))?;
    wait_reason(pair.west, NAME, "NotEmpty", &[east_name])?;
    wait_reason(pair.east, NAME, "NotEmpty", &[west_name])?;
    sleep(SETTLED).await;
    let now_held = (east.scan(NAME, PATIENCE).await?, west.scan(NAME, PATIENCE).await?);
    ensure!(held == now_held, "data changed in a region that was not let in: {held:?}, now {now_held:?}");

    // Back empty: it is filled.
    pair.west.delete("tables.cairn.dev", NAME)?;
    pair.west.cluster.apply(&[], &table(NAME))?;
    tables::wait_exists(&west, NAME).await?;
    let filled = pair.wait_active(NAME)?;
    let (items, _) = pair.wait_equal(NAME).await?;
    ensure!(items == held.0, "the regions agreed on {items:?}, but east had {:?}", held.0);
    put(&west, NAME, "shared", "again").await?;
    wait_read(&east, NAME, "shared", "again").await?;
    pair.forget(NAME)?;
    pair.forget(ANCHOR)?;
    Ok(Verdict::Passed(format!("ACTIVE {filled:.1?} after it was made anew")))
}
