//! Exports, asked for as routers ask, of archives that are processes over an S3 server.

use super::{PAUSE, TABLE, eventually, now_ms, put, shipped, turn_recovery_on};
use crate::support::{
    archives::Archives,
    group::{ACCOUNT, Group},
    s3,
};
use cairn_model::{
    archive::{ArchiveAnswer, ArchiveCall, ArchiveRefusal},
    export::{ExportFormat, ExportRecord, ExportScope, ExportState, ExportView},
};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::{collections::BTreeMap, io::Read, path::Path, time::Duration};
use tempfile::TempDir;

struct World {
    group: Group,
    archives: Archives,
    s3: TempDir,
    table: cairn_api::TableView,
}

impl World {
    /// With the table, whose recovery is on, and a bucket for exports beside that of the archives.
    async fn new() -> Self {
        let (group, (s3, endpoint)) = (Group::start_archived().await, s3::serve().await);
        std::fs::create_dir(s3.path().join("exports")).unwrap();
        let bucket = ["--archive", "s3://backups/east", "--archive-endpoint", &endpoint, "--archive-region", "any"];
        let keys = ["--archive-access-key-id", "key", "--archive-secret-access-key", "secret"];
        let archives = Archives::start_with(&group, &[&bucket[..], &keys].concat()).await;
        let table = group.create_table().await;
        turn_recovery_on(&group).await;
        let world = Self { group, archives, s3, table };
        shipped(&world.group, &world.archives).await;
        world
    }

    async fn put(&self, id: u64, value: &str) {
        put(&self.group, &self.table, id, value).await;
    }

    async fn begin(&self, node: usize, export: &ExportRecord) -> ExportRecord {
        let call = ArchiveCall::BeginExport { export: Box::new(export.clone()) };
        match self.archives.call(&self.group, node, &call).await.unwrap() {
            ArchiveAnswer::Export(export) => *export,
            other => panic!("{other:?}"),
        }
    }

    async fn describe(&self, node: usize, id: &str) -> ArchiveAnswer {
        let call = ArchiveCall::DescribeExport { export_id: id.to_owned() };
        self.archives.call(&self.group, node, &call).await.unwrap()
    }

