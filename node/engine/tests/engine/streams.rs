use crate::support::{applied, batch, create, fjall, memory};
use bytes::Bytes;
use cairn_engine::{ApplyBatch, Engine, Store, StreamWrite};
use cairn_model::{stream::SequenceNumber, time::Timestamp};

const OLD: u64 = 1_000;
const NEW: u64 = 2_000;

fn number(millis: u64, ordinal: u32) -> SequenceNumber {
    SequenceNumber { time: Timestamp::from_millis(millis), ordinal }
}

fn record(stream: u64, number: SequenceNumber) -> StreamWrite {
    StreamWrite { stream, number, record: Bytes::from(format!("{stream} {}", number.ordinal)) }
}

fn apply<S: Store>(engine: &Engine<S>, storage_id: u64, index: u64, stream: Vec<StreamWrite>) {
    engine.apply(storage_id, ApplyBatch { stream, applied: applied(index), ..batch(index, Vec::new()) }).unwrap();
}

fn numbers<S: Store>(
    engine: &Engine<S>,
    storage_id: u64,
    stream: u64,
    after: Option<SequenceNumber>,
) -> Vec<SequenceNumber> {
    engine.stream_records(storage_id, stream, after).map(|record| record.unwrap().0).collect()
}

#[test]
fn records_are_read_in_their_order_and_by_their_stream() {
    let (_, engine) = memory();
    let storage_id = create(&engine, 1, 1).storage_id;
    let (first, second, third) = (number(10, 0), number(10, 1), number(11, 0));
    apply(&engine, storage_id, 1, vec![record(OLD, first), record(OLD, second)]);
    apply(&engine, storage_id, 2, vec![record(OLD, third)]);
    apply(&engine, storage_id, 3, vec![record(NEW, number(12, 0))]);
    assert_eq!(numbers(&engine, storage_id, OLD, None), [first, second, third]);
    assert_eq!(numbers(&engine, storage_id, OLD, Some(first)), [second, third]);
    assert_eq!(numbers(&engine, storage_id, OLD, Some(first.before())), [first, second, third]);
    assert_eq!(numbers(&engine, storage_id, NEW, None), [number(12, 0)]);
    assert_eq!(engine.last_stream_number(storage_id, OLD).unwrap(), Some(third));
    assert_eq!(engine.last_stream_number(storage_id, 5).unwrap(), None);
    let (_, last) = engine.stream_records(storage_id, OLD, Some(second)).next().unwrap().unwrap();
    assert_eq!(last, format!("{OLD} 0"));
}

#[test]
fn records_are_trimmed_from_the_front_in_steps_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let engine = fjall(folder.path());
    let storage_id = create(&engine, 1, 1).storage_id;
    let all: Vec<_> = (0..10).map(|n| record(if n < 4 { OLD } else { NEW }, number(100 + n, 0))).collect();
    apply(&engine, storage_id, 1, all);
    let before = Timestamp::from_millis(107);
    assert!(engine.trim_streams(before, 5).unwrap(), "there may be more");
    assert_eq!(numbers(&engine, storage_id, OLD, None), []);
    assert_eq!(numbers(&engine, storage_id, NEW, None).len(), 5);
    assert!(!engine.trim_streams(before, 5).unwrap());
    assert_eq!(numbers(&engine, storage_id, NEW, None), [number(107, 0), number(108, 0), number(109, 0)]);
    apply(&engine, storage_id, 2, vec![record(NEW, number(110, 0))]);
    assert!(!engine.trim_streams(Timestamp::from_millis(110), 5).unwrap());
    assert_eq!(numbers(&engine, storage_id, NEW, None), [number(110, 0)]);
}

#[test]
fn a_snapshot_carries_the_records() {
    let (_, source) = memory();
    let replica = create(&source, 1, 1);
    apply(&source, replica.storage_id, 1, vec![record(OLD, number(10, 0)), record(OLD, number(10, 1))]);
    let (_, target) = memory();
    let mut writer = target.begin_load().unwrap();
    let mut reader = source.snapshot(replica.storage_id).unwrap();
    while let Some(chunk) = reader.next_chunk().unwrap() {
        target.load(&mut writer, &chunk).unwrap();
    }
    let ids = target.allocate_ids().unwrap();
    let installed = target.install(writer, replica.partition_id, replica.replica_id, ids.log_id).unwrap();
    assert_eq!(numbers(&target, installed.storage_id, OLD, None), [number(10, 0), number(10, 1)]);
}
