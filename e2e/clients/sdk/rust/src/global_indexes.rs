//! Global indexes, on a table of their own: one from the start, and one that is added to what is there and deleted again.

use crate::{
    expectations::{Result, refused, same},
    readings::{self, Item, Reading, key},
    table::{self, attribute, key_element},
};
use aws_sdk_dynamodb::{
    Client,
    error::ProvideErrorMetadata,
    operation::query::{QueryError, builders::QueryFluentBuilder},
    types::{
        AttributeValue, BillingMode, CreateGlobalSecondaryIndexAction, DeleteGlobalSecondaryIndexAction,
        GlobalSecondaryIndex, GlobalSecondaryIndexUpdate, IndexStatus, KeyType, Projection, ProjectionType,
        ScalarAttributeType, TableStatus,
    },
};
use std::{collections::BTreeMap, fmt::Debug, time::Duration};

const TABLE: &str = "stations.rust";

/// What all stations read at an hour, without their notes.
const BY_HOUR: &str = "by-hour";

/// What a station read, as keys alone.
const COLDEST_FIRST: &str = "coldest-first";

const LOOKS_MOST: u32 = 400;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

fn coldest() -> Reading {
    Reading { station: "east".to_owned(), hour: 1, celsius: -40.0, note: String::new() }
}

fn gone() -> Item {
    key("north", 1)
}

/// What is put there, before one gets colder and one goes.
fn gauged() -> Vec<Reading> {
    let mut all = readings::all();
    all.retain(|reading| reading.hour < 6);
    all.iter_mut().for_each(|reading| reading.note = "not in an index".to_owned());
    all
}

/// What is there then, as an index shows it.
fn left() -> Vec<Reading> {
    let mut all = gauged();
    all.retain(|reading| reading.key() != gone());
    for reading in &mut all {
        reading.note.clear();
        if reading.key() == coldest().key() {
            *reading = coldest();
        }
    }
    all
}

/// An index follows its table: looks until it is as it should be. Gives the number of looks.
async fn eventually<T: PartialEq + Debug>(what: &str, wanted: &T, look: impl AsyncFn() -> Result<T>) -> Result<u32> {
    for looks in 1..LOOKS_MOST {
        if look().await? == *wanted {
            return Ok(looks);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    same(what, &look().await?, wanted)?;
    Ok(LOOKS_MOST)
}

/// Waits until the table is active and has these indexes, each active.
async fn wait_for(client: &Client, names: &[&str]) -> Result<u32> {
    let active = |name: &&str| ((*name).to_owned(), IndexStatus::Active);
    let wanted = (Some(TableStatus::Active), names.iter().map(active).collect::<BTreeMap<_, _>>());
    eventually("the statuses", &wanted, async || {
        let described = client.describe_table().table_name(TABLE).send().await?;
        let table = described.table().ok_or("no table is described")?;
        let indexes = table.global_secondary_indexes().iter();
        let statuses = indexes.filter_map(|index| Some((index.index_name.clone()?, index.index_status.clone()?)));
        Ok((table.table_status.clone(), statuses.collect()))
    })
    .await
}

async fn queried(query: QueryFluentBuilder) -> Result<Vec<Reading>> {
    let pages = query.into_paginator().page_size(2).items().send();
    let items: Vec<Item> = pages.collect::<std::result::Result<_, _>>().await?;
    items.iter().map(Reading::from_item).collect()
}

fn is_invalid(error: &QueryError) -> Result<()> {
    same("the code", &error.code(), &Some("ValidationException"))
}

pub async fn create(client: &Client) -> Result<String> {
    let projection = Projection::builder().projection_type(ProjectionType::Include).non_key_attributes("celsius");
    let index = GlobalSecondaryIndex::builder()
        .index_name(BY_HOUR)
        .key_schema(key_element("hour", KeyType::Hash)?)
        .key_schema(key_element("station", KeyType::Range)?)
        .projection(projection.build());
    client
        .create_table()
        .table_name(TABLE)
        .attribute_definitions(attribute("hour", ScalarAttributeType::N)?)
        .attribute_definitions(attribute("station", ScalarAttributeType::S)?)
        .set_key_schema(Some(table::key_schema("hour")?))
        .global_secondary_indexes(index.build()?)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await?;
    Ok(format!("{BY_HOUR} is ACTIVE at look {}", wait_for(client, &[BY_HOUR]).await?))
}

pub async fn query(client: &Client) -> Result<String> {
    for reading in gauged() {
        client.put_item().table_name(TABLE).set_item(Some(reading.item())).send().await?;
    }
    client
        .update_item()
        .table_name(TABLE)
        .set_key(Some(coldest().key()))
        .update_expression("SET celsius = :celsius")
        .expression_attribute_values(":celsius", AttributeValue::N(coldest().celsius.to_string()))
        .send()
        .await?;
    client.delete_item().table_name(TABLE).set_key(Some(gone())).send().await?;

    let request = client
        .query()
        .table_name(TABLE)
        .index_name(BY_HOUR)
        .key_condition_expression("#hour = :hour")
        .expression_attribute_names("#hour", "hour")
        .expression_attribute_values(":hour", AttributeValue::N("1".to_owned()));
    let mut wanted = left();
    wanted.retain(|reading| reading.hour == 1);
    let looks = eventually("the items", &wanted, || queried(request.clone())).await?;
    is_invalid(&refused(request.consistent_read(true).send().await)?)?;
    Ok(format!("as written at look {looks}, and ValidationException for a consistent read"))
}

/// What a station read, the coldest first.
fn in_its_order(client: &Client) -> QueryFluentBuilder {
    client
        .query()
        .table_name(TABLE)
        .index_name(COLDEST_FIRST)
        .key_condition_expression("station = :station")
        .expression_attribute_values(":station", AttributeValue::S(coldest().station))
}

pub async fn add(client: &Client) -> Result<String> {
    let index = CreateGlobalSecondaryIndexAction::builder()
        .index_name(COLDEST_FIRST)
        .set_key_schema(Some(table::key_schema("celsius")?))
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build());
    client
        .update_table()
        .table_name(TABLE)
        .attribute_definitions(attribute("celsius", ScalarAttributeType::N)?)
        .attribute_definitions(attribute("station", ScalarAttributeType::S)?)
        .global_secondary_index_updates(GlobalSecondaryIndexUpdate::builder().create(index.build()?).build())
        .send()
        .await?;
    let looks = wait_for(client, &[BY_HOUR, COLDEST_FIRST]).await?;
    let mut wanted = left();
    wanted.retain(|reading| reading.station == coldest().station);
    wanted.sort_by(|a, b| a.celsius.total_cmp(&b.celsius));
    eventually("the items", &wanted, || queried(in_its_order(client))).await?;
    Ok(format!("ACTIVE at look {looks}, and {} items in its order", wanted.len()))
}

pub async fn delete(client: &Client) -> Result<String> {
    let index = DeleteGlobalSecondaryIndexAction::builder().index_name(COLDEST_FIRST).build()?;
    client
        .update_table()
        .table_name(TABLE)
        .global_secondary_index_updates(GlobalSecondaryIndexUpdate::builder().delete(index).build())
        .send()
        .await?;
    let looks = wait_for(client, &[BY_HOUR]).await?;
    is_invalid(&refused(in_its_order(client).send().await)?)?;
    client.delete_table().table_name(TABLE).send().await?;
    table::wait_until_gone(client, TABLE).await?;
    Ok(format!("gone at look {looks}, then the table"))
}
