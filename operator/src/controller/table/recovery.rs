//! Point-in-time recovery of a table: since when it is on, and how well the archive keeps up with it.

use super::archives::Heard;
use crate::{context::Context, node_client::Target};
use cairn_crds::{
    StorageGroup, Table, TableResourceStatus, condition,
    table::{
        ContinuousBackupsStatus, RestorableWindow,
        recovery::{millis_of_time, time_of_millis},
    },
};
use cairn_model::{
    archive::{Recovery, RecoveryWindow},
    ids::TableId,
    table::ContinuousBackups,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{ResourceExt, runtime::events::EventType};

/// Whether the table's past is kept as it is to be. Only there while recovery is to be on.
pub const CONTINUOUS_BACKUPS: &str = "ContinuousBackups";
/// A report this old will do; a little less than the time between two looks at a table with nothing to do.
const REPORT_AGE_MAX: SignedDuration = SignedDuration::from_secs(14);
/// The same for an archive that has not said yet that it ships the table.
const STARTING_AGE_MAX: SignedDuration = SignedDuration::from_secs(2);
/// What is not in the archive after this is late.
const BEHIND: SignedDuration = SignedDuration::from_secs(60);
/// Times move on by themselves; they are not written down more often than this.
const WRITE_INTERVAL_MS: u64 = 60_000;
const WINDOWS_MAX: usize = 64;
/// Of a condition's message.
const MESSAGE_BYTES_MAX: usize = 1_000;

/// How well a table's past is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Shipping,
    /// Nothing of it is in the archive yet.
    Starting,
    Behind,
    Holes,
    BucketUnreachable,
    ArchiveSilent,
    ArchiveMissing,
}

impl Health {
    fn reason(self) -> &'static str {
        match self {
            Self::Shipping => "Shipping",
            Self::Starting => "Starting",
            Self::Behind => "Behind",
            Self::Holes => "Holes",
            Self::BucketUnreachable => "BucketUnreachable",
            Self::ArchiveSilent => "ArchiveSilent",
            Self::ArchiveMissing => "ArchiveMissing",
        }
    }
}

/// Writes down since when recovery is on, once, before any node is told; and that it is off. What the nodes hold already counts,
/// and without an archive it is not turned on.
pub fn stamp(
    status: &mut TableResourceStatus,
    is_asked: bool,
    has_archive: bool,
    held: Option<ContinuousBackups>,
    now: Timestamp,
) {
    if !is_asked {
        status.continuous_backups = None;
        status.conditions.retain(|condition| condition.type_ != CONTINUOUS_BACKUPS);
        return;
    }
    if status.continuous_backups.is_some() {
        return;
    }
    let since_ms = match held {
        Some(held) => Some(held.enabled_at_ms),
        None => has_archive.then(|| u64::try_from(now.as_millisecond()).unwrap_or_default()),
    };
    status.continuous_backups = since_ms.map(|since_ms| ContinuousBackupsStatus {
        enabled_at: time_of_millis(since_ms),
        earliest_restorable_date_time: None,
        latest_restorable_date_time: None,
        windows: Vec::new(),
    });
}

/// Asks the archive beside the table's leader how far it is and says so; answers whether that should be asked again soon.
pub async fn observe(
    ctx: &Context,
    table: &Table,
    group: &StorageGroup,
    leader: Option<&Target>,
    table_id: TableId,
    status: &mut TableResourceStatus,
) -> bool {
    let (namespace, name) = (table.namespace().unwrap_or_default(), table.name_any());
    let is_asked = table.spec.recovery_period_days().is_ok_and(|period| period.is_some());
    if !is_asked && status.continuous_backups.is_none() {
        ctx.metrics.recovery_is_off(&namespace, &name);
        return false;
    }
    let (health, message) = match (&group.spec.archive, leader) {
        (None, _) => (Health::ArchiveMissing, archive_missing(group)),
        // Which archive to ask is not known; what was known stays.
        (Some(_), None) => return false,
        (Some(_), Some(leader)) => {
            let heard = hear(ctx, leader, table_id).await;
            note(status, heard.as_deref(), table_id)
        }
    };
    let is_well = health == Health::Shipping;
    let before = status.conditions.iter().find(|condition| condition.type_ == CONTINUOUS_BACKUPS);
    let has_turned = before.is_none_or(|before| before.reason != health.reason());
    let generation = table.metadata.generation;
    condition::set(
        &mut status.conditions,
        CONTINUOUS_BACKUPS,
        is_well,
        health.reason(),
        &message,
        generation,
        &Time(ctx.now()),
    );
    ctx.metrics.recovery_is_on(&namespace, &name, is_well);
    if has_turned {
        let type_ =
            if matches!(health, Health::Shipping | Health::Starting) { EventType::Normal } else { EventType::Warning };
        let note = if message.is_empty() { "the table's past is kept in the archive" } else { &message };
        ctx.event(table, type_, health.reason(), note).await;
    }
    health == Health::Starting
}

