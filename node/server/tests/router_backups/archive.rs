//! Archives as far as the router needs them: they answer `POST /v1/archive` out of a bucket in memory, each as it was told to.

use cairn_model::{
    TableDefinition,
    archive::{
        ArchiveAnswer, ArchiveCall, ArchiveOwner, ArchiveRefusal, BackupReport, BackupState, Recovery, RecoveryWindow,
        Resolved, RestoreOrigin, RestoreSource, RestoreTime, TableReference, import::ImportReport,
    },
    export::ExportRecord,
    identity::Role,
    ids::TableId,
    time::Timestamp,
};
use cairn_server::tls::Tls;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Bytes, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
};
use tokio::net::TcpListener;

/// What lies in a bucket.
#[derive(Default)]
pub struct Bucket {
    /// By their ids.
    pub backups: BTreeMap<String, BackupReport>,
    /// Backups that are being read.
    pub in_use: BTreeSet<String>,
    pub pasts: Vec<Past>,
    /// By their ids.
    pub imports: BTreeMap<String, ImportReport>,
    pub exports: BTreeMap<String, ExportRecord>,
    /// As many exports are in progress as can be.
    pub is_full: bool,
}

/// What is there of a table.
#[derive(Clone)]
pub struct Past {
    pub definition: TableDefinition,
    pub windows: Vec<RecoveryWindow>,
}

pub type SharedBucket = Arc<Mutex<Bucket>>;

/// How an archive answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Answers,
    /// It does what it is asked, and never says so.
    Silent,
    /// It deletes, and never says so.
    SilentDeletions,
    /// It can't reach the bucket.
    Cut,
}

pub struct Archive {
    pub bucket: SharedBucket,
    manner: Manner,
    pub calls: Mutex<Vec<ArchiveCall>>,
}

