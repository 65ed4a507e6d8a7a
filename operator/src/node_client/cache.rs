//! What nodes last reported, so that a hundred tables of a group ask its nodes once.

use super::{NodeError, Nodes, Target};
use cairn_model::{
    archive::{ArchiveAnswer, ArchiveCall},
    node::{NodeReport, Order, OrderOutcome},
};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// A node that did not answer is not asked again before this: a frozen one costs whoever asks a whole timeout.
const SILENCE: SignedDuration = SignedDuration::from_millis(500);

/// A node's report and when it was asked for; none when it did not answer.
#[derive(Clone, Debug, Default)]
struct Heard {
    at: Option<Timestamp>,
    report: Option<Arc<NodeReport>>,
}

/// The nodes, with a short memory. Many who ask one node at once wait for one question.
pub struct Reports {
    nodes: Arc<dyn Nodes>,
    heard: Mutex<HashMap<Target, Arc<tokio::sync::Mutex<Heard>>>>,
}

impl std::fmt::Debug for Reports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reports").finish_non_exhaustive()
    }
}

impl Reports {
    pub fn new(nodes: Arc<dyn Nodes>) -> Self {
        Self { nodes, heard: Mutex::default() }
    }

    /// The reports of the nodes, in their order, none of them older than the age; none for a node that does not answer.
    pub async fn of(&self, targets: &[Target], age_max: SignedDuration) -> Vec<Option<Arc<NodeReport>>> {
        join_all(targets.iter().map(|target| self.one(target, age_max))).await
    }

    async fn one(&self, target: &Target, age_max: SignedDuration) -> Option<Arc<NodeReport>> {
        let asked_at = Timestamp::now();
        let entry =
            Arc::clone(self.heard.lock().unwrap_or_else(PoisonError::into_inner).entry(target.clone()).or_default());
        let mut heard = entry.lock().await;
        // One that was asked while this one waited is as new as it could be.
        let age_max = if heard.report.is_none() { age_max.max(SILENCE) } else { age_max };
        if heard.at.is_some_and(|at| at >= asked_at || asked_at.duration_since(at) < age_max) {
            return heard.report.clone();
        }
        let started = Timestamp::now();
        let report = match self.nodes.report(target).await {
            Ok(report) => Some(Arc::new(report)),
            Err(NodeError::NotRunning) => None,
            Err(error) => {
                tracing::debug!(address = target.address, error = %crate::error::chain(&error), "a node does not answer");
                None
            }
        };
        let at = if report.is_some() { started } else { Timestamp::now() };
        *heard = Heard { at: Some(at), report: report.clone() };
        report
    }

    /// See [`Nodes::locate`]; the archive beside the node is where the node is.
    pub fn locate(&self, target: &Target, ip: Option<IpAddr>) {
        self.nodes.locate(&target.address, ip);
        self.nodes.locate(&target.archive().address, ip);
    }

    /// Calls the archive beside a node; nothing of it is kept.
    pub async fn archive(&self, beside: &Target, call: &ArchiveCall) -> Result<ArchiveAnswer, NodeError> {
        self.nodes.archive(&beside.archive(), call).await
    }

    /// Gives an order; the reports of the group that were heard before are forgotten, for an order to one node changes others.
    pub async fn order(&self, target: &Target, order: &Order) -> Result<OrderOutcome, NodeError> {
        let outcome = self.nodes.order(target, order).await;
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).retain(|other, entry| {
            let is_silent = || entry.try_lock().is_ok_and(|heard| heard.at.is_some() && heard.report.is_none());
            other.identity != target.identity || is_silent()
        });
        outcome
    }
}
