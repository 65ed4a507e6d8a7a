//! Partitions in memory: one ordered map, and the real evaluation of expressions.

use async_trait::async_trait;
use bytes::Bytes;
use cairn_api::{Partitions, RoutingKey, TableView};
use cairn_model::{ErrorKind, Item, ServiceError, codec::EncodedItem, ids::RequestId, key::EncodedKey, node::Counts};
use cairn_replication::operation::{
    GetOutcome, GetRequest, PartitionOutcome, PartitionRequest, RangeOutcome, RangeRequest, ReturnValues, StreamOutcome,
    StreamRequest, WriteAction, WriteOutcome, WriteRequest,
};
use std::{
    collections::BTreeMap,
    ops::{Bound, RangeBounds},
    sync::Mutex,
};

type Rows = BTreeMap<([u8; 16], Bytes), EncodedItem>;
type Shard = Box<dyn FnMut(StreamRequest) -> StreamOutcome + Send>;
type Refusal = Box<dyn FnMut(&PartitionRequest) -> Option<ServiceError> + Send>;

#[derive(Default)]
pub(crate) struct MemoryPartitions {
    rows: Mutex<Rows>,
    refusal: Mutex<Option<Refusal>>,
    shard: Mutex<Option<Shard>>,
    pub(crate) request_ids: Mutex<Vec<RequestId>>,
}

impl MemoryPartitions {
    /// From now on, this is what streams are asked.
    pub(crate) fn stream(&self, shard: impl FnMut(StreamRequest) -> StreamOutcome + Send + 'static) {
        *self.shard.lock().unwrap() = Some(Box::new(shard));
    }

    /// From now on, requests for which `refusal` has an error get it.
    pub(crate) fn refuse(&self, refusal: impl FnMut(&PartitionRequest) -> Option<ServiceError> + Send + 'static) {
        *self.refusal.lock().unwrap() = Some(Box::new(refusal));
    }
}

#[async_trait]
impl Partitions for MemoryPartitions {
    async fn request(
        &self,
        table: &TableView,
        _key: RoutingKey<'_>,
        request: PartitionRequest,
    ) -> Result<PartitionOutcome, ServiceError> {
        if let Some(error) = self.refusal.lock().unwrap().as_mut().and_then(|refusal| refusal(&request)) {
            return Err(error);
        }
        let mut rows = self.rows.lock().unwrap();
        let id = table.definition.table_id.0;
        match request {
            PartitionRequest::Stream(request) => {
                let mut shard = self.shard.lock().unwrap();
                Ok(PartitionOutcome::Stream(shard.as_mut().expect("a stream is asked for")(request)))
            }
            PartitionRequest::Get(request) => Ok(PartitionOutcome::Get(get(&rows, id, &request))),
            PartitionRequest::Range(request) => range(&rows, table, &request).map(PartitionOutcome::Range),
            PartitionRequest::Write(request) => {
                self.request_ids.lock().unwrap().push(request.request_id);
                write(&mut rows, id, request).map(PartitionOutcome::Write)
            }
        }
    }

    async fn counts(&self, table: &TableView) -> Option<Counts> {
        let id = table.definition.table_id.0;
        let rows = self.rows.lock().unwrap();
        let of_table = rows.iter().filter(|((table, _), _)| *table == id);
        Some(of_table.map(|(_, item)| Counts { item_count: 1, size_bytes: size(item).into() }).sum())
    }
}

fn size(item: &EncodedItem) -> u32 {
    item.size().unwrap()
}

fn get(rows: &Rows, id: [u8; 16], request: &GetRequest) -> GetOutcome {
    let project = |item: &EncodedItem| match &request.projection {
        Some(projection) => EncodedItem::encode(&projection.project(&item.decode().unwrap())),
        None => item.clone(),
    };
    let found = |key: &EncodedKey| rows.get(&(id, key.0.clone())).map(|item| (project(item), size(item)));
    GetOutcome { items: request.keys.iter().map(found).collect() }
}

fn write(rows: &mut Rows, id: [u8; 16], request: WriteRequest) -> Result<WriteOutcome, ServiceError> {
    let key = (id, request.key.0.clone());
    let before = rows.get(&key).cloned();
    let before_item: Option<Item> = before.as_ref().map(|item| item.decode().unwrap());
    if request.condition.is_some_and(|condition| !condition.evaluate(before_item.as_ref())) {
        let mut error = ServiceError::new(ErrorKind::ConditionalCheckFailedException, "The conditional request failed");
        error.item = before_item.filter(|_| request.return_item_on_condition_failure);
        return Err(error);
    }
    let mut touched = None;
    let after = match request.action {
        WriteAction::Put(item) => Some(item),
        WriteAction::Delete => None,
        WriteAction::Update { key_attributes, update } => {
            let mut item = before_item.clone().unwrap_or(key_attributes);
            touched = Some(update.apply(&mut item)?);
            Some(EncodedItem::encode(&item))
        }
    };
    let after_item = after.as_ref().map(|item| item.decode().unwrap());
    let attributes = match request.return_values {
        ReturnValues::None => None,
        ReturnValues::AllOld => before_item,
        ReturnValues::AllNew => after_item,
        ReturnValues::UpdatedOld => touched.zip(before_item).map(|(touched, item)| touched.project_old(&item)),
        ReturnValues::UpdatedNew => touched.zip(after_item).map(|(touched, item)| touched.project_new(&item)),
    };
    let outcome = WriteOutcome {
        attributes: attributes.filter(|item| !item.is_empty()).as_ref().map(EncodedItem::encode),
        size_before: before.as_ref().map_or(0, size),
        size_after: after.as_ref().map_or(0, size),
        indexes: vec![],
    };
    match after {
        Some(item) => rows.insert(key, item),
        None => rows.remove(&key),
    };
    Ok(outcome)
}

fn range(rows: &Rows, table: &TableView, request: &RangeRequest) -> Result<RangeOutcome, ServiceError> {
    let id = table.definition.table_id.0;
    let bounds = (request.lower.clone(), request.upper.clone());
    let all = rows.range((Bound::Included((id, Bytes::new())), Bound::Unbounded));
    let mut matching: Vec<_> =
        all.take_while(|((table, _), _)| *table == id).filter(|((_, key), _)| bounds.contains(key)).collect();
    if !request.forward {
        matching.reverse();
    }
    let mut outcome = RangeOutcome {
        items: vec![],
        count: 0,
        scanned_count: 0,
        bytes_read: 0,
        fetched_units: 0,
        last_evaluated_key: None,
    };
    let total = matching.len();
    for (position, ((_, key), encoded)) in matching.into_iter().enumerate() {
        let item = encoded.decode().unwrap();
        outcome.scanned_count += 1;
        outcome.bytes_read += u64::from(size(encoded));
        if request.filter.as_ref().is_none_or(|filter| filter.evaluate(Some(&item))) {
            outcome.count += 1;
            if !request.count_only {
                let projected = request.projection.as_ref().map(|projection| projection.project(&item));
                outcome.items.push(EncodedItem::encode(&projected.unwrap_or(item)));
            }
        }
        let full = request.limit == Some(outcome.scanned_count) || outcome.bytes_read >= u64::from(request.page_bytes);
        if full && (position + 1 < total || request.limit.is_some()) {
            outcome.last_evaluated_key = Some(EncodedKey(key.clone()).decode(&table.definition.key_schema)?);
            break;
        }
    }
    Ok(outcome)
}
