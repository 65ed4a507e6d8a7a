//! The chart: installing it, changing what may not change, and uninstalling it.

use super::tables;
use crate::{
    harness::{ACCESS_KEY, NAMESPACE, SECRET_KEY, Verdict, World},
    kube::{self, RELEASE_NAMESPACE, output},
};
use anyhow::{Context, Result, bail, ensure};
use std::{process::Command, time::Duration};

/// `helm COMMAND cairn charts/cairn …` in the first region, with the values of the suite.
pub(super) fn helm(world: &World, command: &str, more: &[&str]) -> Result<String> {
    world.east.helm(command, world.bucket.as_ref(), more)
}

/// The namespace that is the scenarios' account, with its access key.
pub(super) fn account() -> String {
    format!(
        "apiVersion: v1
kind: Namespace
metadata: {{name: {NAMESPACE}}}
---
{}",
        super::clients::access_key("leaderboard-service", ACCESS_KEY, SECRET_KEY)
    )
}

pub(crate) async fn the_chart_installs_and_tells_what_to_do_next(world: &mut World) -> Result<Verdict> {
    let notes = helm(world, "upgrade", &["--install", "--create-namespace", "--wait"])?;
    ensure!(
        notes.contains("kubectl apply") && notes.contains("aws dynamodb"),
        "the notes don't tell what to do: {notes}"
    );
    let mut account = account();
    if let Some(bucket) = &world.bucket {
        account = format!("{account}---\n{}", bucket.secrets(NAMESPACE));
    }
    kube::apply(&account)?;
    world.manifests.push(account);
    Ok(Verdict::Passed(String::new()))
}

pub(crate) async fn the_region_can_not_change(world: &mut World) -> Result<Verdict> {
    match helm(world, "upgrade", &["--set", "region=west"]) {
        Ok(_) => bail!("helm changed the region"),
        Err(error) => {
            let text = format!("{error:#}");
            ensure!(text.contains(r#"region is "east""#), "the refusal does not say why: {text}");
        }
    }
    Ok(Verdict::Passed(String::new()))
}

fn uninstall() -> Result<String> {
    output(Command::new("helm").args([
        "uninstall",
        "cairn",
        "--namespace",
        RELEASE_NAMESPACE,
        "--timeout",
        "60s",
        "--wait",
    ]))
}

pub(crate) async fn uninstalling_is_refused_while_there_are_tables(_: &mut World) -> Result<Verdict> {
    if uninstall().is_ok() {
        bail!("helm uninstalled the chart although there are tables");
    }
    let log = kube::kubectl(&["logs", "-n", RELEASE_NAMESPACE, "job/cairn-uninstall-check"])?;
    ensure!(log.contains(&format!("{NAMESPACE}/{}", tables::MAIN)), "the check's log does not name the tables: {log}");
    // Helm has marked the release as on its way out; the check's log says what sets that right.
    let deployments = kube::items(&["deployments", "-n", RELEASE_NAMESPACE])?;
    ensure!(deployments.len() == 2, "the release lost parts: {} deployments left", deployments.len());
    ensure!(log.contains("helm rollback"), "the check's log does not say how to go on: {log}");
    let history =
        output(Command::new("helm").args(["history", "cairn", "--namespace", RELEASE_NAMESPACE, "-o", "json"]))?;
    let history: serde_json::Value = serde_json::from_str(&history)?;
    let last = history.as_array().and_then(|revisions| revisions.last()).context("no history")?["revision"].to_string();
    output(Command::new("helm").args(["rollback", "cairn", &last, "--namespace", RELEASE_NAMESPACE, "--wait"]))?;
    Ok(Verdict::Passed(String::new()))
}

pub(crate) async fn uninstalling_without_tables_leaves_nothing_but_the_definitions(
    world: &mut World,
) -> Result<Verdict> {
    kube::kubectl(&["delete", "tables", "--all", "-n", NAMESPACE, "--timeout=60s"])?;
    uninstall()?;
    kube::wait("the release's pods are gone", Duration::from_secs(60), || {
        Ok(kube::items(&["pods", "-n", RELEASE_NAMESPACE, "-l", "app.kubernetes.io/instance=cairn"])?.is_empty())
    })?;
    kube::get(&["customresourcedefinition", "tables.cairn.dev"])?;
    world.east.remove_leftovers()?;
    Ok(Verdict::Passed(String::new()))
}
