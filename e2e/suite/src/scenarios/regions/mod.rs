//! A table in two regions: a second cluster of one zone beside the first.

mod api;
mod cut_off;
mod indexed;
mod latency;
mod links;
mod second_region;
mod taken_out;
mod wrong;

pub(crate) use api::the_aws_cli_adds_and_removes_a_region;
pub(crate) use cut_off::regions_cut_off_converge;
pub(crate) use indexed::indexes_and_streams_are_right_in_a_second_region;
pub(crate) use second_region::a_table_has_a_second_region;
pub(crate) use taken_out::a_region_is_taken_out_and_comes_back_empty;
pub(crate) use wrong::each_wrong_thing_is_named;

use super::{install, tables};
use crate::{
    client::{Dynamo, now},
    cluster::Cluster,
    harness::{NAMESPACE, West, World},
    kube::{self, RELEASE_NAMESPACE},
    region::{Region, WEST},
};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::sleep;

const NO_SECOND: &str = "this run has no second cluster";
/// A table that both list besides the one of the scenario: so the regions know each other whatever becomes of that.
const ANCHOR: &str = "anchor";
const PATIENCE: Duration = Duration::from_secs(60);
/// From a change of a resource until its status tells what came of it.
const TOLD_WITHIN: Duration = Duration::from_secs(45);

/// Both regions, up, with each other's peer bundle in the account.
struct Pair<'a> {
    east: &'a mut Region,
    west: &'a mut Region,
}

/// None where this run has no second cluster. The first to ask brings it up.
fn both(world: &mut World) -> Result<Option<Pair<'_>>> {
    if let West::Absent = world.west {
        world.west = match Cluster::second() {
            Ok(None) => return Ok(None),
            Ok(Some(cluster)) => {
                let west = Region::new(WEST, cluster);
                match prepare(&world.east, &west) {
                    Ok(()) => West::Up(west),
                    Err(error) => West::Broken(format!("{error:#}"), Some(west)),
                }
            }
            Err(error) => West::Broken(format!("{error:#}"), None),
        };
    }
    match &mut world.west {
        West::Up(west) => Ok(Some(Pair { east: &mut world.east, west })),
        West::Broken(why, _) => bail!("the second region does not come up: {why}"),
        West::Absent => Ok(None),
    }
}

/// Installs the second region and makes the two known to each other.
fn prepare(east: &Region, west: &Region) -> Result<()> {
    west.helm("upgrade", None, &["--install", "--create-namespace", "--wait"])?;
    west.cluster.apply(&[], &install::account())?;
    introduce(east, west)?;
    introduce(west, east)
}

/// The peer bundle of a region, as the one command gets it from there.
fn bundle(of: &Region) -> Result<String> {
    let mut manifest = String::new();
    kube::wait(&format!("{} publishes its peer bundle", of.name()), PATIENCE, || {
        let path = r"jsonpath={.data.manifest\.yaml}";
        manifest = of.cluster.kubectl(&["-n", RELEASE_NAMESPACE, "get", "configmap", "cairn-peer", "-o", path])?;
        Ok(!manifest.is_empty())
    })?;
    Ok(manifest)
}

/// `kubectl … get configmap cairn-peer … | kubectl … apply`.
fn introduce(newcomer: &Region, to: &Region) -> Result<()> {
    to.cluster.apply(&["-n", NAMESPACE], &bundle(newcomer)?).map(drop)
}

/// A GlobalTable of the account with one other region; `more` are further fields of its entry.
fn global_table(name: &str, other: &str, more: &str) -> String {
    format!(
        "apiVersion: cairn.dev/v1alpha1
kind: GlobalTable
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec: {{replicas: [{{regionName: {other}{more}}}]}}
"
    )
}

fn table(name: &str) -> String {
    tables::manifest(name, "billingMode: PAY_PER_REQUEST")
}

