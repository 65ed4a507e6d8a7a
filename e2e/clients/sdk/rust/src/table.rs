//! The table itself.

use crate::{
    connection,
    expectations::{Result, holds, refused, same},
    readings::{LOCAL_INDEX, TABLE},
};
use aws_sdk_dynamodb::{
    Client,
    client::Waiters,
    error::ProvideErrorMetadata,
    operation::create_table::{CreateTableOutput, builders::CreateTableFluentBuilder},
    types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, LocalSecondaryIndex, Projection, ProjectionType,
        ScalarAttributeType, TableDescription, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
    },
};
use std::time::{Duration, SystemTime};

const WAIT_MOST: Duration = Duration::from_secs(60);
const YOUNG_S: std::ops::Range<i64> = -1..61;

pub async fn refuse_strangers(_: &Client) -> Result<String> {
    let error = refused(connection::with_secret("not the secret")?.list_tables().send().await)?;
    let code = error.code().unwrap_or_default().to_owned();
    same("the code", &code.as_str(), &"InvalidSignatureException")?;
    Ok(code)
}

/// With the stations' partition key.
pub fn key_schema(sort: &str) -> Result<Vec<KeySchemaElement>> {
    Ok(vec![key_element("station", KeyType::Hash)?, key_element(sort, KeyType::Range)?])
}

pub fn key_element(name: &str, role: KeyType) -> Result<KeySchemaElement> {
    Ok(KeySchemaElement::builder().attribute_name(name).key_type(role).build()?)
}

pub fn attribute(name: &str, kind: ScalarAttributeType) -> Result<AttributeDefinition> {
    Ok(AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build()?)
}

fn attributes() -> Result<Vec<AttributeDefinition>> {
    Ok(vec![
        attribute("celsius", ScalarAttributeType::N)?,
        attribute("hour", ScalarAttributeType::N)?,
        attribute("station", ScalarAttributeType::S)?,
    ])
}

fn local_index() -> Result<LocalSecondaryIndex> {
    let keys = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
    Ok(LocalSecondaryIndex::builder()
        .index_name(LOCAL_INDEX)
        .set_key_schema(Some(key_schema("celsius")?))
        .projection(keys)
        .build()?)
}

fn definition(client: &Client) -> Result<CreateTableFluentBuilder> {
    Ok(client
        .create_table()
        .table_name(TABLE)
        .set_attribute_definitions(Some(attributes()?))
        .set_key_schema(Some(key_schema("hour")?))
        .local_secondary_indexes(local_index()?)
        .billing_mode(BillingMode::PayPerRequest))
}

pub async fn create(client: &Client) -> Result<String> {
    let created: CreateTableOutput = definition(client)?.send().await?;
    let status = created.table_description().and_then(|table| table.table_status()).cloned();
    same("the status", &status, &Some(TableStatus::Creating))?;
    let status = wait_until_active(client).await?.table_status;
    same("the status in the end", &status, &Some(TableStatus::Active))?;
    Ok(TableStatus::Active.to_string())
}

pub async fn wait_until_active(client: &Client) -> Result<TableDescription> {
    let waited = client.wait_until_table_exists().table_name(TABLE).wait(WAIT_MOST).await?;
    Ok(waited.into_result()?.table.ok_or("no table is described")?)
}

pub async fn create_again(client: &Client) -> Result<String> {
    let error = refused(definition(client)?.send().await)?;
    holds(&format!("expected ResourceInUseException, got {error:?}"), error.is_resource_in_use_exception())?;
    Ok(error.message().unwrap_or_default().to_owned())
}

pub async fn list_and_describe(client: &Client) -> Result<String> {
    let listed: Vec<String> =
        client.list_tables().limit(1).into_paginator().items().send().collect::<std::result::Result<_, _>>().await?;
    holds(&format!("expected {TABLE} among {listed:?}"), listed.iter().any(|name| name == TABLE))?;
    let described = client.describe_table().table_name(TABLE).send().await?;
    let table = described.table().ok_or("no table is described")?;
    same("the key schema", &table.key_schema().to_vec(), &key_schema("hour")?)?;
    let mut defined = table.attribute_definitions().to_vec();
    defined.sort_by(|a, b| a.attribute_name().cmp(b.attribute_name()));
    same("the attributes", &defined, &attributes()?)?;
    let [index] = table.local_secondary_indexes() else {
        return Err(format!("expected one local index, got {:?}", table.local_secondary_indexes()).into());
    };
    same("the local index", &index.index_name(), &Some(LOCAL_INDEX))?;
    same("its key schema", &index.key_schema().to_vec(), &key_schema("celsius")?)?;
    same("its projection", &index.projection, &local_index()?.projection)?;
    let mode = table.billing_mode_summary().and_then(|summary| summary.billing_mode()).cloned();
    same("the billing mode", &mode, &Some(BillingMode::PayPerRequest))?;
    let created = table.creation_date_time().ok_or("no time of creation")?.secs();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs() as i64;
    holds(&format!("a table made just now is {} s old", now - created), YOUNG_S.contains(&(now - created)))?;
    Ok(table.table_arn().unwrap_or_default().to_owned())
}

pub async fn set_time_to_live(client: &Client) -> Result<String> {
    let described = async || -> Result<_> {
        let described = client.describe_time_to_live().table_name(TABLE).send().await?;
        Ok(described.time_to_live_description.ok_or("no time to live is described")?)
    };
    same("the status before", &described().await?.time_to_live_status, &Some(TimeToLiveStatus::Disabled))?;
    let wanted = TimeToLiveSpecification::builder().attribute_name("expires").enabled(true).build()?;
    let updated =
        client.update_time_to_live().table_name(TABLE).time_to_live_specification(wanted.clone()).send().await?;
    same("the specification", &updated.time_to_live_specification, &Some(wanted))?;
    let after = described().await?;
    same("the attribute", &after.attribute_name(), &Some("expires"))?;
    match after.time_to_live_status {
        Some(status @ (TimeToLiveStatus::Enabling | TimeToLiveStatus::Enabled)) => Ok(format!("by expires, {status}")),
        other => Err(format!("expected the status ENABLING or ENABLED, got {other:?}").into()),
    }
}

pub async fn delete(client: &Client) -> Result<String> {
    client.delete_table().table_name(TABLE).send().await?;
    wait_until_gone(client, TABLE).await?;
    let error = refused(client.describe_table().table_name(TABLE).send().await)?;
    holds(&format!("expected ResourceNotFoundException, got {error:?}"), error.is_resource_not_found_exception())?;
    Ok(error.message().unwrap_or_default().to_owned())
}

pub async fn wait_until_gone(client: &Client, table: &str) -> Result<()> {
    client.wait_until_table_not_exists().table_name(table).wait(WAIT_MOST).await?;
    Ok(())
}