/// What is to be changed before anything of a table is archived.
pub fn archive_missing(group: &StorageGroup) -> String {
    let (namespace, name) = (group.namespace().unwrap_or_default(), group.name_any());
    format!("the StorageGroup {namespace}/{name} has no archive: set its spec.archive")
}

/// The archive beside a new leader may have reported before it led.
async fn hear(ctx: &Context, leader: &Target, table_id: TableId) -> Option<std::sync::Arc<Heard>> {
    let heard = ctx.archives.report(&ctx.reports, leader, REPORT_AGE_MAX).await?;
    if recovery_of(&heard, table_id).is_some_and(|recovery| !recovery.windows.is_empty()) {
        return Some(heard);
    }
    ctx.archives.report(&ctx.reports, leader, STARTING_AGE_MAX).await
}

fn recovery_of(heard: &Heard, table_id: TableId) -> Option<&Recovery> {
    heard.report.tables.iter().find(|table| table.table_id == table_id).map(|table| &table.recovery)
}

/// Notes what was heard; with the words of the condition.
fn note(status: &mut TableResourceStatus, heard: Option<&Heard>, table_id: TableId) -> (Health, String) {
    let Some(heard) = heard else {
        return (Health::ArchiveSilent, "the archive beside the table's leader does not answer".to_owned());
    };
    if let Some(why) = &heard.report.unreachable {
        return (Health::BucketUnreachable, bounded(why));
    }
    let nothing = Recovery::default();
    let recovery = recovery_of(heard, table_id).unwrap_or(&nothing);
    let windows: Vec<_> = recovery.windows.iter().filter_map(whole_seconds).collect();
    let Some(latest) = windows.last().map(|window| window.latest.clone()) else {
        let what = if recovery.problems.is_empty() { Health::Starting } else { Health::Holes };
        let message = "nothing of the table is in the archive yet".to_owned();
        let all: Vec<_> = std::iter::once(message).chain(recovery.problems.iter().cloned()).collect();
        return (what, bounded(&all.join("; ")));
    };
    let health = if windows.len() > 1 || !recovery.problems.is_empty() {
        Health::Holes
    } else if heard.at.duration_since(latest.0) > BEHIND {
        Health::Behind
    } else {
        Health::Shipping
    };
    let before = status.conditions.iter().find(|condition| condition.type_ == CONTINUOUS_BACKUPS);
    let has_turned = before.is_none_or(|before| before.reason != health.reason());
    if let Some(on) = &mut status.continuous_backups {
        write_down(on, &windows, has_turned);
    }
    let message = match health {
        Health::Behind => "the archive is more than a minute behind".to_owned(),
        Health::Holes => {
            let written = status.continuous_backups.iter().flat_map(|on| &on.windows);
            let spans: Vec<_> = written.take(8).map(|w| format!("{} to {}", w.earliest.0, w.latest.0)).collect();
            let spans = (!spans.is_empty()).then(|| format!("only parts can be restored: {}", spans.join(", ")));
            bounded(&recovery.problems.iter().cloned().chain(spans).collect::<Vec<_>>().join("; "))
        }
        _ => String::new(),
    };
    (health, message)
}

