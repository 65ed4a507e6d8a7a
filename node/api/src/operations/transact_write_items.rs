//! TransactWriteItems: up to 100 puts, updates, deletes and checks of items in any of the account's tables, all or none.

use super::{Call, item_write::wants_collection_metrics, put_item::check_size};
use crate::{
    TableView,
    capacity::CapacityReport,
    input::{
        self, Input,
        shape::{ATTRIBUTES, NAMES, Shape},
    },
    item_collections::{self, CollectionMetrics},
    output::Object,
    transactions::{self, Addressed},
    validation::{
        constraints::{Constraints, ON_CONDITION_CHECK_FAILURE, RETURN_ITEM_COLLECTION_METRICS},
        index_updates::check_index_updates,
        parameters::{Names, Values, ValuesOf, placeholders},
        references::is_arn,
    },
};
use cairn_expression::{Condition, ExpressionKind, Update};
use cairn_model::{
    CancellationReason, ErrorKind, Item, ServiceError,
    codec::EncodedItem,
    ids::RequestId,
    index_keys::check_index_keys,
    json::JsonItem,
    key::EncodedKey,
    limits::{TRANSACTION_ACTIONS_MAX, TRANSACTION_BYTES_MAX},
    size::item_size,
};
use cairn_replication::{
    operation::{ReturnValues, WriteAction, WriteRequest},
    transaction::{ConditionCheck, TransactAction},
};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TransactWriteItemsInput {
    transact_items: Option<Vec<ActionsInput>>,
    return_consumed_capacity: Option<String>,
    return_item_collection_metrics: Option<String>,
    client_request_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ActionsInput {
    condition_check: Option<ActionInput>,
    put: Option<ActionInput>,
    delete: Option<ActionInput>,
    update: Option<ActionInput>,
}

/// What any of the four may have.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ActionInput {
    table_name: Option<String>,
    item: Option<JsonItem>,
    key: Option<JsonItem>,
    update_expression: Option<String>,
    condition_expression: Option<String>,
    expression_attribute_names: Option<Names>,
    expression_attribute_values: Option<Values>,
    return_values_on_condition_check_failure: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    ConditionCheck,
    Put,
    Delete,
    Update,
}

macro_rules! action {
    ($name:literal, $($field:expr),+) => {
        Shape::Struct($name, &[
            ("TableName", Shape::Text),
            $($field,)+
            ("ConditionExpression", Shape::Text),
            ("ExpressionAttributeNames", NAMES),
            ("ExpressionAttributeValues", ATTRIBUTES),
            ("ReturnValuesOnConditionCheckFailure", Shape::Text),
        ])
    };
}

const TRANSACT_WRITE_ITEM: Shape = Shape::Struct(
    "TransactWriteItem",
    &[
        ("ConditionCheck", action!("ConditionCheck", ("Key", ATTRIBUTES))),
        ("Put", action!("Put", ("Item", ATTRIBUTES))),
        ("Delete", action!("Delete", ("Key", ATTRIBUTES))),
        ("Update", action!("Update", ("Key", ATTRIBUTES), ("UpdateExpression", Shape::Text))),
    ],
);

impl Input for TransactWriteItemsInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[
        ("TransactItems", Shape::List(&TRANSACT_WRITE_ITEM)),
        ("ReturnConsumedCapacity", Shape::Text),
        ("ReturnItemCollectionMetrics", Shape::Text),
        ("ClientRequestToken", Shape::Text),
    ];
}

/// One action, as far as it can be read without its table.
struct Action {
    table_name: String,
    kind: Kind,
    /// The item of a put, the key of the others.
    item: Item,
    update: Option<Update>,
    condition: Option<Condition>,
    item_on_failure: bool,
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: TransactWriteItemsInput = input::parse(call.body)?;
    input.constrain()?;
    let report = CapacityReport::of(input.return_consumed_capacity.as_deref());
    let with_metrics = wants_collection_metrics(input.return_item_collection_metrics.as_deref());
    let actions: Vec<(Kind, ActionInput)> =
        input.transact_items.unwrap_or_default().into_iter().map(ActionsInput::only).collect::<Result<_, _>>()?;
    constrain_table_names(&actions)?;
    let actions = actions.into_iter().map(|(kind, action)| action.read(kind)).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<String> = actions.iter().map(|action| action.table_name.clone()).collect();
    let actions = address(call, actions)?;
    let identity = transactions::identity(call, input.client_request_token.as_deref(), &actions)?;
    let (written, consumed) = transactions::write(call, &actions, identity, &names).await?;
    let mut out = Vec::with_capacity(256);
    let mut answer = Object::begin(&mut out);
    consumed.write(report, &mut answer);
    if with_metrics && !written.replayed {
        let mut collections: BTreeMap<&str, Vec<CollectionMetrics>> = BTreeMap::new();
        for ((name, action), outcome) in names.iter().zip(&actions).zip(&written.outcomes) {
            if let TransactAction::Write(write) = &action.what
                && let Some(metrics) = CollectionMetrics::of(&action.table.definition, &write.key, outcome)?
            {
                metrics.note(collections.entry(name).or_default());
            }
        }
        item_collections::write_tables(&collections, &mut answer);
    }
    answer.end();
    Ok(out)
}

