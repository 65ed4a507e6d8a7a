//! ListBackups.

use super::{Call, backup_description::write_summary};
use crate::{
    backups::{BackupFilter, BackupPage, BackupType},
    input::{
        self, Input,
        fields::{Integer, Time},
        shape::Shape,
    },
    output::Object,
    validation::{
        constraints::Constraints,
        references::{constrain_backup_arn, parse_backup_arn, required_table},
    },
};
use cairn_model::ServiceError;
use serde::Deserialize;

/// Backups a page of ListBackups (reference).
const PAGE_MAX: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListBackupsInput {
    table_name: Option<String>,
    limit: Option<Integer>,
    time_range_lower_bound: Option<Time>,
    time_range_upper_bound: Option<Time>,
    exclusive_start_backup_arn: Option<String>,
    backup_type: Option<String>,
}

impl Input for ListBackupsInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[
        ("TableName", Shape::Text),
        ("Limit", Shape::Integer),
        ("TimeRangeLowerBound", Shape::Time),
        ("TimeRangeUpperBound", Shape::Time),
        ("ExclusiveStartBackupArn", Shape::Text),
        ("BackupType", Shape::Text),
    ];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let mut input: ListBackupsInput = input::parse(call.body)?;
    let mut constraints = Constraints::default();
    let table = input.table_name.take().map(|text| required_table(call, Some(text), &mut constraints));
    let table_name = table.transpose()?;
    input.constrain(constraints)?;
    let start = input.exclusive_start_backup_arn.as_deref().map(|text| parse_backup_arn(call, text)).transpose()?;
    if start.is_some_and(|arn| arn.table.region != call.region) {
        return Err(ServiceError::validation(
            "Invalid Request: The supplied ExclusiveStartBackupArn does not match the region",
        ));
    }
    let filter = BackupFilter {
        table_name,
        backup_type: match input.backup_type.as_deref() {
            None | Some("USER") => Some(BackupType::User),
            Some("SYSTEM") => Some(BackupType::System),
            Some(_) => None,
        },
        created_from_ms: input.time_range_lower_bound.map(|time| time.millis),
        created_before_ms: input.time_range_upper_bound.map(|time| time.millis),
    };
    let limit = input.limit.map_or(PAGE_MAX, |limit| limit.0 as usize);
    let page = match call.backups {
        // There is no AWS Backup here that could have made any.
        Some(backups) if input.backup_type.as_deref() != Some("AWS_BACKUP") => {
            backups.list_backups(call.account, &filter, limit, start).await?
        }
        _ => BackupPage::default(),
    };

    let mut out = Vec::new();
    let mut answer = Object::begin(&mut out);
    answer.list("BackupSummaries", &page.backups, write_summary);
    if let (Some(last), true) = (page.backups.last(), page.more) {
        answer.text("LastEvaluatedBackupArn", &last.details.arn);
    }
    answer.end();
    Ok(out)
}

impl ListBackupsInput {
    fn constrain(&self, mut constraints: Constraints) -> Result<(), ServiceError> {
        let limit = self.limit.map(|limit| limit.0);
        constraints.at_least("limit", limit, 1);
        constraints.at_most("limit", limit, PAGE_MAX as i64);
        constrain_backup_arn("exclusiveStartBackupArn", self.exclusive_start_backup_arn.as_deref(), &mut constraints);
        constraints.one_of("backupType", self.backup_type.as_deref(), &["USER", "SYSTEM", "AWS_BACKUP", "ALL"]);
        constraints.finish()?;
        match (self.time_range_lower_bound, self.time_range_upper_bound) {
            (Some(lower), Some(upper)) if lower.millis > upper.millis => Err(ServiceError::validation(
                "One or more parameter values were invalid: Time range lower bound must be less than or equal to \
                 upper bound",
            )),
            _ => Ok(()),
        }
    }
}