/// Replaces the times, unless all that is new is that time went by.
fn write_down(on: &mut ContinuousBackupsStatus, windows: &[RestorableWindow], has_turned: bool) {
    let (Some(first), Some(last)) = (windows.first(), windows.last()) else { return };
    let windows = if windows.len() > 1 { newest(windows) } else { &[] };
    let moved = |before: &Option<Time>, now: &Time| {
        before.as_ref().is_none_or(|before| {
            let (before, now) = (millis_of_time(before), millis_of_time(now));
            now < before || now - before >= WRITE_INTERVAL_MS
        })
    };
    if has_turned
        || moved(&on.earliest_restorable_date_time, &first.earliest)
        || moved(&on.latest_restorable_date_time, &last.latest)
        || inner_bounds(&on.windows) != inner_bounds(windows)
    {
        on.earliest_restorable_date_time = Some(first.earliest.clone());
        on.latest_restorable_date_time = Some(last.latest.clone());
        on.windows = windows.to_vec();
    }
}

/// Those there is room for.
fn newest(windows: &[RestorableWindow]) -> &[RestorableWindow] {
    &windows[windows.len().saturating_sub(WINDOWS_MAX)..]
}

/// Where the holes are.
fn inner_bounds(windows: &[RestorableWindow]) -> Vec<(Time, Time)> {
    windows.windows(2).map(|pair| (pair[0].latest.clone(), pair[1].earliest.clone())).collect()
}

/// The seconds that are whole within the window; none where none is.
fn whole_seconds(window: &RecoveryWindow) -> Option<RestorableWindow> {
    let earliest = time_of_millis(window.earliest_ms.div_ceil(1_000).saturating_mul(1_000));
    let latest = time_of_millis(window.latest_ms);
    (earliest.0 <= latest.0).then_some(RestorableWindow { earliest, latest })
}

