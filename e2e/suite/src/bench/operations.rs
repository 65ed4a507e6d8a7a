//! Every operation, side by side with others and with the floor: rates and times at one connection and at many. Figures, not
//! tests: each is of a moment.

use super::{
    Ask, CONNECTIONS, GET, PUT, QUERY, TABLE, UPDATE,
    drive::{self, Answers, Load},
    fill::{self, item},
    keep_json,
    servers::Server,
    signed,
    transactions::{self, ONE_TABLE, TWO_TABLES},
};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

const WARM_UP: Duration = Duration::from_millis(60);
const DURATION: Duration = Duration::from_millis(450);
/// What each request is about: other items than those of the requests before it.
const REQUESTS: usize = 512;
const BATCH_GET_MOST: usize = 100;
const BATCH_WRITE_MOST: usize = 25;

/// A table whose one partition key has more than a page.
const PAGES: &str = "pages";
const PAGE_ITEMS: usize = 1_200;
const PAGE_ITEM_BYTES: usize = 1 << 10;

/// A table of items to delete, filled again for every measurement.
const DELETES: &str = "deletes";
const DELETES_A_CONNECTION: usize = 1_000;
const DELETES_MOST: usize = 4_000;

struct Operation {
    what: &'static str,
    call: &'static str,
    status: u16,
    /// The request of a number.
    request: fn(usize) -> Value,
    /// Whether a request finds nothing to do when it is sent again.
    deletes: bool,
}

const fn operation(what: &'static str, call: &'static str, request: fn(usize) -> Value) -> Operation {
    Operation { what, call, status: 200, request, deletes: false }
}

const fn asking(what: &'static str, ask: Ask) -> Operation {
    operation(what, ask.call, ask.request)
}

const OPERATIONS: [Operation; 19] = [
    asking("GetItem", GET),
    asking("PutItem", PUT),
    asking("UpdateItem", UPDATE),
    Operation {
        deletes: true,
        ..operation("DeleteItem", "DeleteItem", |n| json!({"TableName": DELETES, "Key": fill::key(n)}))
    },
    Operation {
        status: 400,
        ..operation(
            "PutItem, its condition failing",
            "PutItem",
            |n| json!({"TableName": TABLE, "Item": item(n), "ConditionExpression": "attribute_not_exists(Id)"}),
        )
    },
    operation("BatchGetItem of 100", "BatchGetItem", |n| {
        let keys: Vec<Value> = (0..BATCH_GET_MOST).map(|at| fill::key(n + at)).collect();
        json!({"RequestItems": {TABLE: {"Keys": keys, "ConsistentRead": true}}})
    }),
    operation("BatchWriteItem of 25", "BatchWriteItem", |n| fill::batch(TABLE, (n..n + BATCH_WRITE_MOST).map(item))),
    operation("TransactGetItems of 3", "TransactGetItems", |n| transactions::get(ONE_TABLE, n)),
    operation("TransactGetItems of 3, two tables", "TransactGetItems", |n| transactions::get(TWO_TABLES, n)),
    operation("TransactWriteItems of 3", "TransactWriteItems", |n| transactions::write(ONE_TABLE, n)),
    operation("TransactWriteItems of 3, two tables", "TransactWriteItems", |n| transactions::write(TWO_TABLES, n)),
    asking("Query of one item", QUERY),
    operation("Query of 1 MB", "Query", |_| {
        json!({"TableName": PAGES, "KeyConditionExpression": "Id = :id", "ConsistentRead": true,
            "ExpressionAttributeValues": {":id": {"S": "page"}}})
    }),
    operation("Scan of 1 MB", "Scan", |_| json!({"TableName": PAGES, "ConsistentRead": true})),
    operation("ExecuteStatement, SELECT of one item", "ExecuteStatement", |n| {
        json!({"Statement": format!("SELECT * FROM \"{TABLE}\" WHERE Id = ?"), "Parameters": [fill::key(n)["Id"]],
            "ConsistentRead": true})
    }),
    operation(
        "BatchExecuteStatement of 25",
        "BatchExecuteStatement",
        |n| json!({"Statements": (0..BATCH_WRITE_MOST).map(|at| statement(n + at)).collect::<Vec<_>>()}),
    ),
    operation(
        "ExecuteTransaction of 3",
        "ExecuteTransaction",
        |n| json!({"TransactStatements": (0..3).map(|at| statement(n + at)).collect::<Vec<_>>()}),
    ),
    operation("ListTables", "ListTables", |_| json!({})),
    operation("DescribeTable", "DescribeTable", |_| json!({"TableName": TABLE})),
];

