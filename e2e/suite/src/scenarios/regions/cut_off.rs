//! The link between the regions is gone for a while, and worse happens in both meanwhile; in the end they are equal.

use super::{
    NO_SECOND, both,
    links::{Cut, DeadNode},
    put, read, wait_read, wait_reason,
};
use crate::{
    client::now,
    contest::Contest,
    harness::{NAMESPACE, Verdict, World},
    kube,
    region::Region,
    scenarios::faults,
};
use anyhow::{Context, Result, bail, ensure};
use std::time::Duration;
use tokio::time::sleep;

const NAME: &str = "contested";
/// Writes a second in each region, on the same keys.
const PER_SECOND: u32 = 150;
const CUT_FOR: Duration = Duration::from_secs(125);
/// How long writes in east may pause: a zone of three is killed there.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The zone of the table's leader there: it is the leader that reads from other regions, and tells how far it is.
fn leader_zone(region: &Region) -> Result<String> {
    let of_table = format!("table=\"{NAME}\"");
    for pod in region.cluster.storage_pods(NAMESPACE)? {
        let metrics = region.cluster.metrics(NAMESPACE, kube::name(&pod))?;
        if metrics
            .lines()
            .any(|line| line.starts_with("cairn_replication_pending_records{") && line.contains(&of_table))
        {
            return Ok(kube::pod_zone(&pod).to_owned());
        }
    }
    bail!("no storage node of {} says that it reads {NAME} from another region", region.name())
}

pub(crate) async fn regions_cut_off_converge(world: &mut World) -> Result<Verdict> {
    let Some(mut pair) = both(world)? else { return Ok(Verdict::Skipped(NO_SECOND)) };
    if pair.regions().iter().any(|region| region.cluster.own.is_none()) {
        return Ok(Verdict::Skipped("the link between these clusters is not ours to cut"));
    }
    faults::wait_whole()?;
    pair.declare(NAME).await?;
    let (east, west) = pair.clients()?;
    put(&east, NAME, "before", "the cut").await?;
    wait_read(&west, NAME, "before", "the cut").await?;
    let mut contest = Contest::on(NAME, "contest");
    contest.enter("east", &east, PER_SECOND);
    contest.enter("west", &west, PER_SECOND);
    sleep(Duration::from_secs(3)).await;

    let start = now();
    let cut = Cut::between(&pair.east.cluster, &pair.west.cluster)?;
    put(&east, NAME, "during-east", "the cut").await?;
    put(&west, NAME, "during-west", "the cut").await?;
    sleep(Duration::from_secs(3)).await;
    let dead = DeadNode::kill(&pair.east.cluster, kube::node_number(&leader_zone(pair.east)?)?)?;
    let pods = pair.west.cluster.storage_pods(NAMESPACE)?;
    ensure!(pods.len() == 1, "west has {} storage pods, not one", pods.len());
    pair.west.cluster.kill_pods(NAMESPACE, &[kube::name(&pods[0])])?;
    sleep(Duration::from_secs(10)).await;
    dead.start()?;
    for (region, other) in pair.sides() {
        wait_reason(region, NAME, "Unreachable", &[other])?;
    }
    sleep(CUT_FOR.saturating_sub(start.elapsed())).await;
    ensure!(read(&west, NAME, "during-east").await?.is_none(), "east's write came through the cut");
    ensure!(read(&east, NAME, "during-west").await?.is_none(), "west's write came through the cut");
    cut.heal()?;
    let cut_for = start.elapsed();

    // Writes go on over the healing.
    wait_read(&west, NAME, "during-east", "the cut").await?;
    wait_read(&east, NAME, "during-west", "the cut").await?;
    let healed = start.elapsed().saturating_sub(cut_for);
    sleep(Duration::from_secs(2)).await;
    let ledger = contest.end().await?;
    let (items, settled) = pair.wait_equal(NAME).await?;
    let won = ledger.verify(&items)?;
    pair.wait_active(NAME)?;
    faults::wait_whole()?;
    pair.forget(NAME)?;
    let east = ledger.effort("east").context("nobody wrote in east")?;
    let west = ledger.effort("west").context("nobody wrote in west")?;
    ensure!(east.longest_pause < PAUSE_MAX, "writes in east paused for {:?}", east.longest_pause);
    Ok(Verdict::Passed(format!(
        "cut for {:.0} s; {} writes in east (longest pause {:.1?}), {} in west ({:.1?}), {} never answered; what was written during the cut there after {healed:.1?}, equal {settled:.1?} after the last write; east won {} keys, west {}, none lost",
        cut_for.as_secs_f64(),
        east.writes,
        east.longest_pause,
        west.writes,
        west.longest_pause,
        ledger.unanswered(),
        won.get("east").unwrap_or(&0),
        won.get("west").unwrap_or(&0),
    )))
}
