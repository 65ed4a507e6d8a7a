//! The table that a request named and that is not known, or not as ACTIVE, though it may be by now.

use crate::Catalog;
use parking_lot::Mutex;

/// The last one: where several are missed, each is looked up in an attempt of its own.
#[derive(Debug, Default)]
pub(crate) struct Missed(Mutex<Option<String>>);

impl Missed {
    pub(super) fn note(&self, name: &str) {
        *self.0.lock() = Some(name.to_owned());
    }

    /// Whether the catalog knows better of it now.
    pub(super) async fn look_up(&self, catalog: &dyn Catalog, account: &str) -> bool {
        let missed = self.0.lock().take();
        match missed {
            Some(name) => catalog.look_up(account, &name).await,
            None => false,
        }
    }
}
