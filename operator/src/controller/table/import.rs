//! A table that is made of files in a bucket, once: by the archive beside the node that makes its partition.

use super::{recovery::archive_missing, validate::ValidatedTable};
use crate::{
    context::Context,
    controller::{Refusal, storage_group::members::ExpectedNode},
    error::{Result, chain},
    node_client::Target,
};
use cairn_crds::{
    StorageGroup, Table,
    condition::Progress,
    table::{ImportStatus, definition::Birth},
};
use cairn_model::{
    archive::{
        ArchiveAnswer, ArchiveCall, ArchiveRefusal,
        import::{self, ImportOrder, ImportProgress, ImportReport},
    },
    descriptor::PartitionDescriptor,
    ids::TableId,
    table::TableDefinition,
};
use jiff::SignedDuration;
use kube::ResourceExt;
use std::time::Duration;

/// How soon the table is looked at again while it is imported.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How soon an archive is asked again that imports; that can't, or does not answer. Each answer may be another version of the Table.
const IMPORTING: SignedDuration = SignedDuration::from_secs(2);
const HINDERED: SignedDuration = SignedDuration::from_secs(5);
/// How many archives are asked how an import ended before the next look.
const ARCHIVES_ASKED_MAX: usize = 3;

/// The reason of a table's conditions whose import failed for good, without a table.
const FAILED: &str = "ImportFailed";

/// What an archive last said of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Report(Box<ImportReport>),
    /// The table is there, and nobody knows any more how it went.
    Forgotten,
    /// The reason of a condition, and the text.
    Hindered(&'static str, String),
}

/// How far a table's import is.
#[derive(Clone, Debug, PartialEq)]
pub struct Importing {
    pub status: ImportStatus,
    /// None once the table is there.
    pub progress: Option<Progress>,
    pub again: Duration,
}

/// What `status.import` is from when the table is placed; none for a table that is not imported.
pub fn begin(
    table: &ValidatedTable,
    region: &str,
    group: &StorageGroup,
    table_id: TableId,
) -> Result<std::result::Result<Option<ImportStatus>, Refusal>> {
    let definition = table.definition(&Birth::new(table_id, 0))?;
    let Some(order) = table.table.import_order(region, definition)? else { return Ok(Ok(None)) };
    if group.spec.archive.is_none() {
        return Ok(Err(Refusal::new("ArchiveMissing", archive_missing(group))));
    }
    let begun = ImportReport::in_progress(order, ImportProgress::default());
    Ok(Ok(Some(ImportStatus::of_report(&begun))))
}

/// How far the table is itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    No,
    /// Its indexes are not filled.
    Led,
    Whole,
}

/// Has the table imported as long as it is not made yet (`missing` are its partitions then), and hears how it ended once it is.
/// None where there is nothing more to do or to say.
pub async fn proceed(
    ctx: &Context,
    table: &Table,
    group: &StorageGroup,
    missing: Vec<(Target, PartitionDescriptor)>,
    definition: &TableDefinition,
    made: Made,
    nodes: &[ExpectedNode],
) -> Result<Option<Importing>> {
    let is_led = made != Made::No;
    let Some(whole) = table.status.as_ref() else { return Ok(None) };
    let Some(status) = whole.import.clone() else { return Ok(None) };
    if status.import_status == import::ImportStatus::Failed {
        // What was ever led is a table like any other, without what was no item of it.
        return Ok(whole.schema_version.is_none().then(|| failed(status)));
    }
    let missing = missing.into_iter().next();
    if !status.is_in_progress() || (missing.is_none() && !is_led) {
        return Ok(None);
    }
    let Some(order) = table.import_order(&ctx.config.region, definition.clone())? else { return Ok(None) };
    if group.spec.archive.is_none() {
        return Ok(Some(told(status, Heard::Hindered("ArchiveMissing", archive_missing(group)), made)));
    }
    let uid = table.uid().unwrap_or_default();
    let heard = match ctx.archives.imports.get(&uid) {
        // What was said before the table was there is no answer to how it ended.
        Some((of_a_led_one, heard)) if of_a_led_one == is_led => heard,
        _ => {
            let heard = match missing {
                Some((target, descriptor)) => ask(ctx, &target, &ArchiveCall::Import { descriptor, order }).await,
                None => hear_of_end(ctx, &order, nodes).await,
            };
            let pause = if matches!(heard, Heard::Hindered(..)) { HINDERED } else { IMPORTING };
            ctx.archives.imports.put(uid, (is_led, heard.clone()), pause);
            heard
        }
    };
    Ok(Some(told(status, heard, made)))
}

/// How an import ended whose table is there, by any archive of the group.
async fn hear_of_end(ctx: &Context, order: &ImportOrder, nodes: &[ExpectedNode]) -> Heard {
    let call = ArchiveCall::DescribeImport { import_id: order.import_id.clone() };
    let mut heard = Heard::Hindered("ArchiveSilent", "there is no archive to ask yet".to_owned());
    for node in nodes.iter().take(ARCHIVES_ASKED_MAX) {
        heard = ask(ctx, &node.target, &call).await;
        if !matches!(heard, Heard::Hindered(..)) {
            break;
        }
    }
    heard
}

async fn ask(ctx: &Context, beside: &Target, call: &ArchiveCall) -> Heard {
    match ctx.reports.archive(beside, call).await {
        Ok(ArchiveAnswer::Import(report)) => Heard::Report(report),
        Ok(ArchiveAnswer::Refused { reason: ArchiveRefusal::NotFound, .. }) => Heard::Forgotten,
        Ok(ArchiveAnswer::Refused { message, .. }) => Heard::Hindered("ArchiveFailed", message),
        Ok(other) => Heard::Hindered("ArchiveFailed", format!("it answered {other:?} when it was asked for an import")),
        Err(error) => {
            let error = chain(&error);
            Heard::Hindered("ArchiveSilent", format!("the archive that imports the table does not answer: {error}"))
        }
    }
}

