//! What the pods need while they do nothing.

use crate::{
    harness::{NAMESPACE, Verdict, World},
    kube::{self, RELEASE_NAMESPACE},
};
use anyhow::{Context, Result, ensure};
use std::{collections::BTreeMap, thread, time::Duration};

const LIMIT_BYTES: u64 = 64 << 20;

/// Resident memory of each container of the kind, as the kubelets report it.
fn usage(namespace: &str, container: &str) -> Result<BTreeMap<String, u64>> {
    let mut found = BTreeMap::new();
    for node in kube::items(&["nodes"])? {
        let path = format!("/api/v1/nodes/{}/proxy/stats/summary", kube::name(&node));
        let summary: serde_json::Value = serde_json::from_str(&kube::kubectl(&["get", "--raw", &path])?)?;
        for pod in summary["pods"].as_array().into_iter().flatten() {
            if pod["podRef"]["namespace"] != namespace {
                continue;
            }
            for statistics in pod["containers"].as_array().into_iter().flatten().filter(|c| c["name"] == container) {
                let memory = &statistics["memory"];
                let bytes =
                    memory["rssBytes"].as_u64().or(memory["workingSetBytes"].as_u64()).context("no memory reported")?;
                found.insert(pod["podRef"]["name"].to_string(), bytes);
            }
        }
    }
    Ok(found)
}

pub(crate) async fn idle_pods_stay_under_64_mib(_: &mut World) -> Result<Verdict> {
    thread::sleep(Duration::from_secs(15)); // kubelets measure every 10 s
    let mut figures = Vec::new();
    for (namespace, container) in [(NAMESPACE, "storage"), (RELEASE_NAMESPACE, "router")] {
        let usage = usage(namespace, container)?;
        ensure!(usage.len() >= 2, "memory of only {} pods of {container} is known", usage.len());
        for (pod, bytes) in &usage {
            ensure!(*bytes < LIMIT_BYTES, "{pod} uses {} MiB", bytes >> 20);
        }
        figures.push(format!("{container} {} MiB", usage.values().max().copied().unwrap_or_default() >> 20));
    }
    Ok(Verdict::Passed(figures.join(", ")))
}
