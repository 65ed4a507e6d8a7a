//! ListImports.

use super::{Call, import_description::write_summary};
use crate::{
    arn::{ImportArn, is_backup_id},
    imports::ImportPage,
    input::{self, Input, fields::Integer, shape::Shape},
    output::Object,
    validation::{
        constraints::Constraints,
        references::{constrain_table_arn, parse_table_arn},
    },
};
use cairn_model::ServiceError;
use serde::Deserialize;

/// Imports a page of ListImports (reference).
const PAGE_MAX: usize = 25;
/// What SDKs take as the length of a token (reference).
const TOKEN_BYTES_MIN: usize = 112;
const TOKEN_BYTES_MAX: usize = 1_024;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListImportsInput {
    table_arn: Option<String>,
    page_size: Option<Integer>,
    next_token: Option<String>,
}

impl Input for ListImportsInput {
    const FIELDS: &'static [(&'static str, Shape)] =
        &[("TableArn", Shape::Text), ("PageSize", Shape::Integer), ("NextToken", Shape::Text)];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: ListImportsInput = input::parse(call.body)?;
    let mut constraints = Constraints::default();
    constrain_table_arn("tableArn", input.table_arn.as_deref(), &mut constraints);
    let limit = input.page_size.map(|limit| limit.0);
    constraints.at_least("pageSize", limit, 1);
    constraints.at_most("pageSize", limit, PAGE_MAX as i64);
    constrain_token(input.next_token.as_deref(), &mut constraints);
    constraints.finish()?;
    let table = input.table_arn.as_deref().map(|text| parse_table_arn(call, text)).transpose()?;
    let start = input.next_token.as_deref().map(read_token).transpose()?;
    let limit = limit.map_or(PAGE_MAX, |limit| limit as usize);
    let page = match call.imports {
        Some(imports) => {
            let table = table.map(|arn| arn.to_string());
            imports.list_imports(call.account, table.as_deref(), limit, start.as_deref()).await?
        }
        None => ImportPage::default(),
    };

    let mut out = Vec::new();
    let mut answer = Object::begin(&mut out);
    answer.list("ImportSummaryList", &page.imports, write_summary);
    if let (Some(last), true) = (page.imports.last().and_then(|last| ImportArn::parse(&last.order.arn)), page.more) {
        answer.text("NextToken", &write_token(last.import_id));
    }
    answer.end();
    Ok(out)
}

fn constrain_token(token: Option<&str>, constraints: &mut Constraints) {
    let constraint = match token.map(str::len) {
        Some(..TOKEN_BYTES_MIN) => "Member must have length greater than or equal to 112",
        Some(length) if length > TOKEN_BYTES_MAX => "Member must have length less than or equal to 1024",
        _ => return,
    };
    constraints.value(token.unwrap_or_default(), "nextToken", constraint);
}

/// The id of the page's last import in the form that SDKs take: hexadecimal, and zeros up to the least length.
fn write_token(import_id: &str) -> String {
    let mut bytes = import_id.as_bytes().to_vec();
    bytes.resize(TOKEN_BYTES_MIN / 2, 0);
    hex::encode(bytes)
}

fn read_token(token: &str) -> Result<String, ServiceError> {
    let id = hex::decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    id.map(|id| id.trim_end_matches('\0').to_owned())
        .filter(|id| is_backup_id(id))
        .ok_or_else(|| ServiceError::validation("One or more parameter values were invalid: Invalid NextToken"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_the_form_that_sdks_check_and_reads_back() {
        let id = "01550000000000-abcdef12";
        let token = write_token(id);
        assert_eq!(token.len(), TOKEN_BYTES_MIN);
        assert_eq!(token.len() % 16, 0);
        assert_eq!(read_token(&token).unwrap(), id);
        assert!(read_token(&"0".repeat(112)).is_err());
        assert!(read_token(&"x".repeat(112)).is_err());
    }
}
