//! Exports: begun once, made by one at a time, and never in progress for ever.

use super::{Beside, damage, eventually, exporter, exporter_at, refused};
use crate::{archive::testing::ACCOUNT, environment};
use cairn_archive::export::{ExportRecords, Maker};
use cairn_model::{
    archive::{ArchiveAnswer, ArchiveCall, ArchiveRefusal},
    export::{ExportFormat, ExportRecord, ExportScope, ExportState, ExportView},
    ids::TableId,
};
use cairn_replication::{Clock, Now};
use std::{
    collections::BTreeMap,
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

const TABLE: u8 = 7;

fn record(random: u32, scope: ExportScope) -> ExportRecord {
    let start_time_ms = environment::wall_ms();
    let export_id = format!("{start_time_ms:014}-{random:08x}");
    let table_arn = format!("arn:aws:dynamodb:east:{ACCOUNT}:table/users");
    ExportRecord {
        arn: format!("{table_arn}/export/{export_id}"),
        export_id,
        table_arn,
        table_id: TableId([TABLE; 16]),
        scope,
        format: ExportFormat::DynamodbJson,
        until_request: false,
        client_token: None,
        s3_bucket: "exports".into(),
        s3_prefix: Some("some".into()),
        encryption: None,
        filter: None,
        start_time_ms,
        state: ExportState::InProgress,
    }
}

fn full(random: u32) -> ExportRecord {
    record(random, ExportScope::FullExport { time_ms: environment::wall_ms() })
}

/// A clock that goes on when it is told to.
#[derive(Debug, Default)]
struct Hands(AtomicU64);

impl Hands {
    fn pass(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Clock for Hands {
    fn now(&self) -> Now {
        Now { wall_ms: environment::wall_ms(), boot_ms: self.0.load(Ordering::Relaxed) }
    }
}

/// Between two writes.
async fn moment() -> u64 {
    tokio::time::sleep(Duration::from_millis(5)).await;
    let moment = environment::wall_ms();
    tokio::time::sleep(Duration::from_millis(5)).await;
    moment
}

impl Beside {
    async fn begin(&self, export: &ExportRecord) -> ArchiveAnswer {
        self.service.answer(ArchiveCall::BeginExport { export: Box::new(export.clone()) }).await
    }

    async fn export(&self, id: &str) -> ExportRecord {
        match self.service.answer(ArchiveCall::DescribeExport { export_id: id.to_owned() }).await {
            ArchiveAnswer::Export(export) => *export,
            other => panic!("{other:?}"),
        }
    }

    /// How an export ended.
    async fn ended(&self, id: &str) -> ExportState {
        eventually(async || self.export(id).await.state != ExportState::InProgress).await;
        self.export(id).await.state
    }

    /// How many files of an export have data.
    fn data_files(&self, id: &str) -> usize {
        self.exported(".json.gz").iter().filter(|path| path.contains(id)).count()
    }

    fn exported(&self, end: &str) -> Vec<String> {
        let objects = self.objects(end).into_iter();
        let there = objects.map(|path| path.to_str().unwrap().to_owned()).filter(|path| path.contains("AWSDynamoDB"));
        there.collect()
    }

    /// The lines of all data files there are.
    fn lines(&self) -> Vec<serde_json::Value> {
        let mut text = String::new();
        for file in self.exported(".json.gz") {
            flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
        }
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn records(&self) -> ExportRecords {
        ExportRecords::new(self.reach.access().unwrap().0, "east", ACCOUNT)
    }

    /// With the table `users`, all of which can be restored.
    async fn with_users() -> (Self, cairn_model::ids::PartitionId) {
        let beside = Self::start().await;
        let users = beside.node.create_table("users", TABLE).await;
        beside.shipped().await;
        (beside, users)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_exported_as_it_was_and_with_what_changed() {
    let (beside, users) = Beside::with_users().await;
    for id in 0..500 {
        beside.node.put(users, id, 1).await;
    }
    let from_ms = moment().await;
    beside.node.put(users, 3, 2).await;
    beside.node.put(users, 900, 2).await;
    let to_ms = moment().await;
    beside.node.put(users, 4, 3).await;

    let export = record(1, ExportScope::FullExport { time_ms: from_ms });
    let ArchiveAnswer::Export(begun) = beside.begin(&export).await else { panic!() };
    assert_eq!(*begun, export);
    let ExportState::Completed { item_count, manifest, .. } = beside.ended(&export.export_id).await else { panic!() };
    assert_eq!((item_count, manifest), (500, format!("some/AWSDynamoDB/{}/manifest-summary.json", export.export_id)));
    let items: BTreeMap<String, String> = beside
        .lines()
        .iter()
        .map(|line| {
            [&line["Item"]["Id"]["S"], &line["Item"]["Value"]["S"]].map(|text| text.as_str().unwrap().to_owned())
        })
        .map(|[id, value]| (id, value))
        .collect();
    assert_eq!(items.len(), 500);
    assert!(items.values().all(|value| value == "1"));
    // Asked again, it is the same.
    let ArchiveAnswer::Export(again) = beside.begin(&export).await else { panic!() };
    assert!(matches!(again.state, ExportState::Completed { .. }));

    for file in beside.exported(".json.gz") {
        std::fs::remove_file(file).unwrap();
    }
    let view = ExportView::NewAndOldImages;
    let export = record(2, ExportScope::IncrementalExport { from_ms, to_ms, view });
    beside.begin(&export).await;
    let ExportState::Completed { item_count: 2, .. } = beside.ended(&export.export_id).await else { panic!() };
    let mut changes = beside.lines();
    changes.sort_by_key(|line| line["Keys"]["Id"]["S"].as_str().unwrap().to_owned());
    let image = |id: &str, value: &str| serde_json::json!({"Id": {"S": id}, "Value": {"S": value}});
    assert_eq!((&changes[0]["NewImage"], &changes[0]["OldImage"]), (&image("3", "2"), &image("3", "1")));
    assert_eq!(changes[1]["NewImage"], image("900", "2"));
    assert!(changes[1].get("OldImage").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_stands_for_one_export_at_whichever_archive() {
    let (beside, users) = Beside::with_users().await;
    beside.node.put(users, 1, 1).await;
    let other = exporter("node-1", &beside.node, &beside.reach);
    let under = |random| ExportRecord { client_token: Some("once".into()), ..full(random) };
    let (one, two) = (under(1), under(2));
    let (first, second) = tokio::join!(beside.exporter.begin(one.clone()), other.begin(two));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.export_id, second.export_id);
    beside.ended(&first.export_id).await;
    assert_eq!(beside.lines().len(), 1);
    let found = beside.service.answer(ArchiveCall::FindExport { client_token: "once".into() }).await;
    assert_eq!(found, ArchiveAnswer::Export(Box::new(beside.export(&first.export_id).await)));
    let none = beside.service.answer(ArchiveCall::FindExport { client_token: "never".into() }).await;
    assert_eq!(refused(none).0, ArchiveRefusal::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_whose_archive_fell_silent_is_taken_up_and_nothing_of_the_attempt_stays() {
    let (beside, users) = Beside::with_users().await;
    beside.node.put(users, 1, 1).await;
    let export = full(1);
    // Another began it, wrote a file, and died.
    let dead = Maker { name: "node-9".into(), instance: "a".into() };
    let records = beside.records();
    records.attempt(&export.export_id, 1, &dead).await.unwrap().unwrap();
    records.begin(&export).await.unwrap();
    let state = beside.ended(&export.export_id).await;
    assert!(matches!(state, ExportState::Completed { item_count: 1, .. }), "{state:?}");
    // How it ended is told before what was open is tidied away.
    eventually(async || records.open().await.unwrap().is_empty()).await;
    assert_eq!(beside.exported(".json.gz").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_nobody_noted_is_noted_and_a_failed_one_leaves_no_files() {
    let (mut beside, users) = Beside::with_users().await;
    beside.node.put(users, 1, 1).await;
    let exports = [(full(1), true), (full(2), false)];
    for (export, _) in &exports {
        beside.begin(export).await;
        beside.ended(&export.export_id).await;
        assert_eq!(beside.data_files(&export.export_id), 1);
    }
    // That it ended is told before the maker is done with it, and a last sign of life may still be on its way.
    beside.stop_exporting().await;
    let dead = Maker { name: "node-9".into(), instance: "a".into() };
    let records = beside.records();
    let mut outcomes = Vec::new();
    for (export, fails) in exports {
        let id = &export.export_id;
        let completed = beside.export(id).await;
        // As if it had not been noted, and its maker had died in a second attempt.
        for end in beside.objects(&format!("{id}.ended.json")) {
            std::fs::remove_file(end).unwrap();
        }
        let failed = ExportState::Failed { end_time_ms: 5, code: "UNKNOWN".into(), message: "it failed".into() };
        let outcome = if fails { ExportRecord { state: failed, ..completed } } else { completed };
        let attempt = records.attempt(id, 2, &dead).await.unwrap().unwrap();
        assert!(attempt.conclude(&outcome).await.unwrap());
        let _ = records.begin(&export).await;
        outcomes.push((outcome, fails));
    }
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(exporter("node-1", &beside.node, &beside.reach).run(stopped));
    for (outcome, fails) in outcomes {
        beside.ended(&outcome.export_id).await;
        assert_eq!(beside.export(&outcome.export_id).await, outcome);
        assert_eq!(beside.data_files(&outcome.export_id), usize::from(!fails));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_is_left_alone_by_others_and_given_to_them_when_it_stops() {
    let (mut beside, users) = Beside::with_users().await;
    beside.node.put(users, 1, 1).await;
    beside.stop_exporting().await;
    let clock = Arc::new(Hands::default());
    let [first, other] = ["node-1", "node-2"].map(|name| {
        let (stop, stopped) = watch::channel(false);
        let exporter = exporter_at(clock.clone(), name, &beside.node, &beside.reach);
        (stop, tokio::spawn(exporter.run(stopped)))
    });
    // What it waits for does not come for a while: an hour is not over.
    let export = record(1, ExportScope::FullExport { time_ms: environment::wall_ms() + 3_600_000 });
    beside.begin(&export).await;
    let records = beside.records();
    let sign = async || records.open().await.unwrap()[&export.export_id].clone();
    let attempt = async || sign().await.map(|(number, _)| number);
    eventually(async || attempt().await == Some(1)).await;
    // Longer than one may be silent, but it never is.
    for _ in 0..12 {
        let before = sign().await;
        clock.pass(500);
        eventually(async || sign().await != before).await;
    }
    assert_eq!(attempt().await, Some(1));
    // It is the first's, or the other's: whichever stops, the one that stays goes on.
    for (number, (stop, exporting)) in [other, first].into_iter().enumerate() {
        stop.send(true).unwrap();
        exporting.await.unwrap();
        assert_eq!(beside.export(&export.export_id).await.state, ExportState::InProgress, "{number} is stopped");
    }
    eventually(async || {
        let last = Maker { name: "node-5".into(), instance: "a".into() };
        let number = attempt().await.unwrap();
        records.end_of_attempt(&export.export_id, number, &last).await.unwrap().is_some()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_whose_bucket_fails_for_a_while_is_made_by_a_later_attempt() {
    let (beside, users) = Beside::with_users().await;
    beside.node.put(users, 1, 1).await;
    let started = async || beside.exported("_started").pop();
    let records = beside.records();
    // A time that is yet to come: until then, a file is put where the folder of its files should be.
    let export = ExportRecord { scope: ExportScope::FullExport { time_ms: environment::wall_ms() + 5_000 }, ..full(1) };
    beside.begin(&export).await;
    eventually(async || started().await.is_some()).await;
    let data = std::path::PathBuf::from(started().await.unwrap()).with_file_name("data");
    std::fs::write(&data, "").unwrap();
    let other = Maker { name: "node-5".into(), instance: "a".into() };
    eventually(async || records.end_of_attempt(&export.export_id, 1, &other).await.unwrap().is_some()).await;
    assert_eq!(beside.export(&export.export_id).await.state, ExportState::InProgress);
    std::fs::remove_file(&data).unwrap();
    let state = beside.ended(&export.export_id).await;
    assert!(matches!(state, ExportState::Completed { item_count: 1, .. }), "{state:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_never_comes_to_its_end_fails_with_what_is_known_of_it() {
    let (beside, _) = Beside::with_users().await;
    let export = full(1);
    let records = beside.records();
    let dead = Maker { name: "node-9".into(), instance: "a".into() };
    for number in 1..=10 {
        let attempt = records.attempt(&export.export_id, number, &dead).await.unwrap().unwrap();
        attempt.give_up("the volume is nearly full".into()).await.unwrap();
    }
    records.begin(&export).await.unwrap();
    let state = beside.ended(&export.export_id).await;
    let ExportState::Failed { code, message, .. } = state else { panic!("{state:?}") };
    assert_eq!(code, "UNKNOWN");
    assert!(message.contains("10 times") && message.contains("the volume is nearly full"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_log_is_damaged_is_not_exported_wrong_and_leaves_no_files() {
    let (beside, users) = Beside::with_users().await;
    for value in 0..3 {
        beside.node.put(users, 1, value).await;
        beside.shipped().await;
    }
    let export = full(1);
    beside.shipped().await;
    damage(&beside.objects(".seg").pop().unwrap());
    beside.begin(&export).await;
    let state = beside.ended(&export.export_id).await;
    let ExportState::Failed { message, .. } = state else { panic!("{state:?}") };
    assert!(message.contains("damaged") || message.contains("checksum"), "{message}");
    assert_eq!(beside.exported(".json.gz"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_could_leave_the_folder_of_exports_is_refused() {
    let beside = Beside::start().await;
    beside.reachable().await;
    for call in [
        ArchiveCall::DescribeExport { export_id: "../backups".into() },
        ArchiveCall::BeginExport { export: Box::new(ExportRecord { export_id: "a/b".into(), ..full(1) }) },
        ArchiveCall::BeginExport { export: Box::new(ExportRecord { s3_prefix: Some("a//b".into()), ..full(1) }) },
    ] {
        assert_eq!(refused(beside.service.answer(call).await).0, ArchiveRefusal::Invalid);
    }
    let missing = ArchiveCall::DescribeExport { export_id: full(1).export_id };
    assert_eq!(refused(beside.service.answer(missing).await).0, ArchiveRefusal::NotFound);
}
