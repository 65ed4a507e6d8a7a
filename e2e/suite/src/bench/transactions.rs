//! Transactions of three items, of one table and across two, beside writing one item and reading one.

use super::{Ask, Contender, GET, ITEMS, OTHER, PUT, TABLE, compare, fill, servers::Server};
use anyhow::Result;
use serde_json::{Value, json};

const MEMBERS: usize = 3;

/// The tables of a transaction's items.
pub(super) type Tables = [&'static str; MEMBERS];
pub(super) const ONE_TABLE: Tables = [TABLE; MEMBERS];
pub(super) const TWO_TABLES: Tables = [TABLE, OTHER, TABLE];

/// A transaction may cost what four PutItem cost.
const WRITE_SHARE_MIN: f64 = 0.25;
/// Each item that a transaction reads may cost what two GetItem cost.
const GET_SHARE_MIN: f64 = 0.50;

const fn writes(request: fn(usize) -> Value) -> Ask {
    Ask { call: "TransactWriteItems", request, counts: 1 }
}

const fn gets(request: fn(usize) -> Value) -> Ask {
    Ask { call: "TransactGetItems", request, counts: MEMBERS }
}

/// What is compared, with what, and the share of that which is wanted.
const COMPARISONS: [(&str, Ask, Ask, f64); 4] = [
    ("TransactWriteItems", writes(|n| write(ONE_TABLE, n)), PUT, WRITE_SHARE_MIN),
    ("TransactWriteItems of two tables", writes(|n| write(TWO_TABLES, n)), PUT, WRITE_SHARE_MIN),
    ("TransactGetItems", gets(|n| get(ONE_TABLE, n)), GET, GET_SHARE_MIN),
    ("TransactGetItems of two tables", gets(|n| get(TWO_TABLES, n)), GET, GET_SHARE_MIN),
];

/// Whether each share is reached, on a server that has the tables of `prepare`.
pub(super) async fn run(server: &Server) -> Result<Vec<bool>> {
    let mut held = Vec::new();
    for (what, ours, single, share_min) in COMPARISONS {
        let contender = |name, ask| Contender { name, server, ask };
        held.push(compare(what, [contender(what, ours), contender(single.call, single)], share_min).await?);
    }
    Ok(held)
}

/// Of items that no other number's request writes.
pub(super) fn write(tables: Tables, number: usize) -> Value {
    let put = |(at, table)| json!({"Put": {"TableName": table, "Item": fill::item(number * MEMBERS + at)}});
    let puts: Vec<Value> = tables.into_iter().enumerate().map(put).collect();
    json!({"TransactItems": puts})
}

pub(super) fn get(tables: Tables, number: usize) -> Value {
    let get = |(at, table)| json!({"Get": {"TableName": table, "Key": fill::key((number * MEMBERS + at) % ITEMS)}});
    let gets: Vec<Value> = tables.into_iter().enumerate().map(get).collect();
    json!({"TransactItems": gets})
}
