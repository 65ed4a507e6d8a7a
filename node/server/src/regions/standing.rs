//! How each partition that this node leads stands with each other region: what is told in reports.

use cairn_model::{
    ids::PartitionId,
    region::{RegionProblem, RegionReport, RegionState},
};
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// A partition, and a region that it reads from.
pub(crate) type PairName = (PartitionId, String);

#[derive(Debug, Default)]
pub(crate) struct Standings(Mutex<BTreeMap<PairName, Standing>>);

#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) table: String,
    pub(crate) report: RegionReport,
}

impl Standings {
    /// What was known of the pair stays.
    pub(super) fn begin(&self, name: &PairName, table: &str) {
        let report = || RegionReport {
            region: name.1.clone(),
            state: RegionState::Connecting,
            problem: None,
            last_success_ms: None,
            latency_ms: None,
            pending_records: None,
            copy: None,
            clock_offset_ms: None,
            set_aside: 0,
        };
        let begin = || Standing { table: table.to_owned(), report: report() };
        self.0.lock().entry(name.clone()).or_insert_with(begin);
    }

    pub(super) fn end(&self, name: &PairName) {
        self.0.lock().remove(name);
    }

    /// Changes what is told of the pair, if anything is told of it any more.
    pub(super) fn update(&self, name: &PairName, change: impl FnOnce(&mut RegionReport)) {
        if let Some(standing) = self.0.lock().get_mut(name) {
            change(&mut standing.report);
        }
    }

    /// What is wrong now, if something is; true if that is news.
    pub(super) fn set_problem(&self, name: &PairName, problem: Option<RegionProblem>) -> bool {
        let mut is_news = false;
        self.update(name, |report| {
            is_news = report.problem.as_ref().map(|known| known.reason) != problem.as_ref().map(|new| new.reason);
            report.problem = problem;
        });
        is_news
    }

    pub(crate) fn of(&self, partition: PartitionId) -> Vec<RegionReport> {
        let standings = self.0.lock();
        let of_partition = standings.range((partition, String::new())..).take_while(|((of, _), _)| *of == partition);
        of_partition.map(|(_, standing)| standing.report.clone()).collect()
    }

    pub(crate) fn all(&self) -> Vec<Standing> {
        self.0.lock().values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITION: PartitionId = PartitionId([2; 16]);

    #[test]
    fn a_partition_tells_of_its_own_regions_for_as_long_as_they_are_read() {
        let standings = Standings::default();
        let names = [(PARTITION, "north"), (PARTITION, "west"), (PartitionId([3; 16]), "west")];
        let names = names.map(|(partition, region)| (partition, region.to_owned()));
        names.iter().for_each(|name| standings.begin(name, "users"));
        let told = |partition| standings.of(partition).into_iter().map(|report| report.region).collect::<Vec<_>>();
        assert_eq!(told(PARTITION), ["north", "west"]);
        standings.end(&names[0]);
        standings.update(&names[0], |report| report.set_aside = 9);
        assert_eq!(told(PARTITION), ["west"]);
        assert_eq!(standings.all().len(), 2);
    }
}
