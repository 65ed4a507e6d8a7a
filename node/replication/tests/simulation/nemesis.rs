//! Brings the plan's faults about, and ends them.

use crate::{
    event::Event,
    fuse::Point,
    operator,
    plan::{Fault, NODES},
    world::World,
};
use cairn_model::{
    ids::{NodeId, ReplicaId},
    node::ReplicaReport,
};
use rand::Rng;

impl World {
    pub fn fault_begins(&mut self, at: usize) {
        let timed = self.plan.faults[at];
        self.trace(|| format!("fault: {:?} until {} us", timed.fault, timed.to_us));
        match timed.fault {
            Fault::Crash(slot) => self.crash(slot),
            Fault::CrashBeforeSync(slot) => self.nodes[slot].fuse.set(Point::BeforeSync),
            Fault::CrashTearingAppend(slot) => self.nodes[slot].fuse.set(Point::DuringSync),
            Fault::CrashBeforeApply(slot) => self.nodes[slot].fuse.set(Point::BeforeApply),
            Fault::CrashBeforeAnswers(slot) => self.nodes[slot].fuse.set(Point::BeforeAnswers),
            Fault::CrashAll => {
                for slot in 0..NODES {
                    self.crash(slot);
                    self.nodes[slot].clock.boot_machine(self.now_us);
                    let starts_us = self.random.random_range(self.now_us..=timed.to_us);
                    self.agenda.at(starts_us, Event::NodeStarts(slot));
                }
            }
            Fault::CutOneWay(from, to) => self.network.cut(from, to),
            Fault::Deafen(slot) => others(slot).for_each(|other| self.network.cut(other, slot)),
            Fault::Mute(slot) => others(slot).for_each(|other| self.network.cut(slot, other)),
            Fault::Isolate(slot) => others(slot).for_each(|other| {
                self.network.cut(slot, other);
                self.network.cut(other, slot);
            }),
            Fault::Pause(slot) => {
                let node = &mut self.nodes[slot];
                node.busy_until_us = node.busy_until_us.max(timed.to_us);
            }
            Fault::SlowDisk(slot) => self.nodes[slot].slow_disk = true,
            Fault::ClockJump(slot, by_ms) => self.nodes[slot].clock.jump(by_ms),
            Fault::LoseVolume(slot) => {
                if let Some(lost) = self.replicas_to_lose(slot) {
                    self.tally.volumes_lost += 1;
                    self.nodes[slot].lose_volume(&mut self.random);
                    self.replace(slot, lost);
                }
            }
            Fault::LoseLog(slot) => {
                if let Some(lost) = self.replicas_to_lose(slot) {
                    self.tally.logs_lost += 1;
                    self.nodes[slot].lose_log(&mut self.random);
                    self.replace(slot, lost);
                }
            }
            Fault::ChangeDefinition => {
                let table = self.random.random_range(0..self.plan.tables);
                self.tally.definitions_changed += 1;
                self.operator.change_definition(table);
            }
        }
    }

    pub fn fault_ends(&mut self, at: usize) -> Result<(), String> {
        match self.plan.faults[at].fault {
            Fault::CutOneWay(..) | Fault::Deafen(_) | Fault::Mute(_) | Fault::Isolate(_) => self.network.heal(),
            Fault::SlowDisk(slot) => self.nodes[slot].slow_disk = false,
            Fault::ClockJump(slot, _) => self.nodes[slot].clock.synchronise(self.now_us),
            Fault::Crash(slot)
            | Fault::CrashBeforeSync(slot)
            | Fault::CrashTearingAppend(slot)
            | Fault::CrashBeforeApply(slot)
            | Fault::CrashBeforeAnswers(slot)
            | Fault::LoseVolume(slot)
            | Fault::LoseLog(slot) => {
                self.nodes[slot].fuse.clear();
                self.start_node(slot)?;
            }
            Fault::CrashAll | Fault::Pause(_) | Fault::ChangeDefinition => {}
        }
        Ok(())
    }

    /// The replicas on a node, by table, if the node may lose them: not while others are still being made good, for two of
    /// three are lost for good, nor before another node has the partition's data.
    fn replicas_to_lose(&self, slot: usize) -> Option<Vec<(usize, ReplicaId)>> {
        let node = self.nodes[slot].id;
        let reports = self.reports();
        let replica_to_lose = |table| {
            let of_table = || reports.iter().filter(|report| report.descriptor.table_id == operator::table_id(table));
            of_table().find(|report| report.applied_index > 0 && !is_on(report, node))?;
            let latest = of_table().max_by_key(|report| report.descriptor.epoch)?;
            let member = latest.descriptor.members.iter().find(|member| member.node_id == node)?;
            Some((table, member.replica_id))
        };
        if self.operator.is_steady() { (0..self.plan.tables).map(replica_to_lose).collect() } else { None }
    }

    fn replace(&mut self, slot: usize, lost: Vec<(usize, ReplicaId)>) {
        for (table, replica) in lost {
            self.operator.replace(table, replica, self.nodes[slot].id, slot);
        }
    }
}

fn is_on(report: &ReplicaReport, node: NodeId) -> bool {
    let members = &report.descriptor.members;
    members.iter().any(|member| member.node_id == node && member.replica_id == report.replica_id)
}

fn others(slot: usize) -> impl Iterator<Item = usize> {
    (0..NODES).filter(move |other| *other != slot)
}
