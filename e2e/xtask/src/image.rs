//! The container image: both programs, static, on nothing else.

use crate::{process, workspace};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

pub(crate) const REFERENCE: &str = "localhost/cairn:dev";

const DOCKERFILE: &str = "FROM scratch
COPY cairn cairn-operator /
USER 65532:65532
ENTRYPOINT [\"/cairn\"]
";

/// Builds the programs and the image with whatever builder is there, and gives the path of its archive.
pub(crate) fn build() -> Result<PathBuf> {
    process::run(&mut workspace::release_build())?;
    let context = workspace::target().join("image");
    fs::create_dir_all(&context)?;
    fs::write(context.join("Dockerfile"), DOCKERFILE)?;
    let mut unchanged = true;
    for program in ["cairn", "cairn-operator"] {
        unchanged &= copy_if_newer(&workspace::release(program), &context.join(program))?;
    }
    let archive = archive();
    if unchanged && archive.is_file() {
        return Ok(archive);
    }
    let _ = fs::remove_file(&archive);
    assemble(&context, &archive)?;
    Ok(archive)
}

pub(crate) fn archive() -> PathBuf {
    workspace::target().join("cairn-image.tar")
}

/// True when the copy was there already.
fn copy_if_newer(from: &Path, to: &Path) -> Result<bool> {
    let built = fs::metadata(from)
        .and_then(|file| file.modified())
        .with_context(|| format!("{} is not there", from.display()))?;
    if fs::metadata(to).and_then(|file| file.modified()).is_ok_and(|copied| copied >= built) {
        return Ok(true);
    }
    fs::copy(from, to)?;
    Ok(false)
}

fn assemble(context: &Path, archive: &Path) -> Result<()> {
    if answers("docker") {
        process::run(Command::new("docker").args(["build", "--quiet", "--tag", REFERENCE]).arg(context))?;
        process::run(Command::new("docker").args(["save", REFERENCE, "--output"]).arg(archive))
    } else if answers("podman") {
        process::run(Command::new("podman").args(["build", "--quiet", "--tag", REFERENCE]).arg(context))?;
        process::run(
            Command::new("podman")
                .args(["save", "--quiet", "--format", "oci-archive", "--output"])
                .arg(archive)
                .arg(REFERENCE),
        )
    } else if process::exists("buildah") {
        process::run(
            Command::new("buildah")
                .args(["build", "--quiet", "--isolation", "chroot", "--tag", REFERENCE])
                .arg(context),
        )?;
        let destination = format!("oci-archive:{}:{REFERENCE}", archive.display());
        process::run(Command::new("buildah").args(["push", "--quiet", REFERENCE, &destination]))
    } else {
        bail!("docker, podman or buildah is needed to build the image (Debian: apt-get install buildah)")
    }
}

/// Whether the builder is there and can be talked to.
fn answers(program: &str) -> bool {
    process::exists(program)
        && Command::new(program)
            .arg("info")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}
