//! The times that can be restored.

use cairn_model::time::Timestamp;

/// Both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub earliest: Timestamp,
    pub latest: Timestamp,
}

impl Window {
    pub fn contains(&self, time: Timestamp) -> bool {
        self.earliest <= time && time <= self.latest
    }
}

/// What of a table's past can be restored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Disjoint, ascending; more than one where something is missing between them.
    pub windows: Vec<Window>,
    /// What is wrong, for a person to read: failures that last, holes, damaged objects.
    pub problems: Vec<String>,
}

impl Recovery {
    /// The first whole millisecond that can be restored, as milliseconds since the Unix epoch.
    pub fn earliest_ms(&self) -> Option<u64> {
        self.windows.first().map(|window| window.earliest.0.div_ceil(1 << 16))
    }

    /// The last millisecond that can be restored, as milliseconds since the Unix epoch.
    pub fn latest_ms(&self) -> Option<u64> {
        self.windows.last().map(|window| window.latest.millis())
    }
}

/// `windows` in order, those that touch or overlap as one.
pub(crate) fn merge(mut windows: Vec<Window>) -> Vec<Window> {
    windows.sort_by_key(|window| window.earliest);
    let mut merged: Vec<Window> = Vec::new();
    for window in windows {
        match merged.last_mut() {
            Some(last) if window.earliest.0 <= last.latest.0.saturating_add(1) => {
                last.latest = last.latest.max(window.latest);
            }
            _ => merged.push(window),
        }
    }
    merged
}

/// The time in one of `windows` that is nearest to `at`.
pub(crate) fn nearest(windows: &[Window], at: Timestamp) -> Option<Timestamp> {
    windows.iter().map(|window| at.clamp(window.earliest, window.latest)).min_by_key(|time| time.0.abs_diff(at.0))
}

/// What is in both, each of which is disjoint and ascending.
pub(crate) fn intersection(a: &[Window], b: &[Window]) -> Vec<Window> {
    let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
    let both = pairs.map(|(a, b)| Window { earliest: a.earliest.max(b.earliest), latest: a.latest.min(b.latest) });
    both.filter(|window| window.earliest <= window.latest).collect()
}

/// What is in `a` but not in `b`, each of which is disjoint and ascending.
pub(crate) fn difference(a: &[Window], b: &[Window]) -> Vec<Window> {
    let mut left = Vec::new();
    for window in a {
        let mut earliest = Some(window.earliest);
        for other in b.iter().filter(|other| other.latest >= window.earliest && other.earliest <= window.latest) {
            if let Some(start) = earliest
                && start < other.earliest
            {
                left.push(Window { earliest: start, latest: Timestamp(other.earliest.0 - 1) });
            }
            earliest = other.latest.0.checked_add(1).map(Timestamp);
        }
        if let Some(start) = earliest.filter(|start| *start <= window.latest) {
            left.push(Window { earliest: start, latest: window.latest });
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(bounds: &[(u64, u64)]) -> Vec<Window> {
        bounds
            .iter()
            .map(|(earliest, latest)| Window { earliest: Timestamp(*earliest), latest: Timestamp(*latest) })
            .collect()
    }

    #[test]
    fn windows_are_sets_of_times() {
        // Every set of times below 6, as a bit each.
        let of = |set: u64| merge((0..6).filter(|n| set & (1 << n) != 0).map(|n| windows(&[(n, n)])[0]).collect());
        for (a, b) in (0..64).flat_map(|a| (0..64).map(move |b| (a, b))) {
            assert_eq!(intersection(&of(a), &of(b)), of(a & b));
            assert_eq!(difference(&of(a), &of(b)), of(a & !b));
            assert_eq!(merge([of(a), of(b)].concat()), of(a | b));
        }
    }

    #[test]
    fn the_nearest_time_may_be_on_either_side() {
        let windows = windows(&[(10, 20), (30, 40)]);
        for (at, expected) in [(0, 10), (15, 15), (24, 20), (26, 30), (99, 40)] {
            assert_eq!(nearest(&windows, Timestamp(at)), Some(Timestamp(expected)));
        }
        assert_eq!(nearest(&[], Timestamp(1)), None);
    }
}