fn bounded(message: &str) -> String {
    condition::bounded(message, MESSAGE_BYTES_MAX).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::fixture::table_id;
    use cairn_model::archive::{ArchiveReport, TableArchive};

    /// What an archive says at this second of a table's windows, in seconds, and problems.
    fn heard(at: i64, windows: &[(u64, u64)], problems: &[&str]) -> Heard {
        let windows = windows
            .iter()
            .map(|(earliest, latest)| RecoveryWindow { earliest_ms: earliest * 1_000, latest_ms: latest * 1_000 })
            .collect();
        let recovery = Recovery { windows, problems: problems.iter().map(|text| (*text).to_owned()).collect() };
        let tables = vec![TableArchive { table_id: table_id(), recovery }];
        let report = ArchiveReport { version: "0".into(), unreachable: None, tables };
        Heard { at: Timestamp::from_second(at).unwrap(), report }
    }

    fn on_since(second: u64) -> TableResourceStatus {
        let mut status = TableResourceStatus::default();
        let held = ContinuousBackups { recovery_period_days: 35, enabled_at_ms: second * 1_000 };
        stamp(&mut status, true, true, Some(held), Timestamp::UNIX_EPOCH);
        status
    }

    fn told(status: &mut TableResourceStatus, heard: Option<&Heard>) -> (Health, String) {
        let (health, message) = note(status, heard, table_id());
        let now = Time(Timestamp::UNIX_EPOCH);
        condition::set(&mut status.conditions, CONTINUOUS_BACKUPS, true, health.reason(), &message, None, &now);
        (health, message)
    }

    fn latest(status: &TableResourceStatus) -> i64 {
        let on = status.continuous_backups.as_ref().unwrap();
        on.latest_restorable_date_time.as_ref().unwrap().0.as_second()
    }

    #[test]
    fn recovery_is_stamped_once_with_the_second_in_which_it_is_turned_on() {
        let mut status = TableResourceStatus::default();
        let now = |millis| Timestamp::from_millisecond(millis).unwrap();
        stamp(&mut status, true, true, None, now(5_700));
        stamp(&mut status, true, true, None, now(9_000));
        assert_eq!(status.continuous_backups.as_ref().unwrap().enabled_at.0.as_second(), 5);
        stamp(&mut status, true, false, None, now(9_000));
        assert!(status.continuous_backups.is_some(), "a group that loses its archive turns nothing off");
        stamp(&mut status, false, true, None, now(9_000));
        assert_eq!(status.continuous_backups, None);
    }

    #[test]
    fn recovery_is_not_turned_on_without_an_archive() {
        let mut status = TableResourceStatus::default();
        stamp(&mut status, true, false, None, Timestamp::UNIX_EPOCH);
        assert_eq!(status.continuous_backups, None);
    }

    #[test]
    fn what_nodes_hold_says_since_when_recovery_is_on() {
        assert_eq!(on_since(7).continuous_backups.unwrap().enabled_at.0.as_second(), 7);
    }

    #[test]
    fn an_archive_that_keeps_up_is_shipping() {
        let mut status = on_since(0);
        assert_eq!(told(&mut status, Some(&heard(100, &[(10, 95)], &[]))), (Health::Shipping, String::new()));
        assert_eq!(latest(&status), 95);
        assert!(status.continuous_backups.unwrap().windows.is_empty(), "one span needs no list");
    }

    #[test]
    fn time_that_went_by_is_written_down_once_a_minute() {
        let mut status = on_since(0);
        told(&mut status, Some(&heard(100, &[(10, 95)], &[])));
        told(&mut status, Some(&heard(130, &[(10, 125)], &[])));
        assert_eq!(latest(&status), 95);
        told(&mut status, Some(&heard(160, &[(10, 155)], &[])));
        assert_eq!(latest(&status), 155);
    }

    #[test]
    fn an_archive_that_is_late_is_behind() {
        let mut status = on_since(0);
        told(&mut status, Some(&heard(100, &[(10, 95)], &[])));
        let (health, message) = told(&mut status, Some(&heard(170, &[(10, 109)], &[])));
        assert_eq!(health, Health::Behind);
        assert!(message.contains("a minute behind"), "{message}");
        assert_eq!(latest(&status), 109, "a turn is written down at once");
    }

    #[test]
    fn holes_are_told_with_the_spans_that_are_left() {
        let mut status = on_since(0);
        told(&mut status, Some(&heard(100, &[(10, 95)], &[])));
        let (health, message) =
            told(&mut status, Some(&heard(110, &[(10, 95), (100, 108)], &["log/7.seg is missing"])));
        assert_eq!(health, Health::Holes);
        assert!(message.contains("log/7.seg is missing"), "{message}");
        assert!(message.contains("1970-01-01T00:00:10Z to 1970-01-01T00:01:35Z"), "{message}");
        let (_, later) = told(&mut status, Some(&heard(115, &[(10, 95), (100, 113)], &["log/7.seg is missing"])));
        assert_eq!(later, message, "it is not written anew all the time");
        told(&mut status, Some(&heard(120, &[(10, 95), (101, 118)], &["log/7.seg is missing"])));
        assert_eq!(latest(&status), 118, "another hole is");
    }

    #[test]
    fn only_whole_seconds_within_a_window_are_told() {
        let window = |earliest_ms, latest_ms| whole_seconds(&RecoveryWindow { earliest_ms, latest_ms });
        let seconds = window(1_001, 3_999).map(|w| (w.earliest.0.as_second(), w.latest.0.as_second()));
        assert_eq!(seconds, Some((2, 3)));
        assert_eq!(window(1_001, 1_999), None);
    }

    #[test]
    fn an_archive_that_is_silent_or_has_no_bucket_leaves_what_was_known() {
        let mut status = on_since(0);
        told(&mut status, Some(&heard(100, &[(10, 95)], &[])));
        assert_eq!(told(&mut status, None).0, Health::ArchiveSilent);
        let mut cut_off = heard(900, &[(10, 95)], &[]);
        cut_off.report.unreachable = Some("no such bucket".into());
        assert_eq!(told(&mut status, Some(&cut_off)), (Health::BucketUnreachable, "no such bucket".to_owned()));
        assert_eq!(latest(&status), 95);
    }

    #[test]
    fn a_table_of_which_nothing_is_archived_yet_is_starting() {
        let mut status = on_since(0);
        assert_eq!(told(&mut status, Some(&heard(100, &[], &[]))).0, Health::Starting);
        assert_eq!(note(&mut status, Some(&heard(100, &[(1, 2)], &[])), TableId([1; 16])).0, Health::Starting);
    }
}
