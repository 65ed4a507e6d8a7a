//! Runs scenarios one after the other on one installation, and keeps what explains a failure.

use crate::{
    bucket::Bucket,
    client::{Dynamo, now},
    cluster::Cluster,
    evidence,
    region::{EAST, Region},
};
use anyhow::Result;
use futures::future::BoxFuture;
use serde_json::Value;
use std::{env, path::PathBuf, process::Command};

pub(crate) use crate::region::{ACCESS_KEY, NAMESPACE, SECRET_KEY};

pub(crate) const REGION: &str = EAST.name;

type Run = for<'a> fn(&'a mut World) -> BoxFuture<'a, Result<Verdict>>;

/// One scenario: a statement, and what shows that it is so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) run: Run,
    /// Without it none of the later ones can run.
    pub(crate) essential: bool,
    /// Whether it needs the second region.
    pub(crate) two_regions: bool,
}

#[derive(Debug)]
pub(crate) enum Verdict {
    /// With figures worth printing.
    Passed(String),
    /// With the reason.
    Skipped(&'static str),
}

/// What scenarios share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) east: Region,
    pub(crate) west: West,
    /// What the etcd scenario applies again.
    pub(crate) manifests: Vec<String>,
    /// Where the account's tables have their backups; none where the suite can't run an S3 server that the pods reach.
    pub(crate) bucket: Option<Bucket>,
}

/// The second region. It is there only while scenarios need it: a second cluster takes memory and time.
#[derive(Debug)]
pub(crate) enum West {
    Absent,
    Up(Region),
    /// It was tried, and why it failed; with what there is of it.
    Broken(String, Option<Region>),
}

impl West {
    fn region(&self) -> Option<&Region> {
        match self {
            Self::Absent => None,
            Self::Up(region) => Some(region),
            Self::Broken(_, region) => region.as_ref(),
        }
    }
}

impl World {
    pub(crate) fn dynamo(&mut self) -> Result<Dynamo> {
        self.east.dynamo()
    }

    /// A program of the Python environment with what the AWS SDKs read from theirs.
    pub(crate) fn python(&mut self, program: &str) -> Result<Command> {
        self.east.python(program)
    }

    /// The second region goes, if it is there.
    fn leave_west(&mut self) {
        let west = std::mem::replace(&mut self.west, West::Absent);
        if let Some(region) = west.region()
            && let Err(error) = region.leave()
        {
            println!("failed to leave the second cluster as it was: {error:#}");
        }
    }

    /// Writes what the clusters say of themselves to files.
    fn keep(&self, name: &str) -> Option<PathBuf> {
        let folder = PathBuf::from(env::var_os("CAIRN_E2E_LOGS")?).join(name);
        evidence::keep(&self.east.cluster, &folder).ok()?;
        if let Some(west) = self.west.region() {
            evidence::keep(&west.cluster, &folder.join(west.name())).ok()?;
        }
        Some(folder)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.leave_west();
    }
}

/// `aws dynamodb …`, with what it prints; null where it prints nothing.
pub(crate) fn aws(world: &mut World, arguments: &[&str]) -> Result<Value> {
    world.east.aws(arguments)
}

/// Runs all, or those whose name contains one of the words of `only` (with commas between) and the essential ones; true when none failed.
pub(crate) async fn run(scenarios: &[Scenario], only: Option<&str>) -> Result<bool> {
    let mut context = World {
        east: Region::new(EAST, Cluster::first()),
        west: West::Absent,
        manifests: Vec::new(),
        bucket: Bucket::start()?,
    };
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let mut broken = false;
    for scenario in scenarios {
        if broken
            || only
                .is_some_and(|words| !scenario.essential && !words.split(',').any(|word| scenario.name.contains(word)))
        {
            skipped += 1;
            continue;
        }
        if !scenario.two_regions {
            context.leave_west();
        }
        let start = now();
        let outcome = (scenario.run)(&mut context).await;
        let took = start.elapsed().as_secs_f64();
        match outcome {
            Ok(Verdict::Passed(figures)) => {
                passed += 1;
                println!("test {} ... ok ({took:.1} s) {figures}", scenario.name);
            }
            Ok(Verdict::Skipped(why)) => {
                skipped += 1;
                println!("test {} ... ignored, {why}", scenario.name);
            }
            Err(error) => {
                failed += 1;
                broken = scenario.essential;
                println!("test {} ... FAILED ({took:.1} s)\n    {error:#}", scenario.name);
                if let Some(folder) = context.keep(scenario.name) {
                    println!("    logs and objects of that moment: {}", folder.display());
                }
            }
        }
    }
    if broken {
        println!("the scenarios after this one need it and did not run");
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {verdict}. {passed} passed; {failed} failed; {skipped} ignored");
    Ok(failed == 0)
}
