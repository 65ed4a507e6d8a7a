//! A table of ten gigabytes in a process of 512 MiB: not among CI's benchmarks, for it writes ten million items first, which
//! takes half an hour and more.
//!
//! The limit is one that the kernel keeps, where it has one to give: pages of files count to it, and are given back. So reads
//! of items all over the table go to the disk, and what these take is told only. Tested is, within the limit, what many
//! ask for, as many items as the small table has, each read once before; and once the limit is lifted (the settings stay as they
//! are) and the kernel keeps the files in its cache, items all over the table.
//!
//! Where `CAIRN_E2E_KEPT` names a folder, the tables are made there, and asked again the next time.

use super::{
    fill::{self, key},
    keep_json,
    resident::Resident,
    servers::Server,
    sizes::{self, Asked, GROWTH_MAX},
    verdict,
};
use crate::client::now;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::{sync::LazyLock, time::Duration};

pub(crate) const ITEMS: usize = 10_000_000;
const SMALL: usize = 10_000;
const MEMORY_BYTES: u64 = 512 << 20;
const PAYLOAD_BYTES: usize = 1_000;
/// The filling is told of so often.
const PARTS: usize = 20;

/// Characters without a pattern, of which every item has a part.
static NOISE: LazyLock<String> = LazyLock::new(|| super::noise(1, 1 << 20));

/// About a kilobyte, that no compression makes much smaller.
fn item(number: usize) -> Value {
    let from = number.wrapping_mul(7_919) % (NOISE.len() - PAYLOAD_BYTES);
    json!({"Id": key(number)["Id"], "Score": {"N": number.to_string()}, "Payload": {"S": NOISE[from..from + PAYLOAD_BYTES]}})
}

/// True when memory stays within the limit, and times flat.
pub(crate) async fn run(items: usize) -> Result<bool> {
    let server = Server::limited(MEMORY_BYTES).await?;
    match server.cage() {
        Some(_) => println!("the kernel keeps {} within {}", server.name, megabytes(MEMORY_BYTES)),
        None => println!("no control group is to be had: {} keeps within its memory by itself", server.name),
    }
    let [small, large] = [("small", SMALL), ("large", items)].map(|(table, items)| Asked {
        table: table.to_owned(),
        items,
        among: items,
        item,
    });
    let mut longest = Duration::ZERO;
    for Asked { table, items, .. } in [&small, &large] {
        if fill::is_filled(&server, table, *items).await? {
            println!("\n{table} has its {items} items");
            continue;
        }
        fill::create_table(&server, table, None).await?;
        longest = longest.max(fill_in_parts(&server, table, *items).await?);
    }
    println!("\nwithin the limit, {SMALL} items of each");
    let hot = [small.clone(), Asked { among: SMALL, ..large.clone() }];
    for asked in &hot {
        sizes::warm_up(&server, asked).await?;
    }
    let mut hot = sizes::compare(&server, &hot, Some(GROWTH_MAX), None).await?;
    println!("\nwithin the limit, items all over: they come from the disk");
    let tables = [small, large];
    let cold = sizes::compare(&server, &tables, None, None).await?;
    if let Some(cage) = server.cage() {
        cage.lift()?;
    }
    let data = server.folder().context("the server keeps no data")?.to_owned();
    let files = tokio::task::spawn_blocking({
        let data = data.clone();
        move || Resident::under(&data)
    });
    let files = files.await??;
    let bytes = files.locked_bytes + files.read_bytes;
    println!("\nwithout the limit, items all over, of {} in the kernel's cache", megabytes(bytes));
    if files.read_bytes > 0 {
        println!(
            "{} of it may be given up by the kernel: this user may not lock so much (ulimit -l)",
            megabytes(files.read_bytes)
        );
    }
    let before = server.disk_bytes_read()?;
    let warm = sizes::compare(&server, &tables, Some(GROWTH_MAX), Some(&data)).await?;
    println!("{} were read from the disk meanwhile", megabytes(server.disk_bytes_read()? - before));
    drop(files);
    let (peak, held) = (server.memory_bytes_peak()?, &mut hot.held);
    held.extend(warm.held);
    held.push(peak <= MEMORY_BYTES);
    let word = if peak <= MEMORY_BYTES { "ok" } else { "FAILED" };
    println!(
        "\ntest {} on the disk: {} of memory at most, at most {} wanted ... {word}",
        megabytes(bytes),
        megabytes(peak),
        megabytes(MEMORY_BYTES)
    );
    println!("the longest that a batch of the filling waited: {:.2} s", longest.as_secs_f64());
    keep_json(
        "large",
        &json!({"what": "large", "items": items, "diskBytes": bytes, "memoryBytesPeak": peak, "longestFillSeconds": longest.as_secs_f64(),
            "hot": hot.records, "cold": cold.records, "warm": warm.records}),
    )?;
    Ok(verdict(held))
}

/// The longest that a batch took.
async fn fill_in_parts(server: &Server, table: &str, items: usize) -> Result<Duration> {
    println!("\nfilling {table} with {items} items");
    let mut longest = Duration::ZERO;
    for part in 0..PARTS {
        let numbers = part * items / PARTS..(part + 1) * items / PARTS;
        let (start, count) = (now(), numbers.len());
        let paused = fill::fill(server, table, numbers.clone().map(item)).await?;
        longest = longest.max(paused);
        println!(
            "  {:>9} items: {:>7.0} items/s, at most {:>6.2} s a batch; memory {}, at most {}",
            numbers.end,
            count as f64 / start.elapsed().as_secs_f64(),
            paused.as_secs_f64(),
            megabytes(server.memory_bytes()?),
            megabytes(server.memory_bytes_peak()?)
        );
    }
    Ok(longest)
}

fn megabytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
