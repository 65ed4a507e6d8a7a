//! What of the replicas may be read without going through the machine.

use super::{Core, ReadPoint, Slot, read_point};
use crate::log::LogStore;
use arc_swap::ArcSwap;
use cairn_engine::Store;
use cairn_model::{descriptor::Member, ids::PartitionId};
use std::{collections::HashMap, sync::Arc};

/// The replicas of a node, as of the last flush that changed one.
pub type Views = ArcSwap<HashMap<PartitionId, ReplicaView>>;

#[derive(Clone, Debug)]
pub struct ReplicaView {
    pub point: ReadPoint,
    /// The replica that leads, if known.
    pub leader: Option<Member>,
    /// Eventually consistent reads may be served from here.
    pub is_current: bool,
    /// This replica is the only voter and leads: what it has applied is all that was acknowledged.
    pub reads_alone: bool,
}

impl<S: Store, L: LogStore> Core<S, L> {
    pub(super) fn publish_views(&mut self) {
        let mut views = HashMap::with_capacity(self.slots.len());
        for (id, slot) in &mut self.slots {
            let Slot::Live(replica) = slot else { continue };
            replica.view_changed = false;
            if replica.has_data() {
                let view = ReplicaView {
                    point: read_point(replica),
                    leader: replica.leader(),
                    is_current: replica.is_current(),
                    reads_alone: replica.reads_alone(),
                };
                views.insert(*id, view);
            }
        }
        self.views.store(Arc::new(views));
    }
}
