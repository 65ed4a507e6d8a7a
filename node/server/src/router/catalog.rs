//! CreateTable and friends on Kubernetes: the same `Table` resource that `kubectl apply` would write, as the field manager
//! `cairn-api`, never by force.

mod auto_scaling;
mod indexes;
mod look_ups;
mod tags;

use super::{
    resources,
    tables::Tables,
    writes::{ApiWrites, FIELD_MANAGER, OF_NONE, answered},
};
use crate::environment;
use async_trait::async_trait;
use cairn_api::{
    AutoScalingUpdate, Catalog, NewTable, TableAutoScaling, TableUpdate, TableView, TagUpdate, Tags, errors,
};
use cairn_crds::{
    Table, TableSpec, condition, resource_name,
    table::{TableClassStatus, ThroughputStatus, stream::STREAM_ENABLED_AT_ANNOTATION},
};
use cairn_model::{
    ErrorKind, ServiceError, TableDefinition, archive::import::ImportStatus, ids::TableId, table::TableStatus,
    table_class::TableClassHistory, throughput::ThroughputHistory,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, Preconditions},
};
use look_ups::{LookUp, LookUps};
use std::{sync::Arc, time::Duration};

/// For the API server's answer to a look-up: a request waits for it.
const LOOK_UP_DEADLINE: Duration = Duration::from_secs(1);

#[allow(missing_debug_implementations)]
pub struct KubernetesCatalog {
    client: Client,
    tables: Arc<Tables>,
    writes: ApiWrites,
    look_ups: LookUps,
}

impl KubernetesCatalog {
    pub fn new(client: Client, tables: Arc<Tables>, writes: ApiWrites) -> Self {
        Self { client, tables, writes, look_ups: LookUps::default() }
    }

    fn api(&self, account: &str) -> Api<Table> {
        Api::namespaced(self.client.clone(), account)
    }

    /// Whether tables may be made through the API at all.
    pub(super) fn check_writes(&self) -> Result<(), ServiceError> {
        self.writes.check::<Table>()
    }

    /// The resource, if the API may change it.
    fn own(&self, account: &str, name: &str) -> Result<Arc<Table>, ServiceError> {
        self.check_writes()?;
        let table = self.tables.resource(account, name).ok_or_else(|| errors::table_not_found(name))?;
        self.writes.check_owner(&*table, name)?;
        Ok(table)
    }

    /// Makes a Table. Where its name is taken, `taken` has what the caller is told: of the table that has it, as far as it
    /// says what it is. [`errors::overtaken`] where another came first just now.
    pub(super) async fn create(
        &self,
        account: &str,
        name: &str,
        spec: TableSpec,
        taken: impl Fn(Option<&TableView>) -> ServiceError + Send,
    ) -> Result<TableView, ServiceError> {
        self.check_writes()?;
        if let Some(table) = self.tables.view(account, name) {
            return Err(taken(Some(&table)));
        }
        let (resource, asked) = (resource_name(name), self.tables.moment());
        if let Some(table) = answered(self.api(account).get_opt(&resource)).await? {
            let refused = taken(self.tables.describe(&table).ok().as_ref());
            self.tables.answer(table, asked);
            return Err(refused);
        }
        let metadata = ObjectMeta { resource_version: Some(OF_NONE.to_owned()), ..ObjectMeta::default() };
        let created = self.apply(&manifest(account, &resource, metadata, spec)).await;
        // Of what another manager made meanwhile the fields are looked at before the version.
        if let Err(error) = &created
            && error.kind == ErrorKind::AccessDeniedException
            && self.is_there(account, &resource).await?
        {
            return Err(errors::overtaken());
        }
        let created = created?;
        let view = self.tables.describe(&created)?;
        self.tables.answer(created, asked);
        Ok(TableView { status: TableStatus::Creating, ..view })
    }

    async fn is_there(&self, account: &str, resource: &str) -> Result<bool, ServiceError> {
        Ok(answered(self.api(account).get_opt(resource)).await?.is_some())
    }

    /// All of the account's Tables, as the API server has them now.
    pub(super) async fn resources(&self, account: &str) -> Result<Vec<Table>, ServiceError> {
        resources::all(&self.api(account)).await?.ok_or_else(|| {
            tracing::error!(account, "the namespace has more Tables than can be listed");
            errors::internal()
        })
    }

    /// The error of a change, once it is known what came before a change that was overtaken.
    async fn with_news(&self, error: ServiceError, account: &str, name: &str) -> ServiceError {
        if error == errors::overtaken() {
            self.find(account, name).await;
        }
        error
    }

