//! A namespace with a table and a bucket, and what can be asked and done there.

use crate::support::{World, api_server::ApiServer, wait};
use cairn_crds::{Backup, BackupResourceStatus};
use cairn_model::archive::{
    ArchiveAnswer, ArchiveCall, ArchiveRefusal, ArchiveReport, BackupOrder, BackupReport, BackupState,
};
use k8s_openapi::{NamespaceResourceScope, api::events::v1::Event};
use kube::{
    Api, Resource,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, atomic::Ordering},
    time::Duration,
};
use tokio::runtime::Handle;

const WITH_ARCHIVE: &str = "{volume: {size: 1Gi}, archive: {url: 's3://backups'}}";

/// What the archives of a world have, and what they were asked.
#[derive(Default)]
pub(crate) struct Bucket {
    pub(crate) backups: BTreeMap<String, BackupReport>,
    /// How many bytes of a backup are there; all of it where it is none.
    pub(crate) bytes_done: Option<u64>,
    pub(crate) refusal: Option<ArchiveRefusal>,
    /// The address and the call of each.
    pub(crate) calls: Vec<(String, ArchiveCall)>,
    /// A backup that is written to once, by somebody else, while the archive is asked for one.
    pub(crate) meanwhile: Option<(Api<Backup>, &'static str)>,
}

impl Bucket {
    pub(crate) fn answer(&mut self, address: &str, call: &ArchiveCall) -> ArchiveAnswer {
        // The group's health is asked for all the time.
        if *call == ArchiveCall::Report {
            return ArchiveAnswer::Report(ArchiveReport::default());
        }
        self.calls.push((address.to_owned(), call.clone()));
        if let Some(reason) = self.refusal {
            return ArchiveAnswer::Refused { reason, message: "the bucket is out of order".into() };
        }
        let missing = || ArchiveAnswer::Refused { reason: ArchiveRefusal::NotFound, message: "no such backup".into() };
        match call {
            ArchiveCall::CreateBackup { backup, .. } => match self.bytes_done {
                Some(bytes_done) => {
                    let state = BackupState::Creating;
                    let report = BackupReport { state, bytes_done, ..report(backup.clone()) };
                    ArchiveAnswer::Backup(Box::new(BackupReport { size_bytes: 0, item_count: 0, ..report }))
                }
                None => {
                    let made = self.backups.entry(backup.backup_id.clone()).or_insert_with(|| report(backup.clone()));
                    ArchiveAnswer::Backup(Box::new(made.clone()))
                }
            },
            ArchiveCall::DescribeBackup { backup_id, .. } => {
                self.backups.get(backup_id).map_or_else(missing, |found| ArchiveAnswer::Backup(Box::new(found.clone())))
            }
            ArchiveCall::DeleteBackup { backup_id } => self.backups.remove(backup_id).map_or_else(missing, |gone| {
                ArchiveAnswer::Backup(Box::new(BackupReport { state: BackupState::Deleted, ..gone }))
            }),
            other => panic!("nobody asks {other:?} for a backup"),
        }
    }

    pub(crate) fn deletions(&self) -> usize {
        self.calls.iter().filter(|(_, call)| matches!(call, ArchiveCall::DeleteBackup { .. })).count()
    }
}

pub(crate) fn report(order: BackupOrder) -> BackupReport {
    let state = BackupState::Available;
    BackupReport { order, state, item_count: 7, table_size_bytes: 700, size_bytes: 350, bytes_done: 0 }
}

/// A namespace with a table `users` that is ACTIVE, and a bucket.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) bucket: Arc<Mutex<Bucket>>,
}

impl Scene {
    pub(crate) async fn new(server: &ApiServer, namespace: &str) -> Self {
        let world = World::with_defaults(server, namespace, WITH_ARCHIVE, &[]).await;
        let bucket = Arc::new(Mutex::new(Bucket::default()));
        let asked = Arc::clone(&bucket);
        world.fleet.archive(move |address, call| {
            let mut bucket = asked.lock().unwrap();
            let meanwhile = bucket.meanwhile.take_if(|_| matches!(call, ArchiveCall::DescribeBackup { .. }));
            if let Some((backups, name)) = meanwhile {
                tokio::task::block_in_place(|| Handle::current().block_on(annotate(&backups, name, "by", "another")));
            }
            bucket.answer(address, call)
        });
        world.create_table("users", "").await;
        world.wait_active("users").await;
        Self { world, bucket }
    }

