//! Imports: the files that a new table is made of, item by item, and what the bucket keeps of an import.
//!
//! [`Items`] reads one file, whatever is in it, in bounded memory; [`SourceFiles`] finds the files and reads them from
//! a bucket; [`Imports`] is what is known of an import after it. Writing the items is the business of whoever reads
//! them.

mod csv;
mod dynamodb_json;
mod error_log;
mod ion;
mod items;
mod lines;
mod record;
mod source;

pub use error_log::ErrorLog;
pub use items::{Entry, Items, Rejected};
pub(crate) use record::sweep;
pub use record::{Imports, Page};
pub use source::{SourceFile, SourceFiles, SourceProblem, is_unreached};

pub use cairn_model::archive::import::ImportCompression as Compression;

use cairn_model::archive::import::ImportFormat;

/// How the items of a file are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// `{"Item": {…}}`, one after the other, as a rule one a line.
    DynamoDbJson,
    /// `$ion_1_0 {Item: {…}}`, as text, one a line.
    Ion,
    Csv {
        delimiter: u8,
        /// The columns' names; if none, the first record of each file.
        header: Option<Vec<String>>,
    },
}

impl From<&ImportFormat> for Format {
    fn from(asked: &ImportFormat) -> Self {
        match asked {
            ImportFormat::DynamoDbJson => Self::DynamoDbJson,
            ImportFormat::Ion => Self::Ion,
            ImportFormat::Csv { options } => {
                let options = options.clone().unwrap_or_default();
                let delimiter = options.delimiter.and_then(|one| u8::try_from(one).ok()).unwrap_or(b',');
                Self::Csv { delimiter, header: options.header_list }
            }
        }
    }
}

/// No record of a file is longer: an item of the largest size is shorter, be it a list of empty strings as DynamoDB JSON,
/// `{"S":""},` for each byte of it, or a string with every byte escaped.
const RECORD_BYTES_MAX: usize = 4 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

#[cfg(test)]
mod tests;
