//! The end-to-end suite and the benchmarks. `cargo xtask test` runs both; see there for what they need around them.
//!
//! `cairn-e2e run [--only WORD,…]` runs the scenarios against the cluster that `KUBECONFIG` points to, in order: they share
//! one installation. Those of two regions have a second cluster: one that the suite makes (`CAIRN_E2E_SECOND_CLUSTER`, its
//! name, and `CAIRN_E2E_ARCHIVE`, the image), or one that `CAIRN_E2E_SECOND_KUBECONFIG` points to.
//!
//! `cairn-e2e bench [--only WORD]` measures `cairn dev`; `cairn-e2e bench --sizes` how its times grow from ten thousand items to a
//! million, or to what is named (`--sizes 10000,10000000`); `cairn-e2e bench --large [COUNT]` how much memory a table of ten
//! million items of a kilobyte takes; `cairn-e2e bench --expiry [COUNT]` how soon a million expired items are gone.
//! `cairn-e2e floor ADDRESS` serves as the benchmarks' floor.

mod bench;
mod bucket;
mod client;
mod cluster;
mod contest;
mod evidence;
mod harness;
mod history;
mod kube;
mod lag;
mod load;
mod region;
mod scenarios;
mod sigv4;
mod transfers;

use anyhow::{Result, bail, ensure};
use std::process::ExitCode;

fn main() -> ExitCode {
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

/// True when nothing failed.
fn run(arguments: &[&str]) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments {
        ["run"] => runtime.block_on(harness::run(&scenarios::ALL, None)),
        ["run", "--only", word] => runtime.block_on(harness::run(&scenarios::ALL, Some(word))),
        ["bench"] => runtime.block_on(bench::run(None)),
        ["bench", "--only", word] => runtime.block_on(bench::run(Some(word))),
        ["bench", "--sizes"] => runtime.block_on(bench::sizes::run(&[10_000, 100_000, 1_000_000])),
        ["bench", "--sizes", sizes] => {
            let mut sizes = sizes.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
            sizes.sort_unstable();
            ensure!(sizes[0] > 0, "a table of no items has nothing to measure");
            runtime.block_on(bench::sizes::run(&sizes))
        }
        ["bench", "--large"] => runtime.block_on(bench::large::run(bench::large::ITEMS)),
        ["bench", "--large", items] => runtime.block_on(bench::large::run(items.parse()?)),
        ["bench", "--expiry"] => runtime.block_on(bench::expiry::run(bench::expiry::ITEMS)),
        ["bench", "--expiry", items] => runtime.block_on(bench::expiry::run(items.parse()?)),
        ["floor", address] => runtime.block_on(bench::floor::serve(address)).map(|()| true),
        _ => bail!(
            "usage: cairn-e2e run [--only WORD,…] | \
             bench [--only WORD | --sizes [COUNT,…] | --large [COUNT] | --expiry [COUNT]] | floor ADDRESS"
        ),
    }
}