impl Pair<'_> {
    fn regions(&self) -> [&Region; 2] {
        [&*self.east, &*self.west]
    }

    /// Each with the other's name.
    fn sides(&self) -> [(&Region, &'static str); 2] {
        [(&*self.east, self.west.name()), (&*self.west, self.east.name())]
    }

    fn clients(&mut self) -> Result<(Dynamo, Dynamo)> {
        Ok((self.east.dynamo()?, self.west.dynamo()?))
    }

    /// The table, empty, in both regions, and each listing the other.
    async fn declare(&mut self, name: &str) -> Result<()> {
        for (region, other) in self.sides() {
            region.cluster.apply(&[], &format!("{}---\n{}", table(name), global_table(name, other, "")))?;
        }
        let (east, west) = self.clients()?;
        tables::wait_exists(&east, name).await?;
        tables::wait_exists(&west, name).await?;
        self.wait_active(name).map(drop)
    }

    /// Waits until both sides say that the other is ACTIVE.
    fn wait_active(&self, name: &str) -> Result<Duration> {
        kube::wait(&format!("{name} is ACTIVE in both regions"), PATIENCE, || {
            for (region, other) in self.sides() {
                let standing = standing(&region.cluster, name)?;
                ensure!(standing.is_active(other), "{} says {standing:?}", region.name());
            }
            Ok(true)
        })
    }

    /// Takes the table away on both sides.
    fn forget(&self, name: &str) -> Result<()> {
        for region in self.regions() {
            region.delete("globaltables.cairn.dev", name)?;
            region.delete("tables.cairn.dev", name)?;
        }
        Ok(())
    }

    /// Waits until both tables are equal, item by item, and gives their items.
    async fn wait_equal(&mut self, name: &str) -> Result<(BTreeMap<String, Value>, Duration)> {
        let (east, west) = self.clients()?;
        let start = now();
        loop {
            let (here, there) = (east.scan(name, PATIENCE).await?, west.scan(name, PATIENCE).await?);
            if here == there {
                return Ok((here, start.elapsed()));
            }
            if start.elapsed() > PATIENCE {
                let keys = here.keys().chain(there.keys());
                let differing: Vec<_> = keys
                    .filter(|key| here.get(*key) != there.get(*key))
                    .map(|key| (here.get(key), there.get(key)))
                    .take(5)
                    .collect();
                bail!(
                    "{} items in east and {} in west still differ after {PATIENCE:?}, such as (east, west) {differing:?}",
                    here.len(),
                    there.len()
                );
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
}

/// What a GlobalTable's status says.
#[derive(Debug)]
struct Standing {
    replicas: Value,
    reason: String,
    message: String,
    is_ready: bool,
}

impl Standing {
    fn is_active(&self, region: &str) -> bool {
        self.is_ready
            && self.replicas.as_array().is_some_and(|replicas| {
                replicas.iter().any(|replica| replica["regionName"] == region && replica["replicaStatus"] == "ACTIVE")
            })
    }
}

fn standing(cluster: &Cluster, name: &str) -> Result<Standing> {
    let mut status = cluster.get(&["globaltables.cairn.dev", name, "-n", NAMESPACE])?["status"].take();
    let conditions = status["conditions"].as_array().context("no conditions yet")?;
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready").context("no condition Ready")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Standing {
        reason: text(&ready["reason"]),
        message: text(&ready["message"]),
        is_ready: ready["status"] == "True",
        replicas: status["replicas"].take(),
    })
}

/// Waits until the GlobalTable is not Ready for that reason, with a message that has all these words.
fn wait_reason(region: &Region, name: &str, reason: &str, words: &[&str]) -> Result<Duration> {
    kube::wait(&format!("{} says {reason} of {name}", region.name()), TOLD_WITHIN, || {
        let standing = standing(&region.cluster, name)?;
        ensure!(!standing.is_ready && standing.reason == reason, "it says {standing:?}");
        let unsaid: Vec<_> = words.iter().filter(|word| !standing.message.contains(**word)).collect();
        ensure!(unsaid.is_empty(), "the message does not say {unsaid:?}: {}", standing.message);
        Ok(true)
    })
}

/// Waits until `aws dynamodb describe-table` tells that status of the other region.
fn wait_described(region: &mut Region, name: &str, other: &str, status: &str) -> Result<Duration> {
    kube::wait(&format!("describe-table says that {other} is {status}"), TOLD_WITHIN, || {
        let replicas = region.aws(&["describe-table", "--table-name", name, "--query", "Table.Replicas"])?;
        let found = replicas.as_array().into_iter().flatten().find(|replica| replica["RegionName"] == other);
        ensure!(found.is_some_and(|replica| replica["ReplicaStatus"] == status), "it says {replicas}");
        Ok(true)
    })
}

async fn put(client: &Dynamo, table: &str, id: &str, value: &str) -> Result<()> {
    let item = json!({"Id": {"S": id}, "Value": {"S": value}});
    client.insist("PutItem", &json!({"TableName": table, "Item": item}), PATIENCE).await?.ok().map(drop)
}

/// The item's `Value`, strongly consistent, if it is there.
async fn read(client: &Dynamo, table: &str, id: &str) -> Result<Option<String>> {
    let body = json!({"TableName": table, "Key": {"Id": {"S": id}}, "ConsistentRead": true});
    let answer = client.insist("GetItem", &body, PATIENCE).await?.ok()?;
    Ok(answer["Item"]["Value"]["S"].as_str().map(str::to_owned))
}

/// Waits until the item has that value.
async fn wait_read(client: &Dynamo, table: &str, id: &str, value: &str) -> Result<()> {
    let start = now();
    loop {
        let held = read(client, table, id).await?;
        if held.as_deref() == Some(value) {
            return Ok(());
        }
        ensure!(start.elapsed() < PATIENCE, "{id} is still {held:?} after {PATIENCE:?}, not {value:?}");
        sleep(Duration::from_millis(50)).await;
    }
}
