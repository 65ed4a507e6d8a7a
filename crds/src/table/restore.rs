//! Where a Table's first data comes from: what its spec names, and what that turned out to be.

use super::{
    definition::DefinitionError,
    recovery::{millis_of_time, time_of_millis},
    rules,
};
use crate::rules::json;
use cairn_model::{
    archive::{ArchiveOwner, Resolved, RestoreOrigin, RestoreSource, RestoreTime, TableReference},
    arn::{BackupArn, TableArn},
    table::RestoredFrom,
    time::Timestamp,
};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a table's first data comes from: one of `table`, `tableId`, `backup` and `backupArn`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = json(rules::RESTORE_FROM)))]
pub struct RestoreFrom {
    /// A table of this account, there or deleted, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 255), regex(pattern = r"^[a-zA-Z0-9_.-]+$"))]
    pub table: Option<String>,
    /// One of several that had the name, by its `status.tableId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36), regex(pattern = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))]
    pub table_id: Option<String>,
    /// A Backup resource of this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub backup: Option<String>,
    /// A backup by its ARN, as RestoreTableFromBackup names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 37, max = 1024),
        regex(
            pattern = r"^arn:aws:dynamodb:[a-zA-Z0-9-]+:[a-zA-Z0-9-]+:table/[a-zA-Z0-9_.-]{3,255}/backup/[0-9]{14}-[0-9a-f]{8}$"
        )
    )]
    pub backup_arn: Option<String>,
    /// The moment of the table's past, as RFC 3339 has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub at: Option<String>,
    /// The latest moment there is, instead of `at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<bool>,
}

/// What `spec.restoreFrom` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreAsked<'a> {
    /// The Backup resource of this name.
    BackupResource(&'a str),
    /// What an archive can look up.
    Source(RestoreSource),
}

/// What `spec.restoreFrom` turned out to be: written once, with the placements.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = json(rules::RESTORE_STATUS)))]
pub struct RestoreStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub source_backup_arn: Option<String>,
    #[schemars(length(max = 1024))]
    pub source_table_arn: String,
    /// The moment that is restored.
    pub restore_date_time: Time,
    /// Under whose name the source lies in the bucket.
    #[schemars(length(max = 63))]
    pub region: String,
    #[schemars(length(max = 63))]
    pub account: String,
    /// The source: this backup,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub backup_id: Option<String>,
    /// or this table
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub table_id: Option<String>,
    /// with every entry up to this hybrid timestamp, in decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20))]
    pub at: Option<String>,
    pub restore_in_progress: bool,
    /// Of what is loaded, as `37%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub progress: Option<String>,
}

impl RestoreFrom {
    /// What is named. Checks again what the rules say.
    pub fn asked(&self) -> Result<RestoreAsked<'_>, DefinitionError> {
        let table = match (&self.table, &self.table_id, &self.backup, &self.backup_arn) {
            (Some(name), None, None, None) => TableReference::Name(name.clone()),
            (None, Some(id), None, None) => TableReference::Id(id.parse().map_err(|_| DefinitionError::RestoreFrom)?),
            (None, None, Some(backup), None) if self.time().is_none() => {
                return Ok(RestoreAsked::BackupResource(backup));
            }
            (None, None, None, Some(arn)) if self.time().is_none() => {
                return backup_source(arn).map(RestoreAsked::Source).ok_or(DefinitionError::RestoreFrom);
            }
            _ => return Err(DefinitionError::RestoreFrom),
        };
        let at = self.time().ok_or(DefinitionError::RestoreFrom)??;
        Ok(RestoreAsked::Source(RestoreSource::Table { table, at }))
    }

    /// The moment that is named, if one is.
    fn time(&self) -> Option<Result<RestoreTime, DefinitionError>> {
        match (&self.at, self.latest.unwrap_or_default()) {
            (None, false) => None,
            (None, true) => Some(Ok(RestoreTime::Latest)),
            (Some(_), true) => Some(Err(DefinitionError::RestoreFrom)),
            (Some(at), false) => {
                let millis = at.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
                let invalid = || DefinitionError::Invalid { field: "spec.restoreFrom.at", value: at.clone() };
                let millis = millis.and_then(|millis| u64::try_from(millis).ok()).ok_or_else(invalid);
                Some(millis.map(RestoreTime::Millis))
            }
        }
    }
}

