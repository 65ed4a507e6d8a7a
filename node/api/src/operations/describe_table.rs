//! DescribeTable.

use super::{Call, table_description, under_way};
use crate::{
    input::{self, Input, shape::Shape},
    validation::{constraints::Constraints, references::required_table},
};
use cairn_model::ServiceError;
use futures::future::{join, join_all};
use serde::Deserialize;
use std::sync::Arc;

/// The input of the operations that take a table's name and nothing else.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TableNameInput {
    table_name: Option<String>,
}

impl Input for TableNameInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[("TableName", Shape::Text)];
}

/// Reads and checks the name, or the ARN.
pub(super) fn parse_table_name(call: &Call<'_>) -> Result<String, ServiceError> {
    let input: TableNameInput = input::parse(call.body)?;
    let mut constraints = Constraints::default();
    let name = required_table(call, input.table_name, &mut constraints)?;
    constraints.finish()?;
    Ok(name)
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let name = parse_table_name(call)?;
    call.renew(&name).await;
    let mut table = call.any_table(&name)?;
    under_way::show_held(call, &mut table);
    let (counts, of_indexes) = join(
        call.partitions.counts(&table),
        join_all(table.global_indexes.iter().map(|index| call.partitions.counts(&index.table))),
    )
    .await;
    if let Some(counts) = &counts {
        let table = Arc::make_mut(&mut table);
        (table.item_count, table.size_bytes) = (counts.item_count, counts.size_bytes);
    }
    for (at, counts) in of_indexes.into_iter().enumerate() {
        if let Some(counts) = counts {
            let index = Arc::make_mut(&mut Arc::make_mut(&mut table).global_indexes[at].table);
            (index.item_count, index.size_bytes) = (counts.item_count, counts.size_bytes);
        }
    }
    Ok(table_description::answer(call, "Table", &table, &counts.unwrap_or_else(|| call.unknown_counts(&table))))
}
