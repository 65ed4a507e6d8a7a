//! What the pods need while they do nothing.

use crate::{
    harness::{NAMESPACE, Verdict, World},
    kube::{self, RELEASE_NAMESPACE},
};
use anyhow::{Context, Result, ensure};
use std::{collections::BTreeMap, thread, time::Duration};

const MIB: f64 = 1_048_576.0;
const LIMIT_MIB: f64 = 64.0;

/// Memory in use by each container of the kind, in bytes, as the kubelets report it: with the page cache it needs.
fn usage(namespace: &str, container: &str) -> Result<BTreeMap<String, f64>> {
    let mut found = BTreeMap::new();
    let (namespace, container) = (format!("namespace=\"{namespace}\""), format!("container=\"{container}\""));
    for node in kube::items(&["nodes"])? {
        let path = format!("/api/v1/nodes/{}/proxy/metrics/resource", kube::name(&node));
        for line in kube::kubectl(&["get", "--raw", &path])?.lines() {
            let Some((labels, value)) = line.split_once("} ") else { continue };
            if labels.starts_with("container_memory_working_set_bytes")
                && labels.contains(&namespace)
                && labels.contains(&container)
            {
                let bytes = value.split(' ').next().unwrap_or(value);
                found.insert(labels.to_owned(), bytes.parse().context("memory that is no number")?);
            }
        }
    }
    Ok(found)
}

pub(crate) async fn idle_pods_stay_under_64_mib(world: &mut World) -> Result<Verdict> {
    thread::sleep(Duration::from_secs(15)); // kubelets measure every 10 s
    let mut figures = Vec::new();
    let archive = world.bucket.as_ref().map(|_| (NAMESPACE, "archive"));
    for (namespace, container) in [(NAMESPACE, "storage"), (RELEASE_NAMESPACE, "router")].into_iter().chain(archive) {
        let usage = usage(namespace, container)?;
        ensure!(usage.len() >= 2, "memory of only {} pods of {container} is known", usage.len());
        for (pod, bytes) in &usage {
            ensure!(bytes / MIB < LIMIT_MIB, "{pod} uses {:.0} MiB", bytes / MIB);
        }
        let most = usage.values().copied().fold(0.0, f64::max);
        figures.push(format!("{container} {:.0} MiB", most / MIB));
    }
    Ok(Verdict::Passed(figures.join(", ")))
}
