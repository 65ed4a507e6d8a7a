//! How the archives of a group are asked for what any of them can do: one after another, those beside living nodes first.

use crate::{
    context::Context,
    controller::{
        Refusal,
        storage_group::members::{self, ExpectedNode},
        table::observation::Answers,
    },
    error::{Result, While, chain},
    node_client::Target,
};
use cairn_crds::{Backup, StorageGroup};
use cairn_model::{
    archive::{ArchiveAnswer, ArchiveCall, ArchiveOwner, ArchiveRefusal, BackupReport, BackupState},
    ids::TableId,
    node::NodeReport,
};
use jiff::SignedDuration;
use kube::ResourceExt;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// How many archives are asked before one gives up for now, and for how long each may think.
const ASKED_MAX: usize = 3;
const ANSWER_MAX: Duration = Duration::from_secs(8);
/// A report this old tells well enough which nodes live.
const REPORT_AGE_MAX: SignedDuration = SignedDuration::from_secs(10);

/// What became of a backup in the bucket.
#[derive(Debug)]
pub enum Found {
    Available(Box<BackupReport>),
    Missing,
    /// Nobody could say; why.
    Unknown(String),
}

/// Looks for a backup in the group's bucket.
pub async fn describe(ctx: &Context, group: &StorageGroup, owner: Option<ArchiveOwner>, backup_id: &str) -> Found {
    match any(ctx, group, &ArchiveCall::DescribeBackup { owner, backup_id: backup_id.to_owned() }).await {
        Ok(ArchiveAnswer::Backup(report)) if report.state == BackupState::Available => Found::Available(report),
        // What is not whole, or going, is not there for whoever wants to restore it.
        Ok(ArchiveAnswer::Backup(_) | ArchiveAnswer::Refused { reason: ArchiveRefusal::NotFound, .. }) => {
            Found::Missing
        }
        Ok(ArchiveAnswer::Refused { message, .. }) | Err(message) => Found::Unknown(message),
        Ok(other) => Found::Unknown(unexpected(&other)),
    }
}

/// A group as it was last seen, or as the API server has it: groups may not have been listed yet.
pub async fn group(ctx: &Context, namespace: &str, name: &str) -> Result<Option<StorageGroup>> {
    if let Some(known) = ctx.group(namespace, name) {
        return Ok(Some(known));
    }
    let group = ctx.api::<StorageGroup>(namespace).get_opt(name).await;
    group.while_doing(|| format!("read the group {namespace}/{name}"))
}

/// The group whose archive has a backup that was begun or found; none where it is gone, or has no archive any more.
pub async fn group_of(ctx: &Context, backup: &Backup) -> Result<Option<StorageGroup>> {
    let Some(name) = backup.status.as_ref().and_then(|status| status.storage_group.as_deref()) else {
        return Ok(None);
    };
    let group = group(ctx, &backup.namespace().unwrap_or_default(), name).await?;
    Ok(group.filter(|group| group.spec.archive.is_some()))
}

/// The group has to have an archive.
pub fn require(group: &StorageGroup) -> Result<(), Refusal> {
    if group.spec.archive.is_some() {
        return Ok(());
    }
    let message = format!("the StorageGroup {} has no bucket for backups: set its spec.archive", group.name_any());
    Err(Refusal::new("ArchiveMissing", message))
}

/// Asks archives of the group until one has an answer; or why none has.
pub async fn any(ctx: &Context, group: &StorageGroup, call: &ArchiveCall) -> Result<ArchiveAnswer, String> {
    let (nodes, reports) = heard(ctx, group, REPORT_AGE_MAX).await;
    let mut order: Vec<_> = nodes.iter().zip(&reports).collect();
    order.sort_by_key(|(_, report)| report.is_none());
    let mut last = format!("the StorageGroup {} has no nodes yet", group.name_any());
    for (node, _) in order.into_iter().take(ASKED_MAX) {
        match one(ctx, &node.target, call).await {
            Ok(ArchiveAnswer::Refused { reason: ArchiveRefusal::Failed, message }) | Err(message) => last = message,
            Ok(answer) => return Ok(answer),
        }
    }
    Err(last)
}

/// Asks the archive beside a node.
pub async fn one(ctx: &Context, beside: &Target, call: &ArchiveCall) -> Result<ArchiveAnswer, String> {
    match timeout(ANSWER_MAX, ctx.reports.archive(beside, call)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(format!("failed to ask the archive beside {}: {}", beside.address, chain(&error))),
        Err(_) => {
            Err(format!("the archive beside {} did not answer within {} s", beside.address, ANSWER_MAX.as_secs()))
        }
    }
}

/// The nodes of a group and what they report.
pub async fn heard(
    ctx: &Context,
    group: &StorageGroup,
    age_max: SignedDuration,
) -> (Vec<ExpectedNode>, Vec<Option<Arc<NodeReport>>>) {
    let nodes = members::recorded(group, &ctx.config);
    let targets: Vec<_> = nodes.iter().map(|node| node.target.clone()).collect();
    let reports = ctx.reports.of(&targets, age_max).await;
    (nodes, reports)
}

/// The nodes that hold replicas of a table.
pub async fn holders(ctx: &Context, group: &StorageGroup, table_id: TableId) -> Vec<Target> {
    let (nodes, reports) = heard(ctx, group, REPORT_AGE_MAX).await;
    let answers = Answers { nodes: &nodes, reports: &reports };
    let mut holders = Vec::new();
    for (node, replica) in answers.replicas() {
        if replica.descriptor.table_id == table_id && !holders.contains(&node.target) {
            holders.push(node.target.clone());
        }
    }
    holders
}

/// What is said of an answer to another question.
pub fn unexpected(answer: &ArchiveAnswer) -> String {
    format!("the archive answered something else: {answer:?}").chars().take(300).collect()
}
