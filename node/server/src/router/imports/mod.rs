//! The imports of a cluster: `Table` resources with `importFrom`, which the operator has its archives carry out, and the records of
//! them that lie in the archives' buckets.

mod records;
mod resources;

use super::{archives::Archives, catalog::KubernetesCatalog, tables::Tables};
use crate::environment;
use async_trait::async_trait;
use cairn_api::{
    Imports, NewTable,
    arn::ImportArn,
    errors,
    imports::{IMPORTS_MAX, ImportPage, ImportReport, ImportRequest, ImportStatus, TOKEN_MS, answered_before},
};
use cairn_crds::{DEFAULT_STORAGE_GROUP, TableSpec, table::ImportFrom};
use cairn_model::{ServiceError, archive::import::IMPORTS_KEPT_MS, ids::TableId, limits};
use records::Records;
use resources::report;
use std::{collections::BTreeMap, sync::Arc};

/// Records of a group that are asked for at once.
const PAGE: usize = 100;

#[allow(missing_debug_implementations)]
pub struct ClusterImports {
    records: Records,
    archives: Arc<Archives>,
    catalog: Arc<KubernetesCatalog>,
    tables: Arc<Tables>,
    region: String,
}

impl ClusterImports {
    pub fn new(region: String, archives: Arc<Archives>, catalog: Arc<KubernetesCatalog>, tables: Arc<Tables>) -> Self {
        Self { records: Records::new(archives.clone()), archives, catalog, tables, region }
    }

    /// The group of a table to be: like any that the API makes in the default one, if that has an archive.
    fn group(&self, account: &str) -> Result<String, ServiceError> {
        match self.archives.groups(account).into_iter().next() {
            Some(first) => Ok(first.group),
            // The default group is made with the first table, as the release says that groups are made.
            None if !self.archives.knows(account) => Ok(DEFAULT_STORAGE_GROUP.to_owned()),
            None => Err(errors::imports_need_an_archive()),
        }
    }

    /// What the account's Tables say of their imports, by id.
    fn of_tables(&self, account: &str) -> BTreeMap<String, ImportReport> {
        let reports = self.tables.resources(account).into_iter().filter_map(|table| report(&table, &self.region));
        reports.map(|report| (report.order.import_id.clone(), report)).collect()
    }

    /// The account's imports with ids below `below` that were begun since then, the newest first and up to `limit` of them, as
    /// far as they are into one table if its ARN is given; and whether there are more.
    async fn list(
        &self,
        account: &str,
        table_arn: Option<&str>,
        below: Option<&str>,
        limit: usize,
        oldest_ms: u64,
    ) -> Result<ImportPage, ServiceError> {
        // Before the buckets: what ends meanwhile is in both, and not in neither.
        let mut known = self.of_tables(account);
        known.retain(|id, import| {
            below.is_none_or(|below| id.as_str() < below)
                && table_arn.is_none_or(|arn| arn == import.order.table_arn)
                && import.order.start_time_ms >= oldest_ms
        });
        let recorded = self.records.list(account, table_arn, below, limit + 1, oldest_ms).await?;
        let mut merged = known.clone();
        for (id, record) in recorded {
            // Of one under way the Table knows more; of one that ended, the record.
            let under_way = ImportStatus::InProgress;
            if known.get(&id).is_none_or(|import| import.status != under_way && record.status != under_way) {
                merged.insert(id, record);
            }
        }
        let mut imports: Vec<ImportReport> = merged.into_values().rev().take(limit + 1).collect();
        let more = imports.len() > limit;
        imports.truncate(limit);
        self.end_the_abandoned(account, &known, &mut imports).await?;
        Ok(ImportPage { imports, more })
    }

    /// An import that no outcome is known of, and no Table, was abandoned: its Table is deleted. That is looked up anew, for the
    /// watch may be behind.
    async fn end_the_abandoned(
        &self,
        account: &str,
        known: &BTreeMap<String, ImportReport>,
        imports: &mut [ImportReport],
    ) -> Result<(), ServiceError> {
        let is_open = |import: &ImportReport| {
            import.status == ImportStatus::InProgress && !known.contains_key(&import.order.import_id)
        };
        if !imports.iter().any(is_open) {
            return Ok(());
        }
        let tables = self.catalog.resources(account).await?;
        let there: BTreeMap<String, ImportReport> = tables
            .iter()
            .filter_map(|table| report(table, &self.region))
            .map(|report| (report.order.import_id.clone(), report))
            .collect();
        for import in imports.iter_mut().filter(|import| is_open(import)) {
            *import = match there.get(&import.order.import_id) {
                Some(report) => report.clone(),
                None => resources::abandoned(import.order.clone()),
            };
        }
        Ok(())
    }

