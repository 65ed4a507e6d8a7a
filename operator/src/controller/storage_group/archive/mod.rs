//! What a group's conditions say of its archives: whether they ship, and how much of the log waits for them.

mod asking;
mod health;
mod held_log;

pub use asking::{Archives, Said, ask};

use super::members::ExpectedNode;
use crate::context::Context;
use cairn_crds::{StorageGroup, condition};
use cairn_model::node::NodeReport;
use health::Health;
use held_log::HeldLog;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::runtime::events::EventType;
use std::sync::Arc;

/// Whether the archives reach the bucket. This and the next are absent without an archive.
const HEALTHY: &str = "ArchiveHealthy";
/// Whether much of the log waits for the archive.
const LOG_HELD: &str = "LogHeld";

/// What a condition is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    type_: &'static str,
    is_true: bool,
    /// Whether that is as it should be.
    is_well: bool,
    reason: &'static str,
    message: String,
}

/// Writes both conditions from what the archives said, if they were asked, and what the nodes reported; tells when one turns.
pub async fn observe(
    ctx: &Context,
    group: &StorageGroup,
    conditions: &mut Vec<Condition>,
    said: Option<Vec<Said>>,
    expected: &[ExpectedNode],
    answers: &[Option<Arc<NodeReport>>],
) {
    let key @ (account, name) = &asking::key(group);
    if group.spec.archive.is_none() {
        conditions.retain(|condition| condition.type_ != HEALTHY && condition.type_ != LOG_HELD);
        ctx.group_archives.forget(key);
        ctx.metrics.forget_archive(account, name);
        return;
    }
    if let Some(said) = said {
        let overdue = ctx.group_archives.overdue(key, &said, ctx.now());
        // Where the node is down too, the archive is not what is wrong.
        let is_up = |pod: &str| expected.iter().zip(answers).any(|(n, answer)| n.pod_name == pod && answer.is_some());
        if let Some(health) = Health::of(&said, |pod| overdue.contains(pod) && is_up(pod)) {
            let finding = health.finding();
            ctx.metrics.archive_ships(account, name, finding.is_well);
            set(ctx, group, conditions, &finding).await;
        }
    }
    if answers.iter().any(Option::is_some) {
        let held = HeldLog::of(answers.iter().flatten().map(AsRef::as_ref));
        ctx.metrics.log_is_held(account, name, held.bytes_most());
        set(ctx, group, conditions, &held.finding()).await;
    }
}

async fn set(ctx: &Context, group: &StorageGroup, conditions: &mut Vec<Condition>, finding: &Finding) {
    let Finding { type_, is_true, is_well, reason, message } = finding;
    let before = conditions.iter().find(|condition| condition.type_ == *type_).map(|c| c.reason.clone());
    condition::set(conditions, type_, *is_true, reason, message, group.metadata.generation, &Time(ctx.now()));
    let is_news = before.as_deref().map_or(!is_well, |before| before != *reason);
    if is_news {
        let kind = if *is_well { EventType::Normal } else { EventType::Warning };
        ctx.event(group, kind, reason, message.as_str()).await;
    }
}
