//! The terms of a log's entries, in memory: they never fall along a log, so a few runs of one term each tell them all.

use super::LogEntry;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Terms {
    /// In the order of the entries.
    runs: Vec<Run>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    first: u64,
    term: u64,
}

impl Terms {
    /// The terms of the entries from `first` to `last`, reading few of them.
    pub(super) fn search<E>(first: u64, last: u64, read: impl Fn(u64) -> Result<u64, E>) -> Result<Self, E> {
        let mut runs = vec![Run { first, term: read(first)? }];
        let last_term = read(last)?;
        while let Some(run) = runs.last().copied().filter(|run| run.term != last_term) {
            // The first entry of another term lies in (low, high].
            let (mut low, mut high) = (run.first, last);
            let mut term = last_term;
            while low + 1 < high {
                let middle = low + (high - low) / 2;
                let found = read(middle)?;
                if found == run.term {
                    low = middle;
                } else {
                    (high, term) = (middle, found);
                }
            }
            runs.push(Run { first: high, term });
        }
        Ok(Self { runs })
    }

    /// The term of an entry between the first and the last.
    pub(super) fn of(&self, index: u64) -> Option<u64> {
        let behind = self.runs.partition_point(|run| run.first <= index);
        Some(self.runs.get(behind.checked_sub(1)?)?.term)
    }

    /// Adds entries; they replace those at their indexes and behind.
    pub(super) fn append(&mut self, entries: &[LogEntry]) {
        let Some(first) = entries.first() else { return };
        self.runs.truncate(self.runs.partition_point(|run| run.first < first.index));
        for entry in entries {
            if self.runs.last().is_none_or(|run| run.term != entry.term) {
                self.runs.push(Run { first: entry.index, term: entry.term });
            }
        }
    }

    /// Forgets the entries up to `to`.
    pub(super) fn cut(&mut self, to: u64) {
        let behind = self.runs.partition_point(|run| run.first <= to + 1);
        self.runs.drain(..behind.saturating_sub(1));
        if let Some(run) = self.runs.first_mut() {
            run.first = run.first.max(to + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn entries(terms: impl IntoIterator<Item = (u64, u64)>) -> Vec<LogEntry> {
        terms.into_iter().map(|(index, term)| LogEntry { index, term, kind: 0, payload: Bytes::new() }).collect()
    }

    #[test]
    fn terms_are_those_of_the_entries_last_written() {
        let mut terms = Terms::default();
        terms.append(&entries([(1, 1), (2, 1), (3, 2), (4, 5)]));
        assert_eq!((1..=4).map(|index| terms.of(index)).collect::<Vec<_>>(), [Some(1), Some(1), Some(2), Some(5)]);
        terms.append(&entries([(3, 6), (4, 6)]));
        assert_eq!((1..=4).map(|index| terms.of(index)).collect::<Vec<_>>(), [Some(1), Some(1), Some(6), Some(6)]);
    }

    #[test]
    fn what_is_cut_leaves_the_rest_as_it_was() {
        let mut terms = Terms::default();
        terms.append(&entries([(1, 1), (2, 1), (3, 2), (4, 5)]));
        for to in 1..4 {
            terms.cut(to);
            let rest = [1, 1, 2, 5].into_iter().skip(to as usize);
            assert!((to + 1..=4).map(|index| terms.of(index)).eq(rest.map(Some)), "{to}");
        }
    }

    #[test]
    fn a_search_finds_what_appending_told() {
        let all = entries([(4, 1), (5, 1), (6, 2), (7, 2), (8, 2), (9, 7), (10, 9), (11, 9)]);
        for first in 0..all.len() {
            for last in first..all.len() {
                let mut appended = Terms::default();
                appended.append(&all[first..=last]);
                let read = |index: u64| Ok::<u64, ()>(all[(index - 4) as usize].term);
                assert_eq!(Terms::search(all[first].index, all[last].index, read), Ok(appended));
            }
        }
    }
}
