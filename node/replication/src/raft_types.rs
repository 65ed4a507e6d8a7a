//! Between the types of the raft library and ours: nothing of the library is written to disk or sent.
//!
//! A change of members is an entry of the library's kind `EntryConfChange` with empty data: the library only needs to see
//! that it is one. What changes is in our payload, which such an entry carries as its context.

use crate::log::HardState;
pub(crate) use crate::log::LogEntry;
use bytes::Bytes;
use cairn_model::{
    descriptor::{MemberRole, PartitionDescriptor},
    ids::ReplicaId,
};
use raft::eraftpb::{self, EntryType, MessageType};

pub(crate) const ENTRY_NORMAL: u8 = 0;
pub(crate) const ENTRY_MEMBERS: u8 = 1;

/// The types of message that replicas send each other, by their number in a frame.
const KINDS: [(u8, MessageType); 9] = [
    (1, MessageType::MsgAppend),
    (2, MessageType::MsgAppendResponse),
    (3, MessageType::MsgRequestVote),
    (4, MessageType::MsgRequestVoteResponse),
    (5, MessageType::MsgHeartbeat),
    (6, MessageType::MsgHeartbeatResponse),
    (7, MessageType::MsgTimeoutNow),
    (8, MessageType::MsgRequestPreVote),
    (9, MessageType::MsgRequestPreVoteResponse),
];

/// A message of Raft, without its sender and receiver, which the frame names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RaftMessage {
    pub(crate) kind: u8,
    pub(crate) term: u64,
    pub(crate) log_term: u64,
    pub(crate) index: u64,
    pub(crate) commit: u64,
    pub(crate) commit_term: u64,
    pub(crate) reject: bool,
    pub(crate) reject_hint: u64,
    pub(crate) context: Bytes,
    pub(crate) entries: Vec<LogEntry>,
}

impl RaftMessage {
    /// None for a message that does not travel as one (a snapshot does in chunks).
    pub(crate) fn from_raft(mut message: eraftpb::Message) -> Option<Self> {
        let (kind, _) = KINDS.into_iter().find(|(_, known)| *known == message.get_msg_type())?;
        Some(Self {
            kind,
            term: message.term,
            log_term: message.log_term,
            index: message.index,
            commit: message.commit,
            commit_term: message.commit_term,
            reject: message.reject,
            reject_hint: message.reject_hint,
            context: std::mem::take(&mut message.context),
            entries: message.take_entries().into_iter().map(entry_from_raft).collect(),
        })
    }

    pub(crate) fn message_type(&self) -> Option<MessageType> {
        KINDS.into_iter().find(|(kind, _)| *kind == self.kind).map(|(_, known)| known)
    }

    /// Whether the library may be given it: it takes its peers at their word, and panics where they break it.
    pub(crate) fn is_sound(&self) -> bool {
        let entries_fit = self.entries.iter().all(|entry| entry.kind <= ENTRY_MEMBERS && entry.term <= self.term);
        let kind = self.message_type();
        kind.is_some()
            && self.term > 0
            && entries_fit
            && (self.entries.is_empty() || kind == Some(MessageType::MsgAppend))
    }

    pub(crate) fn into_raft(self, from: ReplicaId, to: ReplicaId) -> Option<eraftpb::Message> {
        let mut message = eraftpb::Message::default();
        message.set_msg_type(self.message_type()?);
        message.from = from.0;
        message.to = to.0;
        message.term = self.term;
        message.log_term = self.log_term;
        message.index = self.index;
        message.commit = self.commit;
        message.commit_term = self.commit_term;
        message.reject = self.reject;
        message.reject_hint = self.reject_hint;
        message.context = self.context;
        message.set_entries(self.entries.into_iter().map(entry_to_raft).collect());
        Some(message)
    }
}

pub(crate) fn entry_from_raft(mut entry: eraftpb::Entry) -> LogEntry {
    let (kind, payload) = match entry.get_entry_type() {
        EntryType::EntryNormal => (ENTRY_NORMAL, std::mem::take(&mut entry.data)),
        _ => (ENTRY_MEMBERS, std::mem::take(&mut entry.context)),
    };
    LogEntry { index: entry.index, term: entry.term, kind, payload }
}

pub(crate) fn entry_to_raft(entry: LogEntry) -> eraftpb::Entry {
    let mut out = eraftpb::Entry { index: entry.index, term: entry.term, ..Default::default() };
    if entry.kind == ENTRY_MEMBERS {
        out.set_entry_type(EntryType::EntryConfChange);
        out.context = entry.payload;
    } else {
        out.data = entry.payload;
    }
    out
}

pub(crate) fn hard_state_from_raft(state: &eraftpb::HardState) -> HardState {
    HardState { term: state.term, vote: state.vote, commit: state.commit }
}

pub(crate) fn hard_state_to_raft(state: &HardState) -> eraftpb::HardState {
    eraftpb::HardState { term: state.term, vote: state.vote, commit: state.commit, ..Default::default() }
}

/// The members of a descriptor as the library has them.
pub(crate) fn conf_state(descriptor: &PartitionDescriptor) -> eraftpb::ConfState {
    let mut state = eraftpb::ConfState::default();
    for member in &descriptor.members {
        match member.role {
            MemberRole::Voter => state.voters.push(member.replica_id.0),
            MemberRole::Learner => state.learners.push(member.replica_id.0),
        }
    }
    state
}
