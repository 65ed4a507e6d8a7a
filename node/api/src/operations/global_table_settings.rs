//! What DescribeGlobalTableSettings and UpdateGlobalTableSettings answer. A region's settings are its own, and told there:
//! here of the other regions nothing but how they stand.

use super::{
    Call,
    auto_scaling_description::{write_index, write_table},
    global_table_description::group,
    table_description::write_table_class,
};
use crate::{TableView, global_tables::GlobalTable, output::Object};
use cairn_model::table::{BillingMode, ProvisionedThroughput};

pub(super) fn answer(call: &Call<'_>, table: &TableView, global: &GlobalTable) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let mut answer = Object::begin(&mut out);
    answer.text("GlobalTableName", &table.definition.table_name);
    answer.list("ReplicaSettings", group(call, table, global), |replica, out| {
        let mut settings = Object::begin(out);
        settings.text("RegionName", &replica.region);
        settings.text("ReplicaStatus", replica.status.as_str());
        if replica.region == call.region {
            write_own(call, table, &mut settings);
        }
        settings.end();
    });
    answer.end();
    out
}

fn write_own(call: &Call<'_>, table: &TableView, settings: &mut Object<'_>) {
    let definition = &table.definition;
    let mut summary = settings.object("ReplicaBillingModeSummary");
    summary.text(
        "BillingMode",
        match definition.billing_mode {
            BillingMode::Provisioned => "PROVISIONED",
            BillingMode::PayPerRequest => "PAY_PER_REQUEST",
        },
    );
    summary.end();
    let throughput = definition
        .provisioned_throughput
        .unwrap_or(ProvisionedThroughput { read_capacity_units: 0, write_capacity_units: 0 });
    settings.literal("ReplicaProvisionedReadCapacityUnits", throughput.read_capacity_units);
    settings.literal("ReplicaProvisionedWriteCapacityUnits", throughput.write_capacity_units);
    let scaling = call.catalog.auto_scaling(table);
    write_table(table, &scaling, settings);
    if !table.global_indexes.is_empty() {
        settings.list("ReplicaGlobalSecondaryIndexSettings", &table.global_indexes, |index, out| {
            let mut settings = Object::begin(out);
            write_index(table, index, &scaling, &mut settings);
            if let Some(units) = index.table.definition.provisioned_throughput {
                settings.literal("ProvisionedReadCapacityUnits", units.read_capacity_units);
                settings.literal("ProvisionedWriteCapacityUnits", units.write_capacity_units);
            }
            settings.end();
        });
    }
    write_table_class(call, "ReplicaTableClassSummary", table, settings);
}
