//! Which backups of a schedule stay.
//!
//! The youngest `keep` that are AVAILABLE stay. One that is not finished counts for nothing: it holds up the next for a day, and
//! is given up when it is older than that and a younger one is AVAILABLE.

use cairn_crds::Backup;
use cairn_model::archive::BackupState;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

/// For how long a backup may take before others are made beside it.
const MAKING_MAX: SignedDuration = SignedDuration::from_hours(24);
/// How many that are not finished there may be, however old.
const UNFINISHED_MAX: usize = 3;

/// The backups that are to be deleted, oldest first.
pub fn superfluous(backups: &[Backup], keep: usize, now: Timestamp) -> Vec<&Backup> {
    let mut available: Vec<_> = there(backups).filter(|backup| is_available(backup)).collect();
    available.sort_by_cached_key(|backup| age(backup));
    let newest = available.last().copied().map(made);
    let mut superfluous: Vec<_> = there(backups)
        .filter(|backup| is_unfinished(backup) && now.duration_since(made(backup)) > MAKING_MAX)
        .filter(|backup| newest.is_some_and(|newest| newest > made(backup)))
        .collect();
    superfluous.extend(&available[..available.len().saturating_sub(keep.max(1))]);
    superfluous.sort_by_cached_key(|backup| age(backup));
    superfluous
}

/// The backup that has to be finished, or given up, before another is made.
pub fn holding_up(backups: &[Backup], now: Timestamp) -> Option<&Backup> {
    let unfinished: Vec<_> = there(backups).filter(|backup| is_unfinished(backup)).collect();
    let youngest = unfinished.iter().copied().max_by_key(|backup| made(backup))?;
    let is_young = now.duration_since(made(youngest)) <= MAKING_MAX;
    (is_young || unfinished.len() >= UNFINISHED_MAX).then_some(youngest)
}

fn there(backups: &[Backup]) -> impl Iterator<Item = &Backup> {
    backups.iter().filter(|backup| backup.metadata.deletion_timestamp.is_none())
}

fn state(backup: &Backup) -> Option<BackupState> {
    backup.status.as_ref().and_then(|status| status.backup_status)
}

fn is_available(backup: &Backup) -> bool {
    state(backup) == Some(BackupState::Available)
}

fn is_unfinished(backup: &Backup) -> bool {
    matches!(state(backup), None | Some(BackupState::Creating))
}

fn made(backup: &Backup) -> Timestamp {
    backup.creation_timestamp().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

/// The order in which they were made; names of one second end in the minute they were due.
fn age(backup: &Backup) -> (Timestamp, String) {
    (made(backup), backup.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_crds::BackupResourceStatus;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    const AVAILABLE: Option<BackupState> = Some(BackupState::Available);
    const CREATING: Option<BackupState> = Some(BackupState::Creating);

    fn now() -> Timestamp {
        "2026-11-21T10:00:00Z".parse().unwrap()
    }

    fn backup(name: &str, hours_old: i64, state: Option<BackupState>) -> Backup {
        let mut backup: Backup = serde_json::from_value(serde_json::json!({
            "apiVersion": "cairn.dev/v1alpha1", "kind": "Backup", "metadata": {"name": name}, "spec": {"tableName": "users"},
        }))
        .unwrap();
        backup.metadata.creation_timestamp = Some(Time(now() - SignedDuration::from_hours(hours_old)));
        backup.status = Some(BackupResourceStatus { backup_status: state, ..BackupResourceStatus::default() });
        backup
    }

    fn names(backups: &[Backup], keep: usize) -> Vec<String> {
        superfluous(backups, keep, now()).into_iter().map(ResourceExt::name_any).collect()
    }

    #[test]
    fn the_oldest_beyond_keep_go() {
        let all = [backup("b", 2, AVAILABLE), backup("a", 3, AVAILABLE), backup("c", 1, AVAILABLE)];
        assert_eq!(names(&all, 3), [""; 0]);
        assert_eq!(names(&all, 1), ["a", "b"]);
    }

    #[test]
    fn the_last_that_is_available_stays() {
        assert_eq!(names(&[backup("a", 900, AVAILABLE)], 0), [""; 0]);
    }

    #[test]
    fn those_that_are_not_finished_or_gone_do_not_count() {
        let all = [
            backup("a", 3, AVAILABLE),
            backup("b", 2, AVAILABLE),
            backup("c", 1, CREATING),
            backup("d", 1, Some(BackupState::Deleted)),
        ];
        assert_eq!(names(&all, 2), [""; 0]);
    }

    #[test]
    fn one_that_is_on_its_way_out_does_not_count() {
        let mut all = [backup("a", 3, AVAILABLE), backup("b", 2, AVAILABLE)];
        all[1].metadata.deletion_timestamp = Some(Time(now()));
        assert_eq!(names(&all, 1), [""; 0]);
    }

    #[test]
    fn an_unfinished_one_is_given_up_after_a_day_and_a_younger_that_is_available() {
        let (old, young) = (backup("old", 25, CREATING), backup("young", 23, CREATING));
        assert_eq!(names(&[old.clone(), young.clone()], 7), [""; 0]);
        assert_eq!(names(&[old.clone(), young.clone(), backup("good", 1, AVAILABLE)], 7), ["old"]);
        assert_eq!(names(&[old, young, backup("good", 26, AVAILABLE)], 7), [""; 0]);
    }

    #[test]
    fn an_unfinished_one_holds_up_the_next_for_a_day() {
        let blocking = |all: &[Backup]| holding_up(all, now()).map(ResourceExt::name_any);
        assert_eq!(blocking(&[backup("a", 1, None), backup("b", 2, AVAILABLE)]).as_deref(), Some("a"));
        assert_eq!(blocking(&[backup("a", 25, CREATING)]), None);
        let three = ["a", "b", "c"].map(|name| backup(name, 100, CREATING));
        assert!(blocking(&three).is_some(), "they would pile up");
    }
}
