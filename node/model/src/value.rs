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
