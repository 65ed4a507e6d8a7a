//! The deletion of expired items, and the filling of indexes: one step a flush for each partition, so that requests are taken
//! in between.

use super::{Core, Slot};
use crate::{config::CoreConfig, log::LogStore, replica::Replica};
use cairn_engine::{Pressure, Store};

impl<S: Store, L: LogStore> Core<S, L> {
    /// Whether a flush has something to do though nothing comes.
    pub(crate) fn goes_on(&self) -> bool {
        !self.going_on.is_empty()
    }

    /// The next step of those that went one with the flush before.
    pub(super) fn go_on(&mut self) {
        let going_on = std::mem::take(&mut self.going_on);
        // The next tick takes it up again.
        if self.pressure == Pressure::High {
            return;
        }
        for id in going_on {
            if let Some(Slot::Live(replica)) = self.slots.get_mut(&id) {
                replica.proposer.go_on();
                self.dirty.insert(id);
            }
        }
    }
}

/// Counts what was deleted; tells whether there may be more.
pub(super) fn note<L: LogStore>(replica: &mut Replica<L>, config: &CoreConfig) -> bool {
    let deleted = replica.proposer.take_expired_count();
    if let Some(metrics) = config.metrics.as_ref().filter(|_| deleted > 0) {
        let definition = &replica.state.definition;
        metrics.expired_items.with_label_values(&[&definition.account, &definition.table_name]).inc_by(deleted);
    }
    replica.proposer.take_going_on()
}

/// A partition that is dropped counts no more.
pub(super) fn forget<L: LogStore>(replica: &Replica<L>, config: &CoreConfig) {
    let definition = &replica.state.definition;
    if let Some(metrics) = &config.metrics {
        // That it never counted is no error.
        let _ = metrics.expired_items.remove_label_values(&[&definition.account, &definition.table_name]);
    }
}
