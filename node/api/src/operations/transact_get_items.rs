//! TransactGetItems: up to 100 items of any of the account's tables, as they were at one moment.

use super::{Call, get_item::projection, transact_write_items::constrain_count};
use crate::{
    capacity::CapacityReport,
    input::{
        self, Input,
        shape::{ATTRIBUTES, NAMES, Shape},
    },
    output::{Object, write_list},
    transactions::{self, Addressed, Got},
    validation::{constraints::Constraints, key_paths, parameters::Names, references::is_arn},
};
use cairn_expression::Projection;
use cairn_model::{ErrorKind, Item, ServiceError, json::JsonItem, key::EncodedKey};
use cairn_replication::transaction::TransactGet;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TransactGetItemsInput {
    transact_items: Option<Vec<TransactGetItem>>,
    return_consumed_capacity: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TransactGetItem {
    get: Option<GetInput>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetInput {
    table_name: Option<String>,
    key: Option<JsonItem>,
    projection_expression: Option<String>,
    expression_attribute_names: Option<Names>,
}

const TRANSACT_GET_ITEM: Shape = Shape::Struct(
    "TransactGetItem",
    &[(
        "Get",
        Shape::Struct(
            "Get",
            &[
                ("Key", ATTRIBUTES),
                ("TableName", Shape::Text),
                ("ProjectionExpression", Shape::Text),
                ("ExpressionAttributeNames", NAMES),
            ],
        ),
    )],
);

impl Input for TransactGetItemsInput {
    const FIELDS: &'static [(&'static str, Shape)] =
        &[("TransactItems", Shape::List(&TRANSACT_GET_ITEM)), ("ReturnConsumedCapacity", Shape::Text)];
}

/// One get, as far as it can be read without its table.
struct Get {
    table_name: String,
    key: Item,
    projection: Option<Projection>,
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: TransactGetItemsInput = input::parse(call.body)?;
    let gets = input.constrained()?;
    let gets = gets.into_iter().map(GetInput::read).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<String> = gets.iter().map(|get| get.table_name.clone()).collect();
    let gets = address(call, gets)?;
    let (items, consumed) = transactions::read(call, &gets, &names).await?;
    let mut out = Vec::with_capacity(256);
    let mut answer = Object::begin(&mut out);
    write_items(&items, &mut answer)?;
    consumed.write(CapacityReport::of(input.return_consumed_capacity.as_deref()), &mut answer);
    answer.end();
    Ok(out)
}

/// The field `Responses`: an item that is not there, or of which nothing was asked for that it has, is an empty object.
pub(super) fn write_items(items: &[Got], answer: &mut Object<'_>) -> Result<(), ServiceError> {
    let mut written = Ok(());
    write_list(answer.field("Responses"), items, |item, out| {
        let mut response = Object::begin(out);
        let shown = item.as_ref().filter(|(item, _)| !matches!(item.size(), Ok(0)));
        if let (Some((item, _)), true) = (shown, written.is_ok()) {
            written = response.encoded_item("Item", item);
        }
        response.end();
    });
    written
}

impl TransactGetItemsInput {
    fn constrained(&self) -> Result<Vec<&GetInput>, ServiceError> {
        let mut constraints = Constraints::default();
        let Some(items) = &self.transact_items else {
            constraints.required("transactItems", false);
            constraints.return_consumed_capacity(self.return_consumed_capacity.as_deref());
            return constraints.finish().map(|()| Vec::new());
        };
        constrain_count(items.len(), "transactItems")?;
        for (position, item) in items.iter().enumerate() {
            let path = format!("transactItems.{}.member.get", position + 1);
            constraints.required(&path, item.get.is_some());
            if let Some(get) = &item.get {
                constraints.required(&format!("{path}.key"), get.key.is_some());
                constraints.required(&format!("{path}.tableName"), get.table_name.is_some());
            }
        }
        constraints.return_consumed_capacity(self.return_consumed_capacity.as_deref());
        constraints.finish()?;
        let gets: Vec<&GetInput> = items.iter().filter_map(|item| item.get.as_ref()).collect();
        let mut constraints = Constraints::default();
        for (position, get) in gets.iter().enumerate() {
            if let Some(name) = get.table_name.as_deref().filter(|name| !is_arn(name)) {
                constraints.name_in_full(&format!("transactItems.{}.member.get.tableName", position + 1), name);
            }
        }
        constraints.finish()?;
        Ok(gets)
    }
}

impl GetInput {
    fn read(&self) -> Result<Get, ServiceError> {
        let key = self.key.clone().unwrap_or_default().into_item()?;
        let names = self.expression_attribute_names.clone();
        let projection = projection(self.projection_expression.as_deref(), None, names)?;
        Ok(Get { table_name: self.table_name.clone().unwrap_or_default(), key, projection })
    }
}

/// The gets on their tables. What is wrong with one's key is a reason to cancel them all.
fn address(call: &Call<'_>, gets: Vec<Get>) -> Result<Vec<Addressed<TransactGet>>, ServiceError> {
    let mut addressed = Vec::with_capacity(gets.len());
    let mut reasons = Vec::with_capacity(gets.len());
    let mut gets = gets.into_iter();
    while let Some(Get { table_name, key, projection }) = gets.next() {
        let table = call.open_before(&table_name, gets.as_slice().iter().map(|get| get.table_name.as_str()))?;
        let schema = &table.definition.key_schema;
        let checked = EncodedKey::from_key(schema, &key).and_then(|key| {
            projection
                .as_ref()
                .map_or(Ok(()), |projection| key_paths::check_projection(projection, &table.definition))?;
            Ok(key)
        });
        match checked {
            Ok(key) => {
                addressed.push(Addressed { table, what: TransactGet { key, projection } });
                reasons.push(None);
            }
            Err(error) if error.kind == ErrorKind::ValidationException => {
                reasons.push(Some(transactions::reason_of(error)));
            }
            Err(error) => return Err(error),
        }
    }
    if reasons.iter().any(Option::is_some) {
        return Err(transactions::canceled(reasons));
    }
    transactions::check_distinct(&addressed)?;
    Ok(addressed)
}
