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

    pub(super) fn put(&mut self, object: K) {
        if let Some(namespace) = object.namespace() {
            self.all.insert((namespace, object.name_any()), Arc::new(object));
        }
    }

    pub(super) fn remove(&mut self, object: &K) {
        if let Some(namespace) = object.namespace() {
            self.all.remove(&(namespace, object.name_any()));
        }
    }

    pub(super) fn replace(&mut self, namespace: Option<&str>, objects: Vec<K>) {
        self.all.retain(|(of, _), _| namespace.is_some_and(|namespace| namespace != of));
        objects.into_iter().for_each(|object| self.put(object));
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