    /// How an export ended, as one of the archives has it.
    async fn ended(&self, node: usize, id: &str) -> ExportState {
        for _ in 0..1_200 {
            match self.describe(node, id).await {
                ArchiveAnswer::Export(export) if export.state != ExportState::InProgress => return export.state,
                // An archive that has just started refuses.
                ArchiveAnswer::Export(_) | ArchiveAnswer::Refused { reason: ArchiveRefusal::Failed, .. } => {}
                other => panic!("{other:?}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("the export does not end");
    }

    fn object(&self, key: &str) -> Vec<u8> {
        std::fs::read(self.s3.path().join("exports").join(key)).unwrap()
    }

    /// The lines of the data files that a manifest names.
    fn lines(&self, state: &ExportState) -> Vec<Value> {
        let ExportState::Completed { manifest, item_count, .. } = state else { panic!("{state:?}") };
        let summary: Value = serde_json::from_slice(&self.object(manifest)).unwrap();
        let files = self.object(summary["manifestFilesS3Key"].as_str().unwrap());
        let mut text = String::new();
        for file in std::str::from_utf8(&files).unwrap().lines() {
            let file: Value = serde_json::from_str(file).unwrap();
            let data = self.object(file["dataFileS3Key"].as_str().unwrap());
            GzDecoder::new(&data[..]).read_to_string(&mut text).unwrap();
        }
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len() as u64, *item_count);
        lines
    }
}

fn record(random: u32, bucket: &str, scope: ExportScope) -> ExportRecord {
    let start_time_ms = now_ms();
    let export_id = format!("{start_time_ms:014}-{random:08x}");
    let table_arn = format!("arn:aws:dynamodb:east:{ACCOUNT}:table/counters");
    ExportRecord {
        arn: format!("{table_arn}/export/{export_id}"),
        export_id,
        table_arn,
        table_id: TABLE,
        scope,
        format: ExportFormat::DynamodbJson,
        until_request: false,
        client_token: None,
        s3_bucket: bucket.to_owned(),
        s3_prefix: None,
        encryption: None,
        filter: None,
        start_time_ms,
        state: ExportState::InProgress,
    }
}

fn values(lines: &[Value], image: &str) -> BTreeMap<String, String> {
    let text = |line: &Value, name: &str| line[image][name]["S"].as_str().map(str::to_owned);
    lines.iter().filter_map(|line| Some((text(line, "Id")?, text(line, "Value")?))).collect()
}

fn expected(items: &[(u64, &str)]) -> BTreeMap<String, String> {
    items.iter().map(|(id, value)| (id.to_string(), (*value).to_owned())).collect()
}

async fn moment() -> u64 {
    tokio::time::sleep(Duration::from_millis(20)).await;
    let moment = now_ms();
    tokio::time::sleep(Duration::from_millis(20)).await;
    moment
}

/// Whether a folder has a file whose name has this part.
fn holds(folder: &Path, part: &str) -> bool {
    std::fs::read_dir(folder).is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            entry.file_name().to_str().is_some_and(|name| name.contains(part)) || holds(&entry.path(), part)
        })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_exported_whole_and_incrementally_and_any_archive_tells_of_it() {
    let world = World::new().await;
    world.put(1, "one").await;
    world.put(2, "one").await;
    let from_ms = moment().await;
    world.put(2, "two").await;
    world.put(3, "two").await;
    let to_ms = moment().await;
    world.put(1, "three").await;

    let full = record(1, "exports", ExportScope::FullExport { time_ms: from_ms });
    // Two are asked at once, as a router does that has no patience.
    let (one, other) = tokio::join!(world.begin(0, &full), world.begin(1, &full));
    assert_eq!((&one.export_id, &other.export_id), (&full.export_id, &full.export_id));
    let state = world.ended(2, &full.export_id).await;
    assert_eq!(values(&world.lines(&state), "Item"), expected(&[(1, "one"), (2, "one")]));

    let view = ExportView::NewAndOldImages;
    let changes = record(2, "exports", ExportScope::IncrementalExport { from_ms, to_ms, view });
    world.begin(1, &changes).await;
    let state = world.ended(0, &changes.export_id).await;
    let lines = world.lines(&state);
    assert_eq!(values(&lines, "NewImage"), expected(&[(2, "two"), (3, "two")]));
    assert_eq!(values(&lines, "OldImage"), expected(&[(2, "one")]));

    // A file where its folder should be: the server can't take anything.
    std::fs::write(world.s3.path().join("nowhere"), "").unwrap();
    let nowhere = record(3, "nowhere", ExportScope::FullExport { time_ms: from_ms });
    world.begin(2, &nowhere).await;
    let state = world.ended(1, &nowhere.export_id).await;
    let ExportState::Failed { code, message, .. } = state else { panic!("{state:?}") };
    assert!(code.starts_with("S3"), "{code}");
    assert!(message.contains("nowhere"), "{message}");

    let list = |before: Option<&str>, limit| ArchiveCall::ListExports {
        table_arn: Some(full.table_arn.clone()),
        before: before.map(str::to_owned),
        limit,
    };
    let listed = async |node, call| match world.archives.call(&world.group, node, &call).await.unwrap() {
        ArchiveAnswer::Exports { exports, more } => {
            (exports.into_iter().map(|export| export.export_id).collect::<Vec<_>>(), more)
        }
        other => panic!("{other:?}"),
    };
    let newest = vec![nowhere.export_id.clone(), changes.export_id.clone()];
    assert_eq!(listed(0, list(None, 2)).await, (newest, true));
    assert_eq!(listed(1, list(Some(&changes.export_id), 2)).await, (vec![full.export_id.clone()], false));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_made_though_the_archive_that_makes_it_is_killed_and_then_the_node_beside_it() {
    let mut world = World::new().await;
    world.put(1, "one").await;
    // A time that is yet to come keeps it under way until then.
    let export = record(1, "exports", ExportScope::FullExport { time_ms: now_ms() + 4_000 });
    world.begin(0, &export).await;
    let exports = world.s3.path().join("exports");
    eventually("the export is under way", async || holds(&exports, "_started")).await;
    world.archives.kill_archive(0);
    assert!(matches!(world.describe(1, &export.export_id).await, ArchiveAnswer::Export(export)
        if export.state == ExportState::InProgress));
    world.archives.start_archive(&world.group, 0);
    world.archives.report(&world.group, 0).await;
    let state = world.ended(2, &export.export_id).await;
    assert_eq!(values(&world.lines(&state), "Item"), expected(&[(1, "one")]));

    // Without its node, an archive can't lay anything out: another does.
    let export = record(2, "exports", ExportScope::FullExport { time_ms: now_ms() + 4_000 });
    world.begin(0, &export).await;
    let folder = exports.join("AWSDynamoDB").join(&export.export_id);
    eventually("the export is under way", async || holds(&folder, "_started")).await;
    world.group.kill_node(0);
    let state = world.ended(1, &export.export_id).await;
    assert_eq!(values(&world.lines(&state), "Item"), expected(&[(1, "one")]));
}
