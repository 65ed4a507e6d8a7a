//! What a Table asks for: the definition that its nodes keep, or will once the operator has placed it.

use super::indexes;
use cairn_api::arn::{BackupArn, TableArn};
use cairn_crds::{
    Table,
    table::{
        definition::Birth,
        recovery::millis_of_time,
        restore::{RestoreAsked, RestoreFrom},
    },
};
use cairn_model::{
    TableDefinition,
    archive::{RestoreSource, RestoreTime, TableReference},
    ids::TableId,
    stream::Streams,
    table::{ContinuousBackups, RestoredFrom, TimeToLive},
};
use kube::ResourceExt;

/// The definition of a resource; before it was given an id and a time, under those it will be given. `now_ms`: milliseconds
/// since the Unix epoch.
pub(super) fn definition(table: &Table, region: &str, now_ms: u64) -> Result<TableDefinition, String> {
    let given =
        table.status.as_ref().is_some_and(|status| status.table_id.is_some() && status.creation_date_time.is_some());
    let mut definition =
        if given { table.definition().map_err(|error| error.to_string())? } else { unplaced(table, region)? };
    indexes::add_ungiven(table, &mut definition).map_err(|error| error.to_string())?;
    // What the operator has not noted yet: a stream begins when the API said, and ends at once.
    let known = definition.stream.take().unwrap_or_default();
    let is_over = table.spec.stream_view_type().is_ok_and(|asked| asked.is_none());
    let streams = table.streams_asked(known, is_over.then_some(now_ms)).map_err(|error| error.to_string())?;
    definition.stream = Some(streams).filter(|streams| !streams.is_empty());
    if definition.continuous_backups.is_none() {
        // The operator has not noted yet since when: from now on, at the earliest.
        let period = table.spec.recovery_period_days().map_err(|error| error.to_string())?;
        definition.continuous_backups =
            period.map(|recovery_period_days| ContinuousBackups { recovery_period_days, enabled_at_ms: now_ms });
    }
    if definition.time_to_live.is_none() {
        let attribute = table.spec.time_to_live_attribute().map_err(|error| error.to_string())?;
        definition.time_to_live =
            attribute.map(|name| TimeToLive { attribute_name: name.to_owned(), enabled_at_ms: now_ms });
    }
    Ok(definition)
}

fn unplaced(table: &Table, region: &str) -> Result<TableDefinition, String> {
    let uid = table.uid().ok_or("the Table has no uid")?;
    let table_id: TableId = uid.parse().map_err(|_| format!("the Table's uid {uid:?} is no id"))?;
    let creation_time_ms = table.creation_timestamp().as_ref().map(millis_of_time).unwrap_or_default();
    let account = table.account();
    let restored_from = table.spec.restore_from.as_ref().and_then(|from| restored_from(from, region, &account));
    let noted = table.status.as_ref().and_then(|status| status.continuous_backups.as_ref());
    let recovery_since_ms = noted.map(|backups| millis_of_time(&backups.enabled_at));
    let born_ms = table.stream_born_ms().unwrap_or_default();
    let streams = table.streams_asked(Streams::default(), Some(born_ms)).map_err(|error| error.to_string())?;
    let birth = Birth { restored_from, recovery_since_ms, streams, ..Birth::new(table_id, creation_time_ms) };
    table.spec.definition(&account, &table.table_name(), &birth).map_err(|error| error.to_string())
}

