//! The operations: one file each, and the table in which they are found.
//!
//! Each reads its input, checks it in DynamoDB's order and words, asks the catalog or the partitions, and writes
//! its answer.

mod auto_scaling_description;
mod backup_description;
mod batch_execute_statement;
mod batch_get_item;
mod batch_write_item;
mod call;
mod continuous_backups;
mod create_backup;
mod create_global_table;
mod create_table;
mod delete_backup;
mod delete_item;
mod delete_table;
mod describe_backup;
mod describe_continuous_backups;
mod describe_endpoints;
mod describe_export;
mod describe_global_table;
mod describe_global_table_settings;
mod describe_import;
mod describe_limits;
mod describe_stream;
mod describe_table;
mod describe_table_replica_auto_scaling;
mod describe_time_to_live;
mod execute_statement;
mod execute_transaction;
mod export_description;
mod export_table_to_point_in_time;
mod get_item;
mod get_records;
mod get_shard_iterator;
mod global_table_description;
mod global_table_settings;
mod import_description;
mod import_table;
mod index_description;
mod item_write;
mod legacy;
mod list_backups;
mod list_exports;
mod list_global_tables;
mod list_imports;
mod list_streams;
mod list_tables;
mod list_tags_of_resource;
mod missed;
mod page;
mod put_item;
mod query;
mod replica_updates;
mod restore;
mod restore_table_from_backup;
mod restore_table_to_point_in_time;
mod scan;
mod shard_iterator;
mod stream;
mod table_description;
mod tag_resource;
mod time_to_live;
mod transact_get_items;
mod transact_write_items;
mod under_way;
mod untag_resource;
mod update_continuous_backups;
mod update_global_table;
mod update_global_table_settings;
mod update_item;
mod update_table;
mod update_table_replica_auto_scaling;
mod update_time_to_live;

pub(crate) use call::Call;
pub(crate) use missed::Missed;
pub(crate) use put_item::check_size;
pub(crate) use query::behind;

use crate::errors;
use cairn_model::ServiceError;
use futures::future::BoxFuture;

type Run = for<'a> fn(&'a Call<'a>) -> BoxFuture<'a, Result<Vec<u8>, ServiceError>>;

/// The services that DynamoDB is, by what their operations' names begin with in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Tables,
    Streams,
}

const SERVICES: [(&str, Service); 2] =
    [("DynamoDB_20120810.", Service::Tables), ("DynamoDBStreams_20120810.", Service::Streams)];

/// One operation of the API.
pub(crate) struct Operation {
    service: Service,
    pub(crate) name: &'static str,
    run: Run,
}

/// How often an operation is begun at most.
const ATTEMPTS: usize = 3;

impl Operation {
    /// Runs it, and anew where it was refused by what the catalog knew of a table and knows better since: what is refused so has
    /// done nothing.
    pub(crate) async fn run(&self, call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
        let mut outcome = (self.run)(call).await;
        for _ in 1..ATTEMPTS {
            let is_behind = match &outcome {
                Ok(_) => false,
                Err(error) if errors::is_overtaken(error) => true,
                Err(error) if errors::is_refusal(error.kind) => call.missed.look_up(call.catalog, call.account).await,
                Err(_) => false,
            };
            if !is_behind {
                break;
            }
            outcome = (self.run)(call).await;
        }
        outcome
    }
}

macro_rules! operations {
    ($($name:literal => $module:ident,)* streams: $($of_streams:literal => $streams_module:ident,)*) => {
        pub(crate) const OPERATIONS: &[Operation] = &[
            $(Operation { service: Service::Tables, name: $name, run: |call| Box::pin($module::run(call)) },)*
            $(Operation {
                service: Service::Streams,
                name: $of_streams,
                run: |call| Box::pin($streams_module::run(call)),
            },)*
        ];
    };
}

operations! {
    "GetItem" => get_item,
    "PutItem" => put_item,
    "UpdateItem" => update_item,
    "DeleteItem" => delete_item,
    "Query" => query,
    "Scan" => scan,
    "BatchGetItem" => batch_get_item,
    "BatchWriteItem" => batch_write_item,
    "ExecuteStatement" => execute_statement,
    "BatchExecuteStatement" => batch_execute_statement,
    "TransactWriteItems" => transact_write_items,
    "TransactGetItems" => transact_get_items,
    "ExecuteTransaction" => execute_transaction,
    "CreateTable" => create_table,
    "DescribeTable" => describe_table,
    "ListTables" => list_tables,
    "DeleteTable" => delete_table,
    "UpdateTable" => update_table,
    "UpdateTimeToLive" => update_time_to_live,
    "DescribeTimeToLive" => describe_time_to_live,
    "TagResource" => tag_resource,
    "UntagResource" => untag_resource,
    "ListTagsOfResource" => list_tags_of_resource,
    "DescribeEndpoints" => describe_endpoints,
    "DescribeLimits" => describe_limits,
    "CreateBackup" => create_backup,
    "DescribeBackup" => describe_backup,
    "ListBackups" => list_backups,
    "DeleteBackup" => delete_backup,
    "RestoreTableFromBackup" => restore_table_from_backup,
    "RestoreTableToPointInTime" => restore_table_to_point_in_time,
    "ExportTableToPointInTime" => export_table_to_point_in_time,
    "DescribeExport" => describe_export,
    "ListExports" => list_exports,
    "ImportTable" => import_table,
    "DescribeImport" => describe_import,
    "ListImports" => list_imports,
    "UpdateContinuousBackups" => update_continuous_backups,
    "DescribeContinuousBackups" => describe_continuous_backups,
    "CreateGlobalTable" => create_global_table,
    "DescribeGlobalTable" => describe_global_table,
    "ListGlobalTables" => list_global_tables,
    "UpdateGlobalTable" => update_global_table,
    "DescribeGlobalTableSettings" => describe_global_table_settings,
    "UpdateGlobalTableSettings" => update_global_table_settings,
    "DescribeTableReplicaAutoScaling" => describe_table_replica_auto_scaling,
    "UpdateTableReplicaAutoScaling" => update_table_replica_auto_scaling,
    streams:
    "ListStreams" => list_streams,
    "DescribeStream" => describe_stream,
    "GetShardIterator" => get_shard_iterator,
    "GetRecords" => get_records,
}

/// The place in [`OPERATIONS`] of the operation that a request's target names, as `DynamoDB_20120810.GetItem`.
pub(crate) fn find(target: &str) -> Option<usize> {
    let named = |(prefix, service): &(&str, Service)| target.strip_prefix(prefix).map(|name| (*service, name));
    let (service, name) = SERVICES.iter().find_map(named)?;
    OPERATIONS.iter().position(|operation| operation.service == service && operation.name == name)
}
