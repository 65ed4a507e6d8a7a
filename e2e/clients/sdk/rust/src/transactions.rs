//! Several changes or none of them, and several items as of one moment.

use crate::{
    expectations::{Result, holds, refused, same},
    readings::{self, Item, Reading, TABLE, key},
};
use aws_sdk_dynamodb::{
    Client,
    operation::transact_write_items::{TransactWriteItemsError, builders::TransactWriteItemsFluentBuilder},
    types::{
        AttributeValue, ConditionCheck, Delete, Get, Put, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure,
        TransactGetItem, TransactWriteItem, Update,
    },
};
use std::time::SystemTime;

const THERE: &str = "attribute_exists(station)";
const NOT_THERE: &str = "attribute_not_exists(station)";

fn checked() -> Reading {
    readings::all().swap_remove(2)
}

fn counter() -> Item {
    key("tally", 0)
}

fn logged() -> Item {
    let mut item = key("tally", 1);
    item.insert("text".to_owned(), AttributeValue::S("counted".to_owned()));
    item
}

/// Written by an earlier step.
fn removed() -> Item {
    key("types", 0)
}

/// One change of each kind, and all of it only if the condition holds.
fn transaction(client: &Client, condition: &str) -> Result<TransactWriteItemsFluentBuilder> {
    let update = Update::builder()
        .table_name(TABLE)
        .set_key(Some(counter()))
        .update_expression("ADD transactions :one")
        .expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
    let check = ConditionCheck::builder()
        .table_name(TABLE)
        .set_key(Some(checked().key()))
        .condition_expression(condition)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let put = Put::builder().table_name(TABLE).set_item(Some(logged()));
    let delete = Delete::builder().table_name(TABLE).set_key(Some(removed())).condition_expression(THERE);
    Ok(client
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().update(update.build()?).build())
        .transact_items(TransactWriteItem::builder().condition_check(check.build()?).build())
        .transact_items(TransactWriteItem::builder().put(put.build()?).build())
        .transact_items(TransactWriteItem::builder().delete(delete.build()?).build()))
}

/// How often a transaction has counted; nothing if there is no item.
async fn counted(client: &Client) -> Result<Option<AttributeValue>> {
    let got = client.get_item().table_name(TABLE).set_key(Some(counter())).consistent_read(true).send().await?;
    Ok(got.item.and_then(|mut item| item.remove("transactions")))
}

/// The SDK's own type has the reasons, and in them the item, if asked.
pub async fn cancel(client: &Client) -> Result<String> {
    let canceled = match refused(transaction(client, NOT_THERE)?.send().await)? {
        TransactWriteItemsError::TransactionCanceledException(canceled) => canceled,
        other => return Err(other.into()),
    };
    let reasons = canceled.cancellation_reasons();
    let codes: Vec<_> = reasons.iter().map(|reason| reason.code().unwrap_or_default()).collect();
    same("the codes", &codes, &vec!["None", "ConditionalCheckFailed", "None", "None"])?;
    same("the reason", &reasons[1].message(), &Some("The conditional request failed"))?;
    same("the reason's item", &reasons[1].item, &Some(checked().item()))?;
    same("what was counted", &counted(client).await?, &None)?;
    Ok(canceled.message().unwrap_or_default().to_owned())
}

pub async fn write(client: &Client) -> Result<String> {
    let token = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos().to_string();
    for _ in 0..2 {
        let written = transaction(client, THERE)?
            .client_request_token(&token)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await?;
        let units = written.consumed_capacity().first().and_then(|consumed| consumed.capacity_units());
        holds("a transaction consumes twice the units of its changes", units.is_some_and(|units| units >= 8.0))?;
    }
    same("what was counted", &counted(client).await?, &Some(AttributeValue::N("1".to_owned())))?;
    match refused(transaction(client, NOT_THERE)?.client_request_token(&token).send().await)? {
        TransactWriteItemsError::IdempotentParameterMismatchException(_) => {}
        other => return Err(other.into()),
    }
    Ok("done once, and IdempotentParameterMismatchException for another with its token".to_owned())
}

pub async fn get(client: &Client) -> Result<String> {
    let get = |key: Item| Get::builder().table_name(TABLE).set_key(Some(key));
    let gets =
        [get(counter()), get(key("tally", 1)), get(checked().key()).projection_expression("celsius"), get(removed())];
    let mut request = client.transact_get_items();
    for get in gets {
        request = request.transact_items(TransactGetItem::builder().get(get.build()?).build());
    }
    let found: Vec<_> = request.send().await?.responses().iter().map(|response| response.item.clone()).collect();
    let mut tally = counter();
    tally.insert("transactions".to_owned(), AttributeValue::N("1".to_owned()));
    let mut celsius = checked().item();
    celsius.retain(|name, _| name == "celsius");
    same("the items", &found, &vec![Some(tally), Some(logged()), Some(celsius), None])?;
    Ok("three items, and none where it was deleted".to_owned())
}
