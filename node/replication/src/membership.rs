//! Changes of a partition's members: one at a time, each a new descriptor with the next epoch.

use cairn_model::{
    descriptor::{Member, MemberRole, PartitionDescriptor},
    ids::{NodeId, ReplicaId},
};
use raft::eraftpb::{ConfChange, ConfChangeType};

/// Members of one partition.
pub(crate) const MEMBERS_MAX: usize = 7;
/// Of the members that a partition is initialised with.
pub(crate) const FIRST_EPOCH: u64 = 1;

/// The one member in which two descriptors differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberChange {
    Voter(ReplicaId),
    Learner(ReplicaId),
    Removed(ReplicaId),
}

impl MemberChange {
    pub(crate) fn to_raft(self) -> ConfChange {
        let (kind, replica) = match self {
            Self::Voter(replica) => (ConfChangeType::AddNode, replica),
            Self::Learner(replica) => (ConfChangeType::AddLearnerNode, replica),
            Self::Removed(replica) => (ConfChangeType::RemoveNode, replica),
        };
        let mut change = ConfChange::default();
        change.set_change_type(kind);
        change.node_id = replica.0;
        change
    }
}

/// How the members change from one descriptor to the next; none if that is not one lawful step.
pub(crate) fn change_between(old: &PartitionDescriptor, new: &PartitionDescriptor) -> Option<MemberChange> {
    let same_partition = old.partition_id == new.partition_id && old.table_id == new.table_id && old.range == new.range;
    if !same_partition || new.epoch != old.epoch + 1 || new.next_replica_id < old.next_replica_id {
        return None;
    }
    let mut changes = Vec::new();
    for member in &new.members {
        match find(old, member.replica_id) {
            // A replica id is never used twice.
            None if member.replica_id.0 < old.next_replica_id || member.replica_id.0 >= new.next_replica_id => {
                return None;
            }
            None if member.role == MemberRole::Learner => changes.push(MemberChange::Learner(member.replica_id)),
            None => return None,
            Some(before) if before.role == member.role => {}
            Some(_) if member.role == MemberRole::Voter => changes.push(MemberChange::Voter(member.replica_id)),
            Some(_) => return None,
        }
    }
    let gone = old.members.iter().filter(|member| find(new, member.replica_id).is_none());
    changes.extend(gone.map(|member| MemberChange::Removed(member.replica_id)));
    match changes[..] {
        [change] if new.members.iter().any(|member| member.role == MemberRole::Voter) => Some(change),
        _ => None,
    }
}

pub(crate) fn find(descriptor: &PartitionDescriptor, replica: ReplicaId) -> Option<&Member> {
    descriptor.members.iter().find(|member| member.replica_id == replica)
}

pub(crate) fn voter_nodes(descriptor: &PartitionDescriptor) -> Vec<NodeId> {
    voters(descriptor).map(|member| member.node_id).collect()
}

pub(crate) fn voters(descriptor: &PartitionDescriptor) -> impl Iterator<Item = &Member> {
    descriptor.members.iter().filter(|member| member.role == MemberRole::Voter)
}

/// What must be done next to put a new replica on a node in the place of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Replacement {
    Done,
    /// Propose this descriptor.
    Change(PartitionDescriptor),
    /// The new replica is a learner and has to catch up; the leader makes it a voter.
    CatchingUp(ReplicaId),
    Refused(String),
}

/// The next step of replacing `replace`, which is not the leader, by a new replica at `place`, whose replica id and role
/// are given here. Remove, add, promote: each step follows from the descriptor alone, so whoever leads can go on.
pub(crate) fn next_step(descriptor: &PartitionDescriptor, replace: ReplicaId, place: Member) -> Replacement {
    if find(descriptor, replace).is_some() {
        if voters(descriptor).all(|member| member.replica_id == replace) {
            let message = format!(
                "replica {} is the partition's only voter: there is no other to rebuild it from; restore the table instead",
                replace.0
            );
            return Replacement::Refused(message);
        }
        if descriptor.members.iter().any(|member| member.node_id == place.node_id && member.replica_id != replace) {
            return Replacement::Refused(format!(
                "node {} already holds another replica of the partition",
                place.node_id
            ));
        }
        return Replacement::Change(without(descriptor, replace));
    }
    if replace.0 >= descriptor.next_replica_id {
        return Replacement::Refused(format!("the partition never had a replica {}", replace.0));
    }
    match descriptor.members.iter().find(|member| member.node_id == place.node_id) {
        Some(member) if member.role == MemberRole::Voter => Replacement::Done,
        Some(member) => Replacement::CatchingUp(member.replica_id),
        None => Replacement::Change(with_learner(descriptor, place)),
    }
}

