//! A table that is made of a backup or of another table's past: its source is found once, before anything is placed, and loaded
//! by the archive beside the node that makes the partition.

mod mismatch;

use super::{archives::Load, placing::Wait, recovery::archive_missing, validate::ValidatedTable};
use crate::{
    context::Context,
    controller::{Refusal, storage_group::members::ExpectedNode},
    error::{Result, While},
    node_client::Target,
};
use cairn_crds::{
    Backup, StorageGroup,
    condition::Progress,
    table::{RestoreAsked, RestoreFrom, RestoreStatus, restore::backup_source},
};
use cairn_model::{
    archive::{ArchiveAnswer, ArchiveCall, ArchiveRefusal, BackupState, Resolved, RestoreSource},
    descriptor::PartitionDescriptor,
    node::NodeReport,
    table::TableDefinition,
};
use jiff::SignedDuration;
use kube::ResourceExt;
use std::{sync::Arc, time::Duration};

/// How many archives are asked for a source before the next look.
const ARCHIVES_ASKED_MAX: usize = 3;
/// How soon a source is looked for again that can't be had yet.
const RESOLVE_AGAIN: Duration = Duration::from_secs(3);
/// A little less: what comes in between hears the same again.
const RESOLVE_PAUSE: SignedDuration = SignedDuration::from_millis(2_900);
const LOAD_AGAIN: Duration = Duration::from_secs(1);

/// What became of looking for a source.
#[derive(Clone, Debug)]
pub enum Resolution {
    Found(Box<RestoreStatus>),
    Waits(Wait),
    Refused(Refusal),
}

/// Finds what the table is to be made of. Nothing is written, and nothing stays behind.
pub async fn resolve(
    ctx: &Context,
    table: &ValidatedTable,
    from: &RestoreFrom,
    group: &StorageGroup,
    nodes: &[ExpectedNode],
    answers: &[Option<Arc<NodeReport>>],
) -> Result<Resolution> {
    if group.spec.archive.is_none() {
        return Ok(Resolution::Refused(Refusal::new("ArchiveMissing", archive_missing(group))));
    }
    let uid = table.table.uid().unwrap_or_default();
    if let Some(resolution) = ctx.archives.resolutions.get(&uid) {
        return Ok(resolution);
    }
    let resolution = look_up(ctx, table, from, nodes, answers).await?;
    if !matches!(resolution, Resolution::Found(_)) {
        ctx.archives.resolutions.put(uid, resolution.clone(), RESOLVE_PAUSE);
    }
    Ok(resolution)
}

async fn look_up(
    ctx: &Context,
    table: &ValidatedTable,
    from: &RestoreFrom,
    nodes: &[ExpectedNode],
    answers: &[Option<Arc<NodeReport>>],
) -> Result<Resolution> {
    let source = match from.asked()? {
        RestoreAsked::Source(source) => source,
        RestoreAsked::BackupResource(name) => match backup_named(ctx, &table.account, name).await? {
            Ok(source) => source,
            Err(resolution) => return Ok(resolution),
        },
    };
    let call = ArchiveCall::Resolve { source };
    let mut failure = None;
    for node in reachable_first(nodes, answers).take(ARCHIVES_ASKED_MAX) {
        let answer = ctx.reports.archive(&node.target, &call).await;
        let text = match answer {
            Ok(ArchiveAnswer::Resolved(resolved)) => return found(table, &resolved),
            Ok(ArchiveAnswer::Refused { reason, message }) => match refusal(reason) {
                Some(reason) => return Ok(Resolution::Refused(Refusal::new(reason, message))),
                None if reason == ArchiveRefusal::InUse => {
                    return Ok(Resolution::Waits(wait("BackupNotAvailable", message)));
                }
                None => message,
            },
            Ok(other) => format!("it answered {other:?} when it was to find what to restore"),
            Err(error) => {
                let text = format!("the archive of {} does not answer: {}", node.pod_name, crate::error::chain(&error));
                failure.get_or_insert(wait("ArchiveSilent", text));
                continue;
            }
        };
        failure = Some(wait("ArchiveFailed", text));
    }
    Ok(Resolution::Waits(failure.unwrap_or_else(|| wait("ArchiveSilent", "there is no archive to ask yet".to_owned()))))
}

