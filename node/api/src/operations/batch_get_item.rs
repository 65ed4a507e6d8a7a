//! BatchGetItem: up to 100 items and 16 MB; what is left over, or met an overloaded partition, comes back unprocessed.

use super::{Call, get_item::projection};
use crate::{
    TableView,
    capacity::{CapacityReport, ConsumedCapacity, HalfUnits},
    errors,
    input::{
        self, Input,
        fields::Flag,
        shape::{ATTRIBUTES, NAMES, Shape, TEXTS},
    },
    output::{Object, write_list},
    validation::{
        constraints::{Constraints, is_table_name},
        key_paths,
        parameters::{Mixture, Names},
        references::is_arn,
    },
};
use cairn_expression::Projection;
use cairn_model::{
    Item, ServiceError,
    codec::EncodedItem,
    json,
    json::JsonItem,
    key::EncodedKey,
    limits::{BATCH_GET_BYTES_MAX, BATCH_GET_KEYS_MAX},
};
use cairn_replication::operation::GetRequest;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// Keys asked of a partition at once: items of the largest size stay below the limit of the whole answer.
const KEYS_AT_ONCE: usize = 25;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchGetItemInput {
    request_items: Option<BTreeMap<String, KeysAndAttributes>>,
    return_consumed_capacity: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeysAndAttributes {
    keys: Option<Vec<JsonItem>>,
    attributes_to_get: Option<Vec<String>>,
    consistent_read: Option<Flag>,
    projection_expression: Option<String>,
    expression_attribute_names: Option<Names>,
}

const KEYS_AND_ATTRIBUTES: Shape = Shape::Struct(
    "KeysAndAttributes",
    &[
        ("Keys", Shape::List(&ATTRIBUTES)),
        ("AttributesToGet", TEXTS),
        ("ConsistentRead", Shape::Flag),
        ("ProjectionExpression", Shape::Text),
        ("ExpressionAttributeNames", NAMES),
    ],
);

impl Input for BatchGetItemInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[
        ("ReturnConsumedCapacity", Shape::Text),
        ("RequestItems", Shape::Map("KeysAndAttributes", &KEYS_AND_ATTRIBUTES)),
    ];
}

/// What is asked of one table, checked but for its keys' fit to the table.
struct TableGets {
    /// Or its ARN, as the request has it.
    name: String,
    keys: Vec<Item>,
    consistent: bool,
    projection: Option<Projection>,
    /// Given back with keys that were not processed.
    echo: Echo,
}

struct Echo {
    attributes_to_get: Option<Vec<String>>,
    consistent_read: Option<bool>,
    projection_expression: Option<String>,
    names: Option<Names>,
}

/// What came of it.
#[derive(Default)]
struct TableAnswers {
    items: Vec<EncodedItem>,
    consumed: ConsumedCapacity,
    /// Where in the request's keys the processing stopped, and what was skipped before.
    unprocessed: Vec<usize>,
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: BatchGetItemInput = input::parse(call.body)?;
    let report = CapacityReport::of(input.return_consumed_capacity.as_deref());
    input.constrain(call.body)?;
    let requests = checked(input.request_items.unwrap_or_default())?;
    if requests.iter().map(|request| request.keys.len()).sum::<usize>() > BATCH_GET_KEYS_MAX {
        return Err(ServiceError::validation("Too many items requested for the BatchGetItem call"));
    }

    let mut opened = Vec::with_capacity(requests.len());
    let mut requests = requests.into_iter();
    while let Some(request) = requests.next() {
        let table = call.open_before(&request.name, requests.as_slice().iter().map(|request| request.name.as_str()))?;
        let keys = encode_keys(&table, &request.keys)?;
        check_once(&opened, &table, &keys)?;
        if let Some(projection) = &request.projection {
            key_paths::check_projection(projection, &table.definition)?;
        }
        opened.push((request, table, keys));
    }
    let mut answers = Vec::with_capacity(opened.len());
    let mut bytes_left = BATCH_GET_BYTES_MAX;
    let mut refused = None;
    for (request, table, keys) in opened {
        let answer = get_all(call, &request, &table, keys, &mut bytes_left, &mut refused).await?;
        answers.push((request, answer));
    }
    let processed = answers.iter().any(|(request, answer)| answer.unprocessed.len() < request.keys.len());
    match refused {
        Some(error) if !processed => Err(error),
        _ => write(&answers, report),
    }
}

