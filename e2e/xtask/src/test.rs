//! `cargo xtask test`: every check there is, part by part.

use crate::{
    ahead::{Ahead, Step},
    chart,
    cluster::{self, Cluster},
    crates, deny, go, java, npm, process, python,
    report::Report,
    rust_tests, sdk_rust, steps, workspace,
};
use anyhow::{Result, bail};
use std::{
    path::{self, PathBuf},
    process::Command,
};

/// One after the other, while what they need is made beside those before.
pub(crate) const PARTS: [Part; 9] = [
    Part { name: "fmt", run: fmt, measures: false },
    Part { name: "clippy", run: clippy, measures: false },
    Part { name: "crds", run: crds, measures: false },
    Part { name: "unit", run: rust_tests::run, measures: false },
    Part { name: "clients", run: clients, measures: false },
    Part { name: "chart", run: chart::check, measures: false },
    Part { name: "deny", run: deny::check, measures: false },
    Part { name: "e2e", run: e2e, measures: true },
    Part { name: "bench", run: bench, measures: true },
];

pub(crate) struct Part {
    pub(crate) name: &'static str,
    run: fn(&mut Report, &Ahead) -> Result<()>,
    /// It has times to keep: nothing is made beside it.
    measures: bool,
}

/// The option or variable that tells of it, what is skipped without it, the step that makes it, and where it is then.
type Optional = (&'static str, &'static str, Step, fn() -> Result<PathBuf>);

/// Runs all parts, or those named; true when nothing failed.
pub(crate) fn run(only: &[&str]) -> Result<bool> {
    if let Some(unknown) = only.iter().find(|name| !PARTS.iter().any(|part| part.name == **name)) {
        bail!("there is no part {unknown}: {}", PARTS.map(|part| part.name).join(", "));
    }
    let chosen: Vec<Part> = PARTS.into_iter().filter(|part| only.is_empty() || only.contains(&part.name)).collect();
    let ahead = Ahead::start(&steps::ALL, &chosen.iter().map(|part| part.name).collect::<Vec<_>>());
    let mut report = Report::default();
    for Part { name, run, measures } in chosen {
        if measures {
            ahead.wait();
        }
        report.part(name, |report| run(report, &ahead));
    }
    ahead.end(&mut report);
    Ok(report.end())
}

/// One command that passes or fails as a whole.
fn single(report: &mut Report, command: &mut Command) -> Result<()> {
    process::run(command)?;
    report.pass(1);
    Ok(())
}

fn fmt(report: &mut Report, _: &Ahead) -> Result<()> {
    single(report, workspace::cargo().args(["fmt", "--all", "--check"]))?;
    single(report, &mut sdk_rust::check_format())
}

fn clippy(report: &mut Report, _: &Ahead) -> Result<()> {
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

fn crds(report: &mut Report, _: &Ahead) -> Result<()> {
    single(report, Command::new(workspace::build("crdgen")?).arg("--check").current_dir(workspace::root()))
}

/// `cairn dev` driven by the SDKs and the AWS CLI, its answers beside dynoxide's and dynalite's, its archives in S3.
fn clients(report: &mut Report, ahead: &Ahead) -> Result<()> {
    let cairn = workspace::build("cairn")?;
    ahead.require(&steps::PYTHON)?;
    let programs = python::environment()?;
    let mut command = Command::new(programs.join("python"));
    command
        .arg(workspace::root().join("e2e/clients/run.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg("--cairn")
        .arg(cairn)
        .arg("--programs")
        .arg(programs);
    let optional: [Optional; 7] = [
        ("--rival", "answers beside dynoxide's", steps::DYNOXIDE, || crates::DYNOXIDE.path()),
        ("--dynalite", "answers beside dynalite's", steps::DYNALITE, || npm::DYNALITE.script()),
        ("--s3-server", "archives in S3", steps::S3_SERVER, || cluster::tool("versitygw")),
        ("--sdk-javascript", "the AWS SDK for JavaScript", steps::SDK_JAVASCRIPT, || npm::SDK.script()),
        ("--sdk-go", "the AWS SDK for Go", steps::SDK_GO, go::program),
        ("--sdk-java", "the AWS SDK for Java", steps::SDK_JAVA, java::folder),
        ("--sdk-rust", "the AWS SDK for Rust", steps::SDK_RUST, || Ok(sdk_rust::program())),
    ];
    for (option, what, step, path) in optional {
        if ahead.has(&step, report, &format!("clients: {what}"))? {
            command.arg(option).arg(path()?);
        }
    }
    let status = process::stream(&mut command, |line| report.count(line))?;
    if !status.success() {
        bail!("the clients' tests failed ({status})");
    }
    Ok(())
}

fn e2e(report: &mut Report, ahead: &Ahead) -> Result<()> {
    let cluster = match Cluster::of_user() {
        Some(cluster) => cluster,
        None => {
            if let Some(obstacle) = cluster::obstacle() {
                report.skip("e2e", &obstacle);
                return Ok(());
            }
            // The suite runs it beside a cluster of its own.
            ahead.require(&steps::S3_SERVER)?;
            ahead.require(&steps::CLUSTER_TOOLS)?;
            ahead.require(&steps::RELEASE)?;
            Cluster::create("test")?.with_second("testwest")?
        }
    };
    ahead.require(&steps::RELEASE)?;
    ahead.require(&steps::PYTHON)?;
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

fn bench(report: &mut Report, ahead: &Ahead) -> Result<()> {
    let status = process::stream(&mut bench_command(report, ahead)?, |line| report.count(line))?;
    if !status.success() {
        bail!("the benchmarks failed ({status})");
    }
    Ok(())
}

/// `cargo xtask bench`: the benchmarks alone, with arguments; true when every share is reached.
pub(crate) fn measure(arguments: &[&str]) -> Result<bool> {
    let ahead = Ahead::start(&steps::ALL, &["bench"]);
    ahead.wait();
    let mut command = bench_command(&mut Report::default(), &ahead)?;
    Ok(process::stream(command.args(arguments), |_| ())?.success())
}

fn bench_command(report: &mut Report, ahead: &Ahead) -> Result<Command> {
    ahead.require(&steps::RELEASE)?;
    let mut command = Command::new(workspace::release("cairn-e2e"));
    command
        .arg("bench")
        .current_dir(workspace::root())
        .env("CAIRN_E2E_CAIRN", workspace::release("cairn"))
        .env("CAIRN_E2E_RESULTS", workspace::target().join("bench"));
    let others: [Optional; 2] = [
        ("CAIRN_E2E_DYNOXIDE", "durable PutItem and every operation beside dynoxide", steps::DYNOXIDE, || {
            crates::DYNOXIDE.path()
        }),
        ("CAIRN_E2E_DYNALITE", "every operation beside dynalite", steps::DYNALITE, || npm::DYNALITE.script()),
    ];
    for (variable, what, step, path) in others {
        if ahead.has(&step, report, &format!("bench: {what}"))? {
            command.env(variable, path::absolute(path()?)?);
        }
    }
    Ok(command)
}
