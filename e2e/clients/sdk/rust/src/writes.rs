//! Changes of items.

use crate::{
    expectations::{Result, holds, refused, same},
    readings::{self, Reading, TABLE},
    table,
};
use aws_sdk_dynamodb::{
    Client,
    config::{Config, retry::RetryConfig},
    operation::{delete_item::DeleteItemError, put_item::PutItemError, update_item::UpdateItemError},
    types::{
        AttributeValue, BillingMode, ProvisionedThroughput, PutRequest, ReturnConsumedCapacity, ReturnValue,
        ReturnValuesOnConditionCheckFailure, WriteRequest,
    },
};
use std::{collections::HashMap, time::Duration};

const BATCH_MOST: usize = 25;
const ATTEMPTS_MOST: u32 = 8;
/// What the table has unused when it is throttled lasts for fewer.
const PUTS_MOST: u32 = 200;
const NOT_THERE: &str = "attribute_not_exists(station)";

/// The wait before an attempt that is not the first; an error once there were enough.
pub async fn back_off(attempt: u32) -> Result<()> {
    holds(&format!("some requests are unprocessed after {attempt} attempts"), attempt < ATTEMPTS_MOST)?;
    if attempt > 0 {
        tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
    }
    Ok(())
}

pub async fn put_one(client: &Client) -> Result<String> {
    let first = readings::all()[0].clone();
    let earlier = Reading { celsius: -100.0, ..first.clone() };
    let put = async |reading: &Reading| -> Result<_> {
        let put = client
            .put_item()
            .table_name(TABLE)
            .set_item(Some(reading.item()))
            .return_values(ReturnValue::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await?;
        let units = put.consumed_capacity().and_then(|consumed| consumed.capacity_units());
        holds("a put consumes write units", units.is_some_and(|units| units >= 1.0))?;
        Ok(put.attributes)
    };
    same("the item before the first", &put(&earlier).await?, &None)?;
    same("the item before the second", &put(&first).await?, &Some(earlier.item()))?;
    Ok("the second gave the first".to_owned())
}

pub async fn batch_write(client: &Client) -> Result<String> {
    let mut requests = Vec::new();
    for reading in &readings::all()[1..] {
        let put = PutRequest::builder().set_item(Some(reading.item())).build()?;
        requests.push(WriteRequest::builder().put_request(put).build());
    }
    let mut calls = 0;
    for batch in requests.chunks(BATCH_MOST) {
        let mut left = HashMap::from([(TABLE.to_owned(), batch.to_vec())]);
        for attempt in 0.. {
            back_off(attempt).await?;
            let written = client.batch_write_item().set_request_items(Some(left)).send().await?;
            calls += 1;
            left = written.unprocessed_items.unwrap_or_default();
            if left.is_empty() {
                break;
            }
        }
    }
    Ok(format!("{} items in {calls} calls", requests.len()))
}

pub async fn update(client: &Client) -> Result<String> {
    let first = readings::all()[0].clone();
    let entry = AttributeValue::L(vec![AttributeValue::S("warmer".to_owned())]);
    let updated = client
        .update_item()
        .table_name(TABLE)
        .set_key(Some(first.key()))
        .update_expression(
            "SET celsius = celsius + :warmer, #log = list_append(if_not_exists(#log, :none), :entry) ADD changes :one REMOVE note",
        )
        .condition_expression("attribute_exists(station) AND celsius < :zero")
        .expression_attribute_names("#log", "log")
        .expression_attribute_values(":warmer", AttributeValue::N("1.25".to_owned()))
        .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
        .expression_attribute_values(":entry", entry.clone())
        .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
        .expression_attribute_values(":zero", AttributeValue::N("0".to_owned()))
        .return_values(ReturnValue::UpdatedNew)
        .send()
        .await?;
    let wanted = HashMap::from([
        ("celsius".to_owned(), AttributeValue::N((first.celsius + 1.25).to_string())),
        ("log".to_owned(), entry),
        ("changes".to_owned(), AttributeValue::N("1".to_owned())),
    ]);
    same("the updated attributes", &updated.attributes, &Some(wanted))?;
    Ok("celsius, log and changes".to_owned())
}

/// Of a put, an update and a delete; the SDK's own type has the item, if asked.
pub async fn fail_conditions(client: &Client) -> Result<String> {
    let second = readings::all()[1].clone();
    let old = ReturnValuesOnConditionCheckFailure::AllOld;
    let put = client
        .put_item()
        .table_name(TABLE)
        .set_item(Some(second.item()))
        .condition_expression(NOT_THERE)
        .return_values_on_condition_check_failure(old.clone());
    let update = client
        .update_item()
        .table_name(TABLE)
        .set_key(Some(second.key()))
        .update_expression("REMOVE note")
        .condition_expression(NOT_THERE)
        .return_values_on_condition_check_failure(old.clone());
    let delete = client
        .delete_item()
        .table_name(TABLE)
        .set_key(Some(second.key()))
        .condition_expression(NOT_THERE)
        .return_values_on_condition_check_failure(old);
    let failed = [
        match refused(put.send().await)? {
            PutItemError::ConditionalCheckFailedException(failed) => failed,
            other => return Err(other.into()),
        },
        match refused(update.send().await)? {
            UpdateItemError::ConditionalCheckFailedException(failed) => failed,
            other => return Err(other.into()),
        },
        match refused(delete.send().await)? {
            DeleteItemError::ConditionalCheckFailedException(failed) => failed,
            other => return Err(other.into()),
        },
    ];
    for failed in &failed {
        same("the exception's item", &failed.item, &Some(second.item()))?;
    }
    Ok(failed[0].message().unwrap_or_default().to_owned())
}

pub async fn delete_one(client: &Client) -> Result<String> {
    let all = readings::all();
    let last = &all[all.len() - 1];
    for wanted in [Some(last.item()), None] {
        let deleted = client
            .delete_item()
            .table_name(TABLE)
            .set_key(Some(last.key()))
            .return_values(ReturnValue::AllOld)
            .send()
            .await?;
        same("the deleted item", &deleted.attributes, &wanted)?;
    }
    Ok("gave the item, then nothing".to_owned())
}

/// A client that tries once is refused; one that tries again, as they all do if left alone, gets through.
pub async fn put_throttled(client: &Client) -> Result<String> {
    let units = ProvisionedThroughput::builder().read_capacity_units(5).write_capacity_units(5).build()?;
    client
        .update_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::Provisioned)
        .provisioned_throughput(units)
        .send()
        .await?;
    table::wait_until_active(client).await?;
    let busy = Reading { station: "busy".to_owned(), hour: 0, celsius: 0.0, note: "5 units, ".repeat(500) };
    let put = async |attempts| {
        let retries = Config::builder().retry_config(RetryConfig::standard().with_max_attempts(attempts));
        let request = client.put_item().table_name(TABLE).set_item(Some(busy.item()));
        request.customize().config_override(retries).send().await
    };
    let mut last = put(1).await;
    for _ in 1..PUTS_MOST {
        if last.is_err() {
            break;
        }
        last = put(1).await;
    }
    let throttled = match refused(last)? {
        PutItemError::ProvisionedThroughputExceededException(throttled) => throttled,
        other => return Err(other.into()),
    };
    let reasons: Vec<_> = throttled.throttling_reasons().iter().filter_map(|reason| reason.reason()).collect();
    same("the reasons", &reasons, &vec!["TableWriteProvisionedThroughputExceeded"])?;
    put(10).await?;
    Ok("ProvisionedThroughputExceededException, then retried".to_owned())
}
