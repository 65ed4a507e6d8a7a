//! Benchmarks of `cairn dev`: side by side with others, in interleaved rounds, compared by medians.
//!
//! Requests are signed before the clock starts and sent over and over, so that what is measured is the server.

mod drive;
pub(crate) mod floor;
mod processor;
mod restore;
mod servers;

use crate::{
    client::now,
    sigv4::{self, Signer},
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use servers::Server;
use std::{env, fs, path::PathBuf, time::Duration};

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
    let cairn = Server::cairn().await?;
    prepare(&cairn).await?;
    if wanted("GetItem") {
        let floor = Server::floor().await?;
        held.push(compare("GetItem", [&cairn, &floor], &gets(), GET_SHARE_MIN).await?);
    }
    if wanted("durable PutItem") && env::var_os("CAIRN_E2E_DYNOXIDE").is_some() {
        let dynoxide = Server::dynoxide().await?;
        prepare(&dynoxide).await?;
        held.push(compare("durable PutItem", [&cairn, &dynoxide], &puts(), PUT_SHARE_MIN).await?);
    }
    let archived = Server::archived().await?;
    if wanted("PutItem while archived") {
        prepare(&archived).await?;
        let recovery =
            json!({"TableName": TABLE, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true}});
        archived.client().call("UpdateContinuousBackups", &recovery).await?.ok()?;
        held.push(compare("PutItem while archived", [&archived, &cairn], &puts(), ARCHIVED_SHARE_MIN).await?);
    }
    if wanted("restore") {
        restore::run(&archived).await?;
    }
    let failed = held.iter().filter(|held| !**held).count();
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {verdict}. {} passed; {failed} failed; 0 ignored", held.len() - failed);
    Ok(failed == 0)
}

fn item(number: usize) -> Value {
    json!({"Id": {"S": format!("item-{number:06}")}, "Name": {"S": "Ada Lovelace"}, "Score": {"N": "1815.1210"},
        "Tags": {"SS": ["analytical", "engine"]}, "Payload": {"S": "x".repeat(200)}})
}

fn gets() -> Vec<(&'static str, Value)> {
    (0..ITEMS)
        .map(|number| {
            (
                "GetItem",
                json!({"TableName": TABLE, "Key": {"Id": {"S": format!("item-{number:06}")}}, "ConsistentRead": true}),
            )
        })
        .collect()
}

fn puts() -> Vec<(&'static str, Value)> {
    (0..ITEMS).map(|number| ("PutItem", json!({"TableName": TABLE, "Item": item(number)}))).collect()
}

async fn prepare(server: &Server) -> Result<()> {
    let client = server.client();
    create_table(server, TABLE).await?;
    for (operation, body) in puts() {
        client.insist(operation, &body, PATIENCE).await?.ok()?;
    }
    Ok(())
}

/// A table with the partition key `Id` of type S, ACTIVE when this returns.
async fn create_table(server: &Server, name: &str) -> Result<()> {
    let table = json!({"TableName": name, "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}]});
    server.client().insist("CreateTable", &table, PATIENCE).await?.ok()?;
    wait_active(server, name).await
}

async fn wait_active(server: &Server, table: &str) -> Result<()> {
    let client = server.client();
    let deadline = now() + PATIENCE;
    loop {
        let answer = client.call("DescribeTable", &json!({"TableName": table})).await?.ok()?;
        if answer["Table"]["TableStatus"] == "ACTIVE" {
            return Ok(());
        }
        ensure!(now() < deadline, "{table} is not ACTIVE: {answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Ours against the other: prints and records the medians; true when ours reaches its share of the other's.
async fn compare(what: &str, servers: [&Server; 2], requests: &[(&str, Value)], share_min: f64) -> Result<bool> {
    println!("\n{what}, {CONNECTIONS} connections, {ROUNDS} interleaved rounds of {} s", ROUND.as_secs());
    let mut rates: [Vec<f64>; 2] = Default::default();
    for round in 0..=ROUNDS {
        for (server, rates) in servers.iter().zip(&mut rates) {
            let signed = sign(&server.authority, requests)?;
            let rate = drive::requests_per_second(&server.authority, signed, CONNECTIONS, ROUND).await?;
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
    if let Some(folder) = env::var_os("CAIRN_E2E_RESULTS").map(PathBuf::from) {
        fs::create_dir_all(&folder)?;
        let file = folder.join(format!("{}.json", what.to_lowercase().replace(' ', "-")));
        fs::write(&file, serde_json::to_vec_pretty(&record)?)
            .with_context(|| format!("failed to write {}", file.display()))?;
    }
    Ok(share)
}

fn median(rates: &[f64]) -> f64 {
    let mut rates = rates.to_vec();
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The requests as they go over the wire.
fn sign(authority: &str, requests: &[(&str, Value)]) -> Result<Vec<Vec<u8>>> {
    let signer = Signer { access_key: ACCESS_KEY.into(), secret_key: SECRET_KEY.into(), region: REGION.into() };
    let time = sigv4::now();
    requests
        .iter()
        .map(|(operation, body)| {
            let body = serde_json::to_vec(body)?;
            let mut head = format!("POST / HTTP/1.1\r\nhost: {authority}\r\ncontent-length: {}\r\n", body.len());
            for (name, value) in signer.headers(authority, operation, &body, &time) {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str("\r\n");
            Ok([head.into_bytes(), body].concat())
        })
        .collect()
}
