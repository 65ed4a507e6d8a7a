//! A router's API over archives and an API server that are none.

use crate::{
    archive::{Archive, Bucket, Manner, SharedBucket},
    support::{
        Caller,
        api_server::{ApiServer, active_table},
        group::{ACCOUNT, client, definition, issuer, write_certificate},
        router,
    },
};
use cairn_api::ApiConfig;
use cairn_model::{
    TableDefinition,
    archive::{BackupOrder, BackupReport, BackupState, BackupType},
    ids::TableId,
};
use cairn_server::{
    router::{fleet::Fleet, nodes::Nodes, tables::Tables, writes::ApiWrites},
    tls::Tls,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tempfile::TempDir;

pub struct Setting {
    pub caller: Caller,
    pub api_server: ApiServer,
    pub archives: Vec<Arc<Archive>>,
    tables: Arc<Tables>,
    buckets: BTreeMap<String, SharedBucket>,
    _folder: TempDir,
}

impl Setting {
    /// The group `default`, with archives of these manners.
    pub async fn new(manners: &[Manner]) -> Self {
        Self::of(&[("default", manners)], ApiWrites::Own).await
    }

    /// Groups, each with a bucket of its own and archives of these manners.
    pub async fn of(groups: &[(&str, &[Manner])], writes: ApiWrites) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let issuer = issuer();
        write_certificate(&folder.path().join("router"), &issuer, "cairn://east/cairn-system/-/router");
        let mut archives = Vec::new();
        let mut buckets = BTreeMap::new();
        let mut fleet = Vec::new();
        for (group, manners) in groups {
            let tls_dir = folder.path().join(group);
            write_certificate(&tls_dir, &issuer, &format!("cairn://east/{ACCOUNT}/{group}/storage"));
            let bucket: SharedBucket = Arc::new(Mutex::new(Bucket::default()));
            let mut nodes = vec![json!({"address": "127.0.0.1:1", "zone": "none"})];
            for manner in *manners {
                let tls = Tls::from_dir(&tls_dir).unwrap();
                let (archive, address) = Archive::start(bucket.clone(), *manner, tls).await;
                archives.push(archive);
                nodes.push(json!({"address": "127.0.0.1:1", "zone": "z", "archive": address}));
            }
            buckets.insert((*group).to_owned(), bucket);
            fleet.push(json!({"account": ACCOUNT, "group": group, "nodes": nodes}));
        }
        let (api_server, kubernetes) = ApiServer::start().await;
        let told = Arc::new(Fleet::default());
        told.update(br#"{"version": 1}"#, json!({"version": 1, "groups": fleet}).to_string().as_bytes()).unwrap();
        let client = client(&folder.path().join("router"));
        let nodes = Nodes::new(client.clone(), told.clone(), folder.path());
        let (backends, tables) = router::backends(client, nodes, told, kubernetes, writes);
        let caller = router::serve(ApiConfig::new("east"), backends).await;
        Self { caller, api_server, archives, tables, buckets, _folder: folder }
    }

    /// Two archives that answer, and the table `users` in the default group.
    pub async fn with_users() -> Self {
        let setting = Self::new(&[Manner::Answers, Manner::Answers]).await;
        setting.table("users", json!({}), json!({}));
        setting
    }

    pub fn bucket(&self, group: &str) -> &SharedBucket {
        &self.buckets[group]
    }

    /// An ACTIVE table made by the API, with more in its spec and its status; its id.
    pub fn table(&self, name: &str, spec: Value, status: Value) -> TableId {
        self.table_of(name, spec, status, "cairn-api")
    }

    pub fn table_of(&self, name: &str, spec: Value, status: Value, manager: &str) -> TableId {
        let table_id = TableId(uuid::Uuid::new_v4().into_bytes());
        let table = active_table(table_id, spec, status);
        self.api_server.put("tables", name, table, manager);
        self.watch();
        table_id
    }

    /// The router is told of the Tables as they are.
    pub fn watch(&self) {
        let tables = self.api_server.all("tables").into_iter().map(|table| serde_json::from_value(table).unwrap());
        self.tables.replace(None, tables.collect());
    }

    /// As after a start, or while its watch is behind.
    pub fn forget_tables(&self) {
        self.tables.replace(None, Vec::new());
    }

    /// A whole backup of `users`, made at that second of 2026, in the bucket of the group.
    pub fn backup(&self, group: &str, name: &str, second: u64) -> String {
        let report = report(name, 1_767_225_600_000 + 1_000 * second);
        let arn = report.order.arn.clone();
        self.bucket(group).lock().backups.insert(report.order.backup_id.clone(), report);
        arn
    }

    /// A backup of `users` that the API was asked for and the operator has not begun: its ARN.
    pub async fn asked_for(&self) -> String {
        let request = json!({"TableName": "users", "BackupName": "nightly"});
        let details = self.caller.ok("CreateBackup", request).await["BackupDetails"].clone();
        assert_eq!(details["BackupStatus"], "CREATING");
        details["BackupArn"].as_str().unwrap().to_owned()
    }

    /// Makes what the only `Backup` resource asks for, as the operator does.
    pub fn operate(&self) {
        operate(&self.api_server, self.bucket("default"), &self.api_server.one("backups"));
    }

    /// Makes whatever backup is asked for from now on.
    pub fn start_operator(&self) {
        let (api_server, bucket) = (self.api_server.clone(), self.bucket("default").clone());
        tokio::spawn(async move {
            loop {
                let unmade = |backup: &Value| backup.get("status").is_none_or(Value::is_null);
                for backup in api_server.all("backups").into_iter().filter(unmade) {
                    operate(&api_server, &bucket, &backup);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }

    /// The error's name and text, and the status, of a call that must fail.
    pub async fn error(&self, operation: &str, body: Value) -> (u16, String, String) {
        let (status, answer) = self.caller.call(operation, body).await.unwrap();
        assert_ne!(status, 200, "{operation}: {answer}");
        let name = answer["__type"].as_str().unwrap().rsplit('#').next().unwrap().to_owned();
        let text = answer.get("message").or(answer.get("Message")).and_then(Value::as_str).unwrap_or_default();
        (status, name, text.to_owned())
    }

    /// The name of that error.
    pub async fn refused(&self, operation: &str, body: Value) -> String {
        self.error(operation, body).await.1
    }
}

fn operate(api_server: &ApiServer, bucket: &SharedBucket, resource: &Value) {
    let backup: cairn_crds::Backup = serde_json::from_value(resource.clone()).unwrap();
    let id = backup.backup_id().unwrap();
    let made = backup.metadata.creation_timestamp.as_ref().unwrap().0.as_millisecond() as u64;
    let mut report = report(backup.spec.backup_name.as_deref().unwrap(), made);
    report.order.arn = format!("{}/backup/{id}", report.order.table_arn);
    report.order.backup_id = id.clone();
    bucket.lock().backups.insert(id, report);
    let status = json!({"backupStatus": "AVAILABLE", "backupSizeBytes": 7});
    api_server.set_status("backups", &backup.metadata.name.unwrap(), status);
}

/// A whole backup of `users`, made at that time.
fn report(name: &str, creation_time_ms: u64) -> BackupReport {
    let table_arn = "arn:aws:dynamodb:east:game:table/users".to_owned();
    let backup_id = format!("{creation_time_ms:014}-abcdef12");
    let definition = TableDefinition { table_name: "users".to_owned(), ..definition(TableId([5; 16])) };
    let order = BackupOrder {
        arn: format!("{table_arn}/backup/{backup_id}"),
        backup_id,
        name: name.to_owned(),
        backup_type: BackupType::User,
        table_arn,
        definition,
        creation_time_ms,
        expiry_time_ms: None,
    };
    BackupReport {
        order,
        state: BackupState::Available,
        item_count: 3,
        table_size_bytes: 30,
        size_bytes: 7,
        bytes_done: 0,
    }
}