    async fn apply(&self, table: &Table) -> Result<Table, ServiceError> {
        let account = table.namespace().unwrap_or_default();
        let applied = self.api(&account);
        let params = PatchParams::apply(FIELD_MANAGER);
        let name = table.name_any();
        let patch = Patch::Apply(table);
        answered(applied.patch(&name, &params, &patch)).await.map_err(|error| overtaken(error, &account, &name))
    }

    /// Asks the API server for the Table of this name.
    async fn find(&self, account: &str, name: &str) -> LookUp {
        let (asked, known) = (self.tables.moment(), self.tables.resource(account, name));
        let resource = known.as_ref().map_or_else(|| resource_name(name), |known| known.name_any());
        match tokio::time::timeout(LOOK_UP_DEADLINE, self.api(account).get(&resource)).await {
            Ok(Ok(table)) => self.tables.answer(table, asked),
            Ok(Err(kube::Error::Api(status))) if is_absent(&status, &resource) => {
                known.iter().for_each(|known| self.tables.miss(known));
            }
            Ok(Err(error)) => {
                tracing::debug!(account, table = name, %error, "failed to look a table up");
                return LookUp::Failed;
            }
            Err(_) => return LookUp::Unanswered,
        }
        let identity = |table: Arc<Table>| (table.uid(), table.resource_version());
        let found = self.tables.resource(account, name).map(identity);
        if found == known.map(identity) { LookUp::Same } else { LookUp::News }
    }
}

/// Whether there is no such resource. Others that answer 404, those that know of no Tables or of no cluster, don't name it.
fn is_absent(status: &kube::core::Status, resource: &str) -> bool {
    status.reason == "NotFound" && status.details.as_ref().is_some_and(|details| details.name == resource)
}

/// What a conflict of writes is to the caller, of a table that is known by this resource.
fn overtaken(error: ServiceError, account: &str, resource: &str) -> ServiceError {
    match error.kind {
        ErrorKind::ResourceInUseException => {
            tracing::debug!(account, resource, %error, "a change of a Table was overtaken");
            errors::overtaken()
        }
        _ => error,
    }
}

#[async_trait]
impl Catalog for KubernetesCatalog {
    fn table(&self, account: &str, name: &str) -> Option<Arc<TableView>> {
        self.tables.view(account, name)
    }

    async fn look_up(&self, account: &str, name: &str) -> bool {
        self.look_ups.once(account, name, self.find(account, name)).await
    }

    fn list_tables(&self, account: &str) -> Vec<String> {
        self.tables.names(account)
    }

    fn knows_all(&self) -> bool {
        self.tables.is_complete()
    }

    fn has_failed(&self, table: &TableView) -> bool {
        let (account, name) = (&table.definition.account, &table.definition.table_name);
        let resource = self.tables.resource(account, name);
        resource.as_ref().and_then(|resource| resource.status.as_ref()).is_some_and(|status| {
            let has_failed = status.import.as_ref().is_some_and(|import| import.import_status == ImportStatus::Failed);
            // It was refused before anything was made of it: only a person, or its deletion, ends that.
            has_failed || status.table_id.is_none() && condition::is_true(&status.conditions, condition::STALLED)
        })
    }

    async fn create_table(&self, account: &str, mut new: NewTable) -> Result<Arc<TableView>, ServiceError> {
        let name = new.table_name.clone();
        let tags = std::mem::take(&mut new.tags);
        // The resource's uid becomes the id, and its creation time the table's.
        let mut spec =
            TableSpec::from_definition(&new.into_definition(account, TableId([0; 16]), 0, || TableId([0; 16])));
        spec.set_tags(tags);
        Ok(Arc::new(self.create(account, &name, spec, |_| errors::table_exists(&name)).await?))
    }

    async fn update_table(
        &self,
        account: &str,
        name: &str,
        update: TableUpdate,
    ) -> Result<Arc<TableView>, ServiceError> {
        let asked = self.tables.moment();
        let resource = self.own(account, name)?;
        let view = self.tables.describe(&resource)?;
        match view.status {
            TableStatus::Creating => return Err(errors::table_being_created(name)),
            TableStatus::Deleting => return Err(errors::table_being_deleted(name)),
            TableStatus::Updating if update.needs_active() => return Err(errors::table_in_use(name)),
            TableStatus::Updating | TableStatus::Active => {}
        }
        let mut definition = view.definition.clone();
        update.apply(&mut definition, environment::wall_ms(), || TableId([0; 16]));
        let mut spec = resource.spec.clone();
        spec.update_from_definition(&view.definition, &definition);
        indexes::check_owners(&resource, name, &spec)?;
        indexes::leave_to_others(&resource, &mut spec);
        tags::leave_to_others(&resource, &mut spec);
        let mut table = change(&resource, spec);
        if let Some(stream) = definition.current_stream().filter(|_| view.definition.current_stream().is_none()) {
            let annotation = (STREAM_ENABLED_AT_ANNOTATION.to_owned(), stream.enabled_at_ms.to_string());
            table.metadata.annotations = Some([annotation].into());
        }
        let updated = match self.apply(&table).await {
            Ok(updated) => updated,
            Err(error) => return Err(self.with_news(error, account, name).await),
        };
        let TableView { global_indexes, definition: described, .. } = self.tables.describe(&updated)?;
        definition.global_indexes = described.global_indexes;
        self.tables.answer(updated, asked);
        Ok(Arc::new(TableView { definition, global_indexes, ..view }))
    }

