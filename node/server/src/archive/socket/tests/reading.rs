//! A past that is laid out in the node and read.

use super::{
    Pair, eventually,
    fake_node::{Event, ITEMS, NO_ROOM, definition, entry, past_item},
};
use crate::archive::Reader;
use bytes::Bytes;
use cairn_archive::restore::RestoreSink;
use cairn_model::time::Timestamp;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_laid_out_comes_back_in_the_order_of_its_keys_and_goes_when_it_was_read() {
    let pair = Pair::start();
    let read = pair.blocking(|archive| {
        let mut reading = Reader::begin(archive, Some(Timestamp(7))).unwrap();
        reading.chunk(Bytes::from_static(b"chunk")).unwrap();
        reading.chunks_done().unwrap();
        reading.entry(entry(1, 10).0).unwrap();
        let past = reading.read().unwrap();
        assert_eq!((&past.definition, past.size_bytes), (&definition(), 99));
        past.items.collect::<Vec<_>>()
    });
    let read = read.await;
    assert_eq!(read.len(), ITEMS as usize);
    for (number, item) in (1..).zip(&read) {
        match (item, past_item(number).unwrap()) {
            (Ok(item), Ok(expected)) => assert_eq!(*item, expected),
            (Err(error), Err(expected)) => assert_eq!(error.to_string(), expected.to_string()),
            other => panic!("{other:?}"),
        }
    }
    let expected = [
        Event::LaidOut(Some(Timestamp(7))),
        Event::Chunk(Bytes::from_static(b"chunk")),
        Event::ChunksDone,
        Event::Entry(entry(1, 10).0),
        Event::Read,
        Event::GivenUp,
    ];
    eventually(|| pair.node.events() == expected).await;
    pair.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_no_further_is_given_up() {
    let pair = Pair::start();
    pair.blocking(|archive| {
        let past = Reader::begin(archive, None).unwrap().read().unwrap();
        assert_eq!(past.items.take(3).count(), 3);
    })
    .await;
    eventually(|| pair.node.events().last() == Some(&Event::GivenUp)).await;
    assert!(pair.node.chunks_made() < ITEMS as usize, "it was read to its end");
    pair.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_goes_away_in_between_leaves_nothing() {
    let pair = Pair::start();
    pair.blocking(|archive| {
        let mut reading = Reader::begin(archive, None).unwrap();
        reading.chunk(Bytes::from_static(b"chunk")).unwrap();
    })
    .await;
    eventually(|| matches!(pair.node.events()[..], [] | [.., Event::GivenUp])).await;
    assert!(!pair.node.events().contains(&Event::Read));
    pair.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_room_and_a_chunk_that_is_damaged_say_why() {
    let pair = Pair::start();
    let refused = pair.blocking(|archive| {
        let mut full = Reader::begin(archive, Some(NO_ROOM)).unwrap();
        let piece = || Bytes::from_static(&[0; 1 << 20]);
        let full = full.chunk(piece()).and_then(|()| full.chunk(piece())).map(|()| full);
        let full = match full {
            Ok(full) => full.read().map(drop).unwrap_err(),
            Err(error) => anyhow::Error::from_boxed(error),
        };
        let mut damaged = Reader::begin(archive, None).unwrap();
        damaged.chunk(Bytes::from_static(b"damaged")).unwrap();
        (format!("{full:#}"), format!("{:#}", damaged.read().unwrap_err()))
    });
    let (full, damaged) = refused.await;
    assert!(full.contains("the volume is nearly full"), "{full}");
    assert!(damaged.contains("the chunk is damaged"), "{damaged}");
    pair.stop();
}
