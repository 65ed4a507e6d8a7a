//! Groups that no table names any more: removed after a day, behind a fence that placing a table breaks.
//!
//! The fence is the group's `resourceVersion`. `status.emptySince` is set only after a list of all tables shows none that names the
//! group; the group is deleted only as it was when a second such list, a day later, showed none. A table that is about to be placed
//! first clears `emptySince`: if it does so before the deletion, the deletion fails; if after, the group is gone and the table is
//! not placed on it.

use crate::{
    build::default_group,
    context::{Context, GuardedTable},
    error::{Result, While, status_code},
};
use cairn_crds::{StorageGroup, StorageGroupStatus};
use cairn_model::node::NodeReport;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, PostParams, Preconditions},
};
use std::sync::Arc;

/// What an empty group wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It is in use, or not the operator's to remove.
    Stays,
    /// It is empty, and not for long enough.
    Waits,
    /// Its time is over: its claims may go with it.
    Over,
}

/// Whether the time of the group is over. Not while a node does not answer or holds anything at all: data may wait there for a Table
/// that is to be applied again.
pub fn judge(
    group: &StorageGroup,
    answers: &[Option<Arc<NodeReport>>],
    retention: SignedDuration,
    now: Timestamp,
) -> Expiry {
    let is_empty = |report: &Option<Arc<NodeReport>>| {
        report.as_ref().is_some_and(|report| report.replicas.is_empty() && report.retired.is_empty())
    };
    let status = group.status.as_ref();
    if !default_group::is_ours(group)
        || status.is_some_and(|status| !status.pending_drops.is_empty())
        || !answers.iter().all(is_empty)
    {
        return Expiry::Stays;
    }
    match status.and_then(|status| status.empty_since.as_ref()) {
        Some(since) if now.duration_since(since.0) >= retention => Expiry::Over,
        _ => Expiry::Waits,
    }
}

/// The tables of a namespace, asked of the API server now. One that can't be read stops nobody else.
pub async fn tables_in(ctx: &Context, namespace: &str) -> Result<Vec<GuardedTable>> {
    let tables = ctx.api::<GuardedTable>(namespace).list(&ListParams::default()).await;
    Ok(tables.while_doing(|| format!("list the tables of {namespace}"))?.items)
}

/// Whether a table names the group; one that can't be read may.
pub fn is_named(group: &StorageGroup, tables: &[GuardedTable]) -> bool {
    let name = group.name_any();
    tables.iter().any(|table| table.0.as_ref().is_ok_and(|table| table.spec.storage_group == name) || table.0.is_err())
}

/// Deletes the group as it was when it was read; someone who changed it since keeps it.
pub async fn remove(ctx: &Context, group: &StorageGroup) -> Result<()> {
    let namespace = group.namespace().unwrap_or_default();
    let params = DeleteParams {
        preconditions: Some(Preconditions { resource_version: group.resource_version(), uid: group.uid() }),
        ..DeleteParams::background()
    };
    match ctx.api::<StorageGroup>(&namespace).delete(&group.name_any(), &params).await {
        Ok(_) => {
            tracing::info!(namespace, group = group.name_any(), "an empty group is removed");
            Ok(())
        }
        Err(error) if status_code(&error) == Some(404) => Ok(()),
        Err(error) => Err(error).while_doing(|| format!("remove the group {namespace}/{}", group.name_any())),
    }
}

/// Breaks the fence: from here on the group can't be removed under the table that is about to be placed on it.
/// Answers with the group as the API server has it.
pub async fn break_fence(ctx: &Context, namespace: &str, name: &str) -> Result<StorageGroup> {
    let api = ctx.api::<StorageGroup>(namespace);
    let mut group = api.get(name).await.while_doing(|| format!("read the group {namespace}/{name}"))?;
    if group.status.as_ref().is_none_or(|status| status.empty_since.is_none()) {
        return Ok(group);
    }
    group.status.get_or_insert_default().empty_since = None;
    let replaced = api.replace_status(name, &PostParams::default(), &group).await;
    replaced.while_doing(|| format!("keep the group {namespace}/{name}"))
}

/// Notes since when the group is empty, or that it is not.
pub fn note(status: &mut StorageGroupStatus, is_named: bool, now: Timestamp) {
    if is_named {
        status.empty_since = None;
    } else if status.empty_since.is_none() {
        status.empty_since = Some(Time(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{build::fixture, controller::table::fixture::reports_of_one_table};
    use cairn_model::node::RetiredReport;

    fn now() -> Timestamp {
        "2026-11-21T10:00:00Z".parse().unwrap()
    }

    fn group(empty_for_hours: i64) -> StorageGroup {
        let mut group = default_group::build("game", &fixture::spec());
        let since = now() - SignedDuration::from_hours(empty_for_hours);
        group.status = Some(StorageGroupStatus { empty_since: Some(Time(since)), ..StorageGroupStatus::default() });
        group
    }

    fn nothing_held() -> Vec<Option<Arc<NodeReport>>> {
        let mut report = (*reports_of_one_table(1)[0]).clone();
        report.replicas.clear();
        vec![Some(Arc::new(report))]
    }

    fn judge_after(group: &StorageGroup, answers: &[Option<Arc<NodeReport>>]) -> Expiry {
        judge(group, answers, SignedDuration::from_hours(24), now())
    }

    #[test]
    fn a_group_outlives_its_last_table_by_a_day() {
        assert_eq!(judge_after(&group(23), &nothing_held()), Expiry::Waits);
        assert_eq!(judge_after(&group(24), &nothing_held()), Expiry::Over);
    }

    #[test]
    fn a_group_that_holds_data_or_does_not_answer_stays() {
        let held = reports_of_one_table(1).into_iter().map(Some).collect::<Vec<_>>();
        assert_eq!(judge_after(&group(1000), &held), Expiry::Stays);
        assert_eq!(judge_after(&group(1000), &[None]), Expiry::Stays);
        let mut kept = nothing_held();
        let replica = held[0].as_ref().unwrap().replicas[0].clone();
        let retired = RetiredReport { descriptor: replica.descriptor, definition: replica.definition };
        Arc::make_mut(kept[0].as_mut().unwrap()).retired = vec![retired];
        assert_eq!(judge_after(&group(1000), &kept), Expiry::Stays, "the streams of a deleted table");
    }

    #[test]
    fn a_table_that_can_not_be_read_keeps_its_group() {
        let read = |json: &str| serde_json::from_str::<GuardedTable>(json).unwrap();
        let unreadable = read(r#"{"metadata": {"name": "users"}, "spec": {"keySchema": 7}}"#);
        assert!(unreadable.0.is_err() && is_named(&group(0), &[unreadable]));
        assert!(!is_named(&group(0), &[]));
    }

    #[test]
    fn a_group_that_a_person_made_stays() {
        let mut theirs = group(1000);
        theirs.metadata.labels = None;
        assert_eq!(judge_after(&theirs, &nothing_held()), Expiry::Stays);
    }
}
