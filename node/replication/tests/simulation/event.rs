//! What happens in the simulation, each at its time.

use crate::client::{Attempt, Sent};
use bytes::Bytes;
use cairn_engine::LogMark;
use cairn_model::{
    ids::NodeId,
    node::{Order, OrderOutcome},
};
use cairn_replication::operation::{PartitionError, PartitionOutcome};
use std::collections::BTreeMap;

#[derive(Debug)]
pub enum Event {
    /// A tick's time has passed at a node.
    Tick(usize),
    /// A node steps what came in and flushes.
    Run(usize),
    FrameArrives {
        to: usize,
        from: NodeId,
        bytes: Bytes,
    },
    RequestArrives(Box<Sent>),
    AnswerArrives {
        attempt: Attempt,
        result: Result<PartitionOutcome, PartitionError>,
    },
    ClientWakes(Attempt),
    OperatorWakes,
    OrderArrives {
        slot: usize,
        job: usize,
        order: Box<Order>,
    },
    OrderAnswered {
        job: usize,
        outcome: OrderOutcome,
    },
    /// A node's store is persisted, in the life given.
    Persisted {
        slot: usize,
        life: u64,
        marks: BTreeMap<u64, LogMark>,
    },
    FaultBegins(usize),
    FaultEnds(usize),
    NodeStarts(usize),
    /// All faults end.
    Calm,
}

/// Events in the order of their times, and among equals in that of their making.
#[derive(Debug, Default)]
pub struct Agenda {
    events: BTreeMap<(u64, u64), Event>,
    made: u64,
}

impl Agenda {
    pub fn at(&mut self, at_us: u64, event: Event) {
        self.made += 1;
        self.events.insert((at_us, self.made), event);
    }

    pub fn pop(&mut self) -> Option<(u64, Event)> {
        self.events.pop_first().map(|((at_us, _), event)| (at_us, event))
    }
}
