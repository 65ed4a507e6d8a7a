//! dynalite, unmodified from npm, in the versions that its lock file names.

use crate::{process, workspace};
use anyhow::{Context, Result};
use std::{fs, path::PathBuf, process::Command};

const FILES: [&str; 2] = ["package.json", "package-lock.json"];

/// Its script, for `node`; installed once.
pub(crate) fn script() -> Result<PathBuf> {
    let (source, folder) = (workspace::root().join("e2e/clients/dynalite"), workspace::target().join("dynalite"));
    let script = folder.join("node_modules/dynalite/cli.js");
    let stamp = folder.join("installed");
    let wanted = fs::read_to_string(source.join("package-lock.json"))?;
    if fs::read_to_string(&stamp).is_ok_and(|present| present == wanted) {
        return Ok(script);
    }
    println!("installing dynalite from npm");
    fs::create_dir_all(&folder)?;
    for file in FILES {
        fs::copy(source.join(file), folder.join(file))?;
    }
    let mut install = Command::new("npm");
    install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]).current_dir(&folder);
    process::output(&mut install).context("failed to install dynalite (Debian: apt-get install nodejs npm)")?;
    fs::write(stamp, wanted)?;
    Ok(script)
}