impl BatchGetItemInput {
    /// `body` is what the input was read from.
    fn constrain(&self, body: &[u8]) -> Result<(), ServiceError> {
        let mut constraints = Constraints::default();
        let Some(requests) = &self.request_items else {
            constraints.return_consumed_capacity(self.return_consumed_capacity.as_deref());
            constraints.required("requestItems", false);
            return constraints.finish();
        };
        let keys_of = |request: &KeysAndAttributes| request.keys.as_ref().map_or(0, Vec::len);
        if requests.is_empty() {
            constraints.item_count("RequestItems", 0, 1..=usize::MAX);
        } else if let Some((name, _)) = requests.iter().find(|(_, request)| request.keys.is_none()) {
            constraints.required(&format!("requestItems.{name}.member.keys"), false);
        } else if let Some((name, _)) = requests.iter().find(|(_, request)| keys_of(request) == 0) {
            constraints.item_count(&format!("RequestItems.{name}.member.Keys"), 0, 1..=BATCH_GET_KEYS_MAX);
        } else if !requests.keys().all(|name| is_table_name(name) || is_arn(name)) {
            constraints.value(request_items(body), "requestItems", TABLE_NAMES);
        } else {
            for (name, request) in requests {
                let path = format!("RequestItems.{name}.member.Keys");
                constraints.item_count(&path, keys_of(request), 1..=BATCH_GET_KEYS_MAX);
            }
        }
        constraints.return_consumed_capacity(self.return_consumed_capacity.as_deref());
        for (name, request) in requests {
            let path = format!("requestItems.{name}.member.attributesToGet");
            constraints.attributes_to_get(&path, request.attributes_to_get.as_deref());
        }
        constraints.finish()
    }
}

/// The constraint on the names of a batch's tables.
pub(super) const TABLE_NAMES: &str = "Map keys must satisfy constraint: [Member must have length less than or equal \
     to 255, Member must have length greater than or equal to 3, Member must satisfy regular expression pattern: \
     [a-zA-Z0-9_.-]+]";

/// `RequestItems` as the request has it, in a message.
fn request_items(body: &[u8]) -> String {
    let request = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default();
    request["RequestItems"].to_string()
}

fn checked(requests: BTreeMap<String, KeysAndAttributes>) -> Result<Vec<TableGets>, ServiceError> {
    let mixture = Mixture {
        legacy: &[("AttributesToGet", requests.values().any(|request| request.attributes_to_get.is_some()))],
        expressions: &[(
            "ProjectionExpression",
            requests.values().any(|request| request.projection_expression.is_some()),
        )],
        with_values: &[],
    };
    mixture.check(false, false)?;
    requests.into_iter().map(|(name, request)| request.checked(name)).collect()
}

impl KeysAndAttributes {
    fn checked(self, name: String) -> Result<TableGets, ServiceError> {
        let expressions = &[("ProjectionExpression", self.projection_expression.is_some())];
        Mixture { legacy: &[], expressions, with_values: &[] }
            .check(self.expression_attribute_names.is_some(), false)?;
        let projection = projection(
            self.projection_expression.as_deref(),
            self.attributes_to_get.clone(),
            self.expression_attribute_names.clone(),
        )?;
        let keys = self.keys.unwrap_or_default().into_iter().map(JsonItem::into_item).collect::<Result<_, _>>()?;
        Ok(TableGets {
            name,
            keys,
            consistent: self.consistent_read.is_some_and(|flag| flag.0),
            projection,
            echo: Echo {
                attributes_to_get: self.attributes_to_get,
                consistent_read: self.consistent_read.map(|flag| flag.0),
                projection_expression: self.projection_expression,
                names: self.expression_attribute_names,
            },
        })
    }
}

fn encode_keys(table: &Arc<TableView>, keys: &[Item]) -> Result<Vec<EncodedKey>, ServiceError> {
    let schema = &table.definition.key_schema;
    let keys = keys.iter().map(|key| EncodedKey::from_key(schema, key)).collect::<Result<Vec<_>, _>>()?;
    let mut seen = HashSet::with_capacity(keys.len());
    if !keys.iter().all(|key| seen.insert(key)) {
        return Err(duplicate_keys());
    }
    Ok(keys)
}

