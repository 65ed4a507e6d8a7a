//! ListTables.

use super::Call;
use crate::{
    input::{self, Input, fields::Integer, shape::Shape},
    output::Object,
    validation::constraints::Constraints,
};
use cairn_model::{ServiceError, json, limits};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListTablesInput {
    exclusive_start_table_name: Option<String>,
    limit: Option<Integer>,
}

impl Input for ListTablesInput {
    const FIELDS: &'static [(&'static str, Shape)] =
        &[("Limit", Shape::Integer), ("ExclusiveStartTableName", Shape::Text)];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: ListTablesInput = input::parse(call.body)?;
    let mut constraints = Constraints::default();
    if let Some(name) = &input.exclusive_start_table_name {
        let path = "exclusiveStartTableName";
        constraints.name_pattern(path, name);
        if name.len() < limits::TABLE_NAME_BYTES_MIN {
            constraints.value(name, path, "Member must have length greater than or equal to 3");
        } else if name.len() > limits::TABLE_NAME_BYTES_MAX {
            constraints.value(name, path, "Member must have length less than or equal to 255");
        }
    }
    let limit = input.limit.map(|limit| limit.0);
    constraints.at_least("limit", limit, 1);
    constraints.at_most("limit", limit, limits::LIST_TABLES_MAX as i64);
    constraints.finish()?;

    let names = call.catalog.list_tables(call.account);
    let after = input.exclusive_start_table_name.as_deref();
    let start = after.map_or(0, |after| names.partition_point(|name| name.as_str() <= after));
    let rest = &names[start..];
    let limit = limit.map_or(limits::LIST_TABLES_MAX, |limit| limit as usize);
    let page = &rest[..limit.min(rest.len())];

    let mut out = Vec::new();
    let mut answer = Object::begin(&mut out);
    if let (Some(last), true) = (page.last(), page.len() < rest.len()) {
        answer.text("LastEvaluatedTableName", last);
    }
    answer.list("TableNames", page, |name, out| json::write_string(name, out));
    answer.end();
    Ok(out)
}
