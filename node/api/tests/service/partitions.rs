//! Partitions in memory: one ordered map, and the real evaluation of expressions.

use crate::{index_entries, transact::Transactions};
use async_trait::async_trait;
use bytes::Bytes;
use cairn_api::{Partitions, Room, RoutingKey, TableView};
use cairn_model::{
    ErrorKind, Item, ServiceError, TableDefinition,
    codec::EncodedItem,
    ids::RequestId,
    index_keys::check_updated_index_keys,
    key::EncodedKey,
    node::{Counts, IndexCounts, TimeToLiveState},
    transaction::LeftTransaction,
};
use cairn_replication::operation::{
    GetOutcome, GetRequest, PartitionOutcome, PartitionRequest, RangeOutcome, RangeRequest, ReturnValues,
    StreamOutcome, StreamRequest, WriteAction, WriteOutcome, WriteRequest,
};
use std::{
    collections::BTreeMap,
    ops::{Bound, RangeBounds},
    sync::Mutex,
};

pub(crate) type Rows = BTreeMap<([u8; 16], Bytes), EncodedItem>;
type Shard = Box<dyn FnMut(StreamRequest) -> StreamOutcome + Send>;
type Refusal = Box<dyn FnMut(&PartitionRequest) -> Option<ServiceError> + Send>;

#[derive(Default)]
pub(crate) struct MemoryPartitions {
    rows: Mutex<Rows>,
    transactions: Mutex<Transactions>,
    refusal: Mutex<Option<Refusal>>,
    shard: Mutex<Option<Shard>>,
    index_counts: Mutex<Vec<IndexCounts>>,
    pub(crate) request_ids: Mutex<Vec<RequestId>>,
    /// What the nodes say of it; nothing at first.
    pub(crate) time_to_live: Mutex<Option<TimeToLiveState>>,
    /// The tables with streams that the nodes tell of; none at first.
    pub(crate) streamed: Mutex<Vec<TableDefinition>>,
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

    /// What is locked is so since then.
    pub(crate) fn locked_since(&self, millis: u64) {
        self.transactions.lock().unwrap().since_ms = millis;
    }

    /// Has the local index at this slot of all tables hold so much.
    pub(crate) fn count_in_index(&self, slot: u8, item_count: u64, size_bytes: u64) {
        self.index_counts.lock().unwrap().push(IndexCounts { slot, item_count, size_bytes });
    }
}

impl MemoryPartitions {
    fn outcome(&self, table: &TableView, request: PartitionRequest) -> Result<PartitionOutcome, ServiceError> {
        let mut rows = self.rows.lock().unwrap();
        let mut transactions = self.transactions.lock().unwrap();
        let id = table.definition.table_id.0;
        match request {
            PartitionRequest::Stream(request) => {
                let mut shard = self.shard.lock().unwrap();
                Ok(PartitionOutcome::Stream(shard.as_mut().expect("a stream is asked for")(request)))
            }
            PartitionRequest::Write(request) if transactions.lock_on(&table.definition, &request.key, 0).is_some() => {
                let met = transactions.lock_on(&table.definition, &request.key, 0);
                Ok(PartitionOutcome::Locked(met.into_iter().collect()))
            }
            PartitionRequest::Transact(request) => transactions.step(&mut rows, &table.definition, request),
            PartitionRequest::TransactGet(request) => Ok(transactions.get(&rows, &table.definition, &request)),
            PartitionRequest::Feed(_) => unreachable!("only nodes feed indexes"),
            PartitionRequest::Get(request) => Ok(PartitionOutcome::Get(get(&rows, id, &request))),
            PartitionRequest::Range(request) => range(&rows, &table.definition, &request).map(PartitionOutcome::Range),
            PartitionRequest::Write(request) => {
                self.request_ids.lock().unwrap().push(request.request_id);
                write(&mut rows, &table.definition, request).map(PartitionOutcome::Write)
            }
        }
    }
}

#[async_trait]
impl Partitions for MemoryPartitions {
    async fn request(
        &self,
        table: &TableView,
        _key: RoutingKey<'_>,
        request: PartitionRequest,
        room: &Room,
    ) -> Result<PartitionOutcome, ServiceError> {
        if let Some(error) = self.refusal.lock().unwrap().as_mut().and_then(|refusal| refusal(&request)) {
            return Err(error);
        }
        let outcome = self.outcome(table, request)?;
        room.make_for(&outcome).await?;
        Ok(outcome)
    }

    fn streamed(&self, account: &str, name: Option<&str>) -> Vec<TableDefinition> {
        let mut streamed = self.streamed.lock().unwrap().clone();
        streamed.retain(|table| table.account == account && name.is_none_or(|name| name == table.table_name));
        streamed
    }

    fn left_transactions(&self) -> Vec<(String, Vec<LeftTransaction>)> {
        Vec::new()
    }

    async fn counts(&self, table: &TableView) -> Option<Counts> {
        let rows = self.rows.lock().unwrap();
        let items = of_table(&rows, &table.definition);
        let counts = |item: &EncodedItem| Counts { item_count: 1, size_bytes: size(item).into(), ..Counts::default() };
        let items: Counts = items.map(|(_, item)| counts(item)).sum();
        let mut indexes = Counts::of_new(&table.definition).indexes;
        for told in &*self.index_counts.lock().unwrap() {
            indexes.iter_mut().filter(|index| index.slot == told.slot).for_each(|index| *index = *told);
        }
        Some(Counts { indexes, time_to_live: self.time_to_live.lock().unwrap().clone(), ..items })
    }
}

