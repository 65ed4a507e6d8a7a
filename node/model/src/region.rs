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
    /// The tables' local indexes differ.
    IndexesDiffer,
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
            Self::IndexesDiffer => "IndexesDiffer",
            Self::NotEmpty => "NotEmpty",
            Self::ClockSkew => "ClockSkew",
            Self::Failed => "Failed",
        }
    }
}

/// `ReplicaStatus`, as far as regions here can be in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// Of what the table's partitions report of that region. `before`: what its status was, of the same table: what took part once
    /// goes on taking part, also where it is not reached or copied anew.
    pub fn of<'a>(before: Option<ReplicaStatus>, reports: impl IntoIterator<Item = &'a RegionReport>) -> Self {
        let reports: Vec<&RegionReport> = reports.into_iter().collect();
        let problems = reports.iter().filter_map(|report| report.problem.as_ref());
        let problem = problems.filter(|problem| problem.reason != RegionTrouble::ClockSkew).min_by_key(|p| p.reason);
        let replicates = !reports.is_empty() && reports.iter().all(|report| report.state == RegionState::Replicating);
        let took_part = matches!(before, Some(ReplicaStatus::Active | ReplicaStatus::ReplicationNotAuthorized));
        let locked_out =
            problem.is_some_and(|p| matches!(p.reason, RegionTrouble::NotListed | RegionTrouble::Untrusted));
        let status = match (took_part || replicates, locked_out) {
            (false, _) => ReplicaStatus::Creating,
            (true, true) => ReplicaStatus::ReplicationNotAuthorized,
            (true, false) => ReplicaStatus::Active,
        };
        let copy = (status == ReplicaStatus::Creating).then(|| copy_of(&reports)).flatten();
        let told = problem.map(|problem| format!("{}: {}", problem.reason.reason(), problem.message));
        let copied = || copy.map(|copy| format!("Copying: {} of about {} items are here", copy.items, copy.items_of));
        Self { status, description: told.or_else(copied), percent_progress: copy.map(CopyProgress::percent) }
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

    fn status(before: Option<ReplicaStatus>, state: RegionState, trouble: Option<RegionTrouble>) -> ReplicaStatus {
        RegionStanding::of(before, [&report(state, trouble)]).status
    }

    #[test]
    fn a_region_is_creating_until_all_that_it_held_is_here() {
        assert_eq!(RegionStanding::of(None, []).status, ReplicaStatus::Creating);
        assert_eq!(status(None, RegionState::Connecting, None), ReplicaStatus::Creating);
        assert_eq!(status(None, RegionState::Connecting, Some(RegionTrouble::NotListed)), ReplicaStatus::Creating);
        assert_eq!(status(None, RegionState::Copying, None), ReplicaStatus::Creating);
        assert_eq!(status(None, RegionState::Replicating, None), ReplicaStatus::Active);
        let both = [report(RegionState::Replicating, None), report(RegionState::Copying, None)];
        assert_eq!(RegionStanding::of(None, &both).status, ReplicaStatus::Creating, "not of all partitions");
    }

    #[test]
    fn what_took_part_once_goes_on_taking_part() {
        for before in [ReplicaStatus::Active, ReplicaStatus::ReplicationNotAuthorized] {
            assert_eq!(RegionStanding::of(Some(before), []).status, ReplicaStatus::Active);
            assert_eq!(status(Some(before), RegionState::Copying, None), ReplicaStatus::Active);
            let away = Some(RegionTrouble::Unreachable);
            assert_eq!(status(Some(before), RegionState::Connecting, away), ReplicaStatus::Active);
        }
        let creating = Some(ReplicaStatus::Creating);
        assert_eq!(status(creating, RegionState::Connecting, None), ReplicaStatus::Creating);
    }

    #[test]
    fn only_a_region_that_took_part_can_be_locked_out() {
        for trouble in [Some(RegionTrouble::NotListed), Some(RegionTrouble::Untrusted)] {
            assert_eq!(status(None, RegionState::Connecting, trouble), ReplicaStatus::Creating);
            let locked_out = ReplicaStatus::ReplicationNotAuthorized;
            assert_eq!(status(None, RegionState::Replicating, trouble), locked_out);
            assert_eq!(status(Some(ReplicaStatus::Active), RegionState::Connecting, trouble), locked_out);
        }
    }

    #[test]
    fn of_the_partitions_troubles_the_one_that_a_person_meets_first_is_told() {
        let slow = report(RegionState::Replicating, Some(RegionTrouble::Failed));
        let out = report(RegionState::Replicating, Some(RegionTrouble::NotListed));
        let standing = RegionStanding::of(None, [&slow, &out, &report(RegionState::Replicating, None)]);
        assert_eq!(standing.description.as_deref(), Some("NotListed: NotListed"));
        let skewed = report(RegionState::Replicating, Some(RegionTrouble::ClockSkew));
        assert_eq!(RegionStanding::of(None, [&skewed]).description, None, "it replicates all the same");
    }

    #[test]
    fn the_progress_is_that_of_all_partitions_that_are_copied_and_never_whole() {
        let standing =
            RegionStanding::of(None, [&copying(30, 100), &copying(50, 100), &report(RegionState::Replicating, None)]);
        assert_eq!(standing.percent_progress, Some(40));
        assert_eq!(standing.description.as_deref(), Some("Copying: 80 of about 200 items are here"));
        assert_eq!(RegionStanding::of(None, [&copying(5, 5)]).percent_progress, Some(99));
        assert_eq!(RegionStanding::of(None, [&copying(0, 0)]).percent_progress, Some(0));
        assert_eq!(RegionStanding::of(None, [&report(RegionState::Replicating, None)]).percent_progress, None);
    }
}
