//! A table's life through the AWS SDK for Go: our program, with modules that come unmodified in the versions of its go.sum.

use crate::{process, workspace};
use anyhow::{Context, Result};
use std::{
    path::{self, PathBuf},
    process::Command,
};

/// Has its modules there, once for all checkouts of a user.
pub(crate) fn download() -> Result<()> {
    process::output(go().args(["mod", "download"]))
        .context("failed to get the modules of the SDK for Go (Debian: apt-get install golang-go)")?;
    Ok(())
}

/// The program.
pub(crate) fn program() -> Result<PathBuf> {
    Ok(path::absolute(workspace::target().join("sdk-go"))?)
}

/// Builds it anew where something has changed.
pub(crate) fn build() -> Result<()> {
    process::output(go().args(["build", "-mod=readonly", "-buildvcs=false", "-o"]).arg(program()?).arg("."))?;
    Ok(())
}

fn go() -> Command {
    let mut command = Command::new("go");
    command.current_dir(workspace::root().join("e2e/clients/sdk/go")).env("GOWORK", "off");
    command
}
