//! Whether an operation takes as long in a large table as in a small one: not among CI's benchmarks, for it writes a million
//! items first.

use super::{
    CONNECTIONS,
    drive::{self, Load},
    fill::{self, item},
    keep_json, median,
    servers::Server,
    signed,
};
use anyhow::Result;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

const ROUNDS: usize = 5;
const DURATION: Duration = Duration::from_secs(1);
const REQUESTS: usize = 20_000;
/// How much longer the median of a table's times may be than the smallest table's.
const GROWTH_MAX: f64 = 1.5;

type Call = (&'static str, fn(&str, usize) -> Value);

const CALLS: [Call; 3] = [
    ("GetItem", |table, n| json!({"TableName": table, "Key": fill::key(n), "ConsistentRead": true})),
    ("Query", |table, n| {
        json!({"TableName": table, "KeyConditionExpression": "Id = :id", "ConsistentRead": true,
            "ExpressionAttributeValues": {":id": fill::key(n)["Id"]}})
    }),
    ("PutItem", |table, n| json!({"TableName": table, "Item": item(n)})),
];

/// Tables of these sizes, in ascending order, side by side in one server; true when the times stay flat.
pub(crate) async fn run(sizes: &[usize]) -> Result<bool> {
    let server = Server::cairn().await?;
    let tables: Vec<String> = sizes.iter().map(|size| format!("items-{size}")).collect();
    for (table, size) in tables.iter().zip(sizes) {
        println!("filling {table}");
        fill::create_table(&server, table, None).await?;
        fill::fill(&server, table, (0..*size).map(item)).await?;
    }
    let (mut records, mut failed, mut passed) = (Vec::new(), 0, 0);
    for (call, request) in CALLS {
        for connections in [1, CONNECTIONS] {
            println!("\n{call}, {connections} connections, {ROUNDS} interleaved rounds of {} s", DURATION.as_secs());
            let mut medians = vec![Vec::new(); sizes.len()];
            for round in 0..=ROUNDS {
                for ((table, size), medians) in tables.iter().zip(sizes).zip(&mut medians) {
                    let sign = |n| signed(&server.authority, call, &request(table, spread(n, *size)), None);
                    let requests = Arc::new((0..REQUESTS).map(sign).collect::<Result<_>>()?);
                    let authority = server.authority.clone();
                    let load = Load { authority, requests, connections, duration: DURATION, status: 200, once: false };
                    let answers = drive::send(&load).await?;
                    // The first round warms up.
                    if round > 0 {
                        medians.push(answers.percentile_ms(0.50));
                        println!(
                            "  round {round}: {table:<16} {:>9.0} requests/s, {:>7.3} ms and {:>7.3} ms",
                            answers.per_second(),
                            answers.percentile_ms(0.50),
                            answers.percentile_ms(0.99)
                        );
                    }
                }
            }
            let smallest = median(&medians[0]);
            for (size, medians) in sizes.iter().zip(&medians).skip(1) {
                let growth = median(medians) / smallest;
                let word = if growth <= GROWTH_MAX { "ok" } else { "FAILED" };
                if growth <= GROWTH_MAX {
                    passed += 1
                } else {
                    failed += 1
                }
                println!(
                    "test {call} at {size} items, {connections} connections: {growth:.2} times the time at {}, at most \
                     {GROWTH_MAX} wanted ... {word}",
                    sizes[0]
                );
            }
            records.push(json!({"operation": call, "connections": connections, "sizes": sizes, "p50Ms": medians}));
        }
    }
    keep_json("sizes", &json!({"what": "sizes", "figures": records}))?;
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored");
    Ok(failed == 0)
}

/// The items of the requests, all over the table.
fn spread(number: usize, size: usize) -> usize {
    (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize % size
}