impl Archive {
    /// Serves; the address is where.
    pub async fn start(bucket: SharedBucket, manner: Manner, tls: Arc<Tls>) -> (Arc<Self>, String) {
        let archive = Arc::new(Self { bucket, manner, calls: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(archive.clone().serve(listener, tls));
        (archive, address)
    }

    async fn serve(self: Arc<Self>, listener: TcpListener, tls: Arc<Tls>) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (archive, tls) = (self.clone(), tls.clone());
            tokio::spawn(async move {
                let Ok((stream, caller)) = tls.accept(stream).await else { return };
                assert_eq!(caller.role, Role::Router);
                let service = service_fn(move |request| {
                    let archive = archive.clone();
                    async move { Ok::<_, Infallible>(archive.answer(request).await) }
                });
                let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        assert_eq!(request.uri().path(), "/v1/archive");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let call: ArchiveCall = serde_json::from_slice(&body).unwrap();
        self.calls.lock().push(call.clone());
        let is_silent = match self.manner {
            Manner::Answers | Manner::Cut => false,
            Manner::SilentDeletions => matches!(call, ArchiveCall::DeleteBackup { .. }),
            Manner::Silent => true,
        };
        let answer = match self.manner {
            Manner::Cut => refused(ArchiveRefusal::Failed),
            _ => self.bucket.lock().answer(call),
        };
        if is_silent {
            std::future::pending::<()>().await;
        }
        Response::new(Full::from(serde_json::to_vec(&answer).unwrap()))
    }
}

fn refused(reason: ArchiveRefusal) -> ArchiveAnswer {
    ArchiveAnswer::Refused { reason, message: format!("{reason:?}") }
}

fn one(export: Option<&ExportRecord>) -> ArchiveAnswer {
    export.map_or_else(|| refused(ArchiveRefusal::NotFound), |export| ArchiveAnswer::Export(Box::new(export.clone())))
}

fn owner() -> ArchiveOwner {
    ArchiveOwner { region: "east".to_owned(), account: "game".to_owned() }
}

impl Bucket {
    fn answer(&mut self, call: ArchiveCall) -> ArchiveAnswer {
        match call {
            ArchiveCall::DescribeBackup { owner: None, backup_id } => match self.backups.get(&backup_id) {
                Some(backup) => ArchiveAnswer::Backup(Box::new(backup.clone())),
                None => refused(ArchiveRefusal::NotFound),
            },
            ArchiveCall::ListBackups { after, limit } => {
                let after = after.unwrap_or_default();
                let mut listed = self.backups.range(after.clone()..).filter(|(id, _)| **id > after);
                let backups = listed.by_ref().take(limit).map(|(_, backup)| backup.clone()).collect();
                ArchiveAnswer::Backups { backups, more: listed.next().is_some() }
            }
            ArchiveCall::DeleteBackup { backup_id } if self.in_use.contains(&backup_id) => {
                refused(ArchiveRefusal::InUse)
            }
            ArchiveCall::DeleteBackup { backup_id } => match self.backups.remove(&backup_id) {
                Some(backup) => ArchiveAnswer::Backup(Box::new(BackupReport { state: BackupState::Deleted, ..backup })),
                None => refused(ArchiveRefusal::NotFound),
            },
            ArchiveCall::Recovery { table_id } => match self.past(&TableReference::Id(table_id)) {
                Some(past) => ArchiveAnswer::Recovery(Recovery { windows: past.windows.clone(), problems: Vec::new() }),
                None => refused(ArchiveRefusal::NotFound),
            },
            ArchiveCall::Resolve { source } => self.resolve(source),
            ArchiveCall::DescribeImport { import_id } => match self.imports.get(&import_id) {
                Some(import) => ArchiveAnswer::Import(Box::new(import.clone())),
                None => refused(ArchiveRefusal::NotFound),
            },
            ArchiveCall::ListImports { table_arn, below, limit } => {
                let is_of =
                    |import: &&ImportReport| table_arn.as_ref().is_none_or(|arn| *arn == import.order.table_arn);
                let below = |id: &String| below.as_ref().is_none_or(|below| id < below);
                let imports = self.imports.iter().rev().filter(|(id, _)| below(id)).map(|(_, import)| import);
                let imports: Vec<ImportReport> = imports.filter(is_of).take(limit).cloned().collect();
                let read_to = imports.last().filter(|_| imports.len() == limit);
                ArchiveAnswer::Imports { read_to: read_to.map(|last| last.order.import_id.clone()), imports }
            }
            ArchiveCall::BeginExport { export } => self.begin(*export),
            ArchiveCall::FindExport { client_token } => {
                one(self.exports.values().rfind(|export| export.client_token.as_ref() == Some(&client_token)))
            }
            ArchiveCall::DescribeExport { export_id } => one(self.exports.get(&export_id)),
            ArchiveCall::ListExports { table_arn, before, limit } => {
                let wanted = |export: &&ExportRecord| {
                    table_arn.as_ref().is_none_or(|arn| *arn == export.table_arn)
                        && before.as_ref().is_none_or(|before| export.export_id < *before)
                };
                let mut listed = self.exports.values().rev().filter(wanted);
                let exports = listed.by_ref().take(limit).cloned().collect();
                ArchiveAnswer::Exports { exports, more: listed.next().is_some() }
            }
            call => panic!("a router has no business with {call:?}"),
        }
    }

    fn begin(&mut self, export: ExportRecord) -> ArchiveAnswer {
        if self.is_full {
            return refused(ArchiveRefusal::LimitExceeded);
        }
        one(Some(self.exports.entry(export.export_id.clone()).or_insert(export)))
    }

    fn past(&self, table: &TableReference) -> Option<&Past> {
        self.pasts.iter().find(|past| match table {
            TableReference::Id(id) => past.definition.table_id == *id,
            TableReference::Name(name) => past.definition.table_name == *name,
        })
    }

    fn resolve(&self, source: RestoreSource) -> ArchiveAnswer {
        let (origin, definition, backup_arn, restore_time_ms) = match source {
            RestoreSource::Backup { backup_id, .. } => {
                let Some(backup) = self.backups.get(&backup_id) else { return refused(ArchiveRefusal::NotFound) };
                let order = backup.order.clone();
                let origin = RestoreOrigin::Backup { owner: owner(), backup_id };
                (origin, order.definition, Some(order.arn), order.creation_time_ms)
            }
            RestoreSource::Table { table, at } => {
                let Some(past) = self.past(&table) else { return refused(ArchiveRefusal::NotFound) };
                let at_ms = match at {
                    RestoreTime::Latest => past.windows.last().map(|window| window.latest_ms),
                    RestoreTime::Millis(at) => {
                        past.windows.iter().any(|w| (w.earliest_ms..=w.latest_ms).contains(&at)).then_some(at)
                    }
                };
                let Some(at_ms) = at_ms else { return refused(ArchiveRefusal::NotRestorable) };
                let table_id = past.definition.table_id;
                let origin = RestoreOrigin::Table { owner: owner(), table_id, at: Timestamp::from_millis(at_ms) };
                (origin, past.definition.clone(), None, at_ms)
            }
        };
        let table_arn = format!("arn:aws:dynamodb:east:game:table/{}", definition.table_name);
        ArchiveAnswer::Resolved(Box::new(Resolved { origin, definition, table_arn, backup_arn, restore_time_ms }))
    }
}

/// What is there of a table of this id and name.
pub fn past(table_id: TableId, table_name: &str, windows: &[(u64, u64)]) -> Past {
    let windows = windows.iter().map(|&(earliest_ms, latest_ms)| RecoveryWindow { earliest_ms, latest_ms }).collect();
    let definition =
        TableDefinition { table_name: table_name.to_owned(), ..crate::support::group::definition(table_id) };
    Past { definition, windows }
}
