//! The table's stream: what is changed while it is enabled, read from its first record to its end.

use crate::{
    connection,
    expectations::{Result, holds, same},
    readings::{Item, Reading, TABLE},
    table,
};
use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, StreamSpecification, StreamViewType, TableDescription},
};
use aws_sdk_dynamodbstreams::types::{
    self as streams, OperationType, Record, Shard, ShardIteratorType, StreamViewType as RecordView,
};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

const WARMER: f64 = 1.5;

/// What is put, put again as it is, which is no change, then updated and deleted.
fn streamed() -> Vec<Reading> {
    let reading = |station: &str, hour| Reading { station: station.into(), hour, celsius: 0.0, note: "sky".into() };
    ["moon", "sun"].into_iter().flat_map(|station| (0..3).map(move |hour| reading(station, hour))).collect()
}

async fn update(client: &Client, stream: StreamSpecification) -> Result<TableDescription> {
    client.update_table().table_name(TABLE).stream_specification(stream).send().await?;
    table::wait_until_active(client).await
}

pub async fn enable(client: &Client) -> Result<String> {
    let wanted = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::NewAndOldImages)
        .build()?;
    let updated = update(client, wanted.clone()).await?;
    same("the specification", &updated.stream_specification, &Some(wanted))?;
    Ok(updated.latest_stream_arn.unwrap_or_default())
}

pub async fn write(client: &Client) -> Result<String> {
    let all = streamed();
    for reading in all.iter().chain(&all) {
        client.put_item().table_name(TABLE).set_item(Some(reading.item())).send().await?;
    }
    for reading in &all {
        client
            .update_item()
            .table_name(TABLE)
            .set_key(Some(reading.key()))
            .update_expression("SET celsius = :warmer")
            .expression_attribute_values(":warmer", AttributeValue::N(WARMER.to_string()))
            .send()
            .await?;
    }
    for reading in &all {
        client.delete_item().table_name(TABLE).set_key(Some(reading.key())).send().await?;
    }
    Ok(format!("{} items put, updated and deleted", all.len()))
}

/// So that it has an end.
pub async fn disable(client: &Client) -> Result<String> {
    let updated = update(client, StreamSpecification::builder().stream_enabled(false).build()?).await?;
    same("the specification", &updated.stream_specification, &None)?;
    Ok("the table has none".to_owned())
}

pub async fn read(_: &Client) -> Result<String> {
    let client = connection::streams()?;
    let listed = client.list_streams().table_name(TABLE).send().await?;
    let [stream] = listed.streams() else {
        return Err(format!("expected one stream, got {:?}", listed.streams()).into());
    };
    let arn = stream.stream_arn().ok_or("no ARN")?;
    let mut records = Vec::new();
    for shard in shards(&client, arn).await? {
        let found = records_of(&client, arn, &shard).await?;
        let numbers = found.iter().map(|record| number(record)).collect::<Result<Vec<_>>>()?;
        holds(&format!("expected {numbers:?} to rise"), numbers.is_sorted_by(|a, b| a < b))?;
        records.extend(found);
    }
    same_changes(&records)?;
    Ok(format!("{} records", records.len()))
}

/// Its shards, each behind the one whose place it took.
async fn shards(client: &aws_sdk_dynamodbstreams::Client, arn: &str) -> Result<Vec<Shard>> {
    let mut shards = Vec::new();
    let mut last = None;
    loop {
        let request = client.describe_stream().stream_arn(arn).limit(1).set_exclusive_start_shard_id(last);
        let description = request.send().await?.stream_description.ok_or("no stream is described")?;
        shards.extend(description.shards.unwrap_or_default());
        last = description.last_evaluated_shard_id;
        if last.is_none() {
            return Ok(shards);
        }
    }
}

async fn records_of(client: &aws_sdk_dynamodbstreams::Client, arn: &str, shard: &Shard) -> Result<Vec<Record>> {
    let start = client
        .get_shard_iterator()
        .stream_arn(arn)
        .set_shard_id(shard.shard_id.clone())
        .shard_iterator_type(ShardIteratorType::TrimHorizon)
        .send()
        .await?;
    let mut records = Vec::new();
    let mut next = start.shard_iterator;
    while let Some(iterator) = next {
        let page = client.get_records().shard_iterator(iterator).limit(7).send().await?;
        if page.records().is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        records.extend(page.records.unwrap_or_default());
        next = page.next_shard_iterator;
    }
    Ok(records)
}

fn number(record: &Record) -> Result<u128> {
    Ok(record.dynamodb().and_then(|change| change.sequence_number()).ok_or("no sequence number")?.parse()?)
}

/// That these are the changes of what was streamed, those of each item in their order.
fn same_changes(records: &[Record]) -> Result<()> {
    let wanted = streamed();
    let ids: HashSet<_> = records.iter().map(|record| record.event_id()).collect();
    same("the number of records", &(ids.len(), records.len()), &(3 * wanted.len(), 3 * wanted.len()))?;
    for first in wanted {
        let second = Reading { celsius: WARMER, ..first.clone() };
        let mut found = Vec::new();
        for record in records {
            let change = record.dynamodb().ok_or("a record of nothing")?;
            same("the view", &change.stream_view_type(), &Some(&RecordView::NewAndOldImages))?;
            if image(&change.keys)? == Some(first.key()) {
                found.push((record.event_name.clone(), image(&change.old_image)?, image(&change.new_image)?));
            }
        }
        let (first, second) = (first.item(), second.item());
        let changes = vec![
            (Some(OperationType::Insert), None, Some(first.clone())),
            (Some(OperationType::Modify), Some(first), Some(second.clone())),
            (Some(OperationType::Remove), Some(second), None),
        ];
        same("the changes of an item", &found, &changes)?;
    }
    Ok(())
}

/// As an item: the streams' values are of a type of their own.
fn image(attributes: &Option<HashMap<String, streams::AttributeValue>>) -> Result<Option<Item>> {
    let plain = |value: &streams::AttributeValue| match value {
        streams::AttributeValue::N(number) => Ok(AttributeValue::N(number.clone())),
        streams::AttributeValue::S(text) => Ok(AttributeValue::S(text.clone())),
        other => Err(format!("expected a number or a text, got {other:?}")),
    };
    let Some(attributes) = attributes else { return Ok(None) };
    let mut item = Item::new();
    for (name, value) in attributes {
        item.insert(name.clone(), plain(value)?);
    }
    Ok(Some(item))
}
