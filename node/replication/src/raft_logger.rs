//! The raft library's log records, passed on to `tracing`.

use slog::{Drain, KV, Level, Logger, Never, OwnedKVList, Record, Serializer};
use std::fmt::{self, Write};

struct ToTracing;

pub(crate) fn logger() -> Logger {
    Logger::root(ToTracing, slog::o!())
}

impl Drain for ToTracing {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        match record.level() {
            Level::Critical | Level::Error => tracing::error!(target: "raft", "{}", text(record, values)),
            Level::Warning => tracing::warn!(target: "raft", "{}", text(record, values)),
            Level::Info if tracing::enabled!(target: "raft", tracing::Level::DEBUG) => {
                tracing::debug!(target: "raft", "{}", text(record, values));
            }
            _ => {}
        }
        Ok(())
    }

    fn is_enabled(&self, level: Level) -> bool {
        level.is_at_least(Level::Info)
    }
}

fn text(record: &Record<'_>, values: &OwnedKVList) -> String {
    let mut text = Text(record.msg().to_string());
    // Writing into a string does not fail.
    let _ = record.kv().serialize(record, &mut text);
    let _ = values.serialize(record, &mut text);
    text.0
}

struct Text(String);

impl Serializer for Text {
    fn emit_arguments(&mut self, key: slog::Key, value: &fmt::Arguments<'_>) -> slog::Result {
        write!(self.0, " {key}={value}").map_err(slog::Error::from)
    }
}
