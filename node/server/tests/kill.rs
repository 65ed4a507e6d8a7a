//! `kill -9` of `cairn dev` at any moment loses no acknowledged write.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod support;

use serde_json::json;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use support::{Caller, Dev};

const WRITERS: u64 = 16;
const KILLS: u64 = 8;

/// For each writer: the last value acknowledged and the last one sent.
type Promises = HashMap<u64, (u64, u64)>;

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_loses_no_acknowledged_write() {
    let folder = tempfile::tempdir().unwrap();
    let mut promises: Promises = (0..WRITERS).map(|writer| (writer, (0, 0))).collect();
    let mut acknowledged = 0;
    for round in 0..KILLS {
        let mut dev = Dev::start(folder.path());
        let caller = Caller::new(&dev.endpoint);
        if round == 0 {
            caller.create_table("counters").await;
        } else {
            check(&caller, &promises).await;
        }
        let ended = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = promises
            .iter()
            .map(|(writer, promise)| tokio::spawn(write(caller.clone(), *writer, promise.1, ended.clone())))
            .collect();
        // A different moment each time, some of them while the first writes are under way.
        tokio::time::sleep(Duration::from_millis(20 + 130 * round)).await;
        dev.kill();
        ended.store(true, Ordering::Relaxed);
        for writer in writers {
            let (writer, last_acknowledged, last_sent) = writer.await.unwrap();
            let promise = promises.get_mut(&writer).unwrap();
            if let Some(last) = last_acknowledged {
                acknowledged += last - promise.1;
                promise.0 = last;
            }
            promise.1 = last_sent;
        }
    }
    let dev = Dev::start(folder.path());
    check(&Caller::new(&dev.endpoint), &promises).await;
    assert!(acknowledged > 500, "only {acknowledged} writes were acknowledged: the test shows little");
}

/// Counts upwards from `from` in the writer's own item until the process dies.
async fn write(caller: Caller, writer: u64, from: u64, ended: Arc<AtomicBool>) -> (u64, Option<u64>, u64) {
    let mut acknowledged = None;
    let mut value = from;
    while !ended.load(Ordering::Relaxed) {
        value += 1;
        let item = json!({"Id": {"S": writer.to_string()}, "Value": {"N": value.to_string()}});
        match caller.call("PutItem", json!({"TableName": "counters", "Item": item})).await {
            Ok((200, _)) => acknowledged = Some(value),
            Ok((status, answer)) => panic!("{status}: {answer}"),
            Err(_) => break,
        }
    }
    (writer, acknowledged, value)
}

async fn check(caller: &Caller, promises: &Promises) {
    for (writer, (acknowledged, sent)) in promises {
        let key = json!({"TableName": "counters", "Key": {"Id": {"S": writer.to_string()}}, "ConsistentRead": true});
        let answer = caller.ok("GetItem", key).await;
        let value: u64 = answer["Item"]["Value"]["N"].as_str().map_or(0, |n| n.parse().unwrap());
        assert!(
            (*acknowledged..=*sent).contains(&value),
            "writer {writer} was promised {acknowledged} and sent up to {sent}, and the table has {value}"
        );
    }
}
