//! INSERT, UPDATE and DELETE, as the conditional writes that they are.

use crate::{
    TableView, errors,
    operations::{Call, check_size},
    validation::index_updates::check_index_updates,
};
use cairn_expression::{
    Condition, Path,
    partiql::{DeleteItem, Insert, Returning, Select, Statement, UpdateItem, WriteKey},
};
use cairn_model::{
    ErrorKind, KeySchema, ServiceError, TableDefinition, codec::EncodedItem, ids::RequestId,
    index_keys::check_index_keys, key::EncodedKey,
};
use cairn_replication::{
    operation::{ReturnValues, WriteAction, WriteOutcome, WriteRequest},
    transaction::ConditionCheck,
};

/// A statement on its table, ready to be written.
#[derive(Clone, Debug)]
pub(crate) struct WritePlan {
    request: WriteRequest,
    /// The size of what INSERT puts; 0 for the others.
    size: u32,
}

impl WritePlan {
    /// `statement` is no SELECT: there is nothing to write for one.
    pub(crate) fn new(
        statement: Statement,
        table: &TableDefinition,
        request_id: RequestId,
        item_on_failure: bool,
    ) -> Result<Self, ServiceError> {
        match statement {
            Statement::Insert(insert) => Self::insert(insert, table, request_id),
            Statement::Update(update) => Self::update(update, table, request_id, item_on_failure),
            Statement::Delete(delete) => Self::delete(delete, &table.key_schema, request_id, item_on_failure),
            Statement::Select(_) => Err(errors::internal()),
        }
    }

    /// It fails where the item is there.
    fn insert(insert: Insert, table: &TableDefinition, request_id: RequestId) -> Result<Self, ServiceError> {
        let schema = &table.key_schema;
        insert.check_key_types(schema)?;
        let key = EncodedKey::new(schema, &insert.item)?;
        check_index_keys(table, &insert.item)?;
        check_size(&insert.item)?;
        let item = EncodedItem::encode(&insert.item);
        let size = item.size()?;
        let request = WriteRequest {
            request_id,
            key,
            action: WriteAction::Put(item),
            condition: Some(Condition::AttributeNotExists(Path::new(schema.partition.name.as_str()))),
            return_values: ReturnValues::None,
            return_item_on_condition_failure: false,
        };
        Ok(Self { request, size })
    }

    /// It fails where the item is not there, or is not as the statement has it.
    fn update(
        update: UpdateItem,
        table: &TableDefinition,
        request_id: RequestId,
        item_on_failure: bool,
    ) -> Result<Self, ServiceError> {
        let schema = &table.key_schema;
        let WriteKey { key, condition } = WriteKey::of(update.condition, schema)?;
        let encoded = EncodedKey::from_key(schema, &key)?;
        update.update.check_key_untouched(schema)?;
        check_index_updates(table, &update.update)?;
        let request = WriteRequest {
            request_id,
            key: encoded,
            action: WriteAction::Update { key_attributes: key, update: update.update },
            condition: Some(and_exists(condition, schema)),
            return_values: match update.returning {
                None => ReturnValues::None,
                Some(Returning::AllOld) => ReturnValues::AllOld,
                Some(Returning::AllNew) => ReturnValues::AllNew,
                Some(Returning::ModifiedOld) => ReturnValues::UpdatedOld,
                Some(Returning::ModifiedNew) => ReturnValues::UpdatedNew,
            },
            return_item_on_condition_failure: item_on_failure,
        };
        Ok(Self { request, size: 0 })
    }

    /// It fails where the item is there and not as the statement has it; one that is not there stays so.
    fn delete(
        delete: DeleteItem,
        schema: &KeySchema,
        request_id: RequestId,
        item_on_failure: bool,
    ) -> Result<Self, ServiceError> {
        let WriteKey { key, condition } = WriteKey::of(delete.condition, schema)?;
        let absent = Condition::AttributeNotExists(Path::new(schema.partition.name.as_str()));
        let request = WriteRequest {
            request_id,
            key: EncodedKey::from_key(schema, &key)?,
            action: WriteAction::Delete,
            condition: condition.map(|condition| Condition::Or(vec![absent, condition])),
            return_values: if delete.returning { ReturnValues::AllOld } else { ReturnValues::None },
            return_item_on_condition_failure: item_on_failure,
        };
        Ok(Self { request, size: 0 })
    }

    /// A check that an item is there, and as the statement has it.
    pub(crate) fn check(
        select: Select,
        schema: &KeySchema,
        return_item_on_condition_failure: bool,
    ) -> Result<ConditionCheck, ServiceError> {
        let not_one = || ServiceError::validation("EXISTS() must contain a single item read with additional condition");
        let WriteKey { key, condition } = WriteKey::of_check(select.condition, schema)
            .map_err(|error| if error.message.contains("mandatory equality") { not_one() } else { error })?;
        let key = EncodedKey::from_key(schema, &key)?;
        if condition.is_none() {
            return Err(not_one());
        }
        Ok(ConditionCheck { key, condition: and_exists(condition, schema), return_item_on_condition_failure })
    }

    pub(crate) fn into_request(self) -> WriteRequest {
        self.request
    }

    pub(crate) fn key(&self) -> &EncodedKey {
        &self.request.key
    }

    /// Of the item that it would write, as far as that is known before; 0 where it is not.
    pub(crate) fn written_bytes(&self) -> u32 {
        self.size
    }

    pub(crate) async fn run(self, call: &Call<'_>, table: &TableView) -> Result<WriteOutcome, ServiceError> {
        let inserts = matches!(self.request.action, WriteAction::Put(_));
        call.write(table, self.request).await.map_err(|error| match error.kind {
            ErrorKind::ConditionalCheckFailedException if inserts => {
                ServiceError { met_bytes: error.met_bytes, ..errors::duplicate_item() }
            }
            _ => error,
        })
    }
}

/// The item is there, and what else is asked of it holds.
fn and_exists(condition: Option<Condition>, schema: &KeySchema) -> Condition {
    let exists = Condition::AttributeExists(Path::new(schema.partition.name.as_str()));
    match condition {
        Some(condition) => Condition::And(vec![exists, condition]),
        None => exists,
    }
}