/// Of one item.
fn statement(number: usize) -> Value {
    json!({"Statement": format!("SELECT * FROM \"{TABLE}\" WHERE Id = ?"), "Parameters": [fill::key(number)["Id"]]})
}

/// `servers` have the tables of `prepare`; the first one has to know every operation, and the floor is the last.
pub(super) async fn run(servers: &[&Server], floor: &Server) -> Result<()> {
    println!(
        "\nevery operation for {} ms: requests/s, then ms of the median and of the 99th in 100",
        DURATION.as_millis()
    );
    for server in servers {
        fill::create_table(server, DELETES, None).await?;
        fill::create_table(server, PAGES, Some("At")).await?;
        let payload = "x".repeat(PAGE_ITEM_BYTES);
        let page = (0..PAGE_ITEMS)
            .map(|at| json!({"Id": {"S": "page"}, "At": {"N": at.to_string()}, "Payload": {"S": payload}}));
        fill::fill(server, PAGES, page).await?;
    }
    let mut records = Vec::new();
    for connections in [1, CONNECTIONS] {
        let names = servers.iter().chain([&floor]).map(|server| format!("{:>30}", server.name));
        println!("\n{:<38}{}", format!("{connections} connections"), names.collect::<String>());
        for operation in &OPERATIONS {
            let (mut line, mut answer_bytes) = (format!("{:<38}", operation.what), None);
            for (at, server) in servers.iter().enumerate() {
                let probe = signed(&server.authority, operation.call, &(operation.request)(0), None)?;
                let probed = drive::once(&server.authority, &probe).await?;
                if probed.status != operation.status {
                    ensure!(at > 0, "{} refuses {}: {}", server.name, operation.what, probed.text);
                    line.push_str(&format!("{:>30}", "unknown"));
                    continue;
                }
                answer_bytes.get_or_insert(probed.body_bytes);
                let answers = measure(server, operation, connections, None).await?;
                note(&mut line, &mut records, operation, server, connections, &answers);
            }
            let answers = measure(floor, operation, connections, answer_bytes).await?;
            note(&mut line, &mut records, operation, floor, connections, &answers);
            println!("{line}");
        }
    }
    keep_json("operations", &json!({"what": "operations", "figures": records}))
}

/// `answer_bytes` is what the floor is to answer.
async fn measure(
    server: &Server,
    operation: &Operation,
    connections: usize,
    answer_bytes: Option<usize>,
) -> Result<Answers> {
    // What is deleted has to be there.
    let once = operation.deletes && answer_bytes.is_none();
    let count = if once { (connections * DELETES_A_CONNECTION).min(DELETES_MOST) } else { REQUESTS };
    if once {
        fill::fill(server, DELETES, (0..count).map(item)).await?;
    }
    let sign = |n| signed(&server.authority, operation.call, &(operation.request)(n), answer_bytes);
    let requests = Arc::new((0..count).map(sign).collect::<Result<_>>()?);
    let status = if answer_bytes.is_some() { 200 } else { operation.status };
    let load = Load { authority: server.authority.clone(), requests, connections, duration: DURATION, status, once };
    if !once {
        drive::send(&Load { duration: WARM_UP, ..load.clone() }).await?;
    }
    drive::send(&load).await
}

fn note(
    line: &mut String,
    records: &mut Vec<Value>,
    operation: &Operation,
    server: &Server,
    connections: usize,
    answers: &Answers,
) {
    let (rate, p50, p99) = (answers.per_second(), answers.percentile_ms(0.50), answers.percentile_ms(0.99));
    line.push_str(&format!("{rate:>13.0} {p50:>7.2} {p99:>8.2}"));
    records.push(json!({"operation": operation.what, "server": server.name, "connections": connections,
        "requestsPerSecond": rate, "p50Ms": p50, "p99Ms": p99, "answers": answers.count()}));
}