fn size(item: &EncodedItem) -> u32 {
    item.size().unwrap()
}

pub(crate) fn get(rows: &Rows, id: [u8; 16], request: &GetRequest) -> GetOutcome {
    let project = |item: &EncodedItem| match &request.projection {
        Some(projection) => EncodedItem::encode(&projection.project(&item.decode().unwrap())),
        None => item.clone(),
    };
    let found = |key: &EncodedKey| rows.get(&(id, key.0.clone())).map(|item| (project(item), size(item)));
    GetOutcome { items: request.keys.iter().map(found).collect() }
}

/// The items of a table, by their keys.
fn of_table<'r>(rows: &'r Rows, table: &TableDefinition) -> impl Iterator<Item = (&'r Bytes, &'r EncodedItem)> {
    let id = table.table_id.0;
    let from = rows.range((Bound::Included((id, Bytes::new())), Bound::Unbounded));
    from.take_while(move |((table, _), _)| *table == id).map(|((_, key), item)| (key, item))
}

pub(crate) fn write(
    rows: &mut Rows,
    table: &TableDefinition,
    request: WriteRequest,
) -> Result<WriteOutcome, ServiceError> {
    let key = (table.table_id.0, request.key.0.clone());
    let before = rows.get(&key).cloned();
    let before_item: Option<Item> = before.as_ref().map(|item| item.decode().unwrap());
    if request.condition.is_some_and(|condition| !condition.evaluate(before_item.as_ref())) {
        let mut error = ServiceError::new(ErrorKind::ConditionalCheckFailedException, "The conditional request failed");
        error.met_bytes = before.as_ref().map_or(0, |before| before.size().unwrap());
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
            check_updated_index_keys(table, before_item.as_ref(), &item)?;
            let is_made = before.is_some() || !update.only_takes_away();
            is_made.then(|| EncodedItem::encode(&item))
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
    let mut outcome = WriteOutcome {
        attributes: attributes.filter(|item| !item.is_empty()).as_ref().map(EncodedItem::encode),
        size_before: before.as_ref().map_or(0, size),
        size_after: after.as_ref().map_or(0, size),
        indexes: index_entries::writes(table, &request.key, before.as_ref(), after.as_ref()),
        collection_bytes: None,
    };
    index_entries::feed(rows, table, &request.key, before.as_ref(), after.as_ref());
    match after {
        Some(item) => rows.insert(key, item),
        None => rows.remove(&key),
    };
    outcome.collection_bytes = index_entries::collection_bytes(table, &request.key, of_table(rows, table));
    Ok(outcome)
}

/// An item as a range has it.
struct Found {
    /// In the table, or in the index that is read.
    place: Bytes,
    key: EncodedKey,
    item: EncodedItem,
}

fn range(rows: &Rows, table: &TableDefinition, request: &RangeRequest) -> Result<RangeOutcome, ServiceError> {
    let read = request.index.as_ref();
    let index = read.map(|read| table.local_indexes.iter().find(|index| index.index_name == read.index_name).unwrap());
    let found = |(key, item): (&Bytes, &EncodedItem)| {
        let key = EncodedKey(key.clone());
        let place = match index {
            None => key.0.clone(),
            Some(index) => index_entries::entry(table, index, &key, item)?.key,
        };
        Some(Found { place, key, item: item.clone() })
    };
    let bounds = (request.lower.clone(), request.upper.clone());
    let mut matching: Vec<Found> =
        of_table(rows, table).filter_map(found).filter(|found| bounds.contains(&found.place)).collect();
    matching.sort_by(|one, two| one.place.cmp(&two.place));
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
    for (position, found) in matching.into_iter().enumerate() {
        let shown = index.map_or_else(|| found.item.clone(), |index| index_entries::shown(table, index, &found.item));
        let whole = read.is_none_or(|read| read.whole_items);
        let item = if whole { &found.item } else { &shown }.decode().unwrap();
        outcome.scanned_count += 1;
        outcome.bytes_read += u64::from(size(&shown));
        if read.is_some_and(|read| read.whole_items) {
            outcome.fetched_units += u64::from(size(&found.item)).div_ceil(4096);
        }
        if request.filter.as_ref().is_none_or(|filter| filter.evaluate(Some(&item))) {
            outcome.count += 1;
            if !request.count_only {
                let projected = request.projection.as_ref().map(|projection| projection.project(&item));
                outcome.items.push(EncodedItem::encode(&projected.unwrap_or(item)));
            }
        }
        let full = request.limit == Some(outcome.scanned_count) || outcome.bytes_read >= u64::from(request.page_bytes);
        if full && (position + 1 < total || request.limit.is_some()) {
            let mut last = match &table.index_of {
                None => found.key.decode(&table.key_schema)?,
                Some(of) => found.key.decode_in_global_index(table.keys(), &of.key_schema)?,
            };
            if let Some(index) = index {
                let sort = found.item.decode()?.remove(&index.sort.name).unwrap();
                last.insert(index.sort.name.clone(), sort);
            }
            outcome.last_evaluated_key = Some(last);
            break;
        }
    }
    Ok(outcome)
}
