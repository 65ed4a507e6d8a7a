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
