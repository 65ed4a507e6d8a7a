//! Batches of other regions: to the proposer, and their answers.

use super::{Core, Output};
use crate::{
    clock::Now, config::CoreConfig, global::RemoteBatch, log::LogStore, operation::PartitionError, proposer::Proposer,
};
use cairn_engine::{Pressure, Store};
use cairn_model::ids::PartitionId;

impl<S: Store, L: LogStore> Core<S, L> {
    pub(super) fn take_remote(&mut self, token: u64, partition: PartitionId, batch: RemoteBatch, now: Now) {
        let deadline_ms = now.boot_ms + self.config.request_timeout_ms;
        let pressure = self.pressure;
        let refused = match self.live(partition) {
            Err(error) => error,
            Ok(replica) if !replica.is_leader() => replica.not_leader(),
            Ok(_) if pressure == Pressure::High => {
                PartitionError::Overloaded { reason: "the disk can't keep up with the writes".into() }
            }
            Ok(replica) => match replica.held_up_by_index() {
                Some(error) => error,
                None => {
                    replica.proposer.enqueue_remote(token, batch, deadline_ms);
                    self.dirty.insert(partition);
                    return;
                }
            },
        };
        self.outputs.push(Output::RemoteTaken { token, result: Err(refused) });
    }
}

/// Gives the answers, and counts what they came to.
pub(super) fn answer(proposer: &mut Proposer, config: &CoreConfig, outputs: &mut Vec<Output>) {
    let answers = proposer.take_remote_answers();
    outputs.extend(answers.into_iter().map(|(token, result)| Output::RemoteTaken { token, result }));
    let counts = proposer.take_remote_counts();
    if let Some(metrics) = &config.metrics {
        metrics.remote_writes_taken.inc_by(counts.taken);
        metrics.remote_writes_passed_over.inc_by(counts.passed_over);
        metrics.remote_writes_set_aside.inc_by(counts.set_aside);
    }
}
