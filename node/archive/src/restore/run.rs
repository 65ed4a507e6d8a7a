//! The reading of one partition: fetched ahead, verified, and given on in order.

use super::plan::PartitionPlan;
use crate::{
    ArchiveError,
    segment::SegmentReader,
    snapshot::{self, SnapshotReader, StoredSnapshot},
};
use bytes::Bytes;
use cairn_model::time::Timestamp;
use cairn_replication::log::LogEntry;
use futures::{Stream, StreamExt, stream};
use object_store::path::Path;
use std::{collections::VecDeque, ops::Range};
use tokio::{runtime::Handle, sync::mpsc, task::JoinHandle};

/// Requests to the bucket on their way at the same time, and what they brought that waits.
const FETCHES_AHEAD: usize = 6;
const RANGE_BYTES: u64 = 4 << 20;
/// Blocks of a snapshot that are being decompressed, or wait as chunks, while others go into the sink.
const BLOCKS_AHEAD: usize = 2;

type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// Takes one restored partition: the chunks of a snapshot, then the entries after it. Called from a blocking thread.
pub trait RestoreSink: Send {
    fn chunk(&mut self, chunk: Bytes) -> Result<(), SinkError>;

    /// The snapshot is whole and was what it should be: no chunk follows.
    fn chunks_done(&mut self) -> Result<(), SinkError>;

    /// The entry that follows the snapshot or the entry before.
    fn entry(&mut self, entry: LogEntry) -> Result<(), SinkError>;

    /// The same of one that is stamped after `at`, the time restored to, or follows one that is: it counts only if it commits a
    /// transaction that was decided by then.
    fn entry_behind(&mut self, entry: LogEntry, at: Timestamp) -> Result<(), SinkError>;
}

impl<S: RestoreSink + ?Sized> RestoreSink for Box<S> {
    fn chunk(&mut self, chunk: Bytes) -> Result<(), SinkError> {
        (**self).chunk(chunk)
    }

    fn chunks_done(&mut self) -> Result<(), SinkError> {
        (**self).chunks_done()
    }

    fn entry(&mut self, entry: LogEntry) -> Result<(), SinkError> {
        (**self).entry(entry)
    }

    fn entry_behind(&mut self, entry: LogEntry, at: Timestamp) -> Result<(), SinkError> {
        (**self).entry_behind(entry, at)
    }
}

/// A piece of an object: of the snapshot for 0, else of a segment.
struct Piece {
    object: usize,
    bytes: Bytes,
    last: bool,
}

impl PartitionPlan {
    /// Reads the partition into `sink`, verifying each byte on the way; `progress` is told how many bytes more were
    /// read from the bucket. What the sink was given counts only once this is done.
    ///
    /// For a blocking thread of a tokio runtime (`spawn_blocking`).
    pub fn run(&self, sink: &mut dyn RestoreSink, progress: &mut dyn FnMut(u64)) -> Result<(), ArchiveError> {
        let object = || self.snapshot.path.to_string();
        let runtime = Handle::try_current().map_err(|_| ArchiveError::Interrupted { object: object() })?;
        let (sender, mut receiver) = mpsc::channel(1);
        let pieces = self.pieces();
        let fetching = runtime.spawn(async move {
            let mut pieces = std::pin::pin!(pieces);
            while let Some(piece) = pieces.next().await {
                if sender.send(piece).await.is_err() {
                    return;
                }
            }
        });
        let done = self.replay(&runtime, &mut receiver, sink, progress);
        fetching.abort();
        done
    }

    fn replay(
        &self,
        runtime: &Handle,
        pieces: &mut mpsc::Receiver<Result<Piece, ArchiveError>>,
        sink: &mut dyn RestoreSink,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), ArchiveError> {
        let mut snapshot = SnapshotReader::default();
        let mut blocks = Blocks { runtime, opening: VecDeque::with_capacity(BLOCKS_AHEAD) };
        let mut replay = Replay { next_index: 0, newest: Timestamp(0), at: self.at, behind: None };
        let mut read = 0;
        while let Some(piece) = pieces.blocking_recv() {
            let piece = piece?;
            progress(piece.bytes.len() as u64);
            if piece.object > 0 {
                let (path, _) = &self.segments[piece.object - 1];
                self.segment(piece.object - 1, &piece.bytes, &mut replay, sink)
                    .map_err(|failure| failure.of(self, path))?;
            } else {
                let of_snapshot = |failure: Failure| failure.of(self, &self.snapshot.path);
                blocks.read(&mut snapshot, piece.bytes, sink).map_err(of_snapshot)?;
                if piece.last {
                    blocks.give_all(sink).map_err(of_snapshot)?;
                    let whole = std::mem::take(&mut snapshot).finish().map_err(Failure::Damaged);
                    let whole = whole.and_then(|stored| self.check_snapshot(stored));
                    replay.next_index = whole.map_err(of_snapshot)? + 1;
                    sink.chunks_done().map_err(ArchiveError::Sink)?;
                }
            }
            if piece.last {
                read += 1;
            }
        }
        if read != self.segments.len() + 1 {
            return Err(ArchiveError::Interrupted { object: self.snapshot.path.to_string() });
        }
        Ok(())
    }

    /// The index of the snapshot, if it is the one that was planned.
    fn check_snapshot(&self, stored: StoredSnapshot) -> Result<u64, Failure> {
        let planned = &self.snapshot;
        if stored.checksum != planned.checksum || stored.bytes != planned.bytes {
            return Err(Failure::Damaged("its checksum is not the one that was noted when it was written".into()));
        }
        let header = stored.header;
        if header.partition_id != self.partition_id
            || planned.end.is_some_and(|end| end != (header.index, header.entry_time))
        {
            return Err(Failure::Damaged("it is the snapshot of something else".into()));
        }
        Ok(header.index)
    }

