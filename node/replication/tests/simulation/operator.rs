//! The operator of the simulation: orders what must be, again and again, until the nodes report that it is.

use crate::{
    node::{address, slot_of, zone},
    plan::NODES,
    streamed,
};
use cairn_model::{
    descriptor::{KeyRange, Member, MemberRole, PartitionDescriptor},
    ids::{NodeId, PartitionId, ReplicaId, TableId},
    index::{IndexProjection, LocalIndex, ProjectionType},
    node::{Order, OrderOutcome, ReplicaReport, ReplicaState},
    stream::Streams,
    table::{KeyAttribute, ScalarType, TableDefinition, TimeToLive},
};
use rand::{Rng, rngs::StdRng};
use std::collections::BTreeSet;

pub fn table_id(table: usize) -> TableId {
    TableId([table as u8 + 1; 16])
}

pub fn partition_id(table: usize) -> PartitionId {
    PartitionId([table as u8 + 0x11; 16])
}

pub fn definition(table: usize) -> TableDefinition {
    TableDefinition {
        creation_time_ms: 1_790_000_000_000,
        local_indexes: vec![LocalIndex {
            index_name: "by-written".into(),
            slot: 1,
            sort: KeyAttribute { name: "written".into(), scalar_type: ScalarType::N },
            projection: IndexProjection { projection_type: ProjectionType::All, non_key_attributes: BTreeSet::new() },
        }],
        time_to_live: expires_by("written"),
        stream: Some(Streams { current: Some(streamed::STREAM), past: Vec::new() }),
        ..TableDefinition::new("local", format!("table-{table}"), table_id(table), crate::request::key_schema())
    }
}

/// The numbers that clients write are times too long ago for anything to be deleted; the index is kept all the same.
fn expires_by(attribute_name: &str) -> Option<TimeToLive> {
    Some(TimeToLive { attribute_name: attribute_name.into(), enabled_at_ms: 1 })
}

/// The definition of a version: the indexes of expirations change with it.
fn definition_of(table: usize, schema_version: u64) -> TableDefinition {
    let time_to_live = match schema_version % 4 {
        0 => None,
        2 => expires_by("raised"),
        _ => expires_by("written"),
    };
    TableDefinition { schema_version, time_to_live, ..definition(table) }
}

/// The first descriptor of a table's partition, with a voter on each of `nodes`.
pub fn descriptor(table: usize, nodes: &[(usize, NodeId)]) -> PartitionDescriptor {
    let members = nodes
        .iter()
        .zip(1..)
        .map(|(&(slot, node_id), replica)| Member {
            replica_id: ReplicaId(replica),
            node_id,
            zone: zone(slot),
            address: address(slot),
            role: MemberRole::Voter,
        })
        .collect();
    PartitionDescriptor::first(partition_id(table), table_id(table), KeyRange::default(), members)
}

#[derive(Clone, Debug)]
enum Aim {
    Bootstrapped(Box<PartitionDescriptor>),
    /// A replica on the node `new` at `slot` instead of the one given.
    Replaced {
        old: ReplicaId,
        new: NodeId,
        slot: usize,
    },
    Defined {
        schema_version: u64,
    },
}

/// Something to be brought about.
#[derive(Clone, Debug)]
struct Job {
    table: usize,
    aim: Aim,
    /// The node to order it from next.
    target: usize,
    done: bool,
}

#[derive(Debug, Default)]
pub struct Operator {
    jobs: Vec<Job>,
}

impl Operator {
    pub fn bootstrap(&mut self, table: usize, slot: usize, descriptor: PartitionDescriptor) {
        self.jobs.push(Job { table, aim: Aim::Bootstrapped(Box::new(descriptor)), target: slot, done: false });
    }

    /// The volume of a node is gone, or a replica is damaged: it needs another in its place.
    pub fn replace(&mut self, table: usize, old: ReplicaId, new: NodeId, slot: usize) {
        let known = self
            .jobs
            .iter()
            .any(|job| job.table == table && matches!(job.aim, Aim::Replaced { old: replaced, .. } if replaced == old));
        if !known {
            self.jobs.push(Job { table, aim: Aim::Replaced { old, new, slot }, target: 0, done: false });
        }
    }

