//! ListGlobalTables.

use super::{
    Call,
    global_table_description::{group, write_regions},
};
use crate::{
    global_tables::Replica,
    input::{self, Input, fields::Integer, shape::Shape},
    output::Object,
    validation::constraints::Constraints,
};
use cairn_model::ServiceError;
use serde::Deserialize;

/// Global tables a page (reference).
const PAGE: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListGlobalTablesInput {
    exclusive_start_global_table_name: Option<String>,
    limit: Option<Integer>,
    region_name: Option<String>,
}

impl Input for ListGlobalTablesInput {
    const FIELDS: &'static [(&'static str, Shape)] =
        &[("ExclusiveStartGlobalTableName", Shape::Text), ("Limit", Shape::Integer), ("RegionName", Shape::Text)];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: ListGlobalTablesInput = input::parse(call.body)?;
    let mut constraints = Constraints::default();
    if let Some(name) = &input.exclusive_start_global_table_name {
        constraints.name_in_full("exclusiveStartGlobalTableName", name);
    }
    constraints.at_least("limit", input.limit.map(|limit| limit.0), 1);
    constraints.finish()?;
    let limit = input.limit.map_or(PAGE, |limit| (limit.0 as usize).min(PAGE));
    let names = call.catalog.list_tables(call.account);
    let after = input.exclusive_start_global_table_name.as_deref();
    let start = after.map_or(0, |after| names.partition_point(|name| name.as_str() <= after));
    let wanted = |group: &[Replica]| {
        input.region_name.as_ref().is_none_or(|wanted| group.iter().any(|replica| replica.region == *wanted))
    };
    let found = names[start..].iter().filter_map(|name| {
        let table = call.catalog.table(call.account, name)?;
        let group = group(call, &table, &call.global_table(&table)?);
        wanted(&group).then_some((name, group))
    });
    let mut page: Vec<(&String, Vec<Replica>)> = found.take(limit + 1).collect();
    let more = page.len() > limit;
    page.truncate(limit);

    let mut out = Vec::new();
    let mut answer = Object::begin(&mut out);
    answer.list("GlobalTables", &page, |(name, group), out| {
        let mut global = Object::begin(out);
        global.text("GlobalTableName", name);
        write_regions(group, global.field("ReplicationGroup"));
        global.end();
    });
    if let (Some((last, _)), true) = (page.last(), more) {
        answer.text("LastEvaluatedGlobalTableName", last);
    }
    answer.end();
    Ok(out)
}
