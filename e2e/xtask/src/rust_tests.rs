//! The workspace's own tests, in two lanes at a time: what waits for API servers, processes and clocks, and what computes.

use crate::{ahead::Ahead, cluster, process, report::Report, steps, workspace};
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeSet,
    process::{Command, ExitStatus},
    thread,
};

/// Packages whose integration tests wait more than they compute.
const WAITING: [&str; 3] = ["cairn-crds", "cairn-operator", "cairn-server"];

pub(crate) fn run(report: &mut Report, ahead: &Ahead) -> Result<()> {
    // Always all packages: of some of them alone, the dependencies would have other features, and be built anew.
    process::run(test().args(["--no-run", "--quiet"]))?;
    let (waiting, computing) = integration_tests()?;
    let mut waiting = named(&waiting);
    if ahead.has(&steps::API_SERVER, report, "unit: the operator on a real API server")? {
        waiting.env("CAIRN_TOOLS", cluster::api_server()?);
    }
    let (computed, waited, documented) = thread::scope(|scope| {
        let waited = scope.spawn(|| {
            let mut lines = Vec::new();
            let status = process::read_lines(&mut waiting, |line| lines.push(line.to_owned()))?;
            anyhow::Ok((status, lines))
        });
        let computed = process::stream(named(&computing).args(["--lib", "--bins"]), |line| report.count(line));
        let documented = process::stream(test().arg("--doc"), |line| report.count(line));
        (computed, waited.join(), documented)
    });
    let (waited, lines) = waited.map_err(|_| anyhow::anyhow!("the lane of tests that wait has panicked"))??;
    for line in &lines {
        println!("{line}");
        report.count(line);
    }
    for status in [computed?, waited, documented?] {
        check(status)?;
    }
    Ok(())
}

fn check(status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("cargo test failed ({status})");
    }
    Ok(())
}

fn test() -> Command {
    let mut command = workspace::cargo();
    command.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
    command
}

fn named(tests: &BTreeSet<String>) -> Command {
    let mut command = test();
    command.args(tests.iter().flat_map(|name| ["--test", name]));
    command
}

/// The names of the integration tests that wait, and of the others. Where two packages have one of the same name, both wait.
fn integration_tests() -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let metadata = workspace::cargo().args(["metadata", "--no-deps", "--format-version=1", "--offline"]).output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).context("in cargo's metadata")?;
    let (mut waiting, mut computing) = (BTreeSet::new(), BTreeSet::new());
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let waits = package["name"].as_str().is_some_and(|name| WAITING.contains(&name));
        let lane = if waits { &mut waiting } else { &mut computing };
        let targets = package["targets"].as_array().into_iter().flatten();
        let tests = targets.filter(|target| target["kind"][0] == "test");
        lane.extend(tests.filter_map(|target| target["name"].as_str()).map(str::to_owned));
    }
    computing.retain(|name| !waiting.contains(name));
    Ok((waiting, computing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_integration_test_is_in_one_lane() {
        let (waiting, computing) = integration_tests().unwrap();
        assert!(waiting.contains("controllers") && computing.contains("simulation"), "{waiting:?} {computing:?}");
        assert!(waiting.is_disjoint(&computing));
    }
}