/// The backup that an ARN names, under whose account it lies; none where the text is not the ARN of one.
pub fn backup_source(arn: &str) -> Option<RestoreSource> {
    let arn = BackupArn::parse(arn)?;
    let owner = ArchiveOwner { region: arn.table.region.to_owned(), account: arn.table.account.to_owned() };
    Some(RestoreSource::Backup { owner: Some(owner), backup_id: arn.backup_id.to_owned() })
}

impl RestoreStatus {
    /// What was resolved, before anything of it is loaded.
    pub fn of_resolved(resolved: &Resolved) -> Self {
        let (owner, backup_id, table_id, at) = match &resolved.origin {
            RestoreOrigin::Backup { owner, backup_id } => (owner, Some(backup_id.clone()), None, None),
            RestoreOrigin::Table { owner, table_id, at } => {
                (owner, None, Some(table_id.to_string()), Some(at.0.to_string()))
            }
        };
        Self {
            source_backup_arn: resolved.backup_arn.clone(),
            source_table_arn: resolved.table_arn.clone(),
            restore_date_time: time_of_millis(resolved.restore_time_ms),
            region: owner.region.clone(),
            account: owner.account.clone(),
            backup_id,
            table_id,
            at,
            restore_in_progress: true,
            progress: None,
        }
    }

    /// What the nodes say of a table that was restored long ago. None where they don't say enough.
    pub fn of_restored(from: &RestoredFrom) -> Option<Self> {
        let backup = from.source_backup_arn.as_deref().and_then(BackupArn::parse);
        let table_arn = from.source_table_arn.clone().or_else(|| Some(backup?.table.to_string()))?;
        let table = TableArn::parse(&table_arn)?;
        Some(Self {
            source_backup_arn: from.source_backup_arn.clone(),
            source_table_arn: table_arn.clone(),
            restore_date_time: time_of_millis(from.restore_time_ms),
            region: table.region.to_owned(),
            account: table.account.to_owned(),
            backup_id: backup.map(|backup| backup.backup_id.to_owned()),
            table_id: None,
            at: Some(Timestamp::from_millis(from.restore_time_ms).0.to_string()),
            restore_in_progress: false,
            progress: None,
        })
    }

    /// The source, for the archive that loads it.
    pub fn origin(&self) -> Result<RestoreOrigin, DefinitionError> {
        let owner = ArchiveOwner { region: self.region.clone(), account: self.account.clone() };
        if let Some(backup_id) = &self.backup_id {
            return Ok(RestoreOrigin::Backup { owner, backup_id: backup_id.clone() });
        }
        let table_id = self.table_id.as_ref().ok_or(DefinitionError::Missing { field: "status.restore.tableId" })?;
        let invalid = || DefinitionError::Invalid { field: "status.restore.tableId", value: table_id.clone() };
        let at = self.at()?.ok_or(DefinitionError::Missing { field: "status.restore.at" })?;
        Ok(RestoreOrigin::Table { owner, table_id: table_id.parse().map_err(|_| invalid())?, at })
    }

    /// What the table's definition keeps of it. A resource's times have whole seconds; the hybrid timestamp has more.
    pub fn restored_from(&self) -> Result<RestoredFrom, DefinitionError> {
        Ok(RestoredFrom {
            source_backup_arn: self.source_backup_arn.clone(),
            source_table_arn: Some(self.source_table_arn.clone()),
            restore_time_ms: self.at()?.map_or_else(|| millis_of_time(&self.restore_date_time), Timestamp::millis),
        })
    }

