//! A batch on its way: its encoding, compressed, with a limit on what it may come to.

use super::message::{ShippedBatch, SourceClock};
use cairn_replication::global::{BatchError, RemoteBatch};

/// Fast: a batch is made for each reader, again and again.
const LEVEL: i32 = 1;
/// What a batch is at most in its own encoding, with all the names that it may carry.
const LENGTH_MAX: u32 = 16 << 20;

#[derive(Debug, thiserror::Error)]
pub(super) enum ShipmentError {
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error("failed to compress or decompress a batch: {0}")]
    Compression(#[from] std::io::Error),
    #[error("a batch of {0} bytes is larger than any may be")]
    TooLarge(usize),
    #[error("a batch is not as long as it says")]
    Length,
}

/// Takes the processor's time.
pub(super) fn pack(batch: &RemoteBatch, item_count: u64, clock: SourceClock) -> Result<ShippedBatch, ShipmentError> {
    let bytes = batch.encode()?;
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= LENGTH_MAX);
    let length = length.ok_or(ShipmentError::TooLarge(bytes.len()))?;
    Ok(ShippedBatch { clock, item_count, length, compressed: zstd::bulk::compress(&bytes, LEVEL)?.into() })
}

/// Takes the processor's time.
pub(super) fn unpack(shipped: &ShippedBatch) -> Result<RemoteBatch, ShipmentError> {
    if shipped.length > LENGTH_MAX {
        return Err(ShipmentError::TooLarge(shipped.length as usize));
    }
    let bytes = zstd::bulk::decompress(&shipped.compressed, shipped.length as usize)?;
    if bytes.len() != shipped.length as usize {
        return Err(ShipmentError::Length);
    }
    Ok(RemoteBatch::decode(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::{ids::PartitionId, time::Timestamp};
    use cairn_replication::global::{BatchBody, Gone, Lineage, Member};

    fn batch() -> RemoteBatch {
        let lineage = Lineage { region: "east".into(), since: Timestamp(1), partition: PartitionId([1; 16]) };
        RemoteBatch {
            source: Member {
                lineage,
                founder: None,
                is_settled: true,
                members: ["east".into()].into(),
                has: [].into_iter().collect(),
            },
            reader: "west".into(),
            reader_lineage: None,
            known: [].into_iter().collect(),
            read: None,
            others: Vec::new(),
            gone: Gone::default(),
            pending: 0,
            body: BatchBody::Hello,
        }
    }

    #[test]
    fn a_batch_arrives_as_it_was_sent() {
        let clock = SourceClock { wall_ms: 1, held_ms: 0 };
        let shipped = pack(&batch(), 0, clock).unwrap();
        assert_eq!(unpack(&shipped).unwrap(), batch());
        for wrong in [shipped.length - 1, shipped.length + 1, u32::MAX] {
            assert!(unpack(&ShippedBatch { length: wrong, ..shipped.clone() }).is_err(), "{wrong}");
        }
    }
}
