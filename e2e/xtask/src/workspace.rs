//! Where things are in the checkout, and how cargo is called in it.

use crate::process;
use anyhow::Result;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The triple of the release build: static, so that the image needs nothing but the two programs.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_owned()
}

/// Where cargo puts what it builds, and we what we make besides.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A program of the release build.
pub(crate) fn release(program: &str) -> PathBuf {
    target().join(TARGET).join("release").join(program)
}

/// A program of the workspace, built for tests. Always all packages, and examples, of which there are none: of some packages
/// alone, and without what examples and tests depend on, the dependencies would have other features, and be built anew.
pub(crate) fn build(program: &str) -> Result<PathBuf> {
    process::run(cargo().args(["build", "--locked", "--quiet", "--workspace", "--examples", "--bin", program]))?;
    Ok(target().join("debug").join(program))
}

/// The one release build: both programs, and the suite with its load client and benchmarks.
pub(crate) fn release_build() -> Command {
    let mut command = cargo();
    command
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .args(["build", "--release", "--locked", "--target", TARGET])
        .args(["-p", "cairn-server", "-p", "cairn-operator", "-p", "cairn-e2e"]);
    command
}

pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}
