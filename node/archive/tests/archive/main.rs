//! What the archive promises, seen from outside: against stores in memory, in a folder, and behind S3.

#![allow(clippy::unwrap_used, clippy::panic)]

mod backups;
mod claims;
mod faults;
mod histories;
mod model;
mod point_in_time;
mod s3;
mod settings;
mod stamped;
mod upkeep;
mod uploads;
