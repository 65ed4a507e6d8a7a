//! How this region stands with another, over all partitions of the table: pure, of what their leaders report.

use super::numbers;
use crate::controller::Refusal;
use cairn_crds::{GlobalTableReplicaStatus, table::recovery::time_of_millis};
use cairn_model::region::{RegionReport, RegionStanding, RegionState, RegionTrouble, ReplicaStatus};

/// Before what a description says of a copy.
const COPYING: &str = "Copying";

/// Why replication with a region is not as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub reason: &'static str,
    pub message: String,
    /// Whether it ends by itself, as far as one can tell.
    pub is_passing: bool,
}

impl Trouble {
    fn passing(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), is_passing: true }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    pub status: GlobalTableReplicaStatus,
    pub trouble: Option<Trouble>,
    /// What is wrong with that region's clock, or this one's.
    pub skew: Option<String>,
}

/// What is known of a region when its standing is told.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub region: &'a str,
    /// What the status said of it before, of the same table.
    pub before: Option<&'a GlobalTableReplicaStatus>,
    pub flaw: Option<&'a Refusal>,
    /// Whether the nodes have it in the table's definition.
    pub is_member: bool,
    /// Of each partition; none where its leader says nothing of the region yet.
    pub reports: &'a [Option<&'a RegionReport>],
}

pub fn tell(seen: Seen<'_>) -> Standing {
    let reports = || seen.reports.iter().copied().flatten();
    let is_heard = seen.is_member && !seen.reports.is_empty() && seen.reports.iter().all(Option::is_some);
    // What only some partitions say is not how all of the table stands.
    let all = if is_heard { seen.reports } else { &[] };
    let before = seen.before.and_then(status_of);
    let standing = RegionStanding::of(before, all.iter().copied().flatten());
    let replicates = is_heard && reports().all(|report| report.state == RegionState::Replicating);
    let problems = || reports().filter_map(|report| report.problem.as_ref());
    let problem = problems().filter(|problem| problem.reason != RegionTrouble::ClockSkew).min_by_key(|p| p.reason);

    let trouble = if let Some(flaw) = seen.flaw {
        Some(Trouble { reason: flaw.reason, message: flaw.message.clone(), is_passing: false })
    } else if let Some(problem) = problem {
        let is_passing = matches!(problem.reason, RegionTrouble::Unreachable | RegionTrouble::Failed);
        Some(Trouble { reason: problem.reason.reason(), message: problem.message.clone(), is_passing })
    } else if !seen.is_member {
        Some(Trouble::passing("Joining", "the nodes do not have it in the table's definition yet"))
    } else if replicates {
        None
    } else if reports().any(|report| report.state == RegionState::Copying) {
        let told = standing.description.as_deref().and_then(|told| told.strip_prefix(COPYING)?.strip_prefix(": "));
        Some(Trouble::passing(COPYING, told.unwrap_or("what it holds is being copied")))
    } else {
        Some(Trouble::passing("Connecting", "nothing was read of it yet"))
    };

    let noted = seen.before.filter(|_| reports().next().is_none());
    let sum = |of: fn(&RegionReport) -> Option<u64>| reports().filter_map(of).reduce(u64::saturating_add);
    let latency = reports().filter_map(|report| report.latency_ms).max().map(numbers::rounded);
    let pending = sum(|report| report.pending_records).map(numbers::rounded);
    // A partition of which nothing ever came has no last success, and so has the table.
    let successes = seen.reports.iter().map(|report| report.and_then(|report| report.last_success_ms));
    let last_success = successes.min().flatten().map(time_of_millis);
    let status = GlobalTableReplicaStatus {
        region_name: seen.region.to_owned(),
        replica_status: standing.status.as_str().to_owned(),
        replica_status_description: trouble.as_ref().map(describe),
        replica_status_percent_progress: standing.percent_progress.map(|percent| percent.to_string()),
        latency_milliseconds: latency.or(noted.and_then(|noted| noted.latency_milliseconds)),
        pending_records: pending.or(noted.and_then(|noted| noted.pending_records)),
        last_success: last_success.or(noted.and_then(|noted| noted.last_success.clone())),
    };
    Standing { status, trouble, skew: skew(seen.reports) }
}

/// The status that [`tell`] wrote.
pub fn status_of(replica: &GlobalTableReplicaStatus) -> Option<ReplicaStatus> {
    ReplicaStatus::named(&replica.replica_status)
}

/// The reason in a description that [`tell`] wrote.
pub fn reason_in(status: &GlobalTableReplicaStatus) -> Option<&str> {
    status.replica_status_description.as_deref()?.split_once(':').map(|(reason, _)| reason)
}

fn describe(trouble: &Trouble) -> String {
    numbers::bounded(&format!("{}: {}", trouble.reason, trouble.message)).to_owned()
}

