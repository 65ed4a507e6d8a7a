//! Imports: the files that a new table is made of, item by item, and what the bucket keeps of an import.
//!
//! [`Items`] reads one file, whatever is in it, in bounded memory; [`SourceFiles`] finds the files and reads them from
//! a bucket; [`record`] is what is known of an import after it. Writing the items is the business of whoever reads
//! them.

mod csv;
mod dynamodb_json;
mod error_log;
mod ion;
mod items;
mod lines;
pub mod record;
mod source;

pub use error_log::ErrorLog;
pub use items::{Entry, Items, Rejected};
pub use source::{SourceFile, SourceFiles, SourceProblem};

use serde::{Deserialize, Serialize};

/// How the items of a file are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// `{"Item": {…}}`, one a line.
    DynamoDbJson,
    /// `$ion_1_0 {Item: {…}}`, as text, one a line.
    Ion,
    Csv {
        delimiter: u8,
        /// The columns' names; if none, the first record of each file.
        header: Option<Vec<String>>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

/// No record of a file is longer: an item of the largest size, every byte of it escaped, is shorter by far.
const RECORD_BYTES_MAX: usize = 8 << 20;

#[cfg(test)]
mod tests;
