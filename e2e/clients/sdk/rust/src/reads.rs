//! Reads of items.

use crate::{
    expectations::{Result, holds, same},
    readings::{self, Item, LOCAL_INDEX, Reading, TABLE, key, same_readings},
    writes::back_off,
};
use aws_sdk_dynamodb::{
    Client,
    operation::scan::builders::ScanFluentBuilder,
    types::{AttributeValue, KeysAndAttributes, Select},
};
use std::collections::HashMap;
use tokio::task::JoinSet;

const SEGMENTS: i32 = 4;

pub async fn get(client: &Client) -> Result<String> {
    let first = &readings::all()[0];
    for consistent in [true, false] {
        let got =
            client.get_item().table_name(TABLE).set_key(Some(first.key())).consistent_read(consistent).send().await?;
        same("the item", &got.item, &Some(first.item()))?;
    }
    let missing = client.get_item().table_name(TABLE).set_key(Some(key("nowhere", 0))).send().await?;
    same("a missing item", &missing.item, &None)?;
    Ok("the item twice, and none where there is none".to_owned())
}

pub async fn batch_get(client: &Client) -> Result<String> {
    let wanted = &readings::all()[..100];
    let keys = wanted.iter().map(|reading| reading.key()).collect();
    let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build()?;
    let mut left = HashMap::from([(TABLE.to_owned(), keys)]);
    let mut items = Vec::new();
    for attempt in 0.. {
        back_off(attempt).await?;
        let got = client.batch_get_item().set_request_items(Some(left)).send().await?;
        items.extend(got.responses.unwrap_or_default().remove(TABLE).unwrap_or_default());
        left = got.unprocessed_keys.unwrap_or_default();
        if left.is_empty() {
            break;
        }
    }
    same_readings(&items, wanted)?;
    Ok(format!("{} items", items.len()))
}

pub async fn query(client: &Client) -> Result<String> {
    let mut pages = client
        .query()
        .table_name(TABLE)
        .key_condition_expression("station = :station AND #hour BETWEEN :from AND :to")
        .filter_expression("celsius <> :zero AND begins_with(note, :start)")
        .projection_expression("#hour, celsius")
        .expression_attribute_names("#hour", "hour")
        .expression_attribute_values(":station", AttributeValue::S("north".to_owned()))
        .expression_attribute_values(":from", AttributeValue::N("3".to_owned()))
        .expression_attribute_values(":to", AttributeValue::N("22".to_owned()))
        .expression_attribute_values(":zero", AttributeValue::N("0".to_owned()))
        .expression_attribute_values(":start", AttributeValue::S("north ".to_owned()))
        .scan_index_forward(false)
        .into_paginator()
        .page_size(8)
        .send();
    let (mut found, mut counts, mut scanned) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(page) = pages.next().await.transpose()? {
        found.extend(page.items().to_vec());
        counts.push(page.count());
        scanned.push(page.scanned_count());
    }
    let wanted: Vec<Item> = readings::all()
        .into_iter()
        .rev()
        .filter(|reading| reading.station == "north" && (3..=22).contains(&reading.hour) && reading.celsius != 0.0)
        .map(|reading| {
            let mut item = reading.item();
            item.retain(|name, _| name == "hour" || name == "celsius");
            item
        })
        .collect();
    same("the items, backward", &found, &wanted)?;
    same("what was read of each page", &scanned, &vec![8, 8, 4])?;
    Ok(format!("{} items in pages of {counts:?}", found.len()))
}

/// In the index's order, with what the index has; asked for all attributes, with those of the table.
pub async fn query_local_index(client: &Client) -> Result<String> {
    let request = client
        .query()
        .table_name(TABLE)
        .index_name(LOCAL_INDEX)
        .key_condition_expression("station = :station AND celsius >= :from")
        .expression_attribute_values(":station", AttributeValue::S("south".to_owned()))
        .expression_attribute_values(":from", AttributeValue::N("0".to_owned()))
        .scan_index_forward(false)
        .consistent_read(true);
    let pages = request.clone().into_paginator().page_size(5).items().send();
    let found: Vec<Item> = pages.collect::<std::result::Result<_, _>>().await?;
    let mut wanted: Vec<Reading> = readings::all();
    wanted.retain(|reading| reading.station == "south" && reading.celsius >= 0.0);
    wanted.sort_by(|a, b| b.celsius.total_cmp(&a.celsius));
    let without_notes = |reading: &Reading| {
        let mut item = reading.item();
        item.remove("note");
        item
    };
    same("the items", &found, &wanted.iter().map(without_notes).collect())?;
    let warmest = request.select(Select::AllAttributes).limit(2).send().await?;
    same("the warmest, whole", &warmest.items, &Some(wanted[..2].iter().map(Reading::item).collect()))?;
    Ok(format!("{} items from {} °C down", found.len(), wanted[0].celsius))
}

/// The items of a scan, or of one segment of it, and in how many pages they came.
async fn scanned(scan: ScanFluentBuilder) -> Result<(Vec<Item>, usize)> {
    let mut pages = scan.table_name(TABLE).into_paginator().send();
    let (mut items, mut count) = (Vec::new(), 0);
    while let Some(page) = pages.next().await.transpose()? {
        items.extend(page.items.unwrap_or_default());
        count += 1;
    }
    Ok((items, count))
}

pub async fn scan(client: &Client) -> Result<String> {
    let (items, pages) = scanned(client.scan()).await?;
    same_readings(&items, &readings::all())?;
    holds("more than 1 MB came in one page", pages > 1)?;
    Ok(format!("{} items in {pages} pages", items.len()))
}

pub async fn scan_segments(client: &Client) -> Result<String> {
    let mut segments = JoinSet::new();
    for segment in 0..SEGMENTS {
        segments
            .spawn(scanned(client.scan().segment(segment).total_segments(SEGMENTS).consistent_read(true).limit(10)));
    }
    let mut items = Vec::new();
    while let Some(segment) = segments.join_next().await {
        items.extend(segment??.0);
    }
    same_readings(&items, &readings::all())?;
    Ok(format!("{} items in {SEGMENTS} segments", items.len()))
}

pub async fn execute_statement(client: &Client) -> Result<String> {
    let selected = client
        .execute_statement()
        .statement(format!(r#"SELECT * FROM "{TABLE}" WHERE station = ? AND "hour" >= ?"#))
        .parameters(AttributeValue::S("west".to_owned()))
        .parameters(AttributeValue::N("28".to_owned()))
        .send()
        .await?;
    let all = readings::all();
    same_readings(selected.items(), &all[all.len() - 2..])?;
    Ok(format!("{} items", selected.items().len()))
}
