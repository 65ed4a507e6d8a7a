//! A million items that expire in one second, from a table that clients read and write meanwhile: not among CI's benchmarks,
//! for it writes a million items first.

use super::{
    TABLE,
    drive::{self, Load},
    fill::{self, item},
    keep_json, median,
    servers::Server,
    signed, verdict,
};
use crate::client::now;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

pub(crate) const ITEMS: usize = 1_000_000;
/// Those that stay, and are read and written.
const OTHERS: usize = 10_000;
/// Of each of the two operations at once.
const CONNECTIONS: usize = 8;
const ROUND: Duration = Duration::from_secs(1);
const ROUNDS_BEFORE: usize = 10;
const LAG_MAX: Duration = Duration::from_secs(60);
/// How much longer than before the others' operations may take while items go.
const GROWTH_MAX: f64 = 1.5;
/// What a table's filling may take longer than its beginning promised, and what is left for the rounds before.
const MARGIN: Duration = Duration::from_secs(20);

type Call = (&'static str, fn(usize) -> Value);

const CALLS: [Call; 2] = [
    ("GetItem", |n| json!({"TableName": TABLE, "Key": fill::key(n), "ConsistentRead": true})),
    ("PutItem", |n| json!({"TableName": TABLE, "Item": item(n)})),
];

/// The medians and the 99th in 100 of rounds, in ms, of one operation.
#[derive(Clone, Debug, Default)]
struct Times {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

/// True when the last item is gone soon enough, and nobody waited for that.
pub(crate) async fn run(items: usize) -> Result<bool> {
    let server = Server::cairn().await?;
    fill::create_table(&server, TABLE, None).await?;
    let setting = json!({"TableName": TABLE, "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": true}});
    server.client().call("UpdateTimeToLive", &setting).await?.ok()?;
    let start = now();
    fill::fill(&server, TABLE, (0..OTHERS).map(item)).await?;
    let expected = start.elapsed().mul_f64(items as f64 / OTHERS as f64);
    let expiry = now() + expected * 2 + MARGIN;
    let at = jiff::Timestamp::now().as_second() + (expiry - now()).as_secs() as i64;
    println!("{items} items expire in {} s", (expiry - now()).as_secs());
    let start = now();
    fill::fill(&server, TABLE, (OTHERS..OTHERS + items).map(|number| expiring(number, at))).await?;
    println!("{:.0} items/s are written", items as f64 / start.elapsed().as_secs_f64());

    let mut before = <[Times; 2]>::default();
    for _ in 0..ROUNDS_BEFORE {
        round(&server, &mut before).await?;
    }
    ensure!(now() < expiry, "the items expired before there was anything to compare with: this machine is too slow");
    tokio::time::sleep_until(expiry).await;
    let mut meanwhile = <[Times; 2]>::default();
    let lag = loop {
        round(&server, &mut meanwhile).await?;
        let left = count(&server).await?.saturating_sub(OTHERS as u64);
        println!("  {:>4.1} s behind the expiry {left} items are there", expiry.elapsed().as_secs_f64());
        if left == 0 {
            break expiry.elapsed();
        }
        ensure!(expiry.elapsed() < LAG_MAX * 10, "the items are there still");
    };
    let mut held = vec![test(
        &format!("{items} items"),
        &format!(
            "the last is gone {:.1} s behind its expiry, at most {} s wanted",
            lag.as_secs_f64(),
            LAG_MAX.as_secs()
        ),
        lag <= LAG_MAX,
    )];
    for ((call, _), (before, meanwhile)) in CALLS.iter().zip(before.iter().zip(&meanwhile)) {
        for (what, before, meanwhile) in
            [("median", &before.p50, &meanwhile.p50), ("99th in 100", &before.p99, &meanwhile.p99)]
        {
            let (before, meanwhile) = (median(before), median(meanwhile));
            let growth = meanwhile / before;
            let said = format!(
                "{meanwhile:.2} ms while items go, {before:.2} ms before: {growth:.2} times, at most {GROWTH_MAX} wanted"
            );
            held.push(test(&format!("{call}, {what}"), &said, growth <= GROWTH_MAX));
        }
    }
    let times = |times: &[Times; 2]| {
        CALLS
            .iter()
            .zip(times)
            .map(|((call, _), times)| json!({"operation": call, "p50Ms": times.p50, "p99Ms": times.p99}))
            .collect::<Vec<_>>()
    };
    keep_json(
        "expiry",
        &json!({"what": "expiry", "items": items, "lagSeconds": lag.as_secs_f64(), "before": times(&before),
            "meanwhile": times(&meanwhile)}),
    )?;
    Ok(verdict(&held))
}

fn test(what: &str, said: &str, held: bool) -> bool {
    println!("test {what}: {said} ... {}", if held { "ok" } else { "FAILED" });
    held
}

fn expiring(number: usize, at: i64) -> Value {
    let mut item = item(number);
    item["expires"] = json!({"N": at.to_string()});
    item
}

/// Both operations at once, on the items that stay.
async fn round(server: &Server, times: &mut [Times; 2]) -> Result<()> {
    let load = |(call, request): Call| -> Result<Load> {
        let requests = (0..OTHERS).map(|n| signed(&server.authority, call, &request(n), None));
        let (authority, requests) = (server.authority.clone(), Arc::new(requests.collect::<Result<_>>()?));
        Ok(Load { authority, requests, connections: CONNECTIONS, duration: ROUND, status: 200, once: false })
    };
    let [gets, puts] = CALLS.map(load);
    let (gets, puts) = (gets?, puts?);
    let (gets, puts) = tokio::try_join!(drive::send(&gets), drive::send(&puts))?;
    for (answers, times) in [gets, puts].iter().zip(times) {
        times.p50.push(answers.percentile_ms(0.50));
        times.p99.push(answers.percentile_ms(0.99));
    }
    Ok(())
}

/// How many items the table has.
async fn count(server: &Server) -> Result<u64> {
    let described = server.client().call("DescribeTable", &json!({"TableName": TABLE})).await?.ok()?;
    described["Table"]["ItemCount"].as_u64().ok_or_else(|| anyhow::anyhow!("no count: {described}"))
}
