//! A sealed run of log entries.
