//! A table that may be made: its spec can be kept by nodes, and its name is its own.

use crate::controller::Refusal;
use cairn_crds::{
    Table,
    table::{
        RestoreFrom,
        definition::{Birth, DefinitionError},
    },
};
use cairn_model::{ids::TableId, limits, table::TableDefinition};
use jiff::Timestamp;
use kube::ResourceExt;

/// A table whose spec this version can serve, under a name that is its own.
#[derive(Clone, Debug)]
pub struct ValidatedTable {
    pub account: String,
    pub table_name: String,
    pub table: Table,
}

impl ValidatedTable {
    /// The definition that the spec asks for.
    pub fn definition(&self, birth: &Birth) -> Result<TableDefinition, DefinitionError> {
        self.table.spec.definition(&self.account, &self.table_name, birth)
    }
}

/// Checks a table among those of its namespace.
pub fn validate(table: &Table, in_namespace: &[Table]) -> Result<ValidatedTable, Refusal> {
    let features = table.spec.features_missing();
    if !features.is_empty() {
        let verb = if features.len() == 1 { "is" } else { "are" };
        return Err(Refusal::new(
            "FeatureMissing",
            format!("{} {verb} not supported by this version of Cairn: remove it from the Table", features.join(", ")),
        ));
    }
    let validated = ValidatedTable { account: table.account(), table_name: table.table_name(), table: table.clone() };
    let definition = validated.definition(&Birth::new(TableId([0; 16]), 0));
    let source = table.spec.restore_from.as_ref().map(RestoreFrom::asked).transpose();
    if let (Err(error), _) | (_, Err(error)) = (definition, source) {
        return Err(Refusal::new("InvalidSpec", error.to_string()));
    }
    if let Some(other) = holder_of_name(table, in_namespace) {
        return Err(Refusal::new(
            "NameTaken",
            format!(
                "the table {} is declared by the Table resource {other} already: delete one of them, or give this one another spec.tableName",
                table.table_name()
            ),
        ));
    }
    if table.status.as_ref().is_none_or(|status| status.table_id.is_none())
        && in_namespace.iter().filter(|other| rank(other) < rank(table)).count() >= limits::TABLES_PER_ACCOUNT_MAX
    {
        return Err(Refusal::new(
            "LimitExceeded",
            format!(
                "the namespace has {} tables already, as many as an account can have: delete one, or make this one in another \
                 namespace",
                limits::TABLES_PER_ACCOUNT_MAX
            ),
        ));
    }
    Ok(validated)
}

/// Of two tables the one of the lower rank comes first: one that has data already, else the first that was made.
fn rank(table: &Table) -> (bool, Option<Timestamp>, String) {
    let has_data = table.status.as_ref().is_some_and(|status| status.table_id.is_some());
    (!has_data, table.creation_timestamp().map(|time| time.0), table.name_any())
}

/// The resource that has the table's name, if it is another.
fn holder_of_name(table: &Table, in_namespace: &[Table]) -> Option<String> {
    in_namespace
        .iter()
        .filter(|other| other.name_any() != table.name_any() && other.table_name() == table.table_name())
        .filter(|other| rank(other) < rank(table))
        .map(ResourceExt::name_any)
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::fixture::table;
    use cairn_crds::TableResourceStatus;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn created_at(name: &str, second: i64) -> Table {
        let mut table = table(name);
        table.spec.table_name = Some("Users".into());
        table.metadata.creation_timestamp = Some(Time(Timestamp::from_second(second).unwrap()));
        table
    }

    #[test]
    fn the_first_resource_to_claim_a_name_has_it() {
        let all = [created_at("b", 1), created_at("a", 2)];
        assert!(validate(&all[0], &all).is_ok());
        let refusal = validate(&all[1], &all).unwrap_err();
        assert_eq!(refusal.reason, "NameTaken");
        assert!(refusal.message.contains("resource b"), "{refusal:?}");
    }

    #[test]
    fn a_namespace_has_as_many_tables_as_an_account_can_have() {
        let mut all: Vec<Table> = (0..2_500).map(|number| table(&format!("table-{number}"))).collect();
        all.iter_mut().for_each(|table| table.metadata.creation_timestamp = Some(Time(Timestamp::UNIX_EPOCH)));
        let mut late = table("late");
        late.metadata.creation_timestamp = Some(Time(Timestamp::from_second(1).unwrap()));
        all.push(late.clone());
        assert_eq!(validate(&late, &all).unwrap_err().reason, "LimitExceeded");
        assert!(validate(&all[0], &all).is_ok());
        late.status = Some(TableResourceStatus { table_id: Some("x".into()), ..TableResourceStatus::default() });
        assert!(validate(&late, &all).is_ok(), "it is there");
        all.pop();
        late.status = None;
        all[0] = late.clone();
        assert!(validate(&late, &all).is_ok());
    }

    #[test]
    fn a_resource_that_has_data_keeps_its_name() {
        let mut late = created_at("a", 2);
        late.status = Some(TableResourceStatus { table_id: Some("x".into()), ..TableResourceStatus::default() });
        let all = [created_at("b", 1), late];
        assert!(validate(&all[1], &all).is_ok());
        assert_eq!(validate(&all[0], &all).unwrap_err().reason, "NameTaken");
    }

    #[test]
    fn a_field_of_a_missing_feature_is_named() {
        let mut table = table("users");
        table.spec.sse_specification = Some(serde_json::from_str(r#"{"enabled": true}"#).unwrap());
        let refusal = validate(&table, &[]).unwrap_err();
        assert_eq!(refusal.reason, "FeatureMissing");
        assert!(refusal.message.contains("spec.sseSpecification"), "{refusal:?}");
    }

    fn fixture_table_with_a_day_that_is_none() -> Table {
        let mut table = table("users");
        let no_day = r#"{"table": "old", "at": "2025-02-30T00:00:00Z"}"#;
        table.spec.restore_from = Some(serde_json::from_str(no_day).unwrap());
        table
    }

    #[test]
    fn a_spec_that_got_past_the_rules_is_refused() {
        let mut table = table("users");
        table.spec.attribute_definitions.clear();
        assert_eq!(validate(&table, &[]).unwrap_err().reason, "InvalidSpec");
        let mut table = fixture_table_with_a_day_that_is_none();
        assert!(validate(&table, &[]).unwrap_err().message.contains("spec.restoreFrom.at"));
        table.spec.restore_from = None;
        assert!(validate(&table, &[]).is_ok());
    }
}