/// The reason of a table's conditions, where an archive's refusal needs a person.
fn refusal(reason: ArchiveRefusal) -> Option<&'static str> {
    match reason {
        ArchiveRefusal::NotFound => Some("RestoreSourceMissing"),
        ArchiveRefusal::NotRestorable => Some("NotRestorable"),
        ArchiveRefusal::Invalid => Some("RestoreFailed"),
        ArchiveRefusal::InUse | ArchiveRefusal::LimitExceeded | ArchiveRefusal::NotLeader | ArchiveRefusal::Failed => {
            None
        }
    }
}

fn wait(reason: &'static str, message: String) -> Wait {
    Wait { reason, message, again: RESOLVE_AGAIN }
}

fn reachable_first<'a>(
    nodes: &'a [ExpectedNode],
    answers: &[Option<Arc<NodeReport>>],
) -> impl Iterator<Item = &'a ExpectedNode> {
    let mut nodes: Vec<_> = nodes.iter().zip(answers.iter().map(Option::is_some)).collect();
    nodes.sort_by_key(|(_, answers)| !answers);
    nodes.into_iter().map(|(node, _)| node)
}

/// The source that a Backup resource stands for, or what is said as long as it stands for none.
async fn backup_named(ctx: &Context, namespace: &str, name: &str) -> Result<Result<RestoreSource, Resolution>> {
    let backup = ctx.api::<Backup>(namespace).get_opt(name).await;
    let backup = backup.while_doing(|| format!("read the Backup {namespace}/{name}"))?;
    let waits = |reason, message| Ok(Err(Resolution::Waits(wait(reason, message))));
    let Some(backup) = backup else {
        return waits(
            "RestoreSourceMissing",
            format!("there is no Backup {namespace}/{name}: apply it, or name another"),
        );
    };
    let status = backup.status.unwrap_or_default();
    let missing = |message| Ok(Err(Resolution::Refused(Refusal::new("RestoreSourceMissing", message))));
    match (status.backup_status, &status.backup_arn) {
        (Some(BackupState::Available), Some(arn)) => match backup_source(arn) {
            Some(source) => Ok(Ok(source)),
            None => {
                missing(format!("the Backup {namespace}/{name} has no ARN that can be read: {arn:?}; name another"))
            }
        },
        (Some(BackupState::Deleted), _) => missing(format!("the Backup {namespace}/{name} is deleted: name another")),
        _ => waits(
            "BackupNotAvailable",
            format!("the Backup {namespace}/{name} is not AVAILABLE yet: its conditions say why"),
        ),
    }
}

fn found(table: &ValidatedTable, resolved: &Resolved) -> Result<Resolution> {
    let (spec, source) = (&table.table.spec, &resolved.definition);
    let wanted = spec.keys()?;
    let indexes = spec.local_indexes(&wanted)?;
    let mismatch = mismatch::of_keys(&wanted, &source.key_schema);
    Ok(match mismatch.or_else(|| mismatch::of_indexes(&indexes, &source.local_indexes)) {
        Some(message) => Resolution::Refused(Refusal::new("RestoreMismatch", message)),
        None => Resolution::Found(Box::new(RestoreStatus::of_resolved(resolved))),
    })
}

/// How far the loading of a table's partitions is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loading {
    pub progress: Progress,
    /// As `37%`; none where nothing is known of it.
    pub percent: Option<String>,
    pub again: Duration,
}

