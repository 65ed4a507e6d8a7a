//! The streams of a Table: since when each is on, written down before the nodes are told of it.

use crate::error::Result;
use cairn_crds::{Table, TableResourceStatus, table::StreamStatus};
use cairn_model::{
    arn::{StreamArn, TableArn},
    stream::{Streams, label},
};
use jiff::Timestamp;

/// Notes in `status` which streams the table has once its spec is followed. `held`: those that the nodes have.
/// `born_ms`: when a stream of a table begins that is made only now; milliseconds since the Unix epoch.
pub fn stamp(
    status: &mut TableResourceStatus,
    table: &Table,
    held: Option<&Streams>,
    born_ms: Option<u64>,
    now: Timestamp,
) -> Result<()> {
    let written = StreamStatus::streams(&status.streams)?;
    // Nodes that have a stream which was never written down, or is not any more, know better; so do those where one has ended, for a
    // drop that was taken back: what was written since is not in it.
    let has_ended = |held: &Streams| written.current.is_some_and(|stream| held.has_ended(stream.enabled_at_ms));
    let knows_better = |held: &&Streams| newest_ms(held) > newest_ms(&written) || has_ended(held);
    let known = held.filter(knows_better).cloned().unwrap_or(written);
    let now_ms = born_ms.unwrap_or_else(|| u64::try_from(now.as_millisecond()).unwrap_or_default());
    let streams = table.streams_asked(known, Some(now_ms))?;
    status.streams = StreamStatus::list(&streams);
    Ok(())
}

/// Fills in what follows from the streams: the latest that can be read.
pub fn observe(status: &mut TableResourceStatus, table: TableArn<'_>, now: Timestamp) -> Result<()> {
    let now_ms = u64::try_from(now.as_millisecond()).unwrap_or_default();
    let streams = StreamStatus::streams(&status.streams)?;
    let latest = streams.readable(now_ms).next_back().map(|(stream, _)| stream.enabled_at_ms);
    status.latest_stream_label = latest.map(label);
    status.latest_stream_arn = latest.map(|enabled_at_ms| StreamArn { table, enabled_at_ms }.to_string());
    Ok(())
}

fn newest_ms(streams: &Streams) -> Option<u64> {
    let past = streams.past.iter().map(|past| past.stream);
    past.chain(streams.current).map(|stream| stream.enabled_at_ms).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::fixture;
    use cairn_crds::table::StreamSpecification;
    use cairn_model::table::StreamViewType;

    fn table(view_type: Option<StreamViewType>) -> Table {
        let mut table = fixture::table("users");
        table.spec.stream_specification = Some(StreamSpecification::of_view_type(view_type));
        table
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    const ON: Option<StreamViewType> = Some(StreamViewType::NewImage);
    const ARN: TableArn<'_> = TableArn { region: "east", account: "game", table_name: "users" };

    #[test]
    fn a_stream_begins_once_whoever_looks_again() {
        let mut status = TableResourceStatus::default();
        stamp(&mut status, &table(ON), None, None, at(5)).unwrap();
        let begun = status.streams.clone();
        assert_eq!(begun[0].stream_label, "1970-01-01T00:00:05.000");
        let held = Streams::default();
        stamp(&mut status, &table(ON), Some(&held), None, at(9)).unwrap();
        assert_eq!(status.streams, begun, "the nodes have only to hear of it");
        observe(&mut status, ARN, at(9)).unwrap();
        let arn = "arn:aws:dynamodb:east:game:table/users/stream/1970-01-01T00:00:05.000";
        assert_eq!(status.latest_stream_arn.as_deref(), Some(arn));
    }

    #[test]
    fn a_table_that_is_made_with_a_stream_has_it_from_the_start() {
        let mut status = TableResourceStatus::default();
        stamp(&mut status, &table(ON), None, Some(3_000), at(9)).unwrap();
        assert_eq!(status.streams[0].stream_label, "1970-01-01T00:00:03.000");
    }

    #[test]
    fn a_stream_that_ends_is_told_of_for_a_day() {
        let mut status = TableResourceStatus::default();
        stamp(&mut status, &table(ON), None, None, at(5)).unwrap();
        stamp(&mut status, &table(None), None, None, at(6)).unwrap();
        assert_eq!(status.streams[0].disabled_at.as_deref(), Some("1970-01-01T00:00:06.000"));
        for (second, label) in [(7, Some("1970-01-01T00:00:05.000")), (6 + 24 * 3_600, None)] {
            observe(&mut status, ARN, at(second)).unwrap();
            assert_eq!(status.latest_stream_label.as_deref(), label);
        }
    }

    #[test]
    fn a_stream_that_has_ended_on_the_nodes_is_followed_by_another() {
        let mut status = TableResourceStatus::default();
        stamp(&mut status, &table(ON), None, None, at(5)).unwrap();
        let mut held = Streams::default();
        held.enable(StreamViewType::NewImage, 5_000);
        stamp(&mut status, &table(ON), Some(&held), None, at(6)).unwrap();
        assert_eq!(status.streams.len(), 1);
        held.disable(7_000);
        stamp(&mut status, &table(ON), Some(&held), None, at(9)).unwrap();
        let streams = StreamStatus::streams(&status.streams).unwrap();
        assert_eq!((streams.past, streams.current.map(|stream| stream.enabled_at_ms)), (held.past, Some(9_000)));
    }

    #[test]
    fn streams_that_were_never_written_down_are_those_that_the_nodes_have() {
        let mut held = Streams::default();
        held.enable(StreamViewType::NewImage, 4_000);
        let mut status = TableResourceStatus::default();
        stamp(&mut status, &table(ON), Some(&held), None, at(9)).unwrap();
        assert_eq!(StreamStatus::streams(&status.streams).unwrap(), held);
    }
}
