//! The service over a real socket, with signed requests, on partitions, a catalog and an archive in memory.
#![allow(clippy::unwrap_used, clippy::panic)]

mod archive;
mod backups;
mod batches;
mod catalog;
mod client;
mod exporter;
mod exports;
mod fuzz;
mod gets_and_writes;
mod global_tables;
mod importer;
mod imports;
mod legacy;
mod legacy_global_tables;
mod partitions;
mod protocol;
mod queries;
mod recovery;
mod regions;
mod restores;
mod signer;
mod table_arns;
mod tables;
mod tags;