/// Where the data will come from, as far as the spec tells by itself; nothing where it does not tell of which moment.
fn restored_from(from: &RestoreFrom, region: &str, account: &str) -> Option<RestoredFrom> {
    if let Some(arn) = from.backup_arn.as_deref().and_then(BackupArn::parse) {
        return Some(RestoredFrom {
            source_backup_arn: Some(arn.to_string()),
            source_table_arn: Some(arn.table.to_string()),
            restore_time_ms: arn.creation_time_ms(),
        });
    }
    let Ok(RestoreAsked::Source(RestoreSource::Table { table, at: RestoreTime::Millis(restore_time_ms) })) =
        from.asked()
    else {
        return None;
    };
    let source_table_arn = match table {
        TableReference::Name(table_name) => Some(TableArn { region, account, table_name: &table_name }.to_string()),
        TableReference::Id(_) => None,
    };
    Some(RestoredFrom { source_backup_arn: None, source_table_arn, restore_time_ms })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW_MS: u64 = 1_800_000_000_000;

    fn table(more: Value, status: Value) -> TableDefinition {
        let mut table = json!({
            "apiVersion": "cairn.dev/v1alpha1", "kind": "Table",
            "metadata": {
                "name": "users", "namespace": "game", "uid": "11111111-1111-4111-8111-111111111111",
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": {
                "attributeDefinitions": [{"attributeName": "Id", "attributeType": "S"}],
                "keySchema": [{"attributeName": "Id", "keyType": "HASH"}],
                "billingMode": "PAY_PER_REQUEST",
            },
            "status": status,
        });
        table["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        definition(&serde_json::from_value(table).unwrap(), "east", NOW_MS).unwrap()
    }

    #[test]
    fn recovery_is_on_from_the_moment_the_spec_says_so() {
        let spec = json!({"continuousBackups": {"pointInTimeRecoveryEnabled": true, "recoveryPeriodInDays": 7}});
        let asked = table(spec.clone(), json!(null)).continuous_backups.unwrap();
        assert_eq!(asked, ContinuousBackups { recovery_period_days: 7, enabled_at_ms: NOW_MS });
        let status = json!({"continuousBackups": {"enabledAt": "2026-01-02T00:00:00Z"}});
        let noted = table(spec, status).continuous_backups.unwrap();
        assert_eq!(noted, ContinuousBackups { recovery_period_days: 7, enabled_at_ms: 1_767_312_000_000 });
        let off = json!({"continuousBackups": {"pointInTimeRecoveryEnabled": false}});
        assert_eq!(table(off, json!(null)).continuous_backups, None);
    }

    #[test]
    fn items_expire_from_the_moment_the_spec_says_so() {
        let on = |attribute_name: &str, enabled_at_ms| {
            Some(TimeToLive { attribute_name: attribute_name.into(), enabled_at_ms })
        };
        let spec = json!({"timeToLive": {"attributeName": "ends", "enabled": true}});
        assert_eq!(table(spec.clone(), json!(null)).time_to_live, on("ends", NOW_MS));
        let status = json!({
            "tableId": "11111111-1111-4111-8111-111111111111", "creationDateTime": "2026-01-01T00:00:00Z",
            "timeToLive": {"attributeName": "ends", "enabledAt": "2026-01-02T00:00:00Z"},
        });
        assert_eq!(table(spec, status.clone()).time_to_live, on("ends", 1_767_312_000_000));
        let other = json!({"timeToLive": {"attributeName": "expires"}});
        assert_eq!(table(other, status.clone()).time_to_live, on("expires", NOW_MS));
        let off = json!({"timeToLive": {"attributeName": "ends", "enabled": false}});
        assert_eq!(table(off, status).time_to_live, None);
    }

    #[test]
    fn a_stream_has_its_name_before_the_operator_has_noted_it() {
        let on = json!({"streamSpecification": {"streamEnabled": true, "streamViewType": "KEYS_ONLY"}});
        let since = |definition: &TableDefinition| definition.current_stream().map(|stream| stream.enabled_at_ms);
        let (made_ms, born_ms) = (1_767_225_600_000, since(&table(on.clone(), json!(null))).unwrap());
        assert!((made_ms - 999..=made_ms).contains(&born_ms), "{born_ms}: when the table was made");
        let id = json!({
            "tableId": "11111111-1111-4111-8111-111111111111", "creationDateTime": "2026-01-01T00:00:00Z",
            "streams": [{
                "streamLabel": "2026-01-02T00:00:00.123", "streamViewType": "KEYS_ONLY", "streamStatus": "ENABLED",
            }],
        });
        assert_eq!(since(&table(on.clone(), id.clone())), Some(1_767_312_000_123));
        let ended = table(json!({}), id);
        assert_eq!((since(&ended), ended.readable_streams(NOW_MS).count()), (None, 1));
        let unnoted = json!({
            "tableId": "11111111-1111-4111-8111-111111111111", "creationDateTime": "2026-01-01T00:00:00Z",
        });
        assert_eq!(since(&table(on, unnoted)), None, "nobody knows yet since when");
    }

    #[test]
    fn a_table_that_is_not_placed_yet_says_what_it_will_be_restored_from() {
        let backup = "arn:aws:dynamodb:east:game:table/users/backup/01550000000000-abcdef12";
        let from = table(json!({"restoreFrom": {"backupArn": backup}}), json!(null)).restored_from.unwrap();
        assert_eq!(from.source_backup_arn.as_deref(), Some(backup));
        assert_eq!(from.source_table_arn.as_deref(), Some("arn:aws:dynamodb:east:game:table/users"));
        assert_eq!(from.restore_time_ms, 1_550_000_000_000);
        let past = json!({"restoreFrom": {"table": "scores", "at": "2026-01-02T00:00:00.123Z"}});
        let from = table(past, json!(null)).restored_from.unwrap();
        assert_eq!(from.source_table_arn.as_deref(), Some("arn:aws:dynamodb:east:game:table/scores"));
        assert_eq!(from.restore_time_ms, 1_767_312_000_123);
        let latest = json!({"restoreFrom": {"table": "scores", "latest": true}});
        assert_eq!(table(latest, json!(null)).restored_from, None, "of which moment is not known yet");
    }
}
