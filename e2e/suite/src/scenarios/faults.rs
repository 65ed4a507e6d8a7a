//! Faults under load: zones and pods killed, the operator and the API server away.

use super::tables;
use crate::{
    client::now,
    cluster::Cluster,
    harness::{NAMESPACE, Verdict, World},
    kube::{self, RELEASE_NAMESPACE},
    load::{Load, Outcome},
};
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use tokio::time::sleep;

/// How long reads and writes may pause when a zone is killed.
const PAUSE_MAX: Duration = Duration::from_secs(5);

fn describe(outcome: Outcome) -> String {
    format!(
        "{} writes, none missing; {} reads; longest pause of writes {:.1?}, of reads {:.1?}",
        outcome.writes, outcome.reads, outcome.longest_pause_of_writes, outcome.longest_pause_of_reads
    )
}

fn check_pauses(outcome: Outcome) -> Result<()> {
    ensure!(outcome.longest_pause_of_writes < PAUSE_MAX, "writes paused for {:?}", outcome.longest_pause_of_writes);
    ensure!(outcome.longest_pause_of_reads < PAUSE_MAX, "reads paused for {:?}", outcome.longest_pause_of_reads);
    Ok(())
}

/// The zone of a table's leader, as the storage nodes' metrics tell; one that does not answer leads nothing.
pub(super) fn leader_zone() -> Result<String> {
    let mut zone = None;
    kube::wait("a storage node says that it leads", Duration::from_secs(30), || {
        zone = find_leader()?;
        Ok(zone.is_some())
    })?;
    zone.context("no storage node leads")
}

fn find_leader() -> Result<Option<String>> {
    for pod in kube::storage_pods(NAMESPACE)? {
        let Ok(metrics) = Cluster::first().metrics(NAMESPACE, kube::name(&pod)) else { continue };
        let leads = metrics.lines().any(|line| {
            line.starts_with("cairn_replicas")
                && line.contains("leader")
                && line.rsplit(' ').next().is_some_and(|value| value != "0")
        });
        if leads {
            return Ok(Some(kube::pod_zone(&pod).to_owned()));
        }
    }
    Ok(None)
}

/// Waits until every storage pod is ready: with every replica caught up.
pub(super) fn wait_whole() -> Result<Duration> {
    kube::wait("all storage pods are ready", Duration::from_secs(180), || {
        let pods = kube::storage_pods(NAMESPACE)?;
        Ok(pods.len() == 3 && pods.iter().all(kube::is_ready))
    })
}

pub(crate) async fn killing_the_leaders_zone_loses_nothing(world: &mut World) -> Result<Verdict> {
    let client = world.dynamo()?;
    wait_whole()?;
    let zone = leader_zone()?;
    let load = Load::start(&client, tables::MAIN, "zone");
    load.reach(5_000).await?;
    if kube::own_cluster().is_some() {
        kube::cluster("node", &[&kube::node_number(&zone)?, "stop"])?;
    } else {
        let pods = kube::storage_pods(NAMESPACE)?;
        let pod = pods.iter().find(|pod| kube::pod_zone(pod) == zone).context("the leader's pod is gone")?;
        kube::kill_pods(NAMESPACE, &[kube::name(pod)])?;
    }
    let killed_at = load.writes();
    let start = now();
    let outcome = async {
        load.reach(killed_at.max(5_000) + 6_000).await?;
        // Long enough for Kubernetes to notice as well.
        sleep(Duration::from_secs(25).saturating_sub(start.elapsed())).await;
        load.end().await
    }
    .await;
    if kube::own_cluster().is_some() {
        kube::cluster("node", &[&kube::node_number(&zone)?, "start"])?;
    }
    let outcome = outcome?;
    let back = wait_whole()?;
    check_pauses(outcome)?;
    Ok(Verdict::Passed(format!("{}; zone {zone} whole again {back:.0?} after its start", describe(outcome))))
}

pub(crate) async fn killing_all_storage_pods_twice_loses_nothing(world: &mut World) -> Result<Verdict> {
    let client = world.dynamo()?;
    wait_whole()?;
    let load = Load::start(&client, tables::MAIN, "all");
    for round in 1..=2 {
        load.reach(round * 4_000).await?;
        let pods = kube::storage_pods(NAMESPACE)?;
        kube::kill_pods(NAMESPACE, &pods.iter().map(kube::name).collect::<Vec<_>>())?;
        sleep(Duration::from_secs(2)).await;
        wait_whole()?;
    }
    load.reach(11_000).await?;
    let outcome = load.end().await?;
    Ok(Verdict::Passed(describe(outcome)))
}

pub(crate) async fn reads_and_writes_go_on_without_the_operator_and_the_api_server(
    world: &mut World,
) -> Result<Verdict> {
    let client = world.dynamo()?;
    wait_whole()?;
    kube::kubectl(&["scale", "deployment", "cairn-operator", "-n", RELEASE_NAMESPACE, "--replicas=0"])?;
    kube::wait("the operator is gone", Duration::from_secs(60), || {
        Ok(kube::items(&["pods", "-n", RELEASE_NAMESPACE, "-l", "app.kubernetes.io/component=operator"])?.is_empty())
    })?;
    let load = Load::start(&client, tables::MAIN, "operator");
    sleep(Duration::from_secs(5)).await;
    let without_operator = load.end().await?;
    check_pauses(without_operator).context("without the operator")?;
    let api = match kube::own_cluster() {
        Some(_) => {
            kube::cluster("api", &["stop"])?;
            let load = Load::start(&client, tables::MAIN, "api");
            sleep(Duration::from_secs(15)).await;
            let outcome = load.end().await;
            kube::cluster("api", &["start"])?;
            let outcome = outcome?;
            check_pauses(outcome).context("without the API server")?;
            format!("; without the API server too: {}", describe(outcome))
        }
        None => "; this cluster's API server is not ours to stop".to_owned(),
    };
    kube::kubectl(&["scale", "deployment", "cairn-operator", "-n", RELEASE_NAMESPACE, "--replicas=1"])?;
    // The kubelets' clients back off for up to a minute from an API server that was away.
    kube::kubectl(&["rollout", "status", "deployment/cairn-operator", "-n", RELEASE_NAMESPACE, "--timeout=180s"])?;
    Ok(Verdict::Passed(format!("without the operator: {}{api}", describe(without_operator))))
}
