//! What a partition keeps, ships and takes in so that the same table in several regions converges.
//!
//! **Versions.** An item's version is its version time and the region that wrote it; the later time counts, of two equal
//! ones the region whose name is later. An ordinary write's version is its entry's stamp with the own region, stored with
//! an empty origin. A local write stamps above the version it replaces, tombstones included, and its condition sees just
//! what this region has.
//!
//! **Tombstones.** In a global table a deletion leaves a version without an item, in an index of its own: reads, counts and
//! scans never meet one. A delete that finds nothing writes nothing, as in any table. A tombstone goes only when every
//! member is known to have everything up to its time of every member, so that no older version is left anywhere: as an
//! effect in the log ([`crate::proposer`]'s upkeep). The members that count are the union: those that this region lists, and
//! those that they list.
//!
//! **Who has what.** A [`Vector`] tells up to which time a region has all that a partition of a region (a *lineage*: a table
//! that is made anew, or becomes global once more, has another) wrote; what a table held when it became global counts as
//! written then. It is about entry times: those of one log rise strictly, and the versions in an
//! entry are above the entry before it. Every batch brings the vector of its sender, and those its sender knows of.
//!
//! **Outbound** ([`outbound`]). A batch is made from the committed log, statelessly, for a reader that says where it stands:
//! void entries are passed over, entries with other regions' writes are passed on group by group, what the reader has
//! already is left out. A group is the writes of one entry of its region, and keeps that identity wherever it travels, so
//! that a receiver drops just what it has, whichever way it came. A batch ends with the source's own time, so that quiet
//! partitions move on. Where the log no longer has what the reader needs, and for a reader that is new, the batch is a page
//! of a *copy* instead: what is set aside, then the items, then the tombstones, in key order, each as of now. A copy names
//! the position in the log from which on the reader goes on after it, and what the source had then: the reader has that as
//! well once the copy is complete. Pages are taken by version like everything else, so writes may go on meanwhile.
//!
//! **Inbound** ([`crate::proposer`]). The leader decides each record by version, under the latch of every other write, and
//! proposes one entry with the winning effects, their origins, and where the reading stands then ([`state`]). A batch that
//! continues nothing, or that is here already, changes nothing: sending it again, or late, is harmless. Batches that bring
//! nothing but times are logged at a bounded rate; until then the leader alone remembers them. A void entry is answered as
//! not done, and the batch comes again.
//!
//! **Skew.** A version further ahead of the clock than [`crate::CoreConfig::remote_ahead_ms_max`] (ten minutes: far above
//! what synchronised clocks differ by, and no more than it may push stamps here ahead) is *set aside* in the same entry, and
//! taken up when its time has come: it wins against nothing before, and stops nothing behind it.
//!
//! **Members** are in the table's definition and change with it, so that every entry was evaluated under one set of them.
//! A source ships to its members only, a receiver takes from its members only: a region belongs once both list each other.
//! A source ships only to a table that it has heard itself and written down: so whoever hears that the source has something has
//! heard of all tables that it has shipped to before, and lets no tombstone go that one of them lacks.
//! A region that is gone holds back tombstones, and, up to a limit in bytes, the log; nothing else. A table that is not
//! global any more drops what is in this module's care.
//!
//! **Joining** ([`joining`]). A table must be empty where what it holds could undo a deletion: of two that held items before
//! they were joined neither takes from the other, and who was taken out of the members, or was not global for a while, comes
//! back only made anew. What that takes to know is noted by the leader before the first write of a table that became global,
//! and travels with every batch.

mod aside;
mod batch;
mod gone;
mod joining;
mod not_empty;
pub mod outbound;
mod stability;
mod state;
mod vector;

pub use batch::{
    BATCH_BYTES_MAX, BatchBody, BatchError, CopyPosition, Group, Member, Origin, Reader, Record, RemoteBatch,
};
pub use gone::Gone;
pub use not_empty::NotEmpty;
pub use outbound::OutboundError;
pub use state::{GlobalState, Peer, Reading, StateError};
pub use vector::{Lineage, Vector};

pub(crate) use aside::{region_of, set_aside, time_and_key};
pub(crate) use batch::PLACE_BYTES_MAX;
pub(crate) use stability::Stability;
pub(crate) use state::Heard;
