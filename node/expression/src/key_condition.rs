//! Key condition expressions.

use crate::Placeholders;
use cairn_model::{AttributeValue, KeySchema, ServiceError, key::SortCondition};

/// What a Query asks of its table's keys.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyCondition {
    pub partition: AttributeValue,
    pub sort: Option<SortCondition>,
}

impl KeyCondition {
    pub fn parse(_text: &str, _schema: &KeySchema, _placeholders: &mut Placeholders) -> Result<Self, ServiceError> {
        todo!()
    }
}
