//! Whether an operation takes as long in a large table as in a small one: not among CI's benchmarks, for it writes a million
//! items first.

use super::{
    CONNECTIONS,
    drive::{self, Load},
    fill::{self, item},
    keep_json, median,
    resident::Resident,
    servers::Server,
    signed, verdict,
};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc, time::Duration};

const ROUNDS: usize = 5;
const DURATION: Duration = Duration::from_secs(1);
const REQUESTS: usize = 20_000;
/// To read everything once takes seconds.
const WARM_UP_DEADLINE: Duration = Duration::from_secs(60);
/// How much longer the median of a table's times may be than the smallest table's.
pub(super) const GROWTH_MAX: f64 = 1.5;

/// A table that is asked, and for what.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) table: String,
    pub(super) items: usize,
    /// How many of its items it is asked for, which lie all over it.
    pub(super) among: usize,
    /// The item of a number.
    pub(super) item: fn(usize) -> Value,
}

impl Asked {
    /// The item that a request is about: of each number another, as far as there are so many.
    fn number_of(&self, request: usize) -> usize {
        self.nth(scatter(request) % self.among)
    }

    /// One of those that it is asked for.
    fn nth(&self, at: usize) -> usize {
        scatter(at) % self.items
    }
}

/// Numbers that follow each other become such as lie far apart (the finalizer of SplitMix64).
fn scatter(number: usize) -> usize {
    let number = (number as u64).wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (number ^ (number >> 31)) as usize
}

type Call = (&'static str, fn(&Asked, usize) -> Value);

const CALLS: [Call; 4] = [
    ("GetItem", |asked, n| json!({"TableName": asked.table, "Key": fill::key(n), "ConsistentRead": true})),
    ("Query", |asked, n| {
        json!({"TableName": asked.table, "KeyConditionExpression": "Id = :id", "ConsistentRead": true,
            "ExpressionAttributeValues": {":id": fill::key(n)["Id"]}})
    }),
    ("PutItem", |asked, n| json!({"TableName": asked.table, "Item": (asked.item)(n)})),
    ("UpdateItem", |asked, n| {
        json!({"TableName": asked.table, "Key": fill::key(n),
            "UpdateExpression": "SET Visits = if_not_exists(Visits, :none) + :one",
            "ExpressionAttributeValues": {":none": {"N": "0"}, ":one": {"N": "1"}}})
    }),
];

/// Tables of these sizes, in ascending order, side by side in one server; true when the times stay flat.
pub(crate) async fn run(sizes: &[usize]) -> Result<bool> {
    let server = Server::cairn().await?;
    let asked = sizes.iter().map(|size| Asked { table: format!("items-{size}"), items: *size, among: *size, item });
    let asked: Vec<Asked> = asked.collect();
    for Asked { table, items, .. } in &asked {
        println!("filling {table}");
        fill::create_table(&server, table, None).await?;
        fill::fill(&server, table, (0..*items).map(item)).await?;
    }
    let compared = compare(&server, &asked, Some(GROWTH_MAX), None).await?;
    keep_json("sizes", &json!({"what": "sizes", "figures": compared.records}))?;
    Ok(verdict(&compared.held))
}

/// How the times of tables compare.
#[derive(Debug)]
pub(super) struct Compared {
    /// Whether each stayed within what was wanted; nothing where nothing was.
    pub(super) held: Vec<bool>,
    pub(super) records: Vec<Value>,
}

/// Reads everything once that a table is asked for, so that what is measured next finds it in memory, as what many ask for is.
pub(super) async fn warm_up(server: &Server, asked: &Asked) -> Result<()> {
    let (call, request) = CALLS[0];
    let sign = |at| signed(&server.authority, call, &request(asked, asked.nth(at)), None);
    let requests = Arc::new((0..asked.among).map(sign).collect::<Result<_>>()?);
    let load = Load {
        authority: server.authority.clone(),
        requests,
        connections: CONNECTIONS,
        duration: WARM_UP_DEADLINE,
        status: 200,
        once: true,
    };
    let read = drive::send(&load).await?.count();
    ensure!(read == asked.among, "only {read} of {} items were read in {WARM_UP_DEADLINE:?}", asked.among);
    Ok(())
}

/// Every operation at one connection and at many, on each of the tables in turn, against the first of them. Without
/// `growth_max` the times are told, and no test. What is in `resident`, a folder, the kernel keeps in its cache meanwhile.
pub(super) async fn compare(
    server: &Server,
    asked: &[Asked],
    growth_max: Option<f64>,
    resident: Option<&Path>,
) -> Result<Compared> {
    let mut compared = Compared { held: Vec::new(), records: Vec::new() };
    let sizes: Vec<usize> = asked.iter().map(|asked| asked.items).collect();
    let mut kept = Resident::default();
    for call in CALLS {
        for connections in [1, CONNECTIONS] {
            if let Some(folder) = resident.map(Path::to_owned) {
                // Those that the last call has made are new; what is kept already stays so until then.
                let found = tokio::task::spawn_blocking(move || Resident::under(&folder)).await??;
                drop(std::mem::replace(&mut kept, found));
            }
            let medians = measure(server, asked, call, connections).await?;
            let smallest = median(&medians[0]);
            for (asked, medians) in asked.iter().zip(&medians).skip(1) {
                let growth = median(medians) / smallest;
                let what = format!("{} at {} items, {connections} connections", call.0, asked.items);
                let times = format!("{growth:.2} times the time at {}", sizes[0]);
                match growth_max {
                    Some(most) => {
                        let word = if growth <= most { "ok" } else { "FAILED" };
                        println!("test {what}: {times}, at most {most} wanted ... {word}");
                        compared.held.push(growth <= most);
                    }
                    None => println!("  {what}: {times}"),
                }
            }
            compared
                .records
                .push(json!({"operation": call.0, "connections": connections, "sizes": sizes, "p50Ms": medians}));
        }
    }
    Ok(compared)
}

/// The medians of the rounds, in ms, by table.
async fn measure(server: &Server, asked: &[Asked], (call, request): Call, connections: usize) -> Result<Vec<Vec<f64>>> {
    println!("\n{call}, {connections} connections, {ROUNDS} interleaved rounds of {} s", DURATION.as_secs());
    let mut medians = vec![Vec::new(); asked.len()];
    for round in 0..=ROUNDS {
        for (asked, medians) in asked.iter().zip(&mut medians) {
            let sign = |n| signed(&server.authority, call, &request(asked, asked.number_of(n)), None);
            let numbers = round * REQUESTS..(round + 1) * REQUESTS;
            let requests = Arc::new(numbers.map(sign).collect::<Result<_>>()?);
            let authority = server.authority.clone();
            let load = Load { authority, requests, connections, duration: DURATION, status: 200, once: false };
            let answers = drive::send(&load).await?;
            // The first round warms up.
            if round > 0 {
                medians.push(answers.percentile_ms(0.50));
                println!(
                    "  round {round}: {:<16} {:>9.0} requests/s, {:>7.3} ms, {:>7.3} ms and at most {:>7.3} ms",
                    asked.table,
                    answers.per_second(),
                    answers.percentile_ms(0.50),
                    answers.percentile_ms(0.99),
                    answers.percentile_ms(1.0),
                );
            }
        }
    }
    Ok(medians)
}
