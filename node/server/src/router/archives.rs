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
        import::ImportReport,
    },
    export::ExportRecord,
    ids::TableId,
};
use futures::{StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};

/// After how long without an answer another archive is asked too.
const PATIENCE: Duration = Duration::from_secs(3);
/// For a group's answer, by whichever of its archives; an operation of the API may need two, and the API server besides.
const GROUP_DEADLINE: Duration = Duration::from_secs(12);
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

    /// Whether the account has any groups, with archives or without.
    pub(super) fn knows(&self, account: &str) -> bool {
        self.fleet.groups().iter().any(|group| group.account == account)
    }

    /// An import of the group's account, as the bucket knows it.
    pub(super) async fn describe_import(&self, group: &GroupName, id: &str) -> Result<ImportReport, ArchiveError> {
        match self.ask(group, &ArchiveCall::DescribeImport { import_id: id.to_owned() }).await? {
            ArchiveAnswer::Import(report) => Ok(*report),
            _ => Err(mismatch(group)),
        }
    }

    /// Some of the account's imports in descending order of their ids, and below which id there are others; none where not.
    pub(super) async fn list_imports(
        &self,
        group: &GroupName,
        table_arn: Option<&str>,
        below: Option<String>,
        limit: usize,
    ) -> Result<(Vec<ImportReport>, Option<String>), ArchiveError> {
        let call = ArchiveCall::ListImports { table_arn: table_arn.map(str::to_owned), below, limit };
        match self.ask(group, &call).await? {
            ArchiveAnswer::Imports { imports, read_to } => Ok((imports, read_to)),
            _ => Err(mismatch(group)),
        }
    }

    /// A call whose answer is one export.
    pub(super) async fn export(&self, group: &GroupName, call: &ArchiveCall) -> Result<ExportRecord, ArchiveError> {
        match self.ask(group, call).await? {
            ArchiveAnswer::Export(export) => Ok(*export),
            _ => Err(mismatch(group)),
        }
    }

    /// A page of the account's exports in descending order of their ids, and whether there are more.
    pub(super) async fn list_exports(
        &self,
        group: &GroupName,
        call: &ArchiveCall,
    ) -> Result<(Vec<ExportRecord>, bool), ArchiveError> {
        match self.ask(group, call).await? {
            ArchiveAnswer::Exports { exports, more } => Ok((exports, more)),
            _ => Err(mismatch(group)),
        }
    }

    /// Asks the archives of the group, each once at most: the next where one fails or takes long. The first answer counts.
    async fn ask(&self, group: &GroupName, call: &ArchiveCall) -> Result<ArchiveAnswer, ArchiveError> {
        let unanswered = |reason: String| ArchiveError::Unanswered { group: group.group.clone(), reason };
        let body = Bytes::from(serde_json::to_vec(call).map_err(|error| unanswered(error.to_string()))?);
        let mut last = "it has none: set spec.archive of the StorageGroup".to_owned();
        let answered = tokio::time::timeout(GROUP_DEADLINE, async {
            let mut left = self.order(group).into_iter();
            let mut asked = FuturesUnordered::new();
            loop {
                let next = left.next();
                let patience = if next.is_some() { PATIENCE } else { GROUP_DEADLINE };
                asked.extend(next.clone().map(|address| self.attempt(group, address, body.clone())));
                match (tokio::time::timeout(patience, asked.next()).await, next) {
                    (Ok(Some((address, Ok(answer)))), _) => {
                        self.suspects.lock().remove(&address);
                        return Some(answer);
                    }
                    (Ok(Some((address, Err(reason)))), _) => {
                        self.suspect(address);
                        last = reason;
                    }
                    (Err(_), Some(address)) => {
                        last = format!("nothing from {address} within {PATIENCE:?}");
                        self.suspect(address);
                    }
                    (Ok(None) | Err(_), _) => return None,
                }
            }
        });
        match answered.await {
            Ok(Some(answer)) => answer,
            Ok(None) | Err(_) => Err(unanswered(last)),
        }
    }

    /// What one archive answers, a no included; the error says why another is to be asked.
    async fn attempt(
        &self,
        group: &GroupName,
        address: String,
        body: Bytes,
    ) -> (String, Result<Result<ArchiveAnswer, ArchiveError>, String>) {
        let answer = match self.client.post(group, &address, "/v1/archive", body, GROUP_DEADLINE).await {
            Ok(answer) => serde_json::from_slice(&answer)
                .map_err(|error| format!("{address} answered what can't be read: {error}")),
            Err(error) => Err(error.to_string()),
        };
        let answer = answer.and_then(|answer| match answer {
            ArchiveAnswer::Refused { reason: ArchiveRefusal::Failed | ArchiveRefusal::NotLeader, message } => {
                Err(format!("{address}: {message}"))
            }
            ArchiveAnswer::Refused { reason, message } => Ok(Err(ArchiveError::Refused { reason, message })),
            answer => Ok(Ok(answer)),
        });
        (address, answer)
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