    /// The import that a client token stands for.
    async fn of_token(&self, account: &str, token: &str) -> Result<Option<ImportReport>, ServiceError> {
        let oldest_ms = environment::wall_ms().saturating_sub(TOKEN_MS);
        let mut below: Option<String> = None;
        loop {
            let page = self.list(account, None, below.as_deref(), PAGE, oldest_ms).await?;
            below = page.imports.last().map(|last| last.order.import_id.clone());
            let mut imports = page.imports.into_iter();
            let found = imports.find(|import| import.order.client_token.as_deref() == Some(token));
            if found.is_some() || !page.more {
                return Ok(found);
            }
        }
    }
}

#[async_trait]
impl Imports for ClusterImports {
    async fn import_table(
        &self,
        account: &str,
        request: ImportRequest,
        table: NewTable,
    ) -> Result<ImportReport, ServiceError> {
        self.catalog.check_writes()?;
        let name = table.table_name.clone();
        let earlier = match &request.client_token {
            Some(token) => self.of_token(account, token).await?,
            None => None,
        };
        let is_taken = self.tables.view(account, &name).is_some();
        if let Some(earlier) = answered_before(earlier, &name, is_taken)? {
            return Ok(earlier);
        }
        let under_way = self.of_tables(account).into_values().filter(|it| it.status == ImportStatus::InProgress);
        if under_way.count() >= IMPORTS_MAX {
            return Err(errors::too_many_imports(IMPORTS_MAX));
        }
        if self.tables.names(account).len() >= limits::TABLES_PER_ACCOUNT_MAX {
            return Err(errors::too_many_tables());
        }
        let ImportRequest { client_token, source, format, compression } = request;
        let asked_token = client_token.clone();
        // The resource's uid becomes the id, and its creation time the table's.
        let definition = table.into_definition(account, TableId([0; 16]), 0, || TableId([0; 16]));
        let spec = TableSpec {
            storage_group: self.group(account)?,
            import_from: Some(ImportFrom::new(client_token, source, format, compression)),
            ..TableSpec::from_definition(&definition)
        };
        let created = self.catalog.create(account, &name, spec, |_| errors::table_exists(&name)).await;
        let begun = self.tables.resource(account, &name).and_then(|table| report(&table, &self.region));
        let Err(error) = created else { return begun.ok_or_else(errors::internal) };
        // It may be made under the same token already, by another router.
        match begun.filter(|begun| asked_token.is_some() && begun.order.client_token == asked_token) {
            Some(begun) => answered_before(Some(begun), &name, true)?.ok_or(error),
            None => Err(error),
        }
    }

    async fn describe_import(&self, account: &str, arn: ImportArn<'_>) -> Result<ImportReport, ServiceError> {
        let text = arn.to_string();
        let mut known = self.of_tables(account);
        known.retain(|_, import| import.order.arn == text);
        if let Some(import) = known.values().find(|import| import.status == ImportStatus::InProgress) {
            return Ok(import.clone());
        }
        let recorded = self.records.get(account, arn.import_id).await?.filter(|import| import.order.arn == text);
        let mut found: Vec<ImportReport> = match recorded {
            Some(import) if import.status != ImportStatus::InProgress || known.is_empty() => vec![import],
            _ => known.values().cloned().collect(),
        };
        self.end_the_abandoned(account, &known, &mut found).await?;
        found.pop().ok_or_else(|| errors::import_not_found(arn))
    }

    async fn list_imports(
        &self,
        account: &str,
        table_arn: Option<&str>,
        limit: usize,
        exclusive_start_id: Option<&str>,
    ) -> Result<ImportPage, ServiceError> {
        let oldest_ms = environment::wall_ms().saturating_sub(IMPORTS_KEPT_MS);
        self.list(account, table_arn, exclusive_start_id, limit, oldest_ms).await
    }
}