impl TransactWriteItemsInput {
    fn constrain(&self) -> Result<(), ServiceError> {
        let mut constraints = Constraints::default();
        let Some(items) = &self.transact_items else {
            constraints.required("transactItems", false);
            return constraints.finish();
        };
        constrain_count(items.len(), "transactItems")?;
        for (position, item) in items.iter().enumerate() {
            for (kind, action) in item.given() {
                action.constrain(
                    kind,
                    &format!("transactItems.{}.member.{}.", position + 1, kind.name()),
                    &mut constraints,
                );
            }
        }
        transactions::constrain_token(self.client_request_token.as_deref(), &mut constraints);
        constraints.return_consumed_capacity(self.return_consumed_capacity.as_deref());
        constraints.one_of(
            "returnItemCollectionMetrics",
            self.return_item_collection_metrics.as_deref(),
            RETURN_ITEM_COLLECTION_METRICS,
        );
        constraints.finish()
    }
}

/// The length of a transaction's list, which is told of before everything else. (DynamoDB repeats the list itself where it is
/// too long.)
pub(super) fn constrain_count(count: usize, path: &str) -> Result<(), ServiceError> {
    let mut constraints = Constraints::default();
    match count {
        0 => constraints.value("[]", path, "Member must have length greater than or equal to 1"),
        1..=TRANSACTION_ACTIONS_MAX => {}
        _ => constraints.value("[...]", path, "Member must have length less than or equal to 100"),
    }
    constraints.finish()
}

impl ActionsInput {
    fn given(&self) -> impl Iterator<Item = (Kind, &ActionInput)> {
        [
            (Kind::ConditionCheck, &self.condition_check),
            (Kind::Put, &self.put),
            (Kind::Delete, &self.delete),
            (Kind::Update, &self.update),
        ]
        .into_iter()
        .filter_map(|(kind, action)| Some((kind, action.as_ref()?)))
    }

    fn only(self) -> Result<(Kind, ActionInput), ServiceError> {
        match (self.condition_check, self.put, self.delete, self.update) {
            (Some(check), None, None, None) => Ok((Kind::ConditionCheck, check)),
            (None, Some(put), None, None) => Ok((Kind::Put, put)),
            (None, None, Some(delete), None) => Ok((Kind::Delete, delete)),
            (None, None, None, Some(update)) => Ok((Kind::Update, update)),
            (None, None, None, None) => Err(ServiceError::validation(
                "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request",
            )),
            _ => Err(ServiceError::validation("TransactItems can only contain one of Check, Put, Update or Delete")),
        }
    }
}

fn constrain_table_names(actions: &[(Kind, ActionInput)]) -> Result<(), ServiceError> {
    let mut constraints = Constraints::default();
    for (position, (kind, action)) in actions.iter().enumerate() {
        let path = format!("transactItems.{}.member.{}.tableName", position + 1, kind.name());
        if let Some(name) = action.table_name.as_deref().filter(|name| !is_arn(name)) {
            constraints.name_in_full(&path, name);
        }
    }
    constraints.finish()
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::ConditionCheck => "conditionCheck",
            Self::Put => "put",
            Self::Delete => "delete",
            Self::Update => "update",
        }
    }
}

impl ActionInput {
    fn constrain(&self, kind: Kind, path: &str, constraints: &mut Constraints) {
        match kind {
            Kind::Put => constraints.required(&format!("{path}item"), self.item.is_some()),
            _ => constraints.required(&format!("{path}key"), self.key.is_some()),
        }
        if kind == Kind::Update {
            constraints.required(&format!("{path}updateExpression"), self.update_expression.is_some());
        }
        constraints.required(&format!("{path}tableName"), self.table_name.is_some());
        if kind == Kind::ConditionCheck {
            constraints.required(&format!("{path}conditionExpression"), self.condition_expression.is_some());
        }
        constraints.one_of(
            &format!("{path}returnValuesOnConditionCheckFailure"),
            self.return_values_on_condition_check_failure.as_deref(),
            ON_CONDITION_CHECK_FAILURE,
        );
    }

