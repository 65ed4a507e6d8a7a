//! Transactions of three items, of one table and across two, beside writing one item and reading one.

use super::{Ask, Contender, GET, ITEMS, OTHER, PUT, TABLE, compare, fill, measure, servers::Server};
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

struct Comparison {
    what: &'static str,
    ours: Ask,
    single: Ask,
    /// Of the rate of `single`.
    share_wanted: f64,
    is_test: bool,
}

const COMPARISONS: [Comparison; 4] = [
    Comparison {
        what: "TransactWriteItems of three items",
        ours: writes(|n| write(ONE_TABLE, n)),
        single: PUT,
        share_wanted: WRITE_SHARE_MIN,
        is_test: true,
    },
    Comparison {
        what: "TransactWriteItems of three items of two tables",
        ours: writes(|n| write(TWO_TABLES, n)),
        single: PUT,
        share_wanted: WRITE_SHARE_MIN,
        // Four entries of two logs, in three steps, where PutItem is one entry.
        is_test: false,
    },
    Comparison {
        what: "TransactGetItems by items",
        ours: gets(|n| get(ONE_TABLE, n)),
        single: GET,
        share_wanted: GET_SHARE_MIN,
        is_test: true,
    },
    Comparison {
        what: "TransactGetItems of two tables by items",
        ours: gets(|n| get(TWO_TABLES, n)),
        single: GET,
        share_wanted: GET_SHARE_MIN,
        is_test: true,
    },
];

/// Whether each share is reached that is a test, on a server that has the tables of `prepare`.
pub(super) async fn run(server: &Server) -> Result<Vec<bool>> {
    let mut held = Vec::new();
    for Comparison { what, ours, single, share_wanted, is_test } in COMPARISONS {
        let contenders = [ours, single].map(|ask| Contender { name: ask.call, server, ask });
        if is_test {
            held.push(compare(what, contenders, share_wanted).await?);
        } else {
            told(what, contenders, share_wanted).await?;
        }
    }
    Ok(held)
}

/// A figure, and no test.
async fn told(what: &str, contenders: [Contender<'_>; 2], share_wanted: f64) -> Result<()> {
    let share = measure(what, &contenders, share_wanted).await?;
    let [ours, other] = contenders.map(|contender| contender.name);
    let word = if share < share_wanted { "is not reached" } else { "is reached" };
    println!("  {ours} is {:.0} % of {other}; {:.0} % are wanted: that {word}", share * 100.0, share_wanted * 100.0);
    Ok(())
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
