//! What is made ahead of the parts that need it. In each lane, what is needed first comes first.

use crate::{
    ahead::{Lane, Step, Unavailable},
    cluster::{self, Cluster},
    crates, deny, go, java, npm,
    process::{self, Beside},
    python, sdk_rust, workspace,
};
use anyhow::Context;
use std::time::Duration;

/// Gives way to nothing: parts soon wait for it.
const URGENT: Beside = Beside { niceness: 0, limit: BUILD };
/// Takes what the parts leave of the processors.
const PATIENT: Beside = Beside { niceness: 19, limit: BUILD };
/// Computes little: with less of the processors its limit would say nothing of the network.
const DOWNLOAD: Beside = Beside { niceness: 0, limit: Duration::from_secs(10 * 60) };
const BUILD: Duration = Duration::from_secs(60 * 60);

pub(crate) const PYTHON: Step = Step {
    name: "the Python environment",
    lane: Lane::Packages,
    parts: &["clients", "e2e"],
    beside: DOWNLOAD,
    make: || python::environment().map(drop),
};

pub(crate) const DYNALITE: Step = Step {
    name: "dynalite",
    lane: Lane::Packages,
    parts: &["clients", "bench"],
    beside: DOWNLOAD,
    make: || npm::DYNALITE.script().map(drop).context(Unavailable),
};

pub(crate) const SDK_JAVASCRIPT: Step = Step {
    name: "the SDK for JavaScript",
    lane: Lane::Packages,
    parts: &["clients"],
    beside: DOWNLOAD,
    make: || npm::SDK.script().map(drop).context(Unavailable),
};

// Of those that are compiled: what can't be had is the machine's fault, a program that does not build is ours.
pub(crate) const SDK_JAVA: Step = Step {
    name: "the SDK for Java",
    lane: Lane::Packages,
    parts: &["clients"],
    beside: DOWNLOAD,
    make: || {
        java::download().context(Unavailable)?;
        java::build()
    },
};

pub(crate) const SDK_GO: Step = Step {
    name: "the SDK for Go",
    lane: Lane::Packages,
    parts: &["clients"],
    beside: DOWNLOAD,
    make: || {
        go::download().context(Unavailable)?;
        go::build()
    },
};

pub(crate) const ADVISORIES: Step = Step {
    name: "the database of advisories",
    lane: Lane::Builds,
    parts: &["deny"],
    beside: DOWNLOAD,
    make: || deny::fetch().context(Unavailable),
};

pub(crate) const SDK_RUST: Step = Step {
    name: "the SDK for Rust",
    lane: Lane::Packages,
    parts: &["clients"],
    beside: PATIENT,
    make: || {
        sdk_rust::download().context(Unavailable)?;
        sdk_rust::build()
    },
};

pub(crate) const API_SERVER: Step = Step {
    name: "etcd and kube-apiserver",
    lane: Lane::Builds,
    parts: &["unit"],
    beside: URGENT,
    make: || cluster::api_server().map(drop).context(Unavailable),
};

pub(crate) const CARGO_DENY: Step = Step {
    name: "cargo-deny",
    lane: Lane::Builds,
    parts: &["deny"],
    beside: PATIENT,
    make: || crates::CARGO_DENY.path().map(drop).context(Unavailable),
};

pub(crate) const DYNOXIDE: Step = Step {
    name: "dynoxide",
    lane: Lane::Builds,
    parts: &["clients", "bench"],
    beside: PATIENT,
    make: || crates::DYNOXIDE.path().map(drop).context(Unavailable),
};

pub(crate) const S3_SERVER: Step = Step {
    name: "versitygw",
    lane: Lane::Builds,
    parts: &["clients", "e2e"],
    beside: PATIENT,
    make: || cluster::tool("versitygw").map(drop).context(Unavailable),
};

pub(crate) const CHART_TOOLS: Step = Step {
    name: "helm and kubeconform",
    lane: Lane::Builds,
    parts: &["chart"],
    beside: PATIENT,
    make: || {
        cluster::tool("helm")?;
        cluster::tool("kubeconform")?;
        cluster::openapi().map(drop)
    },
};

pub(crate) const CLUSTER_TOOLS: Step = Step {
    name: "the cluster's tools",
    lane: Lane::Builds,
    parts: &["e2e"],
    beside: PATIENT,
    make: || {
        if Cluster::of_user().is_some() || cluster::obstacle().is_some() {
            return Ok(());
        }
        cluster::tools_of_clusters()
    },
};

pub(crate) const RELEASE: Step = Step {
    name: "the release build",
    lane: Lane::Builds,
    parts: &["e2e", "bench"],
    beside: PATIENT,
    make: || process::run(&mut workspace::release_build()),
};

pub(crate) const ALL: [Step; 14] = [
    PYTHON,
    DYNALITE,
    SDK_JAVASCRIPT,
    SDK_JAVA,
    SDK_GO,
    SDK_RUST,
    API_SERVER,
    DYNOXIDE,
    S3_SERVER,
    CHART_TOOLS,
    CARGO_DENY,
    ADVISORIES,
    CLUSTER_TOOLS,
    RELEASE,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::PARTS;
    use std::collections::BTreeSet;

    #[test]
    fn every_step_has_a_name_of_its_own_and_is_for_parts_there_are() {
        let names: BTreeSet<&str> = ALL.iter().map(|step| step.name).collect();
        assert_eq!(names.len(), ALL.len());
        for step in ALL {
            assert!(!step.parts.is_empty(), "{step:?}");
            assert!(step.parts.iter().all(|part| PARTS.iter().any(|there| there.name == *part)), "{step:?}");
        }
    }

    #[test]
    fn in_each_lane_what_an_earlier_part_needs_comes_before_what_only_later_ones_need() {
        let first = |step: &Step| PARTS.iter().position(|part| step.parts.contains(&part.name));
        for lane in [Lane::Packages, Lane::Builds] {
            let positions: Vec<_> = ALL.iter().filter(|step| step.lane == lane).map(first).collect();
            assert!(positions.is_sorted(), "{lane:?}: {positions:?}");
        }
    }
}