/// Has the archives beside the nodes load the partitions that nobody has made yet; none where there are no such.
pub async fn load(
    ctx: &Context,
    restore: &RestoreStatus,
    group: &StorageGroup,
    missing: Vec<(Target, PartitionDescriptor)>,
    definition: &TableDefinition,
) -> Result<Option<Loading>> {
    if missing.is_empty() {
        return Ok(None);
    }
    if group.spec.archive.is_none() {
        let progress = Progress::reconciling("ArchiveMissing", archive_missing(group));
        return Ok(Some(Loading { progress, percent: None, again: RESOLVE_AGAIN }));
    }
    let mut loads = Vec::new();
    for (target, descriptor) in missing {
        let partition = descriptor.partition_id;
        let (definition, origin) = (definition.clone(), restore.origin()?);
        let call = ArchiveCall::Restore { descriptor, definition, origin };
        loads.push(ctx.archives.load(&ctx.reports, &target, partition, &call).await);
    }
    Ok(Some(loading(&loads)))
}

fn loading(loads: &[Load]) -> Loading {
    let failed = loads.iter().find_map(|load| match load {
        Load::Refused(message) => Some(("RestoreFailed", message.clone())),
        Load::Silent(error) => {
            Some(("ArchiveSilent", format!("the archive that loads the table does not answer: {error}")))
        }
        Load::Loading { .. } | Load::Done => None,
    });
    if let Some((reason, message)) = failed {
        return Loading { progress: Progress::reconciling(reason, message), percent: None, again: LOAD_AGAIN };
    }
    let (mut done, mut total, mut is_known) = (0_u64, 0_u64, true);
    for load in loads {
        if let Load::Loading { bytes_done, bytes_total } = load {
            is_known &= *bytes_total > 0;
            done = done.saturating_add(*bytes_done);
            total = total.saturating_add(*bytes_total);
        }
    }
    if loads.iter().all(|load| *load == Load::Done) {
        let progress = Progress::reconciling("Restoring", "the data is loaded; the table's partition is being made");
        return Loading { progress, percent: Some("100%".to_owned()), again: super::MAKING };
    }
    // Only what changes now and then is told: each other text would be another version of the Table.
    if !is_known {
        let progress = Progress::reconciling("Restoring", "the data is being loaded; how much it is, is not known yet");
        return Loading { progress, percent: Some("0%".to_owned()), again: LOAD_AGAIN };
    }
    let percent = u128::from(done.min(total)) * 100 / u128::from(total);
    let progress = Progress::reconciling("Restoring", format!("{percent}% of {total} bytes are loaded"));
    Loading { progress, percent: Some(format!("{percent}%")), again: LOAD_AGAIN }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::fixture;

    #[test]
    fn archives_beside_nodes_that_answer_are_asked_first() {
        let nodes = fixture::nodes();
        let mut answers: Vec<_> = fixture::reports_of_one_table(3).into_iter().map(Some).collect();
        answers[0] = None;
        let zones: Vec<_> = reachable_first(&nodes, &answers).map(|node| node.zone.as_str()).collect();
        assert_eq!(zones, ["zone-b", "zone-c", "zone-a"]);
    }

    #[test]
    fn a_load_says_how_far_it_is() {
        let half = loading(&[Load::Loading { bytes_done: 37, bytes_total: 100 }]);
        assert_eq!(half.percent.as_deref(), Some("37%"));
        assert_eq!(half.progress, Progress::reconciling("Restoring", "37% of 100 bytes are loaded"));
        let unknown = loading(&[Load::Loading { bytes_done: 5, bytes_total: 0 }]);
        assert_eq!(
            unknown,
            loading(&[Load::Loading { bytes_done: 6, bytes_total: 0 }]),
            "it would be written each time"
        );
        assert_eq!(unknown.percent.as_deref(), Some("0%"));
        assert_eq!(loading(&[Load::Done]).percent.as_deref(), Some("100%"));
    }

    #[test]
    fn a_load_that_can_not_go_on_says_why() {
        assert_eq!(loading(&[Load::Refused("full".into())]).progress, Progress::reconciling("RestoreFailed", "full"));
        assert_eq!(loading(&[Load::Silent("gone".into())]).progress.reason(), "ArchiveSilent");
    }
}