fn skew(reports: &[Option<&RegionReport>]) -> Option<String> {
    let reports = || reports.iter().copied().flatten();
    let told = reports().filter_map(|report| report.problem.as_ref()).find(|p| p.reason == RegionTrouble::ClockSkew);
    let set_aside = reports().map(|report| report.set_aside).fold(0, u64::saturating_add);
    let waits = (set_aside > 0)
        .then(|| format!("{} writes wait here because their time is too far ahead", numbers::rounded(set_aside)));
    let parts: Vec<_> = told.map(|problem| problem.message.clone()).into_iter().chain(waits).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::region::{CopyProgress, RegionProblem};

    const CREATING: &str = "CREATING";
    const ACTIVE: &str = "ACTIVE";
    const NOT_AUTHORIZED: &str = "REPLICATION_NOT_AUTHORIZED";

    fn report(state: RegionState) -> RegionReport {
        RegionReport {
            region: "west".into(),
            state,
            problem: None,
            last_success_ms: Some(1_000_000),
            latency_ms: Some(123),
            pending_records: Some(4),
            copy: None,
            clock_offset_ms: None,
            set_aside: 0,
        }
    }

    fn with(state: RegionState, reason: RegionTrouble) -> RegionReport {
        RegionReport { problem: Some(RegionProblem { reason, message: "over there".into() }), ..report(state) }
    }

    fn standing(before: Option<&GlobalTableReplicaStatus>, reports: &[RegionReport]) -> Standing {
        let reports: Vec<_> = reports.iter().map(Some).collect();
        tell(Seen { region: "west", before, flaw: None, is_member: true, reports: &reports })
    }

    fn active() -> GlobalTableReplicaStatus {
        standing(None, &[report(RegionState::Replicating)]).status
    }

    #[test]
    fn a_region_is_creating_until_it_replicates_for_the_first_time() {
        for (reports, told) in [(vec![], "Connecting"), (vec![report(RegionState::Connecting)], "Connecting")] {
            let standing = standing(None, &reports);
            assert_eq!((standing.status.replica_status.as_str(), reason_in(&standing.status)), (CREATING, Some(told)));
        }
        let active = active();
        assert_eq!((active.replica_status.as_str(), active.replica_status_description), (ACTIVE, None));
        assert_eq!((active.latency_milliseconds, active.pending_records), (Some(120), Some(4)));
    }

    #[test]
    fn a_copy_tells_how_far_it_is() {
        let copying =
            RegionReport { copy: Some(CopyProgress { items: 40, items_of: 100 }), ..report(RegionState::Copying) };
        let standing = standing(None, &[copying]);
        assert_eq!(standing.status.replica_status_percent_progress.as_deref(), Some("40"));
        assert!(standing.trouble.unwrap().message.starts_with("40 of about 100 items"));
    }

    #[test]
    fn what_only_some_partitions_say_makes_no_region_active() {
        let report = report(RegionState::Replicating);
        let reports = [Some(&report), None];
        let seen = |before| Seen { region: "west", before, flaw: None, is_member: true, reports: &reports };
        assert_eq!(tell(seen(None)).status.replica_status, CREATING);
        assert_eq!(tell(seen(Some(&active()))).status.replica_status, ACTIVE);
    }

    #[test]
    fn once_active_a_region_stays_so_while_the_other_side_is_away() {
        for reason in [RegionTrouble::Unreachable, RegionTrouble::Failed, RegionTrouble::NotEmpty] {
            let standing = standing(Some(&active()), &[with(RegionState::Connecting, reason)]);
            assert_eq!(standing.status.replica_status, ACTIVE);
            let description = format!("{}: over there", reason.reason());
            assert_eq!(standing.status.replica_status_description, Some(description));
        }
        let silent =
            tell(Seen { region: "west", before: Some(&active()), flaw: None, is_member: true, reports: &[None] });
        assert_eq!((silent.status.replica_status.as_str(), silent.status.latency_milliseconds), (ACTIVE, Some(120)));
        let again = standing(Some(&active()), &[report(RegionState::Copying)]);
        assert_eq!((again.status.replica_status.as_str(), reason_in(&again.status)), (ACTIVE, Some("Copying")));
        assert_eq!(again.status.replica_status_percent_progress, None);
    }

    #[test]
    fn a_side_that_lets_the_other_in_no_more_is_told_and_forgiven() {
        for reason in [RegionTrouble::NotListed, RegionTrouble::Untrusted] {
            let denied = standing(Some(&active()), &[with(RegionState::Replicating, reason)]).status;
            assert_eq!(denied.replica_status, NOT_AUTHORIZED);
            let still = standing(Some(&denied), &[with(RegionState::Connecting, RegionTrouble::Unreachable)]).status;
            assert_eq!(still.replica_status, ACTIVE);
            assert_eq!(standing(Some(&denied), &[report(RegionState::Replicating)]).status.replica_status, ACTIVE);
            assert_eq!(standing(None, &[with(RegionState::Connecting, reason)]).status.replica_status, CREATING);
        }
    }

    #[test]
    fn only_what_needs_a_person_does_not_pass() {
        let is_passing = |reason| standing(None, &[with(RegionState::Connecting, reason)]).trouble.unwrap().is_passing;
        assert!(is_passing(RegionTrouble::Unreachable) && is_passing(RegionTrouble::Failed));
        for reason in [RegionTrouble::Untrusted, RegionTrouble::WrongCluster, RegionTrouble::KeySchemaDiffers] {
            assert!(!is_passing(reason), "{reason:?}");
        }
    }

    #[test]
    fn clocks_that_differ_are_told_beside_a_replication_that_works() {
        let skewed = standing(Some(&active()), &[with(RegionState::Replicating, RegionTrouble::ClockSkew)]);
        assert_eq!((skewed.trouble, skewed.skew.as_deref()), (None, Some("over there")));
        let waits = RegionReport { set_aside: 3, ..report(RegionState::Replicating) };
        assert!(standing(None, &[waits]).skew.unwrap().starts_with("3 writes wait"));
    }

    #[test]
    fn a_flaw_is_told_before_what_the_nodes_say() {
        let flaw = Refusal::new("PeerMissing", "the bundle is missing");
        let report = report(RegionState::Replicating);
        let reports = [Some(&report)];
        let seen = Seen { region: "west", before: None, flaw: Some(&flaw), is_member: true, reports: &reports };
        let standing = tell(seen);
        assert_eq!(
            (standing.status.replica_status.as_str(), reason_in(&standing.status)),
            (ACTIVE, Some("PeerMissing"))
        );
        let outside = tell(Seen { flaw: None, is_member: false, reports: &[None], ..seen });
        assert_eq!(reason_in(&outside.status), Some("Joining"));
    }
}
