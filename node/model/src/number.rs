//! Decimal numbers of up to 38 digits.

use crate::ServiceError;
use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, fmt};

/// A number as DynamoDB has it: 38 significant digits, 1E-130 to 9.9…E+125 and their negatives, and 0; normalised,
/// so that 1, 1.0 and 1E0 are equal. (The fields are this module's own; see the functions.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Number {
    negative: bool,
    exponent: i16,
    coefficient: u128,
}

impl Number {
    pub fn parse(_text: &str) -> Result<Self, ServiceError> {
        todo!()
    }

    /// The sum, or DynamoDB's error where it has more than 38 digits or leaves the range.
    pub fn add(&self, _other: &Self) -> Result<Self, ServiceError> {
        todo!()
    }

    pub fn sub(&self, _other: &Self) -> Result<Self, ServiceError> {
        todo!()
    }

    /// DynamoDB's size in bytes.
    pub fn size(&self) -> usize {
        todo!()
    }
}

impl fmt::Display for Number {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl Ord for Number {
    fn cmp(&self, _other: &Self) -> Ordering {
        todo!()
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<i64> for Number {
    fn from(_value: i64) -> Self {
        todo!()
    }
}
