//! Tables, backups, exports and imports as requests name them: a table by its name or its ARN, the others by theirs.

use super::constraints::{Constraints, is_table_name, table_name};
use crate::{
    arn::{BackupArn, ExportArn, ImportArn, TableArn},
    errors,
    operations::Call,
};
use cairn_model::ServiceError;

const ARN_BYTES_MAX: usize = 1_024;
const BACKUP_ARN_BYTES_MIN: usize = 37;
const TABLE_ARN_FORMAT: &str = "Valid ARN format is 'arn:<awsPartition>:<vendor>:<region>:<subscriber>:\
     resourceType/resourceName', where Resource name must have length less than or equal to 255, Resource name must \
     have length greater than or equal to 3, Resource name must satisfy regular expression pattern: [a-zA-Z0-9_.-]+";

/// `TableName`, which may be the ARN of one of the account's tables: the table's name, whose pattern is left to the
/// constraints.
pub(crate) fn required_table(
    call: &Call<'_>,
    mut text: Option<String>,
    constraints: &mut Constraints,
) -> Result<String, ServiceError> {
    resolve_table_arn(call, &mut text)?;
    let name = table_name(text)?;
    constraints.name_pattern("tableName", &name);
    Ok(name)
}

/// Puts a table's name in the place of its ARN, which is given back: answers on items call the table as the request did.
pub(crate) fn resolve_table_arn(call: &Call<'_>, text: &mut Option<String>) -> Result<Option<String>, ServiceError> {
    let Some(arn) = text.take_if(|text| is_arn(text)) else { return Ok(None) };
    *text = Some(table_named(call, &arn)?.to_owned());
    Ok(Some(arn))
}

/// The name of the table that is named by it or by its ARN.
pub(crate) fn table_named<'a>(call: &Call<'_>, text: &'a str) -> Result<&'a str, ServiceError> {
    if !is_arn(text) {
        return Ok(text);
    }
    let mut constraints = Constraints::default();
    constrain_table_arn("tableName", Some(text), &mut constraints);
    constraints.finish()?;
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let resource = parts.get(5).and_then(|resource| resource.split_once('/'));
    let mut constraints = Constraints::default();
    match (parts.as_slice(), resource) {
        ([_, partition, "dynamodb", region, account, _], Some((kind, name))) if is_table_name(name) => {
            let wrong = [("AWS partition", *partition == "aws"), ("resource type", kind == "table")];
            let wrong = wrong.into_iter().chain([("AWS region", *region == call.region)]).find(|(_, right)| !right);
            match wrong {
                Some((part, _)) => constraints.add(format!("Invalid {part} in '{text}'")),
                None if *account != call.account => return Err(errors::access_denied()),
                None => return Ok(name),
            }
        }
        _ => constraints.value(text, "tableName", TABLE_ARN_FORMAT),
    }
    Err(constraints.into_error())
}

/// Whether a table is named by its ARN, which no name can be.
pub(crate) fn is_arn(text: &str) -> bool {
    text.starts_with("arn:")
}

/// `ResourceArn` of the operations on tags: the account's table that it names, which need not be there.
pub(crate) fn tagged_table<'a>(call: &Call<'_>, text: &'a str) -> Result<&'a str, ServiceError> {
    let invalid =
        |what: &str| ServiceError::validation(format!("One or more parameter values were invalid: {what}: {text}"));
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let (vendor, region, account, resource) = match parts.as_slice() {
        ["arn", _, vendor, region, account, resource] => (*vendor, *region, *account, *resource),
        ["arn", _, _, _, _] => return Err(invalid("Fifth colon (namespace/relative-id delimiter) not found")),
        ["arn", _, _, _] => return Err(invalid("Fourth colon (region/namespace delimiter) not found")),
        ["arn", _, _] => return Err(invalid("Third colon vendor not found")),
        ["arn", _] => return Err(invalid("Second colon partition not found")),
        _ => return Err(invalid("ARNs must start with 'arn:'")),
    };
    if vendor != "dynamodb" {
        return Err(errors::access_denied());
    }
    let mut path = resource.split('/');
    let (kind, table_name, part) = (path.next(), path.next().unwrap_or_default(), path.next());
    match (kind, part) {
        (Some("table"), None | Some("stream")) => {}
        (Some("table"), Some("index")) => {
            let what = "Invalid resource arn provided, only table or stream is accepted. Provided resource arn";
            return Err(invalid(what));
        }
        _ => return Err(invalid("Provided Arn is not a DynamoDB resource arn")),
    }
    if account != call.account {
        return Err(errors::access_denied());
    }
    let is_own = text.starts_with("arn:aws:") && region == call.region;
    match part {
        None if is_own && is_table_name(table_name) => Ok(table_name),
        // Streams have no tags.
        Some(_) if is_own => Err(errors::tagged_table_not_found(text)),
        _ => Err(ServiceError::validation(format!("Invalid TableArn: Invalid ResourceArn provided as input {text}"))),
    }
}

