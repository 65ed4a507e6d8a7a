//! BatchWriteItem: up to 25 puts and deletes, each on its own; those that met an overloaded partition or a transaction, or
//! whose outcome is not known, come back unprocessed.

use super::{
    Call,
    batch_get_item::{TABLE_NAMES, duplicate_keys},
    item_write::wants_collection_metrics,
    put_item::check_size,
};
use crate::{
    TableView,
    capacity::{CapacityReport, ConsumedCapacity},
    errors,
    input::{
        self, Input,
        shape::{ATTRIBUTES, Shape},
    },
    item_collections::{self, CollectionMetrics},
    output::{Object, write_list},
    validation::{
        constraints::{Constraints, RETURN_ITEM_COLLECTION_METRICS, is_table_name},
        references::is_arn,
    },
};
use cairn_model::{
    ErrorKind, Item, ServiceError, codec::EncodedItem, index_keys::check_index_keys, json, json::JsonItem,
    key::EncodedKey, limits::BATCH_WRITE_REQUESTS_MAX,
};
use cairn_replication::operation::{ReturnValues, WriteAction, WriteOutcome, WriteRequest};
use futures::future::join_all;
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchWriteItemInput {
    request_items: Option<BTreeMap<String, Vec<WriteInput>>>,
    return_consumed_capacity: Option<String>,
    return_item_collection_metrics: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WriteInput {
    put_request: Option<PutInput>,
    delete_request: Option<DeleteInput>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutInput {
    item: Option<JsonItem>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteInput {
    key: Option<JsonItem>,
}

const WRITE_REQUEST: Shape = Shape::Struct(
    "WriteRequest",
    &[
        ("DeleteRequest", Shape::Struct("DeleteRequest", &[("Key", ATTRIBUTES)])),
        ("PutRequest", Shape::Struct("PutRequest", &[("Item", ATTRIBUTES)])),
    ],
);

impl Input for BatchWriteItemInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[
        ("ReturnConsumedCapacity", Shape::Text),
        ("ReturnItemCollectionMetrics", Shape::Text),
        (
            "RequestItems",
            Shape::Map("java.util.List<com.amazonaws.dynamodb.v20120810.WriteRequest>", &Shape::List(&WRITE_REQUEST)),
        ),
    ];
}

/// One write, its values read.
enum Write {
    Put(Item),
    Delete(Item),
}

/// One write, ready to be sent, and what of it would come back unprocessed.
struct PreparedWrite {
    table: Arc<TableView>,
    /// The table's name, or its ARN, as the request has it.
    named: Arc<str>,
    request: WriteRequest,
    echo: WriteEcho,
}

enum WriteEcho {
    Put(EncodedItem),
    Delete(Item),
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: BatchWriteItemInput = input::parse(call.body)?;
    input.constrain()?;
    let report = CapacityReport::of(input.return_consumed_capacity.as_deref());
    let mut tables = Vec::new();
    for (name, writes) in input.request_items.unwrap_or_default() {
        let writes = writes.into_iter().map(WriteInput::checked).collect::<Result<Vec<_>, _>>()?;
        tables.push((name, writes));
    }
    let mut prepared = Vec::new();
    let mut tables = tables.into_iter();
    while let Some((name, writes)) = tables.next() {
        let table = call.open_before(&name, tables.as_slice().iter().map(|(name, _)| name.as_str()))?;
        prepare(call, &table, &name, writes, &mut prepared)?;
    }
    let outcomes = join_all(prepared.iter().map(|write| call.write(&write.table, write.request.clone()))).await;
    let with_metrics = wants_collection_metrics(input.return_item_collection_metrics.as_deref());
    answer(&prepared, outcomes, report, with_metrics)
}

impl BatchWriteItemInput {
    fn constrain(&self) -> Result<(), ServiceError> {
        let mut constraints = Constraints::default();
        if self.request_items.as_ref().is_some_and(BTreeMap::is_empty) {
            return Err(ServiceError::validation("The requestItems parameter is required for BatchWriteItem"));
        }
        constraints.required("requestItems", self.request_items.is_some());
        let requests = || self.request_items.iter().flatten();
        if requests().any(|(_, writes)| writes.is_empty()) {
            constraints.value(self.shown(), "requestItems", REQUEST_COUNTS);
        }
        for (name, writes) in requests() {
            let count = writes.len().max(1);
            constraints.item_count(&format!("RequestItems.{name}.member"), count, 1..=BATCH_WRITE_REQUESTS_MAX);
        }
        constraints.return_consumed_capacity(self.return_consumed_capacity.as_deref());
        constraints.one_of(
            "returnItemCollectionMetrics",
            self.return_item_collection_metrics.as_deref(),
            RETURN_ITEM_COLLECTION_METRICS,
        );
        for (name, writes) in requests() {
            for (position, write) in writes.iter().enumerate() {
                let path = format!("requestItems.{name}.member.{}.member", position + 1);
                if let Some(put) = &write.put_request {
                    constraints.required(&format!("{path}.putRequest.item"), put.item.is_some());
                }
                if let Some(delete) = &write.delete_request {
                    constraints.required(&format!("{path}.deleteRequest.key"), delete.key.is_some());
                }
            }
        }
        constraints.finish()?;
        let mut constraints = Constraints::default();
        if !requests().all(|(name, _)| is_table_name(name) || is_arn(name)) {
            constraints.value(self.shown(), "requestItems", TABLE_NAMES);
        }
        constraints.finish()?;
        let count: usize = requests().map(|(_, writes)| writes.len()).sum();
        if count > BATCH_WRITE_REQUESTS_MAX {
            return Err(ServiceError::validation("Too many items requested for the BatchWriteItem call"));
        }
        Ok(())
    }

    /// The requests of each table in a message. (DynamoDB repeats them, and every region in another way.)
    fn shown(&self) -> String {
        let shown = |(name, writes): (&String, &Vec<WriteInput>)| match writes.as_slice() {
            [] => format!("{name}=[]"),
            _ => format!("{name}=[...]"),
        };
        let tables: Vec<String> = self.request_items.iter().flatten().map(shown).collect();
        format!("{{{}}}", tables.join(", "))
    }
}

/// The constraint on how many requests a table has.
const REQUEST_COUNTS: &str = "Map value must satisfy constraint: [Member must have length less than or equal to 25, Member \
     must have length greater than or equal to 1]";

impl WriteInput {
    fn checked(self) -> Result<Write, ServiceError> {
        match (self.put_request, self.delete_request) {
            (Some(put), None) => {
                let item = put.item.unwrap_or_default().into_item_as_before()?;
                check_size(&item)?;
                Ok(Write::Put(item))
            }
            (None, Some(delete)) => Ok(Write::Delete(delete.key.unwrap_or_default().into_item_as_before()?)),
            // DynamoDB's own words for neither and for both.
            _ => Err(ServiceError::validation(
                "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported \
                 datatypes",
            )),
        }
    }
}

fn prepare(
    call: &Call<'_>,
    table: &Arc<TableView>,
    name: &str,
    writes: Vec<Write>,
    prepared: &mut Vec<PreparedWrite>,
) -> Result<(), ServiceError> {
    let named: Arc<str> = name.into();
    let (schema, table_id) = (&table.definition.key_schema, table.definition.table_id);
    for write in writes {
        let (key, action, echo) = match write {
            Write::Put(item) => {
                let key = EncodedKey::new(schema, &item).map_err(key_mismatch)?;
                check_index_keys(&table.definition, &item)?;
                let item = EncodedItem::encode(&item);
                (key, WriteAction::Put(item.clone()), WriteEcho::Put(item))
            }
            Write::Delete(key) => (EncodedKey::from_key(schema, &key)?, WriteAction::Delete, WriteEcho::Delete(key)),
        };
        if prepared.iter().any(|other| other.request.key == key && other.table.definition.table_id == table_id) {
            return Err(duplicate_keys());
        }
        let request = WriteRequest {
            request_id: call.request_ids.write(prepared.len() as u32),
            key,
            action,
            condition: None,
            return_values: ReturnValues::None,
            return_item_on_condition_failure: false,
        };
        prepared.push(PreparedWrite { table: table.clone(), named: named.clone(), request, echo });
    }
    Ok(())
}

/// In a batch, a key that is missing or of the wrong type is said as of a `Key` parameter.
fn key_mismatch(error: ServiceError) -> ServiceError {
    if error.message.contains("Missing the key") || error.message.contains("Type mismatch for key") {
        return ServiceError::validation("The provided key element does not match the schema");
    }
    error
}

fn answer(
    prepared: &[PreparedWrite],
    outcomes: Vec<Result<WriteOutcome, ServiceError>>,
    report: CapacityReport,
    with_metrics: bool,
) -> Result<Vec<u8>, ServiceError> {
    let mut consumed: BTreeMap<&str, ConsumedCapacity> = BTreeMap::new();
    let mut collections: BTreeMap<&str, Vec<CollectionMetrics>> = BTreeMap::new();
    let mut unprocessed: BTreeMap<&str, Vec<&WriteEcho>> = BTreeMap::new();
    let mut refused = None;
    let (mut done, mut conflicts) = (0, 0);
    for (write, outcome) in prepared.iter().zip(outcomes) {
        let name = &*write.named;
        let consumed = consumed.entry(name).or_default();
        match outcome {
            Ok(outcome) => {
                let table = &write.table.definition;
                consumed.add(&ConsumedCapacity::write(table, &outcome));
                if with_metrics && let Some(metrics) = CollectionMetrics::of(table, &write.request.key, &outcome)? {
                    metrics.note(collections.entry(name).or_default());
                }
                done += 1;
            }
            Err(error) if errors::is_overload(error.kind) || error.kind == ErrorKind::InternalServerError => {
                unprocessed.entry(name).or_default().push(&write.echo);
                refused = Some(error);
            }
            // No error of this operation (reference, BatchWriteItem): it is asked for again, as what was throttled is.
            Err(error) if error.kind == ErrorKind::TransactionConflictException => {
                unprocessed.entry(name).or_default().push(&write.echo);
                conflicts += 1;
            }
            Err(error) => return Err(error),
        }
    }
    if let (0, Some(error)) = (done + conflicts, refused) {
        return Err(error);
    }
    let mut out = Vec::with_capacity(256);
    let mut answer = Object::begin(&mut out);
    let mut tables = answer.object("UnprocessedItems");
    for (name, writes) in unprocessed {
        let mut written = Ok(());
        write_list(tables.escaped_field(name), writes, |write, out| {
            if written.is_ok() {
                written = write.write(out);
            }
        });
        written?;
    }
    tables.end();
    report.write_tables(consumed.iter().map(|(name, consumed)| (*name, consumed)), &mut answer);
    item_collections::write_tables(&collections, &mut answer);
    answer.end();
    Ok(out)
}

impl WriteEcho {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), ServiceError> {
        let mut request = Object::begin(out);
        match self {
            Self::Put(item) => {
                let mut put = request.object("PutRequest");
                json::write_encoded_item(item, put.field("Item"))?;
                put.end();
            }
            Self::Delete(key) => {
                let mut delete = request.object("DeleteRequest");
                delete.item("Key", key);
                delete.end();
            }
        }
        request.end();
        Ok(())
    }
}
