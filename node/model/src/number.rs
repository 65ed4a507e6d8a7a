//! Decimal numbers of up to 38 digits.

use serde::{Deserialize, Serialize};

/// A number as DynamoDB has it: 38 significant digits, 1E-130 to 9.9…E+125 and their negatives, and 0; normalised,
/// so that 1, 1.0 and 1E0 are equal. (The fields are this module's own; see the functions.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Number {
    negative: bool,
    exponent: i16,
    coefficient: u128,
}