/// `ResourceArn`, which is told of before everything else.
pub(crate) fn required_resource_arn(text: Option<String>) -> Result<String, ServiceError> {
    text.ok_or_else(|| ServiceError::validation("Invalid TableArn"))
}

/// The length of a table's ARN.
pub(crate) fn constrain_table_arn(path: &str, arn: Option<&str>, constraints: &mut Constraints) {
    let constraint = match arn.map(str::len) {
        Some(0) => "Member must have length greater than or equal to 1",
        Some(length) if length > ARN_BYTES_MAX => "Member must have length less than or equal to 1024",
        _ => return,
    };
    constraints.value(arn.unwrap_or_default(), path, constraint);
}

/// `TableArn`, which must be of the account. Its region is the caller's to look at.
pub(crate) fn parse_table_arn<'a>(call: &Call<'_>, text: &'a str) -> Result<TableArn<'a>, ServiceError> {
    match TableArn::parse(text).filter(|arn| is_table_name(arn.table_name)) {
        None => {
            let mut constraints = Constraints::default();
            constraints.value(text, "tableArn", TABLE_ARN_FORMAT);
            Err(constraints.into_error())
        }
        Some(arn) if arn.account != call.account => Err(errors::access_denied()),
        Some(arn) => Ok(arn),
    }
}

/// `ExportArn` of DescribeExport.
pub(crate) fn required_export<'a>(call: &Call<'_>, text: Option<&'a str>) -> Result<ExportArn<'a>, ServiceError> {
    let mut constraints = Constraints::default();
    constraints.required("exportArn", text.is_some());
    constrain_backup_arn("exportArn", text, &mut constraints);
    constraints.finish()?;
    let text = text.unwrap_or_default();
    if is_foreign(call, text) {
        return Err(errors::access_denied());
    }
    ExportArn::parse(text).ok_or_else(|| ServiceError::validation("Invalid Export ARN"))
}

/// Whether an ARN is of another partition, service, region or account, which is looked at before what it names (Alternator's
/// test_export.py, measured at AWS).
fn is_foreign(call: &Call<'_>, text: &str) -> bool {
    match *text.splitn(6, ':').collect::<Vec<_>>() {
        ["arn", partition, service, region, account, _] => {
            (partition, service, region, account) != ("aws", "dynamodb", call.region, call.account)
        }
        _ => false,
    }
}

/// `ImportArn` of DescribeImport.
pub(crate) fn required_import<'a>(call: &Call<'_>, text: Option<&'a str>) -> Result<ImportArn<'a>, ServiceError> {
    let mut constraints = Constraints::default();
    constraints.required("importArn", text.is_some());
    constrain_backup_arn("importArn", text, &mut constraints);
    constraints.finish()?;
    match ImportArn::parse(text.unwrap_or_default()).filter(|arn| is_table_name(arn.table.table_name)) {
        None => Err(ServiceError::validation("Invalid Import ARN")),
        Some(arn) if arn.table.account != call.account => Err(errors::access_denied()),
        Some(arn) if arn.table.region != call.region => Err(errors::import_not_found(arn)),
        Some(arn) => Ok(arn),
    }
}

/// The length of a backup's ARN, an export's or an import's.
pub(crate) fn constrain_backup_arn(path: &str, arn: Option<&str>, constraints: &mut Constraints) {
    let constraint = match arn.map(str::len) {
        Some(..BACKUP_ARN_BYTES_MIN) => "Member must have length greater than or equal to 37",
        Some(length) if length > ARN_BYTES_MAX => "Member must have length less than or equal to 1024",
        _ => return,
    };
    constraints.value(arn.unwrap_or_default(), path, constraint);
}

/// A backup's ARN, which must be of the account. Its region is the caller's to look at.
pub(crate) fn parse_backup_arn<'a>(call: &Call<'_>, text: &'a str) -> Result<BackupArn<'a>, ServiceError> {
    match BackupArn::parse(text) {
        None => Err(ServiceError::validation("Invalid Backup ARN")),
        Some(arn) if arn.table.account != call.account => Err(errors::access_denied()),
        Some(arn) => Ok(arn),
    }
}

/// As [`parse_backup_arn`]; there are no backups of another region here.
pub(crate) fn own_backup_arn<'a>(call: &Call<'_>, text: &'a str) -> Result<BackupArn<'a>, ServiceError> {
    let arn = parse_backup_arn(call, text)?;
    if arn.table.region == call.region { Ok(arn) } else { Err(errors::backup_not_found(arn)) }
}

/// `BackupArn` of the operations that take nothing else.
pub(crate) fn required_backup<'a>(call: &Call<'_>, text: Option<&'a str>) -> Result<BackupArn<'a>, ServiceError> {
    let mut constraints = Constraints::default();
    constraints.required("backupArn", text.is_some());
    constrain_backup_arn("backupArn", text, &mut constraints);
    constraints.finish()?;
    own_backup_arn(call, text.unwrap_or_default())
}
