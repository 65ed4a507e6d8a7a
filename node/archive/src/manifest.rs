//! What is there of a partition.
