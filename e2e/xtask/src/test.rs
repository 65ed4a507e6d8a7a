//! `cargo xtask test`: every check there is, part by part.

use crate::{
    chart,
    cluster::{self, Cluster},
    crates, go, java, npm, process, python,
    report::Report,
    rust_tests, sdk_rust, workspace,
};
use anyhow::{Context, Result, bail};
use std::{
    path::{self, PathBuf},
    process::Command,
};

type Part = (&'static str, fn(&mut Report) -> Result<()>);

const PARTS: [Part; 9] = [
    ("fmt", fmt),
    ("clippy", clippy),
    ("crds", crds),
    ("deny", deny),
    ("unit", rust_tests::run),
    ("clients", clients),
    ("chart", chart::check),
    ("e2e", e2e),
    ("bench", bench),
];

/// Runs all parts, or those named; true when nothing failed.
pub(crate) fn run(only: &[&str]) -> Result<bool> {
    if let Some(unknown) = only.iter().find(|name| !PARTS.iter().any(|(part, _)| part == *name)) {
        let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
        bail!("there is no part {unknown}: {}", names.join(", "));
    }
    let mut report = Report::default();
    for (name, part) in PARTS {
        if only.is_empty() || only.contains(&name) {
            report.part(name, part);
        }
    }
    Ok(report.end())
}

/// One command that passes or fails as a whole.
fn single(report: &mut Report, command: &mut Command) -> Result<()> {
    process::run(command)?;
    report.pass(1);
    Ok(())
}

fn fmt(report: &mut Report) -> Result<()> {
    single(report, workspace::cargo().args(["fmt", "--all", "--check"]))?;
    single(report, &mut sdk_rust::check_format())
}

fn clippy(report: &mut Report) -> Result<()> {
    single(
        report,
        workspace::cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]),
    )
}

fn crds(report: &mut Report) -> Result<()> {
    single(report, Command::new(workspace::build("crdgen")?).arg("--check").current_dir(workspace::root()))
}

fn deny(report: &mut Report) -> Result<()> {
    let program = match crates::CARGO_DENY.path() {
        Ok(program) => program,
        Err(error) => {
            report.skip("deny", &format!("cargo-deny can't be built: {error:#}"));
            return Ok(());
        }
    };
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.current_dir(workspace::root()).args(arguments);
        command
    };
    single(report, &mut command(&["--workspace", "check", "bans", "licenses", "sources"]))?;
    // The advisories are a database on the network.
    if process::output(&mut command(&["fetch", "db"])).is_err() {
        report.skip("deny: advisories", "the database of advisories can't be reached");
        return Ok(());
    }
    single(report, &mut command(&["--workspace", "check", "advisories"]))
}

/// `cairn dev` driven by the SDKs and the AWS CLI, its answers beside dynoxide's and dynalite's, its archives in S3.
fn clients(report: &mut Report) -> Result<()> {
    let cairn = workspace::build("cairn")?;
    let programs = python::environment()?;
    let mut command = Command::new(programs.join("python"));
    command
        .arg(workspace::root().join("e2e/clients/run.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg("--cairn")
        .arg(cairn)
        .arg("--programs")
        .arg(programs);
    // What can't be had is the machine's fault, a program that does not build is ours.
    let built = |download: fn() -> Result<()>, build: fn() -> Result<PathBuf>| match download() {
        Ok(()) => build().map(Ok),
        Err(error) => Ok(Err(error)),
    };
    let optional = [
        ("--rival", "answers beside dynoxide's", crates::DYNOXIDE.path()),
        ("--dynalite", "answers beside dynalite's", npm::DYNALITE.script()),
        ("--s3-server", "archives in S3", cluster::tool("versitygw").context("versitygw can't be built")),
        ("--sdk-javascript", "the AWS SDK for JavaScript", npm::SDK.script()),
        ("--sdk-go", "the AWS SDK for Go", built(go::download, go::build)?),
        ("--sdk-java", "the AWS SDK for Java", built(java::download, java::build)?),
        ("--sdk-rust", "the AWS SDK for Rust", built(sdk_rust::download, sdk_rust::build)?),
    ];
    for (option, what, program) in optional {
        match program {
            Ok(path) => drop(command.arg(option).arg(path)),
            Err(error) => report.skip(&format!("clients: {what}"), &format!("{error:#}")),
        }
    }
    let status = process::stream(&mut command, |line| report.count(line))?;
    if !status.success() {
        bail!("the clients' tests failed ({status})");
    }
    Ok(())
}

fn e2e(report: &mut Report) -> Result<()> {
    let cluster = match Cluster::of_user() {
        Some(cluster) => cluster,
        None => {
            if let Some(obstacle) = cluster::obstacle() {
                report.skip("e2e", &obstacle);
                return Ok(());
            }
            // The suite runs it beside a cluster of its own.
            cluster::tool("versitygw")?;
            Cluster::create("test")?.with_second("testwest")?
        }
    };
    process::run(&mut workspace::release_build())?;
    let programs = python::environment()?;
    let status = process::stream(
        cluster
            .command(workspace::release("cairn-e2e"))
            .arg("run")
            .current_dir(workspace::root())
            .env("CAIRN_E2E_PYTHON", programs)
            .env("CAIRN_E2E_CHART", workspace::root().join("charts/cairn"))
            .env("CAIRN_E2E_SCRIPT", workspace::root().join("e2e/cluster/cluster"))
            .env("CAIRN_E2E_LOGS", workspace::target().join("e2e")),
        |line| report.count(line),
    )?;
    if !status.success() {
        bail!("the e2e suite failed ({status})");
    }
    Ok(())
}

fn bench(report: &mut Report) -> Result<()> {
    let status = process::stream(&mut bench_command(report)?, |line| report.count(line))?;
    if !status.success() {
        bail!("the benchmarks failed ({status})");
    }
    Ok(())
}

/// `cargo xtask bench`: the benchmarks alone, with arguments; true when every share is reached.
pub(crate) fn measure(arguments: &[&str]) -> Result<bool> {
    let mut command = bench_command(&mut Report::default())?;
    Ok(process::stream(command.args(arguments), |_| ())?.success())
}

fn bench_command(report: &mut Report) -> Result<Command> {
    process::run(&mut workspace::release_build())?;
    let mut command = Command::new(workspace::release("cairn-e2e"));
    command
        .arg("bench")
        .current_dir(workspace::root())
        .env("CAIRN_E2E_CAIRN", workspace::release("cairn"))
        .env("CAIRN_E2E_RESULTS", workspace::target().join("bench"));
    let others = [
        ("CAIRN_E2E_DYNOXIDE", "durable PutItem and every operation beside dynoxide", crates::DYNOXIDE.path()),
        ("CAIRN_E2E_DYNALITE", "every operation beside dynalite", npm::DYNALITE.script()),
    ];
    for (variable, what, program) in others {
        match program {
            Ok(path) => drop(command.env(variable, path::absolute(path)?)),
            Err(error) => report.skip(&format!("bench: {what}"), &format!("{error:#}")),
        }
    }
    Ok(command)
}