/// No key is asked for twice, though a table is named by its name and by its ARN.
fn check_once(
    opened: &[(TableGets, Arc<TableView>, Vec<EncodedKey>)],
    table: &TableView,
    keys: &[EncodedKey],
) -> Result<(), ServiceError> {
    let same_table = |other: &TableView| other.definition.table_id == table.definition.table_id;
    let mut others = opened.iter().filter(|(_, other, _)| same_table(other)).flat_map(|(_, _, keys)| keys);
    if others.any(|key| keys.contains(key)) { Err(duplicate_keys()) } else { Ok(()) }
}

pub(super) fn duplicate_keys() -> ServiceError {
    ServiceError::validation("Provided list of item keys contains duplicates")
}

async fn get_all(
    call: &Call<'_>,
    request: &TableGets,
    table: &Arc<TableView>,
    keys: Vec<EncodedKey>,
    bytes_left: &mut usize,
    refused: &mut Option<ServiceError>,
) -> Result<TableAnswers, ServiceError> {
    let mut answers = TableAnswers::default();
    let count = keys.len();
    for (chunk, first) in keys.chunks(KEYS_AT_ONCE).zip((0..count).step_by(KEYS_AT_ONCE)) {
        let positions = first..first + chunk.len();
        if *bytes_left == 0 {
            answers.unprocessed.extend(positions);
            continue;
        }
        let get =
            GetRequest { keys: chunk.to_vec(), projection: request.projection.clone(), consistent: request.consistent };
        let outcome = match call.get(table, get).await {
            Ok(outcome) => outcome,
            Err(error) if errors::is_overload(error.kind) => {
                answers.unprocessed.extend(positions);
                *refused = Some(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        for (position, found) in positions.zip(outcome.items) {
            let size = found.as_ref().map_or(0, |(_, size)| *size as usize);
            if size > *bytes_left {
                // From here on nothing fits: a smaller one later would come out of order of what was asked for.
                *bytes_left = 0;
            }
            if *bytes_left == 0 {
                answers.unprocessed.push(position);
                continue;
            }
            *bytes_left -= size;
            answers.consumed.add(&HalfUnits::read(size as u64, request.consistent).into());
            answers.items.extend(found.map(|(item, _)| item));
        }
    }
    Ok(answers)
}

fn write(answers: &[(TableGets, TableAnswers)], report: CapacityReport) -> Result<Vec<u8>, ServiceError> {
    let bytes: usize = answers.iter().flat_map(|(_, answer)| &answer.items).map(|item| item.0.len()).sum();
    let mut out = Vec::with_capacity(256 + bytes * 2);
    let mut answer = Object::begin(&mut out);
    let mut responses = answer.object("Responses");
    for (request, answers) in answers {
        let mut written = Ok(());
        write_list(responses.escaped_field(&request.name), &answers.items, |item, out| {
            if written.is_ok() {
                written = json::write_encoded_item(item, out);
            }
        });
        written?;
    }
    responses.end();
    let mut unprocessed = answer.object("UnprocessedKeys");
    for (request, answers) in answers.iter().filter(|(_, answers)| !answers.unprocessed.is_empty()) {
        request.write_unprocessed(&answers.unprocessed, unprocessed.escaped_field(&request.name));
    }
    unprocessed.end();
    report.write_tables(answers.iter().map(|(request, answer)| (request.name.as_str(), &answer.consumed)), &mut answer);
    answer.end();
    Ok(out)
}

impl TableGets {
    /// As it was asked for, with the keys that are left.
    fn write_unprocessed(&self, positions: &[usize], out: &mut Vec<u8>) {
        let mut request = Object::begin(out);
        request.list("Keys", positions.iter().filter_map(|position| self.keys.get(*position)), json::write_item);
        if let Some(names) = &self.echo.attributes_to_get {
            request.list("AttributesToGet", names, |name, out| json::write_string(name, out));
        }
        if let Some(consistent) = self.echo.consistent_read {
            request.literal("ConsistentRead", consistent);
        }
        if let Some(expression) = &self.echo.projection_expression {
            request.text("ProjectionExpression", expression);
        }
        if let Some(names) = &self.echo.names {
            let mut object = request.object("ExpressionAttributeNames");
            for (placeholder, name) in names {
                json::write_string(name, object.escaped_field(placeholder));
            }
            object.end();
        }
        request.end();
    }
}
