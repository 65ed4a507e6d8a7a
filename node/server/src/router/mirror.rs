//! The objects of one kind as the API server told of them last.

use kube::ResourceExt;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Objects by namespace and name, and which of the watches have told of all of theirs.
#[derive(Debug)]
pub(super) struct Mirror<K> {
    /// The namespaces that are watched; none for all.
    watched: Vec<String>,
    /// By namespace, or one without.
    listed: BTreeSet<Option<String>>,
    all: BTreeMap<(String, String), Arc<K>>,
}

/// Who is told of the objects of a kind. A namespace is none where all are watched at once.
pub(super) trait Watched<K>: Send + Sync {
    fn put(&self, object: K);
    fn remove(&self, object: &K);
    /// All that there are.
    fn replace(&self, namespace: Option<&str>, objects: Vec<K>);
}

impl<K: ResourceExt> Mirror<K> {
    pub(super) fn new(watched: Vec<String>) -> Self {
        Self { watched, listed: BTreeSet::new(), all: BTreeMap::new() }
    }

    /// Takes over an object as it is now, unless it is known as it became later: what a write was answered with, or a look-up, may
    /// come behind what the watch has told.
    pub(super) fn put(&mut self, object: K) {
        let Some(namespace) = object.namespace() else { return };
        let key = (namespace, object.name_any());
        if !self.all.get(&key).is_some_and(|known| is_later(&**known, &object)) {
            self.all.insert(key, Arc::new(object));
        }
    }

    pub(super) fn remove(&mut self, object: &K) {
        if let Some(namespace) = object.namespace() {
            self.all.remove(&(namespace, object.name_any()));
        }
    }

    pub(super) fn replace(&mut self, namespace: Option<&str>, objects: Vec<K>) {
        self.all.retain(|(of, _), _| namespace.is_some_and(|namespace| namespace != of));
        // Whatever was known: an API server that was set back counts versions anew.
        let named = objects.into_iter().filter_map(|object| Some(((object.namespace()?, object.name_any()), object)));
        self.all.extend(named.map(|(key, object)| (key, Arc::new(object))));
        self.listed.insert(namespace.map(str::to_owned));
    }

    /// Those of a namespace, in the order of their names.
    pub(super) fn of<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Arc<K>> {
        let first = (namespace.to_owned(), String::new());
        self.all.range(first..).take_while(move |((of, _), _)| of == namespace).map(|(_, object)| object)
    }

    /// The namespaces that have any.
    pub(super) fn namespaces(&self) -> BTreeSet<String> {
        self.all.keys().map(|(namespace, _)| namespace.clone()).collect()
    }

    /// Whether the API server has told of every object there is.
    pub(super) fn is_complete(&self) -> bool {
        if self.watched.is_empty() {
            return self.listed.contains(&None);
        }
        self.listed.len() == self.watched.len()
    }
}

/// Whether the first is the same object as the second, later. Versions of one kind's objects are numbers that rise, as Kubernetes
/// promises; any others say nothing.
fn is_later<K: ResourceExt>(known: &K, object: &K) -> bool {
    let version = |object: &K| object.resource_version()?.parse::<u64>().ok();
    known.uid() == object.uid() && version(known).zip(version(object)).is_some_and(|(known, object)| known > object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_crds::Table;
    use serde_json::json;

    fn table(uid: &str, version: &str) -> Table {
        let table = json!({
            "apiVersion": "cairn.dev/v1alpha1", "kind": "Table",
            "metadata": {"name": "users", "namespace": "game", "uid": uid, "resourceVersion": version},
            "spec": {"attributeDefinitions": [], "keySchema": [], "billingMode": "PAY_PER_REQUEST"},
        });
        serde_json::from_value(table).unwrap()
    }

    fn version(mirror: &Mirror<Table>) -> String {
        mirror.of("game").next().unwrap().resource_version().unwrap()
    }

    #[test]
    fn what_an_object_was_does_not_replace_what_it_became() {
        let mut mirror = Mirror::new(Vec::new());
        mirror.put(table("a", "9"));
        mirror.put(table("a", "10"));
        mirror.put(table("a", "9"));
        assert_eq!(version(&mirror), "10");
        mirror.put(table("b", "3"));
        assert_eq!(version(&mirror), "3", "another object of the same name");
        mirror.replace(None, vec![table("b", "2")]);
        assert_eq!(version(&mirror), "2", "a list is all there is");
    }
}
