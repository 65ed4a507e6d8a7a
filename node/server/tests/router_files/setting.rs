//! A router's API over three storage nodes and their archives, with an S3 server; the test is the operator.

use crate::support::{
    Caller,
    api_server::ApiServer,
    archives::Archives,
    group::{ACCOUNT, GROUP, Group},
    router, s3,
};
use cairn_api::ApiConfig;
use cairn_crds::{Table, table::ImportStatus};
use cairn_model::{
    TableDefinition,
    archive::{ArchiveAnswer, ArchiveCall, ArchiveRefusal, import},
    ids::{PartitionId, TableId},
    index::IndexPartition,
    node::{Order, OrderOutcome, ReplicaReport, ReplicaState},
};
use cairn_server::router::{fleet::Fleet, tables::Tables, writes::ApiWrites};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::{io::Read, path::PathBuf, sync::Arc, time::Duration};
use tempfile::TempDir;

const PAUSE: Duration = Duration::from_millis(50);

pub struct Setting {
    pub caller: Caller,
    pub group: Group,
    archives: Archives,
    s3: TempDir,
    api_server: ApiServer,
    tables: Arc<Tables>,
}

pub async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if done().await {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("not within thirty seconds: {what}");
}

fn is_filled(replica: &ReplicaReport, index: TableId) -> bool {
    replica.state == ReplicaState::Leader
        && replica.definition.table_id == index
        && replica.fed_by.iter().any(|fed| fed.complete)
}

