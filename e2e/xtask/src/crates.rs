//! Programs from crates.io, of pinned versions, built once for all checkouts of a user.

use crate::{cluster, process, workspace};
use anyhow::Result;
use std::path::PathBuf;

/// One program and how it is built.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    name: &'static str,
    package: &'static str,
    version: &'static str,
    /// How it is built.
    options: &'static [&'static str],
}

pub(crate) const CARGO_DENY: Program =
    Program { name: "cargo-deny", package: "cargo-deny", version: "0.20.2", options: &["--debug"] };

/// The implementation that writes are measured beside.
pub(crate) const DYNOXIDE: Program = Program {
    name: "dynoxide",
    package: "dynoxide-rs",
    version: "3.2.0",
    options: &["--no-default-features", "--features", "native-sqlite,http-server,cli"],
};

impl Program {
    /// Its path, after it is built if need be.
    pub(crate) fn path(self) -> Result<PathBuf> {
        let folder = cluster::cache().join("crates").join(format!("{}-{}", self.package, self.version));
        let program = folder.join("bin").join(self.name);
        if !program.is_file() {
            println!("building {} {}, once", self.package, self.version);
            let mut install = workspace::cargo();
            install.args(["install", "--locked", "--quiet", "--version", self.version]).args(self.options);
            install
                .arg("--root")
                .arg(&folder)
                .arg("--target-dir")
                .arg(workspace::target().join("tools"))
                .arg(self.package);
            process::run(&mut install)?;
        }
        Ok(program)
    }
}
