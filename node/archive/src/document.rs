//! JSON documents with a version.
