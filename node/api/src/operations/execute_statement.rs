//! ExecuteStatement: one PartiQL statement.

use super::Call;
use crate::{
    capacity::{CapacityReport, ConsumedCapacity},
    input::{
        self, Input,
        fields::{Flag, Integer},
        shape::Shape,
    },
    output::{Object, write_list},
    partiql::{
        members::StatementMembers,
        next_token::{Fingerprint, Position, TOKEN_CHARS_MAX},
        read::{Page, ReadOptions, ReadPlan},
        write::WritePlan,
    },
    validation::constraints::Constraints,
};
use cairn_expression::partiql::{Select, Statement};
use cairn_model::{AttributeValue, ServiceError, json, json::JsonValue};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ExecuteStatementInput {
    statement: Option<String>,
    parameters: Option<Vec<JsonValue>>,
    consistent_read: Option<Flag>,
    next_token: Option<String>,
    return_consumed_capacity: Option<String>,
    limit: Option<Integer>,
    return_values_on_condition_check_failure: Option<String>,
}

impl Input for ExecuteStatementInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[
        ("Statement", Shape::Text),
        ("Parameters", Shape::List(&Shape::Value)),
        ("ConsistentRead", Shape::Flag),
        ("NextToken", Shape::Text),
        ("ReturnConsumedCapacity", Shape::Text),
        ("Limit", Shape::Integer),
        ("ReturnValuesOnConditionCheckFailure", Shape::Text),
    ];
}

/// What is not said by the statement.
struct Options {
    next_token: Option<String>,
    limit: Option<Integer>,
    report: CapacityReport,
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: ExecuteStatementInput = input::parse(call.body)?;
    let mut members = StatementMembers {
        statement: input.statement,
        parameters: input.parameters,
        consistent_read: input.consistent_read,
        return_values_on_condition_check_failure: input.return_values_on_condition_check_failure,
    };
    let mut constraints = Constraints::default();
    members.constrain_on_condition_failure("", &mut constraints);
    constraints.at_least("limit", input.limit.map(|limit| limit.0), 1);
    members.constrain_statement("", &mut constraints);
    constrain_token(input.next_token.as_deref(), &mut constraints);
    constraints.return_consumed_capacity(input.return_consumed_capacity.as_deref());
    members.constrain_parameters("", &mut constraints);
    constraints.finish()?;

    let parameters = members.take_parameters()?;
    let statement = Statement::parse(members.text(), &parameters)?;
    let report = CapacityReport::of(input.return_consumed_capacity.as_deref());
    match statement {
        Statement::Select(statement) => {
            let options = Options { next_token: input.next_token, limit: input.limit, report };
            select(call, statement, &members, &parameters, options).await
        }
        _ if input.next_token.is_some() => {
            Err(ServiceError::validation("NextToken is only valid on a SELECT statement"))
        }
        written => write(call, written, members.item_on_condition_failure(), report).await,
    }
}

fn constrain_token(token: Option<&str>, constraints: &mut Constraints) {
    let constraint = match token.map(str::len) {
        Some(0) => "Member must have length greater than or equal to 1",
        Some(length) if length > TOKEN_CHARS_MAX => "Member must have length less than or equal to 32768",
        _ => return,
    };
    constraints.value(token.unwrap_or_default(), "nextToken", constraint);
}

async fn select(
    call: &Call<'_>,
    statement: Select,
    members: &StatementMembers,
    parameters: &[AttributeValue],
    options: Options,
) -> Result<Vec<u8>, ServiceError> {
    let table = call.open_to_read(&statement.table, statement.index.as_deref())?;
    let plan = ReadPlan::new(statement, &table, members.is_consistent())?;
    let fingerprint = Fingerprint::new(table.definition.table_id, members.text(), parameters);
    let from = options.next_token.map(|token| Position::of_token(&token, fingerprint)).transpose()?;
    let read = ReadOptions {
        consistent: members.is_consistent(),
        limit: options.limit.and_then(|limit| u32::try_from(limit.0).ok()),
        from,
    };
    let Page { rows, consumed, next, last_evaluated_key } = plan.run(call, &table, read).await?;
    let mut out = Vec::with_capacity(256);
    let mut answer = Object::begin(&mut out);
    let mut written = Ok(());
    write_list(answer.field("Items"), &rows, |row, out| {
        if written.is_ok() {
            written = row.write(out);
        }
    });
    written?;
    if let Some(next) = next {
        answer.text("NextToken", &next.to_token(fingerprint));
    }
    if let Some(last) = &last_evaluated_key {
        answer.item("LastEvaluatedKey", last);
    }
    options.report.write(&table.definition.table_name, &consumed, &mut answer);
    answer.end();
    Ok(out)
}

async fn write(
    call: &Call<'_>,
    statement: Statement,
    item_on_failure: bool,
    report: CapacityReport,
) -> Result<Vec<u8>, ServiceError> {
    let table = call.open_table(statement.table())?;
    let plan = WritePlan::new(statement, &table.definition, call.request_ids.write(0), item_on_failure)?;
    let outcome = plan.run(call, &table).await?;
    let mut out = Vec::with_capacity(256 + outcome.attributes.as_ref().map_or(0, |item| item.0.len() * 2));
    let mut answer = Object::begin(&mut out);
    let mut written = Ok(());
    write_list(answer.field("Items"), &outcome.attributes, |item, out| {
        written = json::write_encoded_item(item, out);
    });
    written?;
    let consumed = ConsumedCapacity::write(&table.definition, &outcome);
    report.write(&table.definition.table_name, &consumed, &mut answer);
    answer.end();
    Ok(out)
}
