//! DescribeImport.

use super::{Call, import_description};
use crate::{
    errors,
    input::{self, Input, shape::Shape},
    validation::references::required_import,
};
use cairn_model::ServiceError;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeImportInput {
    import_arn: Option<String>,
}

impl Input for DescribeImportInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[("ImportArn", Shape::Text)];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: DescribeImportInput = input::parse(call.body)?;
    let arn = required_import(call, input.import_arn.as_deref())?;
    let imports = call.imports.ok_or_else(|| errors::import_not_found(arn))?;
    Ok(import_description::answer(&imports.describe_import(call.account, arn).await?))
}
