//! A Python environment with the AWS CLI, boto3 and Amazon's own Ion, unmodified from PyPI.

use crate::{process, workspace};
use anyhow::{Context, Result};
use std::{fs, path::PathBuf, process::Command};

const PACKAGES: [&str; 3] = ["amazon.ion==0.15.0", "awscli==1.46.2", "boto3==1.44.5"];

/// The folder of its programs (`python`, `aws`); made once.
pub(crate) fn environment() -> Result<PathBuf> {
    let folder = workspace::target().join("python");
    let programs = folder.join("bin");
    let stamp = folder.join("packages");
    let wanted = PACKAGES.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|present| present == wanted) {
        return Ok(programs);
    }
    println!("installing {} from PyPI", PACKAGES.join(", "));
    process::output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
        .context("failed to make a Python environment (Debian: apt-get install python3-venv)")?;
    process::output(Command::new(programs.join("pip")).args(["install", "--quiet"]).args(PACKAGES))?;
    fs::write(stamp, wanted)?;
    Ok(programs)
}
