//! A snapshot as one object.
