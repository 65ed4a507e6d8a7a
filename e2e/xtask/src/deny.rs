//! What `cargo deny` says of our dependencies: licenses, sources, bans and known advisories.

use crate::{ahead::Ahead, crates, process, report::Report, steps, workspace};
use anyhow::Result;
use std::process::Command;

pub(crate) fn check(report: &mut Report, ahead: &Ahead) -> Result<()> {
    if !ahead.has(&steps::CARGO_DENY, report, "deny")? {
        return Ok(());
    }
    process::run(&mut deny(&["check", "bans", "licenses", "sources"])?)?;
    report.pass(1);
    if ahead.has(&steps::ADVISORIES, report, "deny: advisories")? {
        process::run(&mut deny(&["check", "advisories"])?)?;
        report.pass(1);
    }
    Ok(())
}

/// The advisories are a database on the network.
pub(crate) fn fetch() -> Result<()> {
    process::output(&mut deny(&["fetch", "db"])?).map(drop)
}

fn deny(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(crates::CARGO_DENY.path()?);
    command.current_dir(workspace::root()).arg("--workspace").args(arguments);
    Ok(command)
}
