//! The Unix socket between a storage node and the archive beside it.
//!
//! The node listens and the archive calls, so that what becomes of the archive delays nothing but the archive. What can
//! be asked is what [`Source`](cairn_archive::Source), [`Adopter`](super::Adopter) and [`Reader`](super::Reader) have, over HTTP/2 without
//! TLS:
//!
//! ```text
//! GET  /v1/partitions                             what the node leads and is to be archived: JSON
//! POST /v1/entries     JSON                       entries, end: frames
//! POST /v1/snapshot    JSON                       head, chunks, and end or failed: frames
//! POST /v1/close       JSON                       JSON
//! POST /v1/archived    JSON: the newest indexes   nothing
//! POST /v1/has         JSON                       JSON: true or false
//! POST /v1/restore     frames: chunks, chunks done, entries, adopt    nothing: the node has the partition
//! POST /v1/read    frames: layout, chunks, chunks done, entries, read    head, items and deleted, and end or failed: frames
//! ```
//!
//! Any status but 200 comes with a [`Refusal`](message::Refusal). The JSON is in [`message`], the frames are in [`frame`].
//! A snapshot, a restore and a reading have a connection of their own: one that waits for the bucket holds up no call.

mod body;
mod client;
mod frame;
mod items;
mod message;
mod server;
#[cfg(test)]
mod tests;

pub use client::SocketNode;
pub(crate) use server::{Offer, listen, serve};

use std::time::Duration;

const STREAM_WINDOW_BYTES: u32 = 2 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// Of a body of JSON.
const JSON_BYTES_MAX: usize = 32 << 20;
/// Of the entries of one answer, whatever is asked for; one alone may have more.
const ENTRIES_BYTES_MAX: u64 = 32 << 20;
/// For how long the node waits for an archive that reads from its bucket or writes to it: longer than that tries.
const ARCHIVE_IDLE_MAX: Duration = Duration::from_secs(600);
/// For how long the node keeps what was laid out to be read for an archive that lays out another time of the same table beside
/// it: of one that is gone it hears at once.
const READING_IDLE_MAX: Duration = Duration::from_secs(2 * 3_600);
/// For how long the archive waits for a node that makes no progress; one that is busy lets a restore wait for a minute.
const NODE_IDLE_MAX: Duration = Duration::from_secs(120);
