//! The limits and rhythms of a node's partitions.

use crate::metrics::Metrics;
use cairn_model::ids::NodeId;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Whether the volume is short of room, as whoever measures it says: its clones are one. It has enough at first.
#[derive(Clone, Debug, Default)]
pub struct ShortOfRoom(Arc<AtomicBool>);

impl ShortOfRoom {
    pub fn set(&self, is_short: bool) {
        self.0.store(is_short, Ordering::Relaxed);
    }

    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How [`crate::core::Core`] works: every queue has its limit here.
#[derive(Clone, Debug)]
pub struct CoreConfig {
    pub node_id: NodeId,
    /// Of all the randomness: the jitter of elections.
    pub seed: u64,
    /// Ticks between two heartbeats of a leader.
    pub heartbeat_ticks: u32,
    /// Ticks without a leader before a replica may campaign; it waits up to twice as many.
    pub election_ticks: u32,
    /// A request that has not been answered by then is answered with `Unknown`.
    pub request_timeout_ms: u64,
    /// Requests of one partition that wait for their evaluation.
    pub waiting_requests_max: usize,
    /// Writes and bytes of effects in one entry; one write alone may be larger.
    pub entry_writes_max: usize,
    pub entry_bytes_max: usize,
    /// Entries and bytes of one partition under way between proposal and apply.
    pub entries_in_flight_max: usize,
    pub bytes_in_flight_max: usize,
    /// How often a write is evaluated anew because its entry was void.
    pub evaluations_max: u32,
    /// Bytes of entries in one message to a follower.
    pub append_bytes_max: usize,
    /// Messages of entries to one follower that wait for its answer.
    pub appends_in_flight_max: usize,
    /// Applied entries that stay in the log for followers that are behind; past that they get a snapshot.
    pub log_entries_kept: u64,
    /// Bytes of them.
    pub log_bytes_kept: u64,
    /// Set where an archive takes the log of tables with continuous backups: entries that it does not have yet are kept.
    pub has_archive: bool,
    /// Bytes of a partition's log that are kept for the archive and for other regions, past which they go all the same; and for a
    /// global index, past which the table's writes wait for it.
    pub log_bytes_held: u64,
    /// While it is, nothing is kept for those any more: there are many partitions, and writes come first.
    pub short_of_room: ShortOfRoom,
    /// The engine is persisted when this many bytes have been applied since it was last, or this much time has passed.
    pub persist_bytes: u64,
    pub persist_interval_ms: u64,
    /// Snapshots this node sends, and those it takes in, at one time.
    pub snapshots_out_max: usize,
    pub snapshots_in_max: usize,
    /// Chunks of one snapshot that wait for their acknowledgement.
    pub snapshot_chunks_in_flight_max: usize,
    /// A snapshot that makes no progress for this long is given up.
    pub snapshot_timeout_ms: u64,
    /// How far ahead of the clock a version of another region may be; past that it is set aside until its time has come.
    pub remote_ahead_ms_max: u64,
    /// How often what other regions have is written down while they write nothing.
    pub remote_times_interval_ms: u64,
    /// How often a leader looks for expired items while there are none.
    pub expiry_interval_ms: u64,
    /// A leader stamps only while its clock is this close to those of a quorum.
    pub clock_offset_max_ms: u64,
    pub metrics: Option<Metrics>,
}

impl CoreConfig {
    /// How much of a log is kept now for those who are behind.
    pub(crate) fn log_bytes_held_now(&self) -> u64 {
        if self.short_of_room.get() { self.log_bytes_kept } else { self.log_bytes_held }
    }

    /// The limits of production, for a tick of 100 ms.
    pub fn new(node_id: NodeId, seed: u64) -> Self {
        Self {
            node_id,
            seed,
            heartbeat_ticks: 2,
            election_ticks: 10,
            request_timeout_ms: 5_000,
            waiting_requests_max: 4_096,
            entry_writes_max: 256,
            entry_bytes_max: 1 << 20,
            entries_in_flight_max: 64,
            bytes_in_flight_max: 16 << 20,
            evaluations_max: 5,
            append_bytes_max: 1 << 20,
            appends_in_flight_max: 64,
            log_entries_kept: 4_096,
            log_bytes_kept: 64 << 20,
            has_archive: false,
            log_bytes_held: 1 << 30,
            short_of_room: ShortOfRoom::default(),
            persist_bytes: 32 << 20,
            persist_interval_ms: 10_000,
            snapshots_out_max: 4,
            snapshots_in_max: 4,
            snapshot_chunks_in_flight_max: 8,
            snapshot_timeout_ms: 10_000,
            remote_ahead_ms_max: 10 * 60 * 1_000,
            remote_times_interval_ms: 5_000,
            expiry_interval_ms: 1_000,
            clock_offset_max_ms: 500,
            metrics: None,
        }
    }
}
