//! DescribeEndpoints.

use super::Call;
use crate::{
    input::{self, Input, shape::Shape},
    output::Object,
};
use cairn_model::ServiceError;
use serde::Deserialize;

/// As long as DynamoDB lets its clients remember.
const CACHE_PERIOD_MINUTES: u32 = 1_440;

#[derive(Debug, Deserialize)]
struct DescribeEndpointsInput {}

impl Input for DescribeEndpointsInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    input::parse::<DescribeEndpointsInput>(call.body)?;
    let mut out = Vec::new();
    let mut answer = Object::begin(&mut out);
    answer.list("Endpoints", [call.host], |host, out| {
        let mut endpoint = Object::begin(out);
        endpoint.text("Address", host);
        endpoint.literal("CachePeriodInMinutes", CACHE_PERIOD_MINUTES);
        endpoint.end();
    });
    answer.end();
    Ok(out)
}