    fn at(&self) -> Result<Option<Timestamp>, DefinitionError> {
        let parse = |at: &String| {
            let invalid = |_| DefinitionError::Invalid { field: "status.restore.at", value: at.clone() };
            at.parse().map(Timestamp).map_err(invalid)
        };
        self.at.as_ref().map(parse).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::{
        ids::TableId,
        table::{KeyAttribute, KeySchema, ScalarType, TableDefinition},
    };

    const ID: &str = "01550000000000-abcdef12";

    fn from(yaml: &str) -> RestoreFrom {
        serde_yaml_ng::from_str(yaml).unwrap()
    }

    fn owner() -> ArchiveOwner {
        ArchiveOwner { region: "east".into(), account: "game".into() }
    }

    fn resolved(origin: RestoreOrigin, backup_arn: Option<String>) -> Resolved {
        let partition = KeyAttribute { name: "Id".into(), scalar_type: ScalarType::S };
        Resolved {
            origin,
            definition: TableDefinition::new("game", "users", TableId([1; 16]), KeySchema { partition, sort: None }),
            table_arn: "arn:aws:dynamodb:east:game:table/users".into(),
            backup_arn,
            restore_time_ms: 1_234_567,
        }
    }

    #[test]
    fn a_source_is_read_as_it_is_written() {
        let at = RestoreTime::Millis(1_763_719_200_500);
        let table = |table, at| Ok(RestoreAsked::Source(RestoreSource::Table { table, at }));
        let by_name = from("{table: users, at: '2025-11-21T12:00:00.5+02:00'}");
        assert_eq!(by_name.asked(), table(TableReference::Name("users".into()), at));
        let id = TableId([7; 16]);
        let by_id = from(&format!("{{tableId: {id}, latest: true}}"));
        assert_eq!(by_id.asked(), table(TableReference::Id(id), RestoreTime::Latest));
        assert_eq!(from("{backup: nightly}").asked(), Ok(RestoreAsked::BackupResource("nightly")));
        let by_arn = from(&format!("{{backupArn: 'arn:aws:dynamodb:east:game:table/users/backup/{ID}'}}"));
        let source = RestoreSource::Backup { owner: Some(owner()), backup_id: ID.into() };
        assert_eq!(by_arn.asked(), Ok(RestoreAsked::Source(source)));
    }

    #[test]
    fn a_source_that_the_rules_would_refuse_is_refused_here_too() {
        for yaml in [
            "{}",
            "{table: users}",
            "{table: users, at: '2025-11-21T12:00:00Z', latest: true}",
            "{table: users, backup: nightly}",
            "{backup: nightly, latest: true}",
            "{backupArn: users}",
            "{tableId: users, latest: true}",
        ] {
            assert_eq!(from(yaml).asked(), Err(DefinitionError::RestoreFrom), "{yaml}");
        }
        let no_day = from("{table: users, at: '2025-02-30T12:00:00Z'}");
        let no_day = no_day.asked();
        assert!(matches!(no_day, Err(DefinitionError::Invalid { field: "spec.restoreFrom.at", .. })), "{no_day:?}");
    }

    #[test]
    fn what_was_resolved_survives_the_way_through_a_status() {
        let at = Timestamp(Timestamp::from_millis(1_234_567).0 | 3);
        let table = RestoreOrigin::Table { owner: owner(), table_id: TableId([1; 16]), at };
        let status = RestoreStatus::of_resolved(&resolved(table.clone(), None));
        assert_eq!(status.origin(), Ok(table));
        assert_eq!(status.restored_from().unwrap().restore_time_ms, 1_234_567, "to the millisecond");

        let arn = format!("arn:aws:dynamodb:east:game:table/users/backup/{ID}");
        let backup = RestoreOrigin::Backup { owner: owner(), backup_id: ID.into() };
        let status = RestoreStatus::of_resolved(&resolved(backup.clone(), Some(arn)));
        assert_eq!(status.origin(), Ok(backup));
        assert_eq!(status.restored_from().unwrap().restore_time_ms, 1_234_000);
    }

    #[test]
    fn what_nodes_say_of_a_restored_table_survives_the_way_through_a_status() {
        let arn = "arn:aws:dynamodb:east:game:table/users".to_owned();
        for backup in [None, Some(format!("{arn}/backup/{ID}"))] {
            let held = RestoredFrom {
                source_backup_arn: backup,
                source_table_arn: Some(arn.clone()),
                restore_time_ms: 1_234_567,
            };
            let status = RestoreStatus::of_restored(&held).unwrap();
            assert!(!status.restore_in_progress);
            assert_eq!(status.restored_from().unwrap(), held);
        }
    }
}
