//! Programs for `node` with packages that come unmodified from npm, in the versions that their lock files name.

use crate::{process, workspace};
use anyhow::{Context, Result};
use std::{fs, path::PathBuf, process::Command};

/// A folder of the checkout with a lock file, and the script in what is installed from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    name: &'static str,
    source: &'static str,
    script: &'static str,
}

/// Another implementation, whose answers Cairn's are compared with.
pub(crate) const DYNALITE: Program =
    Program { name: "dynalite", source: "e2e/clients/dynalite", script: "node_modules/dynalite/cli.js" };

/// A table's life through the AWS SDK for JavaScript.
pub(crate) const SDK: Program =
    Program { name: "sdk-javascript", source: "e2e/clients/sdk/javascript", script: "main.js" };

impl Program {
    /// Its script; the packages are installed once.
    pub(crate) fn script(self) -> Result<PathBuf> {
        let (source, folder) = (workspace::root().join(self.source), workspace::target().join(self.name));
        fs::create_dir_all(&folder)?;
        // Beside the packages, where `node` looks for them.
        for entry in fs::read_dir(&source)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), folder.join(entry.file_name()))?;
            }
        }
        let script = folder.join(self.script);
        let stamp = folder.join("installed");
        let wanted = fs::read_to_string(source.join("package-lock.json"))?;
        if fs::read_to_string(&stamp).is_ok_and(|present| present == wanted) {
            return Ok(script);
        }
        println!("installing {} from npm", self.name);
        let mut install = Command::new("npm");
        install
            .args(["ci", "--ignore-scripts", "--engine-strict", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(&folder);
        process::output(&mut install)
            .with_context(|| format!("failed to install {} (Debian: apt-get install nodejs npm)", self.name))?;
        fs::write(stamp, wanted)?;
        Ok(script)
    }
}
