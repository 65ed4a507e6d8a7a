//! How a partition of a global table stands with another region, as the storage node that leads it sees it.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegionReport {
    pub region: String,
    pub state: RegionState,
    /// What is wrong now, if something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<RegionProblem>,
    /// When something of that region, be it that there is nothing new, was last taken in; milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_ms: Option<u64>,
    /// From a write there until it is here: the last one that came; milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// Entries of that region's log that are not here yet, when it was last asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_records: Option<u64>,
    /// Items that the present copy has brought, and about how many there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyProgress>,
    /// That region's clock less this one's, as far as the time a message takes lets one tell; milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_offset_ms: Option<i64>,
    /// Versions, of whatever region, that wait here because their time is too far ahead.
    #[serde(default)]
    pub set_aside: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyProgress {
    pub items: u64,
    pub items_of: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegionState {
    /// Nothing was read of it yet.
    Connecting,
    /// What it holds is being copied.
    Copying,
    /// All that it held is here, and what it writes follows.
    Replicating,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegionProblem {
    pub reason: RegionTrouble,
    /// For a person: on which side what is wrong, and what to do.
    pub message: String,
}

/// The reasons of conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RegionTrouble {
    /// The endpoint does not answer.
    Unreachable,
    /// One side's certificate is not of the authority that the other was told, or not of the region.
    Untrusted,
    /// Whoever answers is another cluster than the peer bundle says, or another region.
    WrongCluster,
    /// The other side does not list this region.
    NotListed,
    /// The other side has no such table yet.
    TableMissing,
    /// The tables' keys differ.
    KeySchemaDiffers,
    /// Both tables had data before they were joined, or one was taken out and comes back with what it had.
    NotEmpty,
    /// The clocks differ by more than is safe to ignore.
    ClockSkew,
    /// The other side, or this one, failed; it is tried again.
    Failed,
}

impl RegionTrouble {
    /// As it stands in a condition.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Unreachable => "Unreachable",
            Self::Untrusted => "Untrusted",
            Self::WrongCluster => "WrongCluster",
            Self::NotListed => "NotListed",
            Self::TableMissing => "TableMissing",
            Self::KeySchemaDiffers => "KeySchemaDiffers",
            Self::NotEmpty => "NotEmpty",
            Self::ClockSkew => "ClockSkew",
            Self::Failed => "Failed",
        }
    }
}

/// `ReplicaStatus`, as far as regions here can be in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReplicaStatus {
    Active,
    /// It takes no part yet: it is not reached, does not list this region, or its data is being copied.
    Creating,
    /// It is no longer listed here, and still takes part.
    Deleting,
    /// It took part, and one side does not let the other in any more.
    ReplicationNotAuthorized,
}

impl ReplicaStatus {
    /// In DynamoDB's words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Creating => "CREATING",
            Self::Deleting => "DELETING",
            Self::ReplicationNotAuthorized => "REPLICATION_NOT_AUTHORIZED",
        }
    }

    /// The one of this name; none for a name that is not one of these.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Active, Self::Creating, Self::Deleting, Self::ReplicationNotAuthorized]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}

/// How a region stands with all of a table, as DescribeTable and the GlobalTable's status tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionStanding {
    pub status: ReplicaStatus,
    /// What is wrong on which side, or how far the copy is.
    pub description: Option<String>,
    /// Of the copy, while there is one: 0 to 99.
    pub percent_progress: Option<u8>,
}

impl RegionStanding {
    /// Of what the table's partitions report of that region: the worst status counts, and what is wrong where it is worst.
    /// Without a report nothing of the region is known to be here.
    pub fn of<'a>(reports: impl IntoIterator<Item = &'a RegionReport>) -> Self {
        let reports: Vec<&RegionReport> = reports.into_iter().collect();
        let status = reports.iter().map(|report| report.replica_status()).max().unwrap_or(ReplicaStatus::Creating);
        let copy = (status == ReplicaStatus::Creating).then(|| copy_of(&reports)).flatten();
        let worst =
            reports.iter().filter(|report| report.problem.is_some()).max_by_key(|report| report.replica_status());
        let told = worst.and_then(|report| report.problem.as_ref()).map(|problem| problem.message.clone());
        let copied = || copy.map(|copy| format!("{} of about {} items are copied", copy.items, copy.items_of));
        Self { status, description: told.or_else(copied), percent_progress: copy.map(CopyProgress::percent) }
    }
}