fn without(descriptor: &PartitionDescriptor, replica: ReplicaId) -> PartitionDescriptor {
    let mut new = descriptor.clone();
    new.members.retain(|member| member.replica_id != replica);
    new.epoch += 1;
    new
}

fn with_learner(descriptor: &PartitionDescriptor, place: Member) -> PartitionDescriptor {
    let mut new = descriptor.clone();
    let replica_id = ReplicaId(new.next_replica_id);
    new.members.push(Member { replica_id, role: MemberRole::Learner, ..place });
    new.next_replica_id += 1;
    new.epoch += 1;
    new
}

/// The descriptor in which a learner has become a voter.
pub(crate) fn promoted(descriptor: &PartitionDescriptor, learner: ReplicaId) -> Option<PartitionDescriptor> {
    let mut new = descriptor.clone();
    let member = new.members.iter_mut().find(|member| member.replica_id == learner)?;
    member.role = MemberRole::Voter;
    new.epoch += 1;
    Some(new)
}

/// Why a descriptor can't be a partition's first, if it can't.
pub(crate) fn flaw_of_first(descriptor: &PartitionDescriptor) -> Option<&'static str> {
    let members = &descriptor.members;
    let twice = |position: usize, member: &Member| {
        members[..position].iter().any(|other| other.replica_id == member.replica_id || other.node_id == member.node_id)
    };
    if descriptor.epoch == 0 {
        Some("its epoch is 0")
    } else if voters(descriptor).next().is_none() {
        Some("it has no voter")
    } else if members.len() > MEMBERS_MAX {
        Some("it has more than 7 members")
    } else if members.iter().any(|member| member.replica_id.0 == 0 || member.replica_id.0 >= descriptor.next_replica_id)
    {
        Some("a replica id is 0 or not below the next one")
    } else if members.iter().enumerate().any(|(position, member)| twice(position, member)) {
        Some("two members share a replica id or a node")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn place(node: u8) -> Member {
        Member {
            replica_id: ReplicaId(0),
            node_id: NodeId([node; 16]),
            zone: "z".into(),
            address: "host:1".into(),
            role: MemberRole::Learner,
        }
    }

    #[test]
    fn a_replacement_removes_then_adds_then_promotes() {
        let first = testing::descriptor(3);
        let Replacement::Change(removed) = next_step(&first, ReplicaId(3), place(9)) else { panic!() };
        assert_eq!(change_between(&first, &removed), Some(MemberChange::Removed(ReplicaId(3))));
        let Replacement::Change(added) = next_step(&removed, ReplicaId(3), place(9)) else { panic!() };
        assert_eq!(change_between(&removed, &added), Some(MemberChange::Learner(ReplicaId(4))));
        assert_eq!(next_step(&added, ReplicaId(3), place(9)), Replacement::CatchingUp(ReplicaId(4)));
        let voting = promoted(&added, ReplicaId(4)).unwrap();
        assert_eq!(change_between(&added, &voting), Some(MemberChange::Voter(ReplicaId(4))));
        assert_eq!(next_step(&voting, ReplicaId(3), place(9)), Replacement::Done);
    }

    /// "A member is a replica id, never used twice."
    #[test]
    fn a_replica_id_is_never_used_twice() {
        let first = testing::descriptor(3);
        let removed = without(&first, ReplicaId(3));
        let mut again = with_learner(&removed, place(9));
        assert_eq!(again.members[2].replica_id, ReplicaId(4));
        again.members[2].replica_id = ReplicaId(3);
        assert_eq!(change_between(&removed, &again), None);
    }

    #[test]
    fn the_only_voter_is_never_taken_out() {
        let first = testing::descriptor(1);
        assert!(matches!(next_step(&first, ReplicaId(1), place(9)), Replacement::Refused(_)));
        assert_eq!(change_between(&first, &without(&first, ReplicaId(1))), None);
    }

    #[test]
    fn two_changes_at_once_are_none() {
        let first = testing::descriptor(3);
        let mut both = without(&first, ReplicaId(3));
        both.members.remove(1);
        assert_eq!(change_between(&first, &both), None);
    }
}