impl Setting {
    /// With the buckets `exports` and `source` beside that of the archives.
    pub async fn new() -> Self {
        let (group, (s3, endpoint)) = (Group::start_archived().await, s3::serve().await);
        for bucket in ["exports", "source"] {
            std::fs::create_dir(s3.path().join(bucket)).unwrap();
        }
        let bucket = ["--archive", "s3://backups/east", "--archive-endpoint", &endpoint, "--archive-region", "any"];
        let keys = ["--archive-access-key-id", "key", "--archive-secret-access-key", "secret"];
        let archives = Archives::start_with(&group, &[&bucket[..], &keys].concat()).await;
        let nodes: Vec<Value> = (0..3)
            .map(|node| json!({"address": group.address(node), "zone": "z", "archive": archives.address(node)}))
            .collect();
        let groups = json!({"version": 1, "groups": [{"account": ACCOUNT, "group": GROUP, "nodes": nodes}]});
        let told = Arc::new(Fleet::default());
        told.update(br#"{"version": 1}"#, groups.to_string().as_bytes()).unwrap();
        let (api_server, kubernetes) = ApiServer::start().await;
        let (client, nodes) = (group.as_router.clone(), group.map.clone());
        let (backends, tables) = router::backends(client, nodes, told, kubernetes, ApiWrites::Own);
        let config = ApiConfig { export_span_min: Duration::ZERO, ..ApiConfig::new("east") };
        let caller = router::serve(config, backends).await;
        Self { caller, group, archives, s3, api_server, tables }
    }

    /// The router is told of the Tables as they are.
    fn watch(&self) {
        let tables = self.api_server.all("tables").into_iter().map(|table| serde_json::from_value(table).unwrap());
        self.tables.replace(None, tables.collect());
    }

    /// Puts an object into the bucket `source`.
    pub fn put_source(&self, key: &str, content: &str) {
        std::fs::write(self.s3.path().join("source").join(key), content).unwrap();
    }

    pub fn resource(&self, name: &str) -> Table {
        serde_json::from_value(self.api_server.get("tables", name).unwrap()).unwrap()
    }

    /// Declares more of a table than the API was asked for.
    pub fn declare(&self, name: &str, more: Value) {
        let mut table = self.api_server.get("tables", name).unwrap();
        table["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.api_server.put("tables", name, table, "kubectl");
        self.watch();
    }

    fn change_status(&self, name: &str, more: Value) {
        let mut status = self.api_server.get("tables", name).unwrap()["status"].take();
        if status.is_null() {
            status = json!({});
        }
        status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.api_server.set_status("tables", name, status);
        self.watch();
    }

    /// Gives a table, and each of its indexes, what it is known by; its definition, with its indexes where they will be.
    async fn give(&self, name: &str) -> TableDefinition {
        let spec = self.api_server.get("tables", name).unwrap()["spec"].take();
        let indexes = (0..).zip(spec["globalSecondaryIndexes"].as_array().into_iter().flatten());
        let indexes: Vec<Value> = indexes
            .map(|(slot, index): (u64, &Value)| {
                let keys = index["keySchema"].as_array().unwrap();
                let is_key = |attribute: &&Value| {
                    keys.iter().any(|element| element["attributeName"] == attribute["attributeName"])
                };
                let attributes: Vec<&Value> =
                    spec["attributeDefinitions"].as_array().unwrap().iter().filter(is_key).collect();
                json!({
                    "indexName": index["indexName"], "indexId": uuid::Uuid::new_v4().to_string(), "slot": slot,
                    "indexStatus": "CREATING", "placements": [], "keySchema": keys, "attributeDefinitions": attributes,
                    "projection": index["projection"],
                })
            })
            .collect();
        let mut status = json!({
            "tableStatus": "CREATING", "tableId": uuid::Uuid::new_v4().to_string(),
            "creationDateTime": "2026-01-01T00:00:00Z", "continuousBackups": {"enabledAt": "2026-01-01T00:00:00Z"},
            "globalSecondaryIndexes": indexes,
        });
        if let Some(attribute) = spec["timeToLive"]["attributeName"].as_str() {
            status["timeToLive"] = json!({"attributeName": attribute, "enabledAt": "2026-01-01T00:00:00Z"});
        }
        if let Some(view) = spec["streamSpecification"]["streamViewType"].as_str() {
            let label = "2026-01-01T00:00:00.000";
            status["streams"] = json!([{"streamLabel": label, "streamViewType": view, "streamStatus": "ENABLED"}]);
        }
        self.change_status(name, status);
        let mut definition = self.resource(name).definition().unwrap();
        for index in &mut definition.global_indexes {
            let partition_id = PartitionId(index.index_id.0);
            let members = self.group.descriptor(partition_id, index.index_id).await.members;
            index.partitions = vec![IndexPartition { partition_id, members }];
        }
        definition
    }

    /// Makes the indexes of a table that is there, and tells of all that they serve once they are filled.
    async fn serve(&self, definition: &TableDefinition) {
        for index in &definition.global_indexes {
            self.group.create_partition(PartitionId(index.index_id.0), definition.of_index(index)).await;
        }
        for index in &definition.global_indexes {
            eventually("an index is filled", async || {
                let mut reports = Vec::new();
                for node in 0..3 {
                    reports.extend(self.group.report(node).await.replicas);
                }
                reports.iter().any(|replica| is_filled(replica, index.index_id))
            })
            .await;
        }
        let name = &definition.table_name;
        let mut indexes = self.api_server.get("tables", name).unwrap()["status"]["globalSecondaryIndexes"].take();
        indexes.as_array_mut().unwrap().iter_mut().for_each(|index| index["indexStatus"] = json!("ACTIVE"));
        let version = definition.schema_version;
        self.change_status(
            name,
            json!({"tableStatus": "ACTIVE", "schemaVersion": version, "globalSecondaryIndexes": indexes}),
        );
    }

    /// Makes a table that the API was asked for; its definition.
    pub async fn make(&self, name: &str) -> TableDefinition {
        let definition = self.give(name).await;
        self.group.create_partition(PartitionId(definition.table_id.0), definition.clone()).await;
        self.serve(&definition).await;
        definition
    }

    /// Has a table imported, as it was declared, and makes its indexes once it is there.
    pub async fn import(&self, name: &str) {
        let mut definition = self.give(name).await;
        let (table, partition_id) = (self.resource(name), PartitionId(definition.table_id.0));
        let order = table.import_order("east", definition.clone()).unwrap().unwrap();
        let descriptor = self.group.descriptor(partition_id, definition.table_id).await;
        let call = ArchiveCall::Import { descriptor, order };
        let mut report = None;
        eventually("the table is imported", async || {
            match self.archives.call(&self.group, 0, &call).await {
                Ok(ArchiveAnswer::Import(told)) => report = Some(told),
                Ok(ArchiveAnswer::Refused { reason: ArchiveRefusal::Failed, .. }) | Err(_) => {}
                Ok(other) => panic!("{other:?}"),
            }
            report.as_ref().is_some_and(|report| report.status != import::ImportStatus::InProgress)
        })
        .await;
        let report = report.unwrap();
        assert!(report.has_made_table(), "{report:?}");
        // Where its indexes are is told to it afterwards.
        definition.schema_version += 1;
        let order = Order::UpdateDefinition { partition_id, definition: definition.clone() };
        eventually("the table knows where its indexes are", async || {
            let leader = self.group.leader_of(partition_id).await;
            self.group.order(leader, &order).await == OrderOutcome::Done
        })
        .await;
        self.change_status(name, json!({"import": ImportStatus::of_report(&report)}));
        self.serve(&definition).await;
    }

    /// Begins an export of `users` into the bucket `exports`; its ARN.
    pub async fn begin_export(&self, more: Value) -> String {
        let mut request = json!({"TableArn": "arn:aws:dynamodb:east:game:table/users", "S3Bucket": "exports"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let begun = self.caller.ok("ExportTableToPointInTime", request).await;
        begun["ExportDescription"]["ExportArn"].as_str().unwrap().to_owned()
    }

    /// The export, once it has come to a good end.
    pub async fn exported(&self, arn: &str) -> Value {
        let mut export = Value::Null;
        eventually("the export has ended", async || {
            let mut described = self.caller.ok("DescribeExport", json!({"ExportArn": arn})).await;
            export = described["ExportDescription"].take();
            export["ExportStatus"] != "IN_PROGRESS"
        })
        .await;
        assert_eq!(export["ExportStatus"], "COMPLETED", "{export}");
        export
    }

    fn object(&self, key: &Value) -> PathBuf {
        self.s3.path().join("exports").join(key.as_str().unwrap())
    }

    /// The lines of an export's data files.
    pub fn lines(&self, export: &Value) -> Vec<Value> {
        let read = |key: &Value| std::fs::read(self.object(key)).unwrap();
        let summary: Value = serde_json::from_slice(&read(&export["ExportManifest"])).unwrap();
        let files = String::from_utf8(read(&summary["manifestFilesS3Key"])).unwrap();
        let mut text = String::new();
        for file in files.lines() {
            let file: Value = serde_json::from_str(file).unwrap();
            GzDecoder::new(&read(&file["dataFileS3Key"])[..]).read_to_string(&mut text).unwrap();
        }
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&summary["itemCount"], &export["ItemCount"]), (&json!(lines.len()), &json!(lines.len())));
        lines
    }
}