impl RegionReport {
    /// Of the one partition that reports it.
    pub fn replica_status(&self) -> ReplicaStatus {
        let locked_out = matches!(
            self.problem,
            Some(RegionProblem { reason: RegionTrouble::NotListed | RegionTrouble::Untrusted, .. })
        );
        match self.state {
            RegionState::Connecting => ReplicaStatus::Creating,
            RegionState::Copying | RegionState::Replicating if locked_out => ReplicaStatus::ReplicationNotAuthorized,
            RegionState::Copying => ReplicaStatus::Creating,
            RegionState::Replicating => ReplicaStatus::Active,
        }
    }
}

impl CopyProgress {
    /// Never 100: a copy that is whole is no longer one.
    pub fn percent(self) -> u8 {
        let hundredfold = self.items.saturating_mul(100);
        hundredfold.checked_div(self.items_of).map_or(0, |percent| percent.min(99) as u8)
    }
}

/// All the partitions' copies as one.
fn copy_of(reports: &[&RegionReport]) -> Option<CopyProgress> {
    let copies = reports.iter().filter(|report| report.state == RegionState::Copying).filter_map(|report| report.copy);
    copies.reduce(|all, copy| CopyProgress {
        items: all.items.saturating_add(copy.items),
        items_of: all.items_of.saturating_add(copy.items_of),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(state: RegionState, trouble: Option<RegionTrouble>) -> RegionReport {
        RegionReport {
            region: "west".into(),
            state,
            problem: trouble.map(|reason| RegionProblem { reason, message: reason.reason().to_owned() }),
            last_success_ms: None,
            latency_ms: None,
            pending_records: None,
            copy: None,
            clock_offset_ms: None,
            set_aside: 0,
        }
    }

    fn copying(items: u64, items_of: u64) -> RegionReport {
        RegionReport { copy: Some(CopyProgress { items, items_of }), ..report(RegionState::Copying, None) }
    }

    fn status(state: RegionState, trouble: Option<RegionTrouble>) -> ReplicaStatus {
        RegionStanding::of([&report(state, trouble)]).status
    }

    #[test]
    fn a_region_is_creating_until_all_that_it_held_is_here() {
        assert_eq!(RegionStanding::of([]).status, ReplicaStatus::Creating);
        assert_eq!(status(RegionState::Connecting, None), ReplicaStatus::Creating);
        assert_eq!(status(RegionState::Connecting, Some(RegionTrouble::NotListed)), ReplicaStatus::Creating);
        assert_eq!(status(RegionState::Copying, None), ReplicaStatus::Creating);
        assert_eq!(status(RegionState::Replicating, None), ReplicaStatus::Active);
    }

    #[test]
    fn only_a_region_that_took_part_can_be_locked_out() {
        for trouble in [RegionTrouble::NotListed, RegionTrouble::Untrusted] {
            assert_eq!(status(RegionState::Connecting, Some(trouble)), ReplicaStatus::Creating);
            assert_eq!(status(RegionState::Replicating, Some(trouble)), ReplicaStatus::ReplicationNotAuthorized);
        }
        assert_eq!(status(RegionState::Replicating, Some(RegionTrouble::Unreachable)), ReplicaStatus::Active);
    }

    #[test]
    fn the_partition_that_stands_worst_is_told_of() {
        let (fine, slow) =
            (report(RegionState::Replicating, None), report(RegionState::Replicating, Some(RegionTrouble::Failed)));
        let out = report(RegionState::Replicating, Some(RegionTrouble::NotListed));
        let standing = RegionStanding::of([&slow, &out, &fine]);
        assert_eq!(standing.status, ReplicaStatus::ReplicationNotAuthorized);
        assert_eq!(standing.description.as_deref(), Some("NotListed"));
    }

    #[test]
    fn the_progress_is_that_of_all_partitions_that_are_copied_and_never_whole() {
        let standing =
            RegionStanding::of([&copying(30, 100), &copying(50, 100), &report(RegionState::Replicating, None)]);
        assert_eq!(standing.percent_progress, Some(40));
        assert_eq!(standing.description.as_deref(), Some("80 of about 200 items are copied"));
        assert_eq!(RegionStanding::of([&copying(5, 5)]).percent_progress, Some(99));
        assert_eq!(RegionStanding::of([&copying(0, 0)]).percent_progress, Some(0));
        assert_eq!(RegionStanding::of([&report(RegionState::Replicating, None)]).percent_progress, None);
    }
}
