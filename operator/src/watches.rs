//! What each controller watches beside its own kind, and which of its objects a change concerns.

use crate::{
    build::names::GROUP_LABEL,
    config::Config,
    context::{GuardedBackup, GuardedGlobalTable, GuardedGroup, GuardedScheduledBackup, GuardedTable},
};
use cairn_crds::{Backup, GlobalTable, SCHEDULED_BY_LABEL, ScheduledBackup, StorageGroup, Table};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{apps::v1::StatefulSet, core::v1::Pod},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{Controller, reflector::ObjectRef, watcher},
};

/// The namespaces that are watched, each on its own; or none, for all of them at once.
pub fn scopes(config: &Config) -> Vec<Option<String>> {
    let named: Vec<_> = config.watch_namespaces.iter().filter(|name| !name.is_empty()).cloned().map(Some).collect();
    if named.is_empty() { vec![None] } else { named }
}

/// What one watch reaches.
pub struct Scope {
    pub client: Client,
    pub namespace: Option<String>,
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl Scope {
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// A kind whose objects that can't be read stop nobody else.
    pub fn guarded<K>(&self) -> Api<kube::core::DeserializeGuard<K>>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        self.api()
    }
}

/// Tables, each looked at again when its group changes.
pub fn tables(tables: Controller<GuardedTable>, scope: &Scope) -> Controller<GuardedTable> {
    let known = tables.store();
    tables.watches(scope.guarded::<StorageGroup>(), watcher::Config::default(), move |group: GuardedGroup| {
        let (namespace, name) = (group.namespace(), group.name_any());
        let of_group = known.state().into_iter().filter(move |table| {
            let spec = table.0.as_ref().ok().map(|table| &table.spec);
            table.namespace() == namespace && spec.is_some_and(|spec| spec.storage_group == name)
        });
        of_group.map(|table| ObjectRef::from_obj(table.as_ref())).collect::<Vec<_>>()
    })
}

/// Groups, each looked at again when one of its objects changes, or a table that is new to it or goes.
pub fn groups(groups: Controller<GuardedGroup>, scope: &Scope) -> Controller<GuardedGroup> {
    let any = watcher::Config::default;
    groups
        .owns(scope.api::<StatefulSet>(), any().labels(GROUP_LABEL))
        .watches(scope.api::<Pod>(), any().labels(GROUP_LABEL), move |pod: Pod| {
            let group = pod.labels().get(GROUP_LABEL).cloned()?;
            Some(ObjectRef::<GuardedGroup>::new(&group).within(&pod.namespace().unwrap_or_default()))
        })
        .watches(scope.guarded::<Table>(), any(), move |table: GuardedTable| {
            let read = table.0.as_ref().ok()?;
            // One that is placed and stays says nothing new to its group, however often its status is written.
            let is_placed = read.status.as_ref().is_some_and(|status| status.placements.is_some());
            let is_news = !is_placed || read.metadata.deletion_timestamp.is_some();
            let group = Some(read.spec.storage_group.clone()).filter(|_| is_news)?;
            Some(ObjectRef::<GuardedGroup>::new(&group).within(&table.namespace().unwrap_or_default()))
        })
}

/// The schedules, each looked at again when a backup of its own changes.
pub fn schedules(scope: &Scope) -> Controller<GuardedScheduledBackup> {
    let schedules =
        Controller::<GuardedScheduledBackup>::new(scope.guarded::<ScheduledBackup>(), watcher::Config::default());
    let known = schedules.store();
    let labelled = watcher::Config::default().labels(SCHEDULED_BY_LABEL);
    schedules.watches(scope.guarded::<Backup>(), labelled, move |backup: GuardedBackup| {
        let (namespace, label) = (backup.namespace(), backup.labels().get(SCHEDULED_BY_LABEL).cloned());
        let of_backup = known.state().into_iter().filter(move |scheduled| {
            let value = scheduled.0.as_ref().ok().map(ScheduledBackup::label_value);
            scheduled.namespace() == namespace && value.is_some() && value == label
        });
        of_backup.map(|scheduled| ObjectRef::from_obj(scheduled.as_ref())).collect::<Vec<_>>()
    })
}

/// GlobalTables, each looked at again when a table changes that it names.
pub fn global_tables(globals: Controller<GuardedGlobalTable>, scope: &Scope) -> Controller<GuardedGlobalTable> {
    let known = globals.store();
    globals.watches(scope.guarded::<Table>(), watcher::Config::default(), move |table: GuardedTable| {
        let namespace = table.namespace();
        let table_name = table.0.as_ref().ok().map(Table::table_name);
        let naming = known.state().into_iter().filter(move |global| {
            let named = global.0.as_ref().ok().map(GlobalTable::table_name);
            global.namespace() == namespace && named.is_some() && named == table_name
        });
        naming.map(|global| ObjectRef::from_obj(global.as_ref())).collect::<Vec<_>>()
    })
}
