//! The operations: one file each, and the table in which they are found.
//!
//! Each reads its input, checks it in DynamoDB's order and words, asks the catalog or the partitions, and writes
//! its answer.

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
mod describe_table;
mod execute_statement;
mod execute_transaction;
mod export_description;
mod export_table_to_point_in_time;
mod get_item;
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
mod list_tables;
mod list_tags_of_resource;
mod page;
mod put_item;
mod query;
mod replica_updates;
mod restore;
mod restore_table_from_backup;
mod restore_table_to_point_in_time;
mod scan;
mod table_description;
mod tag_resource;
mod transact_get_items;
mod transact_write_items;
mod untag_resource;
mod update_continuous_backups;
mod update_global_table;
mod update_global_table_settings;
mod update_item;
mod update_table;

pub(crate) use call::Call;
pub(crate) use put_item::check_size;
pub(crate) use query::{behind, ordered};

use cairn_model::ServiceError;
use futures::future::BoxFuture;

type Run = for<'a> fn(&'a Call<'a>) -> BoxFuture<'a, Result<Vec<u8>, ServiceError>>;

/// One operation of the API.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) run: Run,
}

macro_rules! operations {
    ($($name:literal => $module:ident,)*) => {
        pub(crate) const OPERATIONS: &[Operation] =
            &[$(Operation { name: $name, run: |call| Box::pin($module::run(call)) },)*];
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
}

/// The operation's place in [`OPERATIONS`].
pub(crate) fn find(name: &str) -> Option<usize> {
    OPERATIONS.iter().position(|operation| operation.name == name)
}
