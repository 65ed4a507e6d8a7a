//! Transactions over two tables while zones, routers and storage pods die.

use super::{faults, tables};
use crate::{
    harness::{NAMESPACE, Verdict, World},
    kube::{self, RELEASE_NAMESPACE},
    transfers::{TABLES, Transfers},
};
use anyhow::Result;
use std::time::Duration;
use tokio::time::sleep;

/// Transfers that are done between two faults.
const BETWEEN: u64 = 150;
/// How long a zone is without its network: longer than elections, and than a lock stays unquestioned.
const CUT: Duration = Duration::from_secs(12);

pub(crate) async fn transactions_stay_whole_whatever_fails(world: &mut World) -> Result<Verdict> {
    let client = world.dynamo()?;
    faults::wait_whole()?;
    for table in TABLES {
        kube::apply(&tables::manifest(table, "billingMode: PAY_PER_REQUEST"))?;
    }
    for table in TABLES {
        tables::wait_active(table, Duration::from_secs(30))?;
        tables::wait_exists(&client, table).await?;
    }
    let transfers = Transfers::start(&client).await?;
    transfers.proceed(BETWEEN).await?;
    if kube::own_cluster().is_some() {
        zone_fails(&transfers, "stop", "start").await?;
        zone_fails(&transfers, "cut", "heal").await?;
    }
    for round in 0..3 {
        // The routers coordinate: what one had begun is left to whoever meets it.
        kill(RELEASE_NAMESPACE, "router", "")?;
        transfers.proceed(BETWEEN / 3).await?;
        let leads = faults::leader_zone()?;
        kill(NAMESPACE, "storage", if round < 2 { &leads } else { "" })?;
        transfers.proceed(BETWEEN / 3).await?;
        sleep(Duration::from_secs(2)).await;
        faults::wait_whole()?;
    }
    let outcome = transfers.end().await?;
    kube::kubectl(&[&["delete", "table"], &TABLES[..], &["-n", NAMESPACE, "--timeout=30s"]].concat())?;
    Ok(Verdict::Passed(format!(
        "{} transfers, {} more than there was, {} in conflict; {} views of all accounts, each whole; longest pause {:.1?}; each item \
         free after {:.1?}",
        outcome.transfers, outcome.too_much, outcome.conflicts, outcome.views, outcome.longest_pause, outcome.unlocked
    )))
}

/// The leader's zone goes, and comes back.
async fn zone_fails(transfers: &Transfers, how: &str, back: &str) -> Result<()> {
    let node = kube::node_number(&faults::leader_zone()?)?;
    kube::cluster("node", &[&node, how])?;
    let went_on = transfers.proceed(BETWEEN).await;
    sleep(CUT).await;
    kube::cluster("node", &[&node, back])?;
    went_on?;
    faults::wait_whole().map(drop)
}

/// Kills the pods of a component, in this zone or, where none is named, all of them at once.
fn kill(namespace: &str, component: &str, zone: &str) -> Result<()> {
    let label = format!("app.kubernetes.io/component={component}");
    let pods = kube::items(&["pods", "-n", namespace, "-l", &label])?;
    let of_zone = pods.iter().filter(|pod| zone.is_empty() || kube::pod_zone(pod) == zone);
    kube::kill_pods(namespace, &of_zone.map(kube::name).collect::<Vec<_>>())
}
