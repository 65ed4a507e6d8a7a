//! Time To Live of a table: since when items expire, and by which attribute.

use cairn_crds::{TableResourceStatus, table::TimeToLiveStatus};
use cairn_model::table::TimeToLive;
use jiff::Timestamp;

/// Writes down since when items expire by the attribute that is asked for, once, before any node is told; and that they don't.
/// What the nodes hold already counts.
pub fn stamp(status: &mut TableResourceStatus, asked: Option<&str>, held: Option<&TimeToLive>, now: Timestamp) {
    let noted = status.time_to_live.take().filter(|noted| asked == Some(&noted.attribute_name));
    status.time_to_live = noted.or_else(|| {
        let attribute_name = asked?;
        let now_ms = u64::try_from(now.as_millisecond()).unwrap_or_default();
        let held = held.filter(|held| held.attribute_name == attribute_name);
        Some(TimeToLiveStatus::new(attribute_name, held.map_or(now_ms, |held| held.enabled_at_ms)))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn stamped(status: &mut TableResourceStatus, asked: Option<&str>, second: i64) -> Option<TimeToLive> {
        stamp(status, asked, None, at(second));
        status.time_to_live.as_ref().map(TimeToLiveStatus::definition)
    }

    fn since(attribute_name: &str, second: u64) -> Option<TimeToLive> {
        Some(TimeToLive { attribute_name: attribute_name.into(), enabled_at_ms: second * 1_000 })
    }

    #[test]
    fn the_first_time_is_kept_until_the_attribute_changes_or_it_is_turned_off() {
        let mut status = TableResourceStatus::default();
        assert_eq!(stamped(&mut status, Some("ends"), 5), since("ends", 5));
        assert_eq!(stamped(&mut status, Some("ends"), 6), since("ends", 5));
        assert_eq!(stamped(&mut status, Some("expires"), 7), since("expires", 7));
        assert_eq!(stamped(&mut status, None, 8), None);
        assert_eq!(stamped(&mut status, Some("ends"), 9), since("ends", 9));
    }

    #[test]
    fn what_the_nodes_hold_counts() {
        let mut status = TableResourceStatus::default();
        stamp(&mut status, Some("ends"), since("ends", 3).as_ref(), at(9));
        assert_eq!(status.time_to_live.as_ref().map(TimeToLiveStatus::definition), since("ends", 3));
        stamp(&mut status, Some("expires"), since("ends", 3).as_ref(), at(9));
        assert_eq!(status.time_to_live.as_ref().map(TimeToLiveStatus::definition), since("expires", 9));
    }
}