    /// Values and expressions.
    fn read(self, kind: Kind) -> Result<Action, ServiceError> {
        let item = match kind {
            Kind::Put => self.item,
            _ => self.key,
        };
        let item = item.unwrap_or_default().into_item();
        // An item that is put is looked at before what is said of it, a key after that.
        let item = if kind == Kind::Put { Ok(item?) } else { item };
        let mut placeholders =
            placeholders(self.expression_attribute_names, self.expression_attribute_values, ValuesOf::DeleteItem)?;
        if let (Kind::Put, Ok(item)) = (kind, &item) {
            check_size(item)?;
        }
        let update = match self.update_expression.filter(|_| kind == Kind::Update) {
            Some(expression) => Some(Update::parse(&expression, &mut placeholders)?),
            None => None,
        };
        let condition = match &self.condition_expression {
            Some(expression) => Some(Condition::parse(expression, ExpressionKind::Condition, &mut placeholders)?),
            None => None,
        };
        // Without any expression DynamoDB takes what none could use.
        if update.is_some() || condition.is_some() {
            placeholders.finish()?;
        }
        Ok(Action {
            table_name: self.table_name.unwrap_or_default(),
            kind,
            item: item?,
            update,
            condition,
            item_on_failure: self.return_values_on_condition_check_failure.as_deref() == Some("ALL_OLD"),
        })
    }
}

/// The actions on their tables. What is wrong with one's key is a reason to cancel them all, and no more of them is checked then.
fn address(call: &Call<'_>, actions: Vec<Action>) -> Result<Vec<Addressed<TransactAction>>, ServiceError> {
    let mut addressed = Vec::with_capacity(actions.len());
    let mut reasons = Vec::with_capacity(actions.len());
    let mut bytes = 0;
    let mut actions = actions.into_iter();
    while let Some(action) = actions.next() {
        let behind = actions.as_slice().iter().map(|action| action.table_name.as_str());
        let table = call.open_before(&action.table_name, behind)?;
        bytes += item_size(&action.item);
        if reasons.iter().any(Option::is_some) {
            reasons.push(None);
            continue;
        }
        match action.on(&table) {
            Ok(what) => {
                addressed.push(Addressed { table, what });
                reasons.push(None);
            }
            Err(error) => reasons.push(Some(key_fault(error)?)),
        }
    }
    transactions::check_distinct(&addressed)?;
    if bytes > TRANSACTION_BYTES_MAX {
        return Err(crate::errors::transaction_payload_too_large(bytes));
    }
    if reasons.iter().any(Option::is_some) { Err(transactions::canceled(reasons)) } else { Ok(addressed) }
}

/// A key that is empty refuses the request, any other fault of a key cancels the transaction.
fn key_fault(error: ServiceError) -> Result<CancellationReason, ServiceError> {
    match error.kind {
        ErrorKind::ValidationException if !error.is_of_empty_key() => Ok(transactions::reason_of(error)),
        _ => Err(error),
    }
}

impl Action {
    fn on(self, table: &TableView) -> Result<TransactAction, ServiceError> {
        let schema = &table.definition.key_schema;
        let key = match self.kind {
            Kind::Put => EncodedKey::new(schema, &self.item)?,
            _ => EncodedKey::from_key(schema, &self.item)?,
        };
        let return_item_on_condition_failure = self.item_on_failure;
        let action = match (self.kind, self.update, self.condition) {
            (Kind::ConditionCheck, _, Some(condition)) => {
                return Ok(TransactAction::Check(ConditionCheck { key, condition, return_item_on_condition_failure }));
            }
            (Kind::Put, _, condition) => {
                check_index_keys(&table.definition, &self.item)?;
                (WriteAction::Put(EncodedItem::encode(&self.item)), condition)
            }
            (Kind::Update, Some(update), condition) => {
                update.check_key_untouched(schema)?;
                check_index_updates(&table.definition, &update)?;
                (WriteAction::Update { key_attributes: self.item, update }, condition)
            }
            (_, _, condition) => (WriteAction::Delete, condition),
        };
        let (action, condition) = action;
        Ok(TransactAction::Write(WriteRequest {
            request_id: RequestId([0; 16]),
            key,
            action,
            condition,
            return_values: ReturnValues::None,
            return_item_on_condition_failure,
        }))
    }
}
