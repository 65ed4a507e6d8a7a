//! Fuzzing as ordinary tests: inputs of a corpus that is kept in the repository, and what a seed's mutations make of them.
//!
//! `CAIRN_FUZZ_SECONDS=3600 CAIRN_FUZZ_SEED=7 cargo test -p cairn-expression --test fuzz` runs for an hour from one seed. An input that
//! fails is made smaller and written into the corpus, where every run from then on begins with it.

#![allow(clippy::panic, reason = "what drives tests fails as a test does")]

mod corpus;
mod limits;
mod memory;
mod mutator;
mod outcome;
mod panics;
mod run;
mod under_way;

pub use corpus::Corpus;
pub use limits::Limits;
pub use memory::CountingAllocator;
pub use run::Fuzz;
