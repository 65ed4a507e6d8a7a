//! A table's life through the AWS SDK for Java: our program, with jars that come unmodified from Maven Central, each with the
//! checksum that `jars.sha256` has for it.

use crate::{process, workspace};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::{self, PathBuf},
    process::Command,
};

fn source() -> PathBuf {
    workspace::root().join("e2e/clients/sdk/java")
}

/// Where its jars (`lib`) and our classes (`classes`) are put.
pub(crate) fn folder() -> Result<PathBuf> {
    Ok(path::absolute(workspace::target().join("sdk-java"))?)
}

/// Has its jars there; asked of Maven Central only when they are to be others than last time.
pub(crate) fn download() -> Result<()> {
    const PACKAGES: &str = "Debian: apt-get install default-jdk-headless maven";
    ensure!(process::exists("javac"), "there is no javac ({PACKAGES})");
    let (jars, stamp) = (folder()?.join("lib"), folder()?.join("downloaded"));
    let wanted = fs::read_to_string(source().join("pom.xml"))?;
    if fs::read_to_string(&stamp).is_ok_and(|present| present == wanted) {
        return Ok(());
    }
    println!("installing the SDK for Java from Maven Central");
    if jars.exists() {
        fs::remove_dir_all(&jars)?;
    }
    let mut maven = Command::new("mvn");
    maven
        .current_dir(source())
        .args(["--batch-mode", "--quiet", "--strict-checksums", "dependency:copy-dependencies"])
        .arg(format!("-DoutputDirectory={}", jars.display()));
    process::output(&mut maven).with_context(|| format!("failed to get the jars of the SDK for Java ({PACKAGES})"))?;
    fs::write(stamp, wanted)?;
    Ok(())
}

/// Builds the program anew.
pub(crate) fn build() -> Result<()> {
    let folder = folder()?;
    let (jars, classes) = (folder.join("lib"), folder.join("classes"));
    let mut sums = Command::new("sha256sum");
    sums.current_dir(&jars).args(names(&jars, "jar")?);
    ensure!(
        process::output(&mut sums)? == fs::read_to_string(source().join("jars.sha256"))?,
        "the jars in {} are not those of e2e/clients/sdk/java/jars.sha256: after a change to pom.xml, look at what came and \
         write it there (sha256sum *.jar)",
        jars.display()
    );
    if classes.exists() {
        fs::remove_dir_all(&classes)?;
    }
    let mut compiler = Command::new("javac");
    compiler.current_dir(source()).args(["-Xlint:all", "-Werror", "-encoding", "UTF-8", "-d"]).arg(classes);
    compiler.arg("-cp").arg(jars.join("*")).args(names(&source(), "java")?);
    process::output(&mut compiler)?;
    Ok(())
}

/// The files with this ending, in the order of their names' bytes.
fn names(folder: &path::Path, ending: &str) -> Result<Vec<String>> {
    let files = fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    let mut names: Vec<String> = files.iter().filter_map(|file| file.file_name().into_string().ok()).collect();
    names.retain(|name| path::Path::new(name).extension().is_some_and(|found| found == ending));
    names.sort();
    Ok(names)
}
