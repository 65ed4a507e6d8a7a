//! What explains a failure: what a cluster says of itself, written to files.

use crate::{
    cluster::Cluster,
    kube::{self, RELEASE_NAMESPACE},
    region::NAMESPACE,
};
use std::{fs, path::Path};

const KINDS: &str =
    "globaltables,tables,backups.cairn.dev,scheduledbackups,storagegroups,statefulsets,deployments,pods,pvc,services";

/// Makes the folder and fills it; what can't be had is a file that says why.
pub(crate) fn keep(cluster: &Cluster, folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let write = |file: &str, arguments: &[&str]| {
        let text = cluster.kubectl(arguments).unwrap_or_else(|error| format!("{error:#}"));
        let _ = fs::write(folder.join(file), text);
    };
    write("pods.txt", &["get", "pods", "-A", "-o", "wide"]);
    write("globaltables.txt", &["describe", "globaltables", "-A"]);
    write("objects.yaml", &["get", KINDS, "-A", "-o", "yaml"]);
    write("peer-bundles.yaml", &["get", "configmaps", "-n", NAMESPACE, "-o", "yaml"]);
    write("peer-bundle-own.yaml", &["get", "configmap", "cairn-peer", "-n", RELEASE_NAMESPACE, "-o", "yaml"]);
    write("events.txt", &["get", "events", "-A", "--sort-by=.lastTimestamp"]);
    let logs = |file: &str, namespace: &str, component: &str, more: &[&str]| {
        let selector = format!("app.kubernetes.io/component={component}");
        write(file, &[&["logs", "-n", namespace, "-l", &selector, "--prefix", "--tail=500"], more].concat());
    };
    logs("operator.log", RELEASE_NAMESPACE, "operator", &[]);
    logs("router.log", RELEASE_NAMESPACE, "router", &[]);
    logs("storage.log", NAMESPACE, "storage", &["-c", "storage"]);
    logs("archive.log", NAMESPACE, "storage", &["-c", "archive"]);
    logs("storage-previous.log", NAMESPACE, "storage", &["-c", "storage", "--previous"]);
    for pod in cluster.storage_pods(NAMESPACE).unwrap_or_default() {
        let name = kube::name(&pod);
        let text = cluster.metrics(NAMESPACE, name).unwrap_or_else(|error| format!("{error:#}"));
        fs::write(folder.join(format!("metrics-{name}.txt")), text)?;
    }
    Ok(())
}
