//! The tables that a request may be refused for, as they were known to it: they may be others by now.

use crate::{Catalog, TableView};
use futures::future::join_all;
use parking_lot::Mutex;
use std::{collections::BTreeSet, sync::Arc};

/// No request names more (a transaction of as many actions).
const TABLES_MAX: usize = 100;

#[derive(Debug, Default)]
pub(crate) struct Missed(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    /// By name, each as it was known last, if it was.
    noted: Vec<(String, Option<Arc<TableView>>)>,
    /// What was looked up since the request came is new enough for it.
    looked_up: BTreeSet<String>,
}

impl Missed {
    pub(super) fn note(&self, name: &str, known: Option<&Arc<TableView>>) {
        let mut tables = self.0.lock();
        let is_noted = tables.noted.iter().any(|(noted, _)| noted == name) || tables.looked_up.contains(name);
        if !is_noted && tables.noted.len() < TABLES_MAX {
            tables.noted.push((name.to_owned(), known.cloned()));
        }
    }

    /// Looks all that are noted up, at once: whether the catalog knows better of one now.
    pub(super) async fn look_up(&self, catalog: &dyn Catalog, account: &str) -> bool {
        let noted = {
            let mut tables = self.0.lock();
            let noted = std::mem::take(&mut tables.noted);
            tables.looked_up.extend(noted.iter().map(|(name, _)| name.clone()));
            noted
        };
        let looked_up = noted.iter().map(|(name, known)| async move {
            catalog.look_up(account, name).await || catalog.table(account, name) != *known
        });
        join_all(looked_up).await.contains(&true)
    }
}
