//! DescribeExport.

use super::{Call, export_description};
use crate::{
    errors,
    input::{self, Input, shape::Shape},
    validation::references::required_export,
};
use cairn_model::ServiceError;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeExportInput {
    export_arn: Option<String>,
}

impl Input for DescribeExportInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[("ExportArn", Shape::Text)];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: DescribeExportInput = input::parse(call.body)?;
    let arn = required_export(call, input.export_arn.as_deref())?;
    let exports = call.exports.ok_or_else(|| errors::export_not_found(arn))?;
    Ok(export_description::answer(&exports.describe_export(call.account, arn).await?))
}
