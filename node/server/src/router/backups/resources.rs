//! The `Backup` resources of an account: what the operator makes backups by, and what says that one is being made.

use super::description;
use crate::{
    environment::SystemEnvironment,
    router::{
        resources,
        writes::{ApiWrites, FIELD_MANAGER, answered},
    },
};
use cairn_api::{Environment, arn::BackupArn};
use cairn_crds::{Backup, BackupSpec, backup::DeletionPolicy, resource_name};
use cairn_model::{ErrorKind, ServiceError};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ObjectMeta, PostParams, Preconditions},
};
use std::time::Duration;

/// For how long a call waits for what the operator makes of it: small backups are AVAILABLE when it returns.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks at a resource meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// Of the table's and the backup's names, in the name of the resource: what else is in it needs the rest of 253 characters.
const NAME_LENGTH_MAX: usize = 220;

pub(super) struct Resources {
    client: Client,
    region: String,
    writes: ApiWrites,
}

impl Resources {
    pub(super) fn new(client: Client, region: String, writes: ApiWrites) -> Self {
        Self { client, region, writes }
    }

    fn api(&self, account: &str) -> Api<Backup> {
        Api::namespaced(self.client.clone(), account)
    }

    /// Whether backups may be made and deleted through the API at all.
    pub(super) fn check_writes(&self) -> Result<(), ServiceError> {
        self.writes.check::<Backup>()
    }

    /// Whether this one may be deleted through the API.
    pub(super) fn check_owner(&self, resource: &Backup) -> Result<(), ServiceError> {
        self.writes.check_owner(resource, &resource.name_any())
    }

    /// Asks the operator for a backup of this name. Like a backup's, the name need not be its own.
    pub(super) async fn create(&self, account: &str, table: &str, backup: &str) -> Result<Backup, ServiceError> {
        self.check_writes()?;
        let random = SystemEnvironment.unique_id();
        let resource = Backup {
            metadata: ObjectMeta {
                name: Some(name(table, backup, u32::from_be_bytes([random[0], random[1], random[2], random[3]]))),
                namespace: Some(account.to_owned()),
                ..ObjectMeta::default()
            },
            spec: BackupSpec {
                table_name: Some(table.to_owned()),
                backup_name: Some(backup.to_owned()),
                retain_days: None,
                deletion_policy: DeletionPolicy::Delete,
                from_archive: None,
                storage_group: None,
            },
            status: None,
        };
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        answered(self.api(account).create(&params, &resource)).await
    }

    /// The resource once its backup is made, or as it is when patience ends.
    pub(super) async fn settled(&self, resource: Backup) -> Backup {
        let mut newest = resource.clone();
        let api = self.api(&resource.namespace().unwrap_or_default());
        let _ = tokio::time::timeout(PATIENCE, async {
            while description::is_creating(&newest) {
                tokio::time::sleep(LOOK_INTERVAL).await;
                match api.get(&resource.name_any()).await {
                    Ok(found) if found.metadata.uid == resource.metadata.uid => newest = found,
                    // What becomes of it is seen by who asks for the backup later.
                    Ok(_) | Err(_) => return,
                }
            }
        })
        .await;
        newest
    }

    /// All of the account's.
    pub(super) async fn list(&self, account: &str) -> Result<Vec<Backup>, ServiceError> {
        resources::all(&self.api(account)).await?.ok_or_else(|| {
            let message = format!(
                "The namespace {account} has more Backup resources than can be listed: delete those no longer wanted"
            );
            ServiceError::new(ErrorKind::InternalServerError, message)
        })
    }

    /// Those that stand for one backup: made by one, it can be adopted by others.
    pub(super) async fn of(&self, account: &str, arn: BackupArn<'_>) -> Result<Vec<Backup>, ServiceError> {
        let arn = arn.to_string();
        let mut resources = self.list(account).await?;
        resources.retain(|resource| description::arn(resource, &self.region).is_some_and(|of| of == arn));
        Ok(resources)
    }

    pub(super) async fn delete(&self, resource: &Backup) -> Result<(), ServiceError> {
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: resource.uid(), resource_version: None }),
            ..DeleteParams::default()
        };
        let api = self.api(&resource.namespace().unwrap_or_default());
        match answered(api.delete(&resource.name_any(), &params)).await {
            // Gone already, or gone and made anew.
            Err(error)
                if matches!(error.kind, ErrorKind::ResourceNotFoundException | ErrorKind::ResourceInUseException) =>
            {
                Ok(())
            }
            deleted => deleted.map(drop),
        }
    }
}

fn name(table: &str, backup: &str, random: u32) -> String {
    let told: String = format!("{table}-{backup}").chars().take(NAME_LENGTH_MAX).collect();
    format!("{}-{random:08x}", resource_name(&told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_named_after_the_table_and_the_backup() {
        assert_eq!(name("users", "before-migration", 0xab), "users-before-migration-000000ab");
    }

    #[test]
    fn whatever_the_table_and_the_backup_are_called_the_name_is_a_valid_one() {
        for (table, backup) in [("___", "..."), ("A.b_C", "-x-"), (&*"T".repeat(255), &*"b".repeat(255))] {
            let name = name(table, backup, u32::MAX);
            assert_eq!(resource_name(&name), name);
        }
    }
}
