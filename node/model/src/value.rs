//! Attribute values and items.

use crate::number::Number;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A named set of attributes.
pub type Item = BTreeMap<String, AttributeValue>;

/// A value of one of DynamoDB's ten types.
///
/// Sets are kept sorted and without duplicates; whoever builds one from outside checks that first.
/// The serde form is for the wire between nodes; DynamoDB JSON is in [`crate::json`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AttributeValue {
    S(String),
    N(Number),
    B(Bytes),
    Bool(bool),
    Null,
    M(Item),
    L(Vec<AttributeValue>),
    Ss(Vec<String>),
    Ns(Vec<Number>),
    Bs(Vec<Bytes>),
}

impl AttributeValue {
    /// DynamoDB's name of the type: the key of its JSON form.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::S(_) => "S",
            Self::N(_) => "N",
            Self::B(_) => "B",
            Self::Bool(_) => "BOOL",
            Self::Null => "NULL",
            Self::M(_) => "M",
            Self::L(_) => "L",
            Self::Ss(_) => "SS",
            Self::Ns(_) => "NS",
            Self::Bs(_) => "BS",
        }
    }

    /// How many lists and maps lie within each other: 0 for a value that is neither.
    pub fn nesting_depth(&self) -> usize {
        match self {
            Self::M(map) => 1 + map.values().map(Self::nesting_depth).max().unwrap_or(0),
            Self::L(list) => 1 + list.iter().map(Self::nesting_depth).max().unwrap_or(0),
            _ => 0,
        }
    }
}