    pub(crate) fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap()
    }

    pub(crate) async fn create(&self, name: &str, spec: Value) -> Backup {
        create(&self.world, name, spec).await
    }

    /// A backup of `users` that is AVAILABLE.
    pub(crate) async fn made(&self, name: &str, policy: &str) -> Backup {
        self.create(name, json!({"tableName": "users", "deletionPolicy": policy})).await;
        self.wait_status(name, |status| status.backup_status == Some(BackupState::Available)).await;
        self.world.api::<Backup>().get(name).await.unwrap()
    }

    pub(crate) async fn wait_status(
        &self,
        name: &str,
        is: impl Fn(&BackupResourceStatus) -> bool,
    ) -> BackupResourceStatus {
        wait("the status of the backup", || async {
            self.world.api::<Backup>().get(name).await.unwrap().status.filter(&is)
        })
        .await
    }

    pub(crate) async fn wait_reason(&self, name: &str, reason: &str) -> String {
        wait_reason(&self.world, name, reason).await
    }

    /// A backup that was missed once is looked for again, and found gone. The look that missed it may still be under way, and then it
    /// ends by the clock that was put ahead meanwhile: another minute has to pass.
    pub(crate) async fn found_gone(&self, name: &str) -> String {
        for _ in 0..10 {
            self.pass::<Backup>(name, 61).await;
            let found = tokio::time::timeout(Duration::from_secs(4), self.wait_reason(name, "BackupGone")).await;
            if let Ok(message) = found {
                return message;
            }
        }
        panic!("the backup is not found gone");
    }

    pub(crate) async fn wait_gone(&self, name: &str) {
        let api = self.world.api::<Backup>();
        wait("the backup to go", || async { api.get_opt(name).await.unwrap().is_none().then_some(()) }).await;
    }

    pub(crate) async fn delete(&self, name: &str) {
        self.world.api::<Backup>().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Puts the operator's clock ahead, and has it look at the object, unless it looked by itself and the object is gone.
    pub(crate) async fn pass<K>(&self, name: &str, seconds: i64)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + serde::de::DeserializeOwned,
    {
        let ahead = self.world.ahead.fetch_add(seconds, Ordering::SeqCst) + seconds;
        annotate(&self.world.api::<K>(), name, "ahead", &ahead.to_string()).await;
    }

    pub(crate) async fn wait_event(&self, reason: &str) -> String {
        let events = self.world.api::<Event>();
        wait("the event", || async {
            let events = events.list(&ListParams::default()).await.unwrap();
            let event = events.into_iter().find(|event| event.reason.as_deref() == Some(reason))?;
            event.note
        })
        .await
    }
}

/// Writes an annotation of the tests to the object, unless it is gone.
async fn annotate<K>(api: &Api<K>, name: &str, key: &str, value: &str)
where
    K: Clone + Debug + serde::de::DeserializeOwned,
{
    let patch = json!({"metadata": {"annotations": {(format!("tests/{key}")): value}}});
    if let Err(error) = api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        assert!(matches!(&error, kube::Error::Api(status) if status.code == 404), "{error}");
    }
}

pub(crate) async fn create(world: &World, name: &str, spec: Value) -> Backup {
    let backup =
        json!({"apiVersion": "cairn.dev/v1alpha1", "kind": "Backup", "metadata": {"name": name}, "spec": spec});
    world.api::<Backup>().create(&PostParams::default(), &serde_json::from_value(backup).unwrap()).await.unwrap()
}

pub(crate) async fn wait_reason(world: &World, name: &str, reason: &str) -> String {
    wait(&format!("the reason {reason}"), || async {
        let status = world.api::<Backup>().get(name).await.unwrap().status.unwrap_or_default();
        status.conditions.into_iter().find(|c| c.type_ == "Ready" && c.reason == reason).map(|c| c.message)
    })
    .await
}
