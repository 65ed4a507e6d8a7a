//! What one write does to one item: condition, update, size rules and what its client is answered. Pure.

use crate::operation::{ReturnValues, WriteAction, WriteOutcome, WriteRequest};
use cairn_model::{
    ErrorKind, Item, ServiceError,
    codec::{EncodedItem, StoredVersion},
};

/// 400 KB, with names (SEMANTICS, "Limits").
const ITEM_BYTES_MAX: u32 = 400 * 1024;

/// What a write comes to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Evaluation {
    Effect(Effect),
    /// Nothing changes: a failed condition, an update that can't be, a deletion of nothing.
    Answer(Result<WriteOutcome, ServiceError>),
}

/// The item afterwards, none if it is deleted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Effect {
    pub(crate) item: Option<EncodedItem>,
    pub(crate) outcome: WriteOutcome,
}

impl Effect {
    pub(crate) fn size_change(&self) -> i64 {
        i64::from(self.outcome.size_after) - i64::from(self.outcome.size_before)
    }
}

/// Evaluates a write on the item as it is, none where there is none.
pub(crate) fn evaluate(request: &WriteRequest, current: Option<&StoredVersion>) -> Evaluation {
    try_evaluate(request, current.map(|version| &version.item)).unwrap_or_else(|error| Evaluation::Answer(Err(error)))
}

fn try_evaluate(request: &WriteRequest, current: Option<&EncodedItem>) -> Result<Evaluation, ServiceError> {
    let reads_item = request.condition.is_some() || matches!(request.action, WriteAction::Update { .. });
    let item = match current {
        Some(current) if reads_item => Some(current.decode()?),
        _ => None,
    };
    if let Some(condition) = &request.condition
        && !condition.evaluate(item.as_ref())
    {
        let mut error = ServiceError::new(ErrorKind::ConditionalCheckFailedException, "The conditional request failed");
        error.item = item.filter(|_| request.return_item_on_condition_failure);
        return Err(error);
    }
    let size_before = current.map_or(Ok(0), EncodedItem::size)?;
    let old_if_asked = || current.cloned().filter(|_| request.return_values == ReturnValues::AllOld);
    match &request.action {
        WriteAction::Put(new) => Ok(Evaluation::Effect(Effect {
            outcome: WriteOutcome { attributes: old_if_asked(), size_before, size_after: new.size()? },
            item: Some(new.clone()),
        })),
        WriteAction::Delete => {
            let outcome = WriteOutcome { attributes: old_if_asked(), size_before, size_after: 0 };
            Ok(match current {
                Some(_) => Evaluation::Effect(Effect { item: None, outcome }),
                None => Evaluation::Answer(Ok(outcome)),
            })
        }
        WriteAction::Update { key_attributes, update } => {
            let mut new = item.clone().unwrap_or_else(|| key_attributes.clone());
            let touched = update.apply(&mut new)?;
            let encoded = EncodedItem::encode(&new);
            let size_after = encoded.size()?;
            if size_after > ITEM_BYTES_MAX {
                return Err(ServiceError::validation("Item size to update has exceeded the maximum allowed size"));
            }
            let attributes = match request.return_values {
                ReturnValues::None => None,
                ReturnValues::AllOld => current.cloned(),
                ReturnValues::AllNew => Some(encoded.clone()),
                ReturnValues::UpdatedOld => item.and_then(|old| not_empty(touched.project_old(&old))),
                ReturnValues::UpdatedNew => not_empty(touched.project_new(&new)),
            };
            let outcome = WriteOutcome { attributes, size_before, size_after };
            Ok(Evaluation::Effect(Effect { item: Some(encoded), outcome }))
        }
    }
}

fn not_empty(item: Item) -> Option<EncodedItem> {
    (!item.is_empty()).then(|| EncodedItem::encode(&item))
}
