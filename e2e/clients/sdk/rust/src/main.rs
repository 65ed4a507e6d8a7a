//! A table's life through the AWS SDK for Rust: prints a line for each step, and ends at the first thing that is wrong.
//!
//! Endpoint, region and credentials come from the environment variables that the SDKs read.

mod connection;
mod expectations;
mod global_indexes;
mod readings;
mod reads;
mod streams;
mod table;
mod transactions;
mod types;
mod writes;

use aws_sdk_dynamodb::{Client, error::DisplayErrorContext};
use expectations::Result;
use std::{process::ExitCode, time::Duration};

/// A run that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let mut under_way = "the SDK's settings";
    match tokio::time::timeout(LONGEST, run(&mut under_way)).await {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(error)) => eprintln!("FAILED {under_way}: {}", DisplayErrorContext(&*error)),
        Err(_) => eprintln!("FAILED {under_way}: no end after {LONGEST:?}"),
    }
    ExitCode::FAILURE
}

/// Runs each step and prints what it saw.
async fn run(under_way: &mut &'static str) -> Result<()> {
    let client: &Client = &connection::client()?;
    macro_rules! steps {
        ($($name:literal => $step:path,)*) => {
            $(
                *under_way = $name;
                println!("{}: {}", $name, $step(client).await?);
            )*
        };
    }
    steps! {
        "a wrong secret is refused" => table::refuse_strangers,
        "create and wait" => table::create,
        "create again" => table::create_again,
        "put" => writes::put_one,
        "batch write" => writes::batch_write,
        "get" => reads::get,
        "batch get" => reads::batch_get,
        "query" => reads::query,
        "query a local index" => reads::query_local_index,
        "scan" => reads::scan,
        "scan in segments" => reads::scan_segments,
        "update" => writes::update,
        "conditions that fail" => writes::fail_conditions,
        "all ten types" => types::read_as_written,
        "a transaction that is canceled" => transactions::cancel,
        "a transaction, twice with one token" => transactions::write,
        "transact get" => transactions::get,
        "list and describe" => table::list_and_describe,
        "time to live" => table::set_time_to_live,
        "PartiQL" => reads::execute_statement,
        "delete an item" => writes::delete_one,
        "enable a stream" => streams::enable,
        "changes for the stream" => streams::write,
        "disable the stream" => streams::disable,
        "read the stream" => streams::read,
        "throttled, and got through by the SDK's retries" => writes::put_throttled,
        "delete and wait" => table::delete,
        "create with a global index" => global_indexes::create,
        "query the global index" => global_indexes::query,
        "add a global index" => global_indexes::add,
        "delete the global index" => global_indexes::delete,
    }
    Ok(())
}
