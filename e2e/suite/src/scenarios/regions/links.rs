//! What is broken between and in the regions for a while, and put right in any case.

use crate::cluster::Cluster;
use anyhow::Result;

/// No pod of one cluster reaches the other; clients reach both.
#[derive(Debug)]
pub(super) struct Cut(Option<(Cluster, Cluster)>);

impl Cut {
    pub(super) fn between(one: &Cluster, other: &Cluster) -> Result<Self> {
        let cut = Self(Some((one.clone(), other.clone())));
        one.link(other, "cut")?;
        Ok(cut)
    }

    pub(super) fn heal(mut self) -> Result<()> {
        self.0.take().map_or(Ok(()), |(one, other)| one.link(&other, "heal"))
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        if let Some((one, other)) = self.0.take()
            && let Err(error) = one.link(&other, "heal")
        {
            println!("failed to heal the link between the clusters: {error:#}");
        }
    }
}

/// A node whose kubelet and containers were killed.
#[derive(Debug)]
pub(super) struct DeadNode(Option<(Cluster, String)>);

impl DeadNode {
    pub(super) fn kill(cluster: &Cluster, number: String) -> Result<Self> {
        let dead = Self(Some((cluster.clone(), number.clone())));
        cluster.script("node", &[&number, "stop"])?;
        Ok(dead)
    }

    pub(super) fn start(mut self) -> Result<()> {
        let Some((cluster, number)) = self.0.take() else { return Ok(()) };
        cluster.script("node", &[&number, "start"]).map(drop)
    }
}

impl Drop for DeadNode {
    fn drop(&mut self) {
        if let Some((cluster, number)) = self.0.take()
            && let Err(error) = cluster.script("node", &[&number, "start"])
        {
            println!("failed to start a node again: {error:#}");
        }
    }
}
