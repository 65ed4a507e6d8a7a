//! The project's tasks: `cargo xtask demo`, `test`, `bench`, `image`, `cluster`. Each does all of the set-up it needs and cleans up after itself.

mod ahead;
mod chart;
mod cluster;
mod crates;
mod demo;
mod deny;
mod go;
mod image;
mod java;
mod npm;
mod process;
mod python;
mod report;
mod rust_tests;
mod schemas;
mod sdk_rust;
mod steps;
mod test;
mod workspace;

use anyhow::{Result, bail};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask TASK

  demo                    a cluster, Cairn on it, and a tour of what it does; ends by itself
  test [--only PART,…]    everything: fmt, clippy, crds, unit, clients, chart, deny, e2e, bench
  bench [--only WORD | --sizes [COUNT,…] | --large [COUNT] | --expiry [COUNT]]
                          the benchmarks, those named so, or how times grow with a table: to a million items, or as named;
                          how much memory ten million items of a kilobyte take; how soon a million expired items are gone
  image                   the container image localhost/cairn:dev, as target/cairn-image.tar
  cluster up [NAME [ZONES]]
                          a cluster to try things on, of three zones by default, with the image loaded if there is one; a
                          second one beside it is another region
  cluster down|env [NAME]";

fn main() -> ExitCode {
    process::watch_signals();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True when everything passed.
fn run(arguments: &[&str]) -> Result<bool> {
    match arguments {
        ["demo"] => demo::run().map(|()| true),
        ["test"] => test::run(&[]),
        ["test", "--only", parts] => test::run(&parts.split(',').collect::<Vec<_>>()),
        ["bench", arguments @ ..] => test::measure(arguments),
        ["image"] => {
            let archive = image::build()?;
            println!("{} as {}", image::REFERENCE, archive.display());
            Ok(true)
        }
        ["cluster", "up", name, zones] => cluster::stay_up(name, zones).map(|()| true),
        ["cluster", "up", rest @ ..] => cluster::stay_up(name(rest)?, "3").map(|()| true),
        ["cluster", command @ ("down" | "env"), rest @ ..] => cluster::script(&[command, name(rest)?]).map(|()| true),
        _ => bail!("{USAGE}"),
    }
}

fn name<'a>(rest: &[&'a str]) -> Result<&'a str> {
    match rest {
        [] => Ok("east"),
        [name] => Ok(name),
        _ => bail!("{USAGE}"),
    }
}