    async fn delete_table(&self, account: &str, name: &str) -> Result<Arc<TableView>, ServiceError> {
        let asked = self.tables.moment();
        let resource = self.own(account, name)?;
        let view = self.tables.describe(&resource)?;
        match view.status {
            TableStatus::Deleting => return Err(errors::table_being_deleted(name)),
            TableStatus::Updating => return Err(errors::table_being_updated(name)),
            TableStatus::Creating | TableStatus::Active => {}
        }
        // As it was when the deletion was found right: somebody may have protected it since.
        let preconditions = Preconditions { uid: resource.uid(), resource_version: resource.resource_version() };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let deleted = answered(self.api(account).delete(&resource.name_any(), &params)).await;
        match deleted.map_err(|error| overtaken(error, account, &resource.name_any())) {
            Ok(deleted) => match deleted.left() {
                // A finalizer keeps it for a while.
                Some(table) => self.tables.answer(table, asked),
                None => self.tables.remove(&resource),
            },
            Err(error) => return Err(self.with_news(error, account, name).await),
        }
        Ok(Arc::new(TableView { status: TableStatus::Deleting, ..view }))
    }

    fn definition_held(&self, table: &TableView) -> Option<TableDefinition> {
        self.tables.definition_held(table.definition.table_id)
    }

    fn throughput_history(&self, table: &TableView) -> ThroughputHistory {
        let resource = self.tables.resource(&table.definition.account, &table.definition.table_name);
        let status = resource.as_ref().and_then(|resource| {
            let (status, id) = (resource.status.as_ref()?, table.definition.table_id);
            let index = || status.global_secondary_indexes.iter().find(|index| index.id() == Ok(id));
            if table.definition.index_of.is_some() { index()?.throughput.as_ref() } else { status.throughput.as_ref() }
        });
        status.map(ThroughputStatus::history).unwrap_or_default()
    }

    fn table_class_history(&self, table: &TableView) -> TableClassHistory {
        let resource = self.tables.resource(&table.definition.account, &table.definition.table_name);
        let class = resource.as_ref().and_then(|resource| resource.status.as_ref()?.table_class.as_ref());
        class.map(TableClassStatus::history).unwrap_or_default()
    }

    async fn tags(&self, table: &TableView) -> Result<Tags, ServiceError> {
        let (account, name) = (&table.definition.account, &table.definition.table_name);
        self.tables.resource(account, name).map(|resource| resource.spec.tags_by_key()).ok_or_else(tags::not_told)
    }

    async fn update_tags(&self, account: &str, name: &str, update: TagUpdate) -> Result<(), ServiceError> {
        self.change_tags(account, name, &update).await
    }

    fn auto_scaling(&self, table: &TableView) -> TableAutoScaling {
        let resource = self.tables.resource(&table.definition.account, &table.definition.table_name);
        resource.map(|resource| auto_scaling::settings(&resource.spec)).unwrap_or_default()
    }

    async fn update_auto_scaling(
        &self,
        account: &str,
        name: &str,
        update: AutoScalingUpdate,
    ) -> Result<Arc<TableView>, ServiceError> {
        Ok(Arc::new(self.change_auto_scaling(account, name, &update).await?))
    }
}

/// A manifest that changes this Table, as long as it is as it was, and never makes it anew: where there is no object the API server
/// goes by the uid alone.
fn change(table: &Table, spec: TableSpec) -> Table {
    let (uid, resource_version) = (table.uid(), table.resource_version());
    let metadata = ObjectMeta { uid, resource_version, ..ObjectMeta::default() };
    manifest(&table.namespace().unwrap_or_default(), &table.name_any(), metadata, spec)
}

fn manifest(account: &str, resource: &str, metadata: ObjectMeta, spec: TableSpec) -> Table {
    let (name, namespace) = (Some(resource.to_owned()), Some(account.to_owned()));
    Table { metadata: ObjectMeta { name, namespace, ..metadata }, spec, status: None }
}
