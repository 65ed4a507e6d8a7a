//! Exports of a table that transactions write, and the table that becomes of one.

use crate::{
    setting::{Setting, eventually},
    support::{
        group::view,
        indexed::{
            Items, PAIRS, assert_pairs_whole, by_key, definition, expected, global_indexes, import, item, queried,
            scanned, write_pairs,
        },
    },
};
use cairn_model::{
    AttributeValue, Item, TableDefinition,
    codec::EncodedItem,
    ids::{RequestId, TableId},
    key::EncodedKey,
    number::Number,
};
use cairn_replication::{
    operation::{PartitionOutcome, PartitionRequest, ReturnValues, WriteAction, WriteRequest},
    transaction::{
        Idempotency, Participant, TransactAction, TransactOutcome, TransactRequest, TransactStep, TransactWrite,
        TransactionId,
    },
};
use cairn_server::environment::wall_ms;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const TRANSACTION: TransactionId = TransactionId([42; 16]);

/// With the table `users`, which has indexes and a stream and can be restored, and the table `orders`.
async fn world() -> (Setting, TableDefinition) {
    let setting = Setting::new().await;
    let mut request = definition();
    request["TableName"] = json!("users");
    setting.caller.ok("CreateTable", request).await;
    setting.declare("users", json!({"continuousBackups": {"pointInTimeRecoveryEnabled": true}}));
    setting.caller.create_table("orders").await;
    let users = setting.make("users").await;
    setting.make("orders").await;
    eventually("the table can be restored", async || {
        let described = setting.caller.call("DescribeContinuousBackups", json!({"TableName": "users"})).await;
        let described = described.unwrap().1;
        described["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["LatestRestorableDateTime"]
            .is_number()
    })
    .await;
    (setting, users)
}

fn items(setting: &Setting, export: &Value) -> Items {
    by_key(setting.lines(export).into_iter().map(|mut line| line["Item"].take()))
}

/// A step in `users` of a transaction that puts one item there, and of which it is not the primary.
async fn step(setting: &Setting, users: &TableDefinition, commits: bool) -> TransactOutcome {
    let item = Item::from([
        ("Id".to_owned(), AttributeValue::S("prepared".to_owned())),
        ("At".to_owned(), AttributeValue::N(Number::from(1_u64))),
    ]);
    let key = EncodedKey::new(&users.key_schema, &item).unwrap();
    let write = WriteRequest {
        request_id: RequestId([0; 16]),
        key: key.clone(),
        action: WriteAction::Put(EncodedItem::encode(&item)),
        condition: None,
        return_values: ReturnValues::None,
        return_item_on_condition_failure: false,
    };
    let participants = [TableId([0; 16]), users.table_id].map(|table_id| Participant { table_id, key: key.clone() });
    let prepares = TransactStep::Write(TransactWrite {
        idempotency: Idempotency { token: [1; 16], parameters: [2; 16] },
        actions: vec![TransactAction::Write(write)],
        participants: participants.to_vec(),
        begun_ms: wall_ms(),
    });
    let step = if commits { TransactStep::Commit } else { prepares };
    let request_id = RequestId(*uuid::Uuid::new_v4().as_bytes());
    let request = PartitionRequest::Transact(TransactRequest { request_id, transaction: TRANSACTION, step });
    match setting.group.request(&view(users.clone()), &key.0, request).await.unwrap() {
        PartitionOutcome::Transact(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_has_the_items_alone_with_transactions_whole_and_becomes_a_table_with_its_indexes() {
    let (setting, users) = world().await;
    for n in 0..30 {
        setting.caller.ok("PutItem", json!({"TableName": "users", "Item": item("single", n, n)})).await;
    }
    let ended = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write_pairs(setting.caller.clone(), ended.clone()));
    let mut begun = Vec::new();
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        begun.push(setting.begin_export(json!({})).await);
    }
    ended.store(true, Ordering::Relaxed);
    assert!(writer.await.unwrap() > PAIRS, "the test needs more transactions");
    let prepared = step(&setting, &users, false).await;
    assert!(matches!(prepared, TransactOutcome::Prepared(_)), "{prepared:?}");
    for arn in begun {
        let items = items(&setting, &setting.exported(&arn).await);
        assert_pairs_whole(&items);
        assert_eq!(items.keys().filter(|(id, _)| id == "single").count(), 30);
    }
    let before = setting.begin_export(json!({})).await;
    let without_prepared = by_key(scanned(&setting.caller, "users", None).await);
    // Only now is it known that it was not decided by the time of the export.
    let committed = step(&setting, &users, true).await;
    assert!(matches!(committed, TransactOutcome::Committed(_)), "{committed:?}");
    let export = setting.exported(&before).await;
    let imported = items(&setting, &export);
    assert_eq!(imported, without_prepared, "what is prepared is not there yet");
    let after = setting.begin_export(json!({})).await;
    let mut with_prepared = items(&setting, &setting.exported(&after).await);
    assert_eq!(
        with_prepared.remove(&("prepared".to_owned(), "1".to_owned())).map(|_| with_prepared),
        Some(imported.clone())
    );

    let prefix = export["ExportManifest"].as_str().unwrap().replace("manifest-summary.json", "data/");
    let more = json!({"ClientToken": "once", "InputCompressionType": "GZIP"});
    let request = import("again", ["exports", &prefix], more);
    let begun = setting.caller.ok("ImportTable", request.clone()).await["ImportTableDescription"].clone();
    let once_more = setting.caller.ok("ImportTable", request.clone()).await;
    assert_eq!(once_more["ImportTableDescription"]["ImportArn"], begun["ImportArn"]);
    setting.import("again").await;
    let (_, is_there) = setting.caller.call("ImportTable", request).await.unwrap();
    assert_eq!(is_there["message"], "Table already exists: again");
    let described = setting.caller.ok("DescribeImport", json!({"ImportArn": begun["ImportArn"]})).await;
    let import = &described["ImportTableDescription"];
    let count = imported.len() as u64;
    let counts = ["ProcessedItemCount", "ImportedItemCount", "ErrorCount"].map(|name| import[name].as_u64().unwrap());
    assert_eq!((&import["ImportStatus"], counts), (&json!("COMPLETED"), [count, count, 0]), "{import}");
    assert_eq!(import["TableCreationParameters"], begun["TableCreationParameters"]);
    assert_eq!(by_key(scanned(&setting.caller, "again", None).await), imported);
    for index in global_indexes() {
        let name = index["IndexName"].as_str().unwrap();
        assert_eq!(queried(&setting.caller, "again", &index, &imported).await, expected(&index, &imported), "{name}");
        assert_eq!(by_key(scanned(&setting.caller, "again", Some(name)).await), expected(&index, &imported), "{name}");
    }
}