    pub fn change_definition(&mut self, table: usize) {
        let changes = self.jobs.iter().filter(|job| job.table == table && matches!(job.aim, Aim::Defined { .. }));
        let schema_version = changes.count() as u64 + 2;
        self.jobs.push(Job { table, aim: Aim::Defined { schema_version }, target: 0, done: false });
    }

    /// True when there is nothing left to do but change definitions.
    pub fn is_steady(&self) -> bool {
        self.jobs.iter().all(|job| job.done || matches!(job.aim, Aim::Defined { .. }))
    }

    pub fn is_idle(&self) -> bool {
        self.jobs.iter().all(|job| job.done)
    }

    pub fn unfinished(&self) -> Vec<String> {
        self.jobs.iter().filter(|job| !job.done).map(|job| format!("table {}: {:?}", job.table, job.aim)).collect()
    }

    /// The orders to give now, one for each table that needs any: job, slot and order. `reports` is what the live nodes say.
    pub fn orders(&mut self, reports: &[ReplicaReport], random: &mut StdRng) -> Vec<(usize, usize, Order)> {
        let mut orders = Vec::new();
        let mut tables_ordered = BTreeSet::new();
        for (at, job) in self.jobs.iter_mut().enumerate() {
            let table_id = table_id(job.table);
            let leads = |report: &&ReplicaReport| {
                report.descriptor.table_id == table_id && report.state == ReplicaState::Leader
            };
            job.done = job.done || reports.iter().filter(leads).any(|leader| job.aim.is_reached(leader));
            if job.done || (!tables_ordered.insert(job.table) && !matches!(job.aim, Aim::Bootstrapped(_))) {
                continue;
            }
            orders.push((at, job.target, job.aim.order(job.table)));
            if !matches!(job.aim, Aim::Bootstrapped(_)) && random.random_bool(0.3) {
                job.target = random.random_range(0..NODES);
            }
        }
        orders
    }

    pub fn receive(&mut self, job: usize, outcome: &OrderOutcome) {
        let job = &mut self.jobs[job];
        match outcome {
            OrderOutcome::Done if matches!(job.aim, Aim::Bootstrapped(_)) => job.done = true,
            OrderOutcome::NotLeader { leader: Some(leader) } => job.target = slot_of(leader).unwrap_or(job.target),
            // Whoever knows no leader is of no use: another one may.
            OrderOutcome::NotLeader { leader: None } => job.target = (job.target + 1) % NODES,
            _ => {}
        }
    }
}

impl Aim {
    /// By what the leader reports. That a partition was initialised is told by an answer only.
    fn is_reached(&self, leader: &ReplicaReport) -> bool {
        match self {
            Self::Bootstrapped(_) => false,
            Self::Replaced { old, new, .. } => is_replaced(&leader.descriptor, *old, *new),
            Self::Defined { schema_version } => leader.definition.schema_version >= *schema_version,
        }
    }

    fn order(&self, table: usize) -> Order {
        match self {
            Self::Bootstrapped(descriptor) => {
                Order::Bootstrap { descriptor: descriptor.as_ref().clone(), definition: definition(table) }
            }
            Self::Replaced { old, new, slot } => Order::ReplaceReplica {
                partition_id: partition_id(table),
                replace: *old,
                node_id: *new,
                zone: zone(*slot),
                address: address(*slot),
            },
            Self::Defined { schema_version } => Order::UpdateDefinition {
                partition_id: partition_id(table),
                definition: definition_of(table, *schema_version),
            },
        }
    }
}

fn is_replaced(descriptor: &PartitionDescriptor, old: ReplicaId, new: NodeId) -> bool {
    let members = &descriptor.members;
    members.iter().all(|member| member.replica_id != old)
        && members.iter().any(|member| member.node_id == new && member.role == MemberRole::Voter)
}
