//! Records in compressed, checksummed blocks: what segments and snapshots consist of behind their headers.
