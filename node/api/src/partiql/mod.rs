//! What ExecuteStatement and BatchExecuteStatement have in common: a parsed statement and its table become the reads or
//! the write that the other operations ask of a partition.

pub(crate) mod members;
pub(crate) mod next_token;
pub(crate) mod read;
mod select_list;
pub(crate) mod write;
