//! DescribeLimits.

use super::Call;
use crate::{
    input::{self, Input, shape::Shape},
    output::Object,
};
use cairn_model::{ServiceError, throttling::TABLE_UNITS_MAX};
use serde::Deserialize;

/// A new AWS account's, for clients that plan by them.
const ACCOUNT_UNITS_MAX: u64 = 80_000;

#[derive(Debug, Deserialize)]
struct DescribeLimitsInput {}

impl Input for DescribeLimitsInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    input::parse::<DescribeLimitsInput>(call.body)?;
    let mut out = Vec::new();
    let mut answer = Object::begin(&mut out);
    answer.literal("AccountMaxReadCapacityUnits", ACCOUNT_UNITS_MAX);
    answer.literal("AccountMaxWriteCapacityUnits", ACCOUNT_UNITS_MAX);
    answer.literal("TableMaxReadCapacityUnits", TABLE_UNITS_MAX);
    answer.literal("TableMaxWriteCapacityUnits", TABLE_UNITS_MAX);
    answer.end();
    Ok(out)
}
