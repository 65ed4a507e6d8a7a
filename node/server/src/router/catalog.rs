//! CreateTable and friends on Kubernetes: the same `Table` resource that `kubectl apply` would write, as the field manager
//! `cairn-api`, never by force.

use super::tables::Tables;
use crate::environment;
use async_trait::async_trait;
use cairn_api::{Catalog, NewTable, TableUpdate, TableView, errors};
use cairn_crds::{Table, TableSpec, resource_name};
use cairn_model::{ErrorKind, ServiceError, ids::TableId, table::TableStatus};
use clap::ValueEnum;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, Preconditions},
};
use std::{sync::Arc, time::Duration};

pub(super) const FIELD_MANAGER: &str = "cairn-api";
/// Writes the status and the finalizer of every Table.
const OPERATOR: &str = "cairn-operator";
/// For the API server's answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Which tables the API may create, change and delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ApiWrites {
    /// Those that the API made, and that nobody else has taken over since.
    Own,
    /// Any; where another manager owns the field that would change, the API server refuses it.
    All,
    /// None: tables are declared by manifests alone.
    None,
}

pub(super) struct KubernetesCatalog {
    client: Client,
    tables: Arc<Tables>,
    writes: ApiWrites,
}

impl KubernetesCatalog {
    pub(super) fn new(client: Client, tables: Arc<Tables>, writes: ApiWrites) -> Self {
        Self { client, tables, writes }
    }

    fn api(&self, account: &str) -> Api<Table> {
        Api::namespaced(self.client.clone(), account)
    }

    fn writable(&self) -> Result<(), ServiceError> {
        if self.writes == ApiWrites::None {
            return Err(denied(
                "Tables are not changed through this API (api.writes is none): apply a Table manifest instead",
            ));
        }
        Ok(())
    }

    /// The resource, if the API may change it.
    fn own(&self, account: &str, name: &str) -> Result<Arc<Table>, ServiceError> {
        self.writable()?;
        let table = self.tables.resource(account, name).ok_or_else(|| errors::table_not_found(name))?;
        if self.writes == ApiWrites::Own
            && let Some(owner) = other_owner(&table)
        {
            return Err(denied(&format!(
                "Table {name} is managed by {owner}: change it there, or set api.writes to all"
            )));
        }
        Ok(table)
    }

    async fn apply(&self, table: &Table) -> Result<Table, ServiceError> {
        let account = table.namespace().unwrap_or_default();
        let applied = self.api(&account);
        let params = PatchParams::apply(FIELD_MANAGER);
        let name = table.name_any();
        let patch = Patch::Apply(table);
        answered(applied.patch(&name, &params, &patch)).await
    }
}

#[async_trait]
impl Catalog for KubernetesCatalog {
    fn table(&self, account: &str, name: &str) -> Option<Arc<TableView>> {
        self.tables.view(account, name)
    }

    fn list_tables(&self, account: &str) -> Vec<String> {
        self.tables.names(account)
    }

    async fn create_table(&self, account: &str, new: NewTable) -> Result<Arc<TableView>, ServiceError> {
        self.writable()?;
        let name = new.table_name.clone();
        if self.tables.view(account, &name).is_some() {
            return Err(errors::table_exists(&name));
        }
        let resource = resource_name(&name);
        if answered(self.api(account).get_opt(&resource)).await?.is_some() {
            return Err(errors::table_exists(&name));
        }
        // The resource's uid becomes the id, and its creation time the table's.
        let definition = new.into_definition(account, TableId([0; 16]), 0);
        let table = manifest(account, &resource, TableSpec::from_definition(&definition));
        let created = self.apply(&table).await?;
        let view = self.tables.describe(&created)?;
        self.tables.put(created);
        Ok(Arc::new(TableView { status: TableStatus::Creating, ..view }))
    }

    async fn update_table(
        &self,
        account: &str,
        name: &str,
        update: TableUpdate,
    ) -> Result<Arc<TableView>, ServiceError> {
        let resource = self.own(account, name)?;
        let view = self.tables.describe(&resource)?;
        if view.status != TableStatus::Active {
            return Err(errors::table_in_use(name));
        }
        let mut definition = view.definition.clone();
        update.apply(&mut definition, environment::wall_ms());
        let mut spec = resource.spec.clone();
        spec.update_from_definition(&view.definition, &definition);
        let mut table = manifest(account, &resource.name_any(), spec);
        table.metadata.resource_version = resource.resource_version();
        let updated = self.apply(&table).await?;
        self.tables.put(updated);
        Ok(Arc::new(TableView { definition, status: TableStatus::Updating, ..view }))
    }

    async fn delete_table(&self, account: &str, name: &str) -> Result<Arc<TableView>, ServiceError> {
        let resource = self.own(account, name)?;
        let view = self.tables.describe(&resource)?;
        if matches!(view.status, TableStatus::Deleting | TableStatus::Updating) {
            return Err(errors::table_in_use(name));
        }
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: resource.uid(), resource_version: None }),
            ..DeleteParams::default()
        };
        let deleted = answered(self.api(account).delete(&resource.name_any(), &params)).await?;
        if let Some(table) = deleted.left() {
            self.tables.put(table);
        }
        Ok(Arc::new(TableView { status: TableStatus::Deleting, ..view }))
    }
}

fn manifest(account: &str, resource: &str, spec: TableSpec) -> Table {
    Table {
        metadata: ObjectMeta {
            name: Some(resource.to_owned()),
            namespace: Some(account.to_owned()),
            ..ObjectMeta::default()
        },
        spec,
        status: None,
    }
}

/// The manager, other than the API and the operator, that owns a field of the table's spec.
fn other_owner(table: &Table) -> Option<&str> {
    table.managed_fields().iter().find_map(|entry| {
        let manager = entry.manager.as_deref()?;
        let spec = entry.fields_v1.as_ref().is_some_and(|fields| fields.0.get("f:spec").is_some());
        (spec && manager != FIELD_MANAGER && manager != OPERATOR).then_some(manager)
    })
}

fn denied(message: &str) -> ServiceError {
    ServiceError::new(ErrorKind::AccessDeniedException, message)
}

async fn answered<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ServiceError> {
    let unavailable = || {
        ServiceError::new(
            ErrorKind::InternalServerError,
            "The Kubernetes API server does not answer; tables can't be changed at present. Data operations go on.",
        )
    };
    match tokio::time::timeout(DEADLINE, call).await {
        Err(_) => Err(unavailable()),
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(match status.code {
            404 => ServiceError::new(ErrorKind::ResourceNotFoundException, status.message.clone()),
            409 => ServiceError::new(ErrorKind::ResourceInUseException, status.message.clone()),
            403 => denied(&status.message),
            400 | 422 => ServiceError::validation(status.message.clone()),
            429 => ServiceError::new(ErrorKind::ThrottlingException, status.message.clone()),
            _ => {
                tracing::warn!(code = status.code, message = status.message, "the API server refused a change");
                unavailable()
            }
        }),
        Ok(Err(error)) => {
            tracing::warn!(%error, "failed to reach the API server");
            Err(unavailable())
        }
    }
}
