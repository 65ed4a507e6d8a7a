//! Exports of tables: files in a bucket of the caller's choice, as DynamoDB lays them out, and the records of them, which
//! stay in the archive.
//!
//! ```text
//! PREFIX/AWSDynamoDB/EXPORT_ID/_started               empty: the bucket can be written
//! PREFIX/AWSDynamoDB/EXPORT_ID/data/RANDOM.json.gz    of a full export: a line an item (.ion.gz in Ion)
//! PREFIX/AWSDynamoDB/data/RANDOM.json.gz              of an incremental one: a line a changed item
//! PREFIX/AWSDynamoDB/EXPORT_ID/manifest-files.json    a line a data file
//! PREFIX/AWSDynamoDB/EXPORT_ID/manifest-files.md5     the checksum of the file before it, in base 64
//! PREFIX/AWSDynamoDB/EXPORT_ID/manifest-summary.json  written last: without it there is no export
//! PREFIX/AWSDynamoDB/EXPORT_ID/manifest-summary.md5
//! ```

mod attempt;
mod dynamodb_json;
mod ion;
pub mod line;
mod manifest;
mod record;
#[cfg(test)]
mod tests;
mod writer;

pub use attempt::{Attempt, AttemptEnd, Maker, Mark};
pub use record::{EXPORTS_KEPT_MS, ExportRecords, LastAttempt};
pub use writer::{ExportWriter, Fence, WriteError, clean};

use crate::ArchiveConfig;
use object_store::path::Path;

/// Why a prefix can't be one; none for one that can.
pub fn prefix_fault(prefix: &str) -> Option<String> {
    root(Some(prefix)).err()
}

/// Why an export can't be written where it is asked for; none where it can.
pub fn target_fault(config: &ArchiveConfig, cluster: &str, bucket: &str, prefix: Option<&str>) -> Option<String> {
    let root = match root(prefix) {
        Ok(root) => root,
        Err(fault) => return Some(fault),
    };
    // Its objects would be taken for the archive's, and be deleted as they are.
    config.overlaps(cluster, bucket, &root).then(|| {
        format!("the archive keeps the tables of {cluster} in this folder of {bucket}: choose another prefix or bucket")
    })
}

/// The folder of all exports under a prefix.
fn root(prefix: Option<&str>) -> Result<Path, String> {
    let prefix = Path::parse(prefix.unwrap_or_default().trim_matches('/')).map_err(|error| error.to_string())?;
    Ok(prefix.join("AWSDynamoDB"))
}
