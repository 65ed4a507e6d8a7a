//! The objects of one kind as the API server told of them last.

use kube::ResourceExt;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// Far more than come to their end while the API server is waited for once.
const ENDED_MAX: usize = 1_000;

/// Objects by namespace and name, and which of the watches have told of all of theirs.
#[derive(Debug)]
pub(super) struct Mirror<K> {
    /// The namespaces that are watched; none for all.
    watched: Vec<String>,
    /// By namespace, or one without.
    listed: BTreeSet<Option<String>>,
    all: BTreeMap<(String, String), Arc<K>>,
    /// The uids of those that are no more, the last of them since the last list: what the API server answered before may come after.
    ended: VecDeque<String>,
    /// How often all objects were listed.
    lists: u64,
}

/// When the API server was asked, by what a mirror had been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(u64);

/// Who is told of the objects of a kind. A namespace is none where all are watched at once.
pub(super) trait Watched<K>: Send + Sync {
    fn put(&self, object: K);
    fn remove(&self, object: &K);
    /// All that there are.
    fn replace(&self, namespace: Option<&str>, objects: Vec<K>);
}

impl<K: ResourceExt> Mirror<K> {
    pub(super) fn new(watched: Vec<String>) -> Self {
        Self { watched, listed: BTreeSet::new(), all: BTreeMap::new(), ended: VecDeque::new(), lists: 0 }
    }

    /// Takes over an object as it is now, unless what became of it is known: the watch and the API server's answers overtake each
    /// other.
    pub(super) fn put(&mut self, object: K) {
        let Some(namespace) = object.namespace() else { return };
        if object.uid().is_some_and(|uid| self.ended.contains(&uid)) {
            return;
        }
        let key = (namespace, object.name_any());
        if !self.all.get(&key).is_some_and(|known| is_later(&**known, &object)) {
            self.all.insert(key, Arc::new(object));
        }
    }

    /// To be taken before the API server is asked.
    pub(super) fn moment(&self) -> Moment {
        Moment(self.lists)
    }

    /// Takes over what the API server answered, unless all objects were listed since it was asked: they have it, or what became of it.
    pub(super) fn answer(&mut self, object: K, asked: Moment) {
        if asked == self.moment() {
            self.put(object);
        }
    }

    /// The API server answered that there is no such object; another of its name may be known by now. Should the watch tell of this
    /// one once more, it counts.
    pub(super) fn miss(&mut self, object: &K) {
        let Some(namespace) = object.namespace() else { return };
        let key = (namespace, object.name_any());
        if self.all.get(&key).is_some_and(|known| known.uid() == object.uid()) {
            self.all.remove(&key);
        }
    }

    /// This object is no more; another of its name may be.
    pub(super) fn remove(&mut self, object: &K) {
        self.miss(object);
        if let Some(uid) = object.uid().filter(|uid| !self.ended.contains(uid)) {
            self.ended.truncate(ENDED_MAX - 1);
            self.ended.push_front(uid);
        }
    }

    pub(super) fn replace(&mut self, namespace: Option<&str>, objects: Vec<K>) {
        self.all.retain(|(of, _), _| namespace.is_some_and(|namespace| namespace != of));
        // Whatever was known: an API server that was set back counts versions anew.
        let named = objects.into_iter().filter_map(|object| Some(((object.namespace()?, object.name_any()), object)));
        self.all.extend(named.map(|(key, object)| (key, Arc::new(object))));
        self.listed.insert(namespace.map(str::to_owned));
        self.ended.clear();
        self.lists += 1;
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

/// Whether the first of two that had one name, the same object or another, is later than the second. Versions of one kind's objects
/// are numbers that rise, as Kubernetes promises (KEP-5504); any others say nothing.
fn is_later<K: ResourceExt>(known: &K, object: &K) -> bool {
    let version = |object: &K| object.resource_version()?.parse::<u64>().ok();
    version(known).zip(version(object)).is_some_and(|(known, object)| known > object)
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

    fn version(mirror: &Mirror<Table>) -> Option<String> {
        mirror.of("game").next()?.resource_version()
    }

    fn of_versions(versions: &[(&str, &str)]) -> Mirror<Table> {
        let mut mirror = Mirror::new(Vec::new());
        versions.iter().for_each(|(uid, version)| mirror.put(table(uid, version)));
        mirror
    }

    #[test]
    fn what_an_object_was_does_not_replace_what_it_became() {
        let mirror = of_versions(&[("a", "9"), ("a", "10"), ("a", "9")]);
        assert_eq!(version(&mirror).as_deref(), Some("10"));
        let mirror = of_versions(&[("a", "9"), ("b", "12"), ("a", "10")]);
        assert_eq!(version(&mirror).as_deref(), Some("12"), "another object of the same name, which is there since");
    }

    #[test]
    fn a_list_is_all_there_is() {
        let mut mirror = of_versions(&[("a", "9")]);
        mirror.replace(None, vec![table("a", "2")]);
        assert_eq!(version(&mirror).as_deref(), Some("2"), "an API server that was set back");
        mirror.replace(None, Vec::new());
        assert_eq!(version(&mirror), None);
    }

    #[test]
    fn what_the_api_server_answered_does_not_bring_back_what_is_deleted() {
        let mut mirror = of_versions(&[("a", "9")]);
        let asked = mirror.moment();
        mirror.remove(&table("a", "10"));
        mirror.answer(table("a", "9"), asked);
        assert_eq!(version(&mirror), None);
        mirror.answer(table("b", "11"), asked);
        assert_eq!(version(&mirror).as_deref(), Some("11"), "another object of the same name");
        mirror.remove(&table("a", "10"));
        assert_eq!(version(&mirror).as_deref(), Some("11"), "it was not the one that is deleted");
    }

    #[test]
    fn what_was_answered_before_a_list_does_not_count_after_it() {
        let mut mirror = of_versions(&[("a", "9")]);
        let asked = mirror.moment();
        mirror.replace(None, Vec::new());
        mirror.answer(table("a", "9"), asked);
        assert_eq!(version(&mirror), None);
        mirror.answer(table("a", "9"), mirror.moment());
        assert_eq!(version(&mirror).as_deref(), Some("9"));
    }
}
