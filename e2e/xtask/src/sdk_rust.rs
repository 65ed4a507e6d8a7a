//! A table's life through the AWS SDK for Rust: our program, of a workspace and a lock file of its own, so that only its test
//! waits for the SDK to be compiled.

use crate::{process, workspace};
use anyhow::{Context, Result};
use std::{path::PathBuf, process::Command};

/// Has its crates there, once for all checkouts of a user.
pub(crate) fn download() -> Result<()> {
    process::output(&mut cargo("fetch")).context("failed to get the crates of the SDK for Rust")?;
    Ok(())
}

/// The program.
pub(crate) fn program() -> PathBuf {
    folder().join("debug/sdk-rust")
}

/// Builds it anew where something has changed.
pub(crate) fn build() -> Result<()> {
    process::output(cargo("build").arg("--target-dir").arg(folder()))?;
    Ok(())
}

fn folder() -> PathBuf {
    workspace::target().join("sdk-rust")
}

/// That it is formatted as the rest is.
pub(crate) fn check_format() -> Command {
    let mut command = workspace::cargo();
    command.args(["fmt", "--check", "--manifest-path"]).arg(manifest());
    command
}

fn cargo(task: &str) -> Command {
    let mut command = workspace::cargo();
    command.args([task, "--locked", "--quiet", "--manifest-path"]).arg(manifest());
    command
}

fn manifest() -> PathBuf {
    workspace::root().join("e2e/clients/sdk/rust/Cargo.toml")
}
