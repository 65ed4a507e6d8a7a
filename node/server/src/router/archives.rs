//! Asks the archives beside an account's storage nodes. What lies in a group's bucket any archive of the group answers:
//! where one is silent or can't reach the bucket, the next is asked.

use super::fleet::{Fleet, FleetGroup, FleetNode};
use crate::{
    environment,
    internal::client::{GroupName, NodeClient},
};
use bytes::Bytes;
use cairn_api::errors;
use cairn_crds::DEFAULT_STORAGE_GROUP;
use cairn_model::{
    ServiceError,
    archive::{
        ArchiveAnswer, ArchiveCall, ArchiveRefusal, BackupReport, Recovery, Resolved, RestoreSource as ArchiveSource,
    },
    ids::TableId,
};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};

/// For one archive's answer: it looks into the bucket, a few seconds at most.
const ARCHIVE_DEADLINE: Duration = Duration::from_secs(4);
/// For a group's answer, by whichever of its archives; an operation of the API may need two, and the API server besides.
const GROUP_DEADLINE: Duration = Duration::from_secs(10);
/// For how long an archive that was silent, or could not do what it was asked, is tried last.
const SUSPICION_MS: u64 = 30_000;

/// Why there is no answer to a call.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    #[error("no archive of the storage group {group} could answer: {reason}")]
    Unanswered { group: String, reason: String },
    /// An archive has the answer, and it is no.
    #[error("{message}")]
    Refused { reason: ArchiveRefusal, message: String },
}

impl ArchiveError {
    pub(super) fn reason(&self) -> Option<ArchiveRefusal> {
        match self {
            Self::Unanswered { .. } => None,
            Self::Refused { reason, .. } => Some(*reason),
        }
    }

    /// What the client is told where it is neither its doing nor an answer: it asks again, the log tells why.
    pub(super) fn internal(&self, action: &'static str) -> ServiceError {
        tracing::error!(error = self as &dyn std::error::Error, "failed to {action}");
        errors::internal()
    }
}

/// The archives of the fleet.
#[derive(Debug)]
pub struct Archives {
    client: Arc<NodeClient>,
    fleet: Arc<Fleet>,
    /// The router's own: its archives are asked first.
    zone: Option<String>,
    /// When an archive last gave no answer, by its address; milliseconds since the Unix epoch.
    suspects: Mutex<HashMap<String, u64>>,
}

impl Archives {
    pub fn new(client: Arc<NodeClient>, fleet: Arc<Fleet>, zone: Option<String>) -> Self {
        Self { client, fleet, zone, suspects: Mutex::default() }
    }

    /// The account's groups that have archives; the default one first.
    pub(super) fn groups(&self, account: &str) -> Vec<GroupName> {
        let fleet = self.fleet.groups();
        let of_account = fleet.iter().filter(|group| group.account == account && addresses(group).next().is_some());
        let mut groups: Vec<GroupName> =
            of_account.map(|group| GroupName { account: group.account.clone(), group: group.group.clone() }).collect();
        groups.sort_by(|one, other| {
            (one.group != DEFAULT_STORAGE_GROUP, &one.group).cmp(&(other.group != DEFAULT_STORAGE_GROUP, &other.group))
        });
        groups
    }

    pub(super) fn has(&self, name: &GroupName) -> bool {
        self.fleet.groups().iter().any(|group| is(group, name) && addresses(group).next().is_some())
    }

    /// A backup of the group's account that is in the bucket, whole.
    pub(super) async fn describe_backup(&self, group: &GroupName, id: &str) -> Result<BackupReport, ArchiveError> {
        let call = ArchiveCall::DescribeBackup { owner: None, backup_id: id.to_owned() };
        match self.ask(group, &call).await? {
            ArchiveAnswer::Backup(backup) => Ok(*backup),
            _ => Err(mismatch(group)),
        }
    }

    pub(super) async fn delete_backup(&self, group: &GroupName, id: &str) -> Result<BackupReport, ArchiveError> {
        match self.ask(group, &ArchiveCall::DeleteBackup { backup_id: id.to_owned() }).await? {
            ArchiveAnswer::Backup(backup) => Ok(*backup),
            _ => Err(mismatch(group)),
        }
    }

    /// A page of the account's backups in ascending order of their ids, and whether there are more.
    pub(super) async fn list_backups(
        &self,
        group: &GroupName,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<BackupReport>, bool), ArchiveError> {
        match self.ask(group, &ArchiveCall::ListBackups { after, limit }).await? {
            ArchiveAnswer::Backups { backups, more } => Ok((backups, more)),
            _ => Err(mismatch(group)),
        }
    }