    fn segment(
        &self,
        number: usize,
        object: &Bytes,
        replay: &mut Replay,
        sink: &mut dyn RestoreSink,
    ) -> Result<(), Failure> {
        let (_, record) = &self.segments[number];
        let mut reader = SegmentReader::new(object).map_err(Failure::Damaged)?;
        if reader.header().partition_id != self.partition_id {
            return Err(Failure::Damaged("it is a segment of something else".into()));
        }
        record.check(reader.header()).map_err(Failure::Damaged)?;
        while let Some(entries) = reader.next().map_err(Failure::Damaged)? {
            for (entry, time) in entries {
                replay.entry(entry, time, sink)?;
            }
        }
        if replay.next_index <= record.last {
            return Err(Failure::Damaged(format!("entry {} is missing in it", replay.next_index)));
        }
        Ok(())
    }

    /// The snapshot, then the segments, in order.
    fn pieces(&self) -> impl Stream<Item = Result<Piece, ArchiveError>> + Send + 'static {
        let mut requests: Vec<(usize, Path, Range<u64>, bool)> = Vec::new();
        let bytes = self.snapshot.bytes;
        for start in (0..bytes).step_by(RANGE_BYTES as usize) {
            let end = (start + RANGE_BYTES).min(bytes);
            requests.push((0, self.snapshot.path.clone(), start..end, end == bytes));
        }
        for (number, (path, segment)) in self.segments.iter().enumerate() {
            requests.push((number + 1, path.clone(), 0..segment.bytes, true));
        }
        let plan = self.clone();
        let fetch = move |(object, path, range, last)| {
            let plan = plan.clone();
            async move {
                let bytes = plan.fetch(&path, range).await?;
                Ok(Piece { object, bytes, last })
            }
        };
        stream::iter(requests).map(fetch).buffered(FETCHES_AHEAD)
    }

    async fn fetch(&self, path: &Path, range: Range<u64>) -> Result<Bytes, ArchiveError> {
        self.bucket.get_range_patiently(path, range).await.map_err(|error| match error {
            ArchiveError::NotFound { .. } | ArchiveError::Damaged { .. } => self.hole(path, error),
            error => error,
        })
    }
}

/// Blocks on their way into the sink, in order; they are decompressed beside it.
struct Blocks<'a> {
    runtime: &'a Handle,
    opening: VecDeque<JoinHandle<Result<Vec<Bytes>, String>>>,
}

impl Blocks<'_> {
    fn read(&mut self, snapshot: &mut SnapshotReader, piece: Bytes, sink: &mut dyn RestoreSink) -> Result<(), Failure> {
        snapshot.push(piece).map_err(Failure::Damaged)?;
        while let Some(block) = snapshot.next().map_err(Failure::Damaged)? {
            if self.opening.len() == BLOCKS_AHEAD {
                self.give_first(sink)?;
            }
            self.opening.push_back(self.runtime.spawn_blocking(move || snapshot::chunks_of(block)));
        }
        Ok(())
    }

    fn give_first(&mut self, sink: &mut dyn RestoreSink) -> Result<(), Failure> {
        let Some(opening) = self.opening.pop_front() else { return Ok(()) };
        let chunks = self.runtime.block_on(opening).map_err(|_| Failure::Interrupted)?.map_err(Failure::Damaged)?;
        chunks.into_iter().try_for_each(|chunk| sink.chunk(chunk)).map_err(Failure::Sink)
    }

    fn give_all(&mut self, sink: &mut dyn RestoreSink) -> Result<(), Failure> {
        while !self.opening.is_empty() {
            self.give_first(sink)?;
        }
        Ok(())
    }
}

/// How far the entries were given on.
struct Replay {
    next_index: u64,
    newest: Timestamp,
    at: Option<Timestamp>,
    /// The time asked for, once an entry after it was met.
    behind: Option<Timestamp>,
}

impl Replay {
    fn entry(&mut self, entry: LogEntry, time: Timestamp, sink: &mut dyn RestoreSink) -> Result<(), Failure> {
        // The snapshot may be of a moment within its first segment.
        if entry.index < self.next_index {
            return Ok(());
        }
        if entry.index != self.next_index {
            let (index, expected) = (entry.index, self.next_index);
            return Err(Failure::Damaged(format!("entry {index} is there where {expected} has to be")));
        }
        if time.0 != 0 {
            if time <= self.newest {
                let index = entry.index;
                return Err(Failure::Damaged(format!("entry {index} is not later than the one before it")));
            }
            self.newest = time;
            self.behind = self.at.filter(|at| time > *at);
        }
        self.next_index += 1;
        match self.behind {
            Some(at) => sink.entry_behind(entry, at),
            None => sink.entry(entry),
        }
        .map_err(Failure::Sink)
    }
}

/// What went wrong with an object, without its name.
enum Failure {
    Damaged(String),
    /// The runtime ends.
    Interrupted,
    Sink(SinkError),
}

impl Failure {
    fn of(self, plan: &PartitionPlan, path: &Path) -> ArchiveError {
        match self {
            Self::Damaged(reason) => plan.hole(path, ArchiveError::Damaged { object: path.to_string(), reason }),
            Self::Interrupted => ArchiveError::Interrupted { object: path.to_string() },
            Self::Sink(error) => ArchiveError::Sink(error),
        }
    }
}
