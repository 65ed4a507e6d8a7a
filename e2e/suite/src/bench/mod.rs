//! Benchmarks of `cairn dev`: side by side with others, in interleaved rounds, compared by medians.
//!
//! Requests are signed before the clock starts and sent over and over, so that what is measured is the server.

mod drive;
mod fill;
pub(crate) mod floor;
mod operations;
mod processor;
mod restore;
mod servers;
pub(crate) mod sizes;

use crate::sigv4::{self, Signer};
use anyhow::{Context, Result};
use drive::Load;
use serde_json::{Value, json};
use servers::Server;
use std::{env, fs, path::PathBuf, sync::Arc, time::Duration};

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
const ITEMS: usize = 1_000;
const TABLE: &str = "bench";
const PATIENCE: Duration = Duration::from_secs(120);

const GET_SHARE_MIN: f64 = 0.40;
const PUT_SHARE_MIN: f64 = 1.00;
const ARCHIVED_SHARE_MIN: f64 = 0.90;

pub(super) const ACCESS_KEY: &str = "AKIABENCH000EXAMPLE1";
pub(super) const SECRET_KEY: &str = "bench";
pub(super) const REGION: &str = "us-east-1";

/// Measures all, or what is named; true when every share is reached.
pub(crate) async fn run(only: Option<&str>) -> Result<bool> {
    let wanted = |what: &str| only.is_none_or(|word| what.contains(word));
    let mut held = Vec::new();
    let (cairn, floor) = (Server::cairn().await?, Server::floor().await?);
    prepare(&cairn).await?;
    let dynoxide = Server::dynoxide().await?;
    if let Some(dynoxide) = &dynoxide {
        prepare(dynoxide).await?;
    }
    if wanted("GetItem") {
        held.push(compare("GetItem", [&cairn, &floor], "GetItem", get, GET_SHARE_MIN).await?);
    }
    if let Some(dynoxide) = dynoxide.as_ref().filter(|_| wanted("durable PutItem")) {
        held.push(compare("durable PutItem", [&cairn, dynoxide], "PutItem", put, PUT_SHARE_MIN).await?);
    }
    if wanted("every operation") {
        let dynalite = Server::dynalite().await?;
        if let Some(dynalite) = &dynalite {
            prepare(dynalite).await?;
        }
        let servers: Vec<&Server> =
            [Some(&cairn), dynoxide.as_ref(), dynalite.as_ref()].into_iter().flatten().collect();
        operations::run(&servers, &floor).await?;
    }
    let archived = Server::archived().await?;
    if wanted("PutItem while archived") {
        prepare(&archived).await?;
        let recovery =
            json!({"TableName": TABLE, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true}});
        archived.client().call("UpdateContinuousBackups", &recovery).await?.ok()?;
        held.push(compare("PutItem while archived", [&archived, &cairn], "PutItem", put, ARCHIVED_SHARE_MIN).await?);
    }
    if wanted("restore") {
        restore::run(&archived).await?;
    }
    let failed = held.iter().filter(|held| !**held).count();
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {verdict}. {} passed; {failed} failed; 0 ignored", held.len() - failed);
    Ok(failed == 0)
}

fn get(number: usize) -> Value {
    json!({"TableName": TABLE, "Key": fill::key(number), "ConsistentRead": true})
}

fn put(number: usize) -> Value {
    json!({"TableName": TABLE, "Item": fill::item(number)})
}

async fn prepare(server: &Server) -> Result<()> {
    fill::create_table(server, TABLE, None).await?;
    fill::fill(server, TABLE, (0..ITEMS).map(fill::item)).await
}

/// Ours against the other: prints and records the medians; true when ours reaches its share of the other's.
async fn compare(
    what: &str,
    servers: [&Server; 2],
    call: &str,
    request: fn(usize) -> Value,
    share_min: f64,
) -> Result<bool> {
    println!("\n{what}, {CONNECTIONS} connections, {ROUNDS} interleaved rounds of {} s", ROUND.as_secs());
    let mut rates: [Vec<f64>; 2] = Default::default();
    for round in 0..=ROUNDS {
        for (server, rates) in servers.iter().zip(&mut rates) {
            let requests = (0..ITEMS).map(|n| signed(&server.authority, call, &request(n), None));
            let load = Load {
                authority: server.authority.clone(),
                requests: Arc::new(requests.collect::<Result<_>>()?),
                connections: CONNECTIONS,
                duration: ROUND,
                status: 200,
                once: false,
            };
            let rate = drive::send(&load).await?.per_second();
            // The first round warms up.
            if round > 0 {
                println!("  round {round}: {:<24} {rate:>9.0} requests/s", server.name);
                rates.push(rate);
            }
        }
    }
    record(what, servers.map(|server| server.name.as_str()), "requestsPerSecond", rates.each_ref(), share_min)
}

/// Prints and records the medians; true when the first one's reaches its share of the other's.
fn record(what: &str, names: [&str; 2], unit: &str, rates: [&Vec<f64>; 2], share_min: f64) -> Result<bool> {
    let share = keep(what, names, unit, rates, share_min)?;
    let held = share >= share_min;
    let word = if held { "ok" } else { "FAILED" };
    println!(
        "test {what}: {} is {:.0} % of {}, at least {:.0} % wanted ... {word}",
        names[0],
        share * 100.0,
        names[1],
        share_min * 100.0
    );
    Ok(held)
}

/// Records the rates, and gives the share that the first one's median has of the other's.
fn keep(what: &str, names: [&str; 2], unit: &str, rates: [&Vec<f64>; 2], share_wanted: f64) -> Result<f64> {
    let [ours, other] = rates.map(|rates| median(rates));
    let share = ours / other;
    let record = json!({"what": what, "share": share, "shareMin": share_wanted, "medians": [ours, other],
        unit: {names[0]: rates[0], names[1]: rates[1]}});
    keep_json(what, &record)?;
    Ok(share)
}

/// Writes the record beside the others.
fn keep_json(what: &str, record: &Value) -> Result<()> {
    let Some(folder) = env::var_os("CAIRN_E2E_RESULTS").map(PathBuf::from) else { return Ok(()) };
    fs::create_dir_all(&folder)?;
    let file = folder.join(format!("{}.json", what.to_lowercase().replace(' ', "-")));
    fs::write(&file, serde_json::to_vec_pretty(record)?).with_context(|| format!("failed to write {}", file.display()))
}

fn median(rates: &[f64]) -> f64 {
    let mut rates = rates.to_vec();
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A request as it goes over the wire. `answer_bytes` tells the floor how much to answer.
fn signed(authority: &str, call: &str, body: &Value, answer_bytes: Option<usize>) -> Result<Vec<u8>> {
    let signer = Signer { access_key: ACCESS_KEY.into(), secret_key: SECRET_KEY.into(), region: REGION.into() };
    let body = serde_json::to_vec(body)?;
    let mut head = format!("POST / HTTP/1.1\r\nhost: {authority}\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in signer.headers(authority, call, &body, &sigv4::now()) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(bytes) = answer_bytes {
        head.push_str(&format!("{}: {bytes}\r\n", floor::ANSWER_BYTES));
    }
    head.push_str("\r\n");
    Ok([head.into_bytes(), body].concat())
}