    pub(super) async fn recovery(&self, group: &GroupName, table_id: TableId) -> Result<Recovery, ArchiveError> {
        match self.ask(group, &ArchiveCall::Recovery { table_id }).await? {
            ArchiveAnswer::Recovery(recovery) => Ok(recovery),
            _ => Err(mismatch(group)),
        }
    }

    pub(super) async fn resolve(&self, group: &GroupName, source: &ArchiveSource) -> Result<Resolved, ArchiveError> {
        match self.ask(group, &ArchiveCall::Resolve { source: source.clone() }).await? {
            ArchiveAnswer::Resolved(resolved) => Ok(*resolved),
            _ => Err(mismatch(group)),
        }
    }

    /// Asks each archive of the group, once at most, until one answers.
    async fn ask(&self, group: &GroupName, call: &ArchiveCall) -> Result<ArchiveAnswer, ArchiveError> {
        let unanswered = |reason: String| ArchiveError::Unanswered { group: group.group.clone(), reason };
        let body = Bytes::from(serde_json::to_vec(call).map_err(|error| unanswered(error.to_string()))?);
        let mut last = "it has none: set spec.archive of the StorageGroup".to_owned();
        let asked = tokio::time::timeout(GROUP_DEADLINE, async {
            for address in self.order(group) {
                match self.attempt(group, &address, body.clone()).await {
                    Ok(ArchiveAnswer::Refused { reason, message }) if !is_its_own(reason) => {
                        return Some(Err(ArchiveError::Refused { reason, message }));
                    }
                    Ok(ArchiveAnswer::Refused { message, .. }) => last = format!("{address}: {message}"),
                    Ok(answer) => {
                        self.suspects.lock().remove(&address);
                        return Some(Ok(answer));
                    }
                    Err(reason) => last = reason,
                }
                self.suspect(address);
            }
            None
        });
        match asked.await {
            Ok(Some(answer)) => answer,
            Ok(None) | Err(_) => Err(unanswered(last)),
        }
    }

    async fn attempt(&self, group: &GroupName, address: &str, body: Bytes) -> Result<ArchiveAnswer, String> {
        let answer = self.client.post(group, address, "/v1/archive", body, ARCHIVE_DEADLINE).await;
        let answer = answer.map_err(|error| error.to_string())?;
        serde_json::from_slice(&answer).map_err(|error| format!("{address} answered what can't be read: {error}"))
    }

    /// The addresses of the group's archives, best first.
    fn order(&self, name: &GroupName) -> Vec<String> {
        let fleet = self.fleet.groups();
        let Some(group) = fleet.iter().find(|group| is(group, name)) else { return Vec::new() };
        let mut archives: Vec<(&FleetNode, &String)> = addresses(group).collect();
        let now_ms = environment::wall_ms();
        let suspects = self.suspects.lock();
        let suspect = |address: &str| suspects.get(address).is_some_and(|at| now_ms.abs_diff(*at) < SUSPICION_MS);
        archives.sort_by_key(|(node, address)| (suspect(address), Some(&node.zone) != self.zone.as_ref()));
        archives.into_iter().map(|(_, address)| address.clone()).collect()
    }

    fn suspect(&self, address: String) {
        let now_ms = environment::wall_ms();
        let mut suspects = self.suspects.lock();
        suspects.retain(|_, at| now_ms.abs_diff(*at) < SUSPICION_MS);
        suspects.insert(address, now_ms);
    }
}

/// Whether a refusal says something of the archive that gave it, and nothing of what was asked.
fn is_its_own(reason: ArchiveRefusal) -> bool {
    match reason {
        ArchiveRefusal::Failed | ArchiveRefusal::NotLeader => true,
        ArchiveRefusal::NotFound | ArchiveRefusal::NotRestorable | ArchiveRefusal::InUse | ArchiveRefusal::Invalid => {
            false
        }
    }
}

fn mismatch(group: &GroupName) -> ArchiveError {
    ArchiveError::Unanswered {
        group: group.group.clone(),
        reason: "one answered another call than it was asked".to_owned(),
    }
}

fn is(group: &FleetGroup, name: &GroupName) -> bool {
    group.account == name.account && group.group == name.group
}

fn addresses(group: &FleetGroup) -> impl Iterator<Item = (&FleetNode, &String)> {
    group.nodes.iter().filter_map(|node| Some((node, node.archive.as_ref()?)))
}