fn failed(status: ImportStatus) -> Importing {
    let message = status.failure_message.as_deref().unwrap_or("it is not known why");
    let message =
        format!("the table could not be imported: {message}; delete the Table, and apply it again once that is mended");
    Importing { progress: Some(Progress::stalled(FAILED, message)), status, again: super::REFUSED_WAIT }
}

/// "You can … query and update your data across all primary and secondary indexes as soon as the import is complete" (developer
/// guide, data import: how it works).
fn told(status: ImportStatus, heard: Heard, made: Made) -> Importing {
    use import::ImportStatus::{Completed, Failed, InProgress};
    let is_led = made != Made::No;
    let waits = |status, reason, message: String| {
        let progress = (!is_led).then(|| Progress::reconciling(reason, message));
        Importing { status, progress, again: LOOK_AGAIN }
    };
    match heard {
        Heard::Hindered(reason, message) => waits(status, reason, message),
        Heard::Report(report) if report.status == Failed && !report.keeps_table && !is_led => {
            failed(ImportStatus::of_report(&report))
        }
        Heard::Report(report) => {
            let mut heard = ImportStatus::of_report(&report);
            if made == Made::Whole && report.has_made_table() {
                return Importing { status: heard, progress: None, again: super::MENDING };
            }
            // Until the table is led, another beginning is still possible.
            (heard.import_status, heard.end_time) = (InProgress, None);
            (heard.failure_code, heard.failure_message, heard.cloud_watch_log_group_arn) = (None, None, None);
            let message = match report.has_made_table() {
                true => "all items are imported; the table's partition is being made",
                false => "the items are being imported: status.import says how far it is",
            };
            waits(heard, "Importing", message.to_owned())
        }
        Heard::Forgotten if made == Made::Whole => {
            let status = ImportStatus { import_status: Completed, ..status };
            Importing { status, progress: None, again: super::MENDING }
        }
        Heard::Forgotten => waits(status, "Importing", "the table's partition is being made".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::fixture;
    use cairn_model::archive::import::ImportOutcome;
    use serde_json::json;

    fn order() -> ImportOrder {
        let mut table = fixture::table("users");
        let from = json!({"s3BucketSource": {"s3Bucket": "source"}, "inputFormat": "ION"});
        table.spec.import_from = Some(serde_json::from_value(from).unwrap());
        table.metadata.uid = Some("abcdef12-3456-7890-abcd-ef1234567890".into());
        table.metadata.creation_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH));
        table.import_order("east", fixture::definition()).unwrap().unwrap()
    }

    fn status() -> ImportStatus {
        ImportStatus::of_report(&ImportReport::in_progress(order(), ImportProgress::default()))
    }

    fn ended(completed: bool) -> Heard {
        let progress = ImportProgress { imported_item_count: 5, ..ImportProgress::default() };
        let mut outcome = ImportOutcome { progress, completed, ..ImportOutcome::interrupted(7_000) };
        outcome.failure = outcome.failure.filter(|_| !completed);
        Heard::Report(Box::new(ImportReport::ended(order(), outcome, String::new())))
    }

    #[test]
    fn an_import_has_ended_well_only_once_the_table_is_led_and_its_indexes_are_filled() {
        let early = told(status(), ended(true), Made::No);
        assert!(early.status.is_in_progress() && early.status.end_time.is_none(), "{early:?}");
        assert_eq!((early.status.imported_item_count, early.progress.unwrap().reason()), (5, "Importing"));
        for heard in [ended(true), Heard::Forgotten] {
            let filling = told(status(), heard.clone(), Made::Led);
            assert!(filling.status.is_in_progress() && filling.progress.is_none(), "{filling:?}");
            let late = told(status(), heard, Made::Whole);
            assert_eq!((late.status.import_status, late.progress), (import::ImportStatus::Completed, None));
        }
    }

    #[test]
    fn an_import_that_failed_by_some_items_has_made_the_table_of_the_others() {
        let Heard::Report(mut report) = ended(false) else { unreachable!() };
        report.keeps_table = true;
        let heard = Heard::Report(report);
        let early = told(status(), heard.clone(), Made::No);
        assert!(early.status.is_in_progress() && early.status.failure_code.is_none(), "{early:?}");
        assert_eq!(early.progress.unwrap().reason(), "Importing");
        assert!(told(status(), heard.clone(), Made::Led).status.is_in_progress());
        let late = told(status(), heard, Made::Whole);
        assert_eq!((late.status.import_status, late.progress), (import::ImportStatus::Failed, None));
        assert!(late.status.failure_code.is_some());
    }

    #[test]
    fn an_import_that_failed_stalls_the_table_and_says_what_to_do() {
        let first = told(status(), ended(false), Made::No);
        assert_eq!(first.status.import_status, import::ImportStatus::Failed);
        assert_eq!(failed(first.status.clone()), first, "it is told the same from then on");
        let Some(Progress::Stalled { reason, message }) = first.progress else { panic!("{:?}", first.progress) };
        assert_eq!(reason, FAILED);
        assert!(message.contains("import it again") && message.contains("delete the Table"), "{message}");
    }

    #[test]
    fn an_archive_that_is_hindered_changes_nothing_of_what_is_known() {
        let before = ImportStatus { imported_item_count: 3, ..status() };
        let hindered = told(before.clone(), Heard::Hindered("ArchiveSilent", "gone".into()), Made::No);
        assert_eq!((hindered.status, hindered.progress.unwrap().reason()), (before, "ArchiveSilent"));
    }
}
