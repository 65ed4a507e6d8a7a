//! BatchExecuteStatement: up to 25 PartiQL statements, all reads or all writes of one item each, each with its own error.

use super::{Call, batch_get_item::duplicate_keys};
use crate::{
    TableView,
    capacity::{CapacityReport, ConsumedCapacity, HalfUnits},
    input::{self, Input, shape::Shape},
    output::{Object, write_list},
    partiql::{
        members::StatementMembers,
        read::{ReadOptions, ReadPlan, Row},
        write::WritePlan,
    },
    validation::constraints::Constraints,
};
use cairn_expression::partiql::{Select, Statement};
use cairn_model::{ErrorKind, ServiceError, key::EncodedKey, limits::BATCH_STATEMENTS_MAX};
use futures::future::join_all;
use serde::Deserialize;
use std::{collections::HashSet, sync::Arc};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchExecuteStatementInput {
    statements: Option<Vec<StatementMembers>>,
    return_consumed_capacity: Option<String>,
}

const STATEMENT: Shape = Shape::Struct(
    "BatchStatementRequest",
    &[
        ("Statement", Shape::Text),
        ("Parameters", Shape::List(&Shape::Value)),
        ("ConsistentRead", Shape::Flag),
        ("ReturnValuesOnConditionCheckFailure", Shape::Text),
    ],
);

impl Input for BatchExecuteStatementInput {
    const FIELDS: &'static [(&'static str, Shape)] =
        &[("Statements", Shape::List(&STATEMENT)), ("ReturnConsumedCapacity", Shape::Text)];
}

/// A statement's work on its table.
struct Work {
    table: Arc<TableView>,
    action: Action,
}

enum Action {
    Read { plan: ReadPlan, consistent: bool },
    Write(Box<WritePlan>),
}

/// What came of a statement.
struct Done {
    row: Option<Row>,
    consumed: ConsumedCapacity,
}

/// Why a statement was not executed, or not to its end.
struct Failure {
    error: Box<ServiceError>,
    /// Of a statement that was executed, and failed.
    table_name: Option<String>,
    units: HalfUnits,
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        Self { error: Box::new(error), table_name: None, units: HalfUnits::default() }
    }
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: BatchExecuteStatementInput = input::parse(call.body)?;
    input.constrain()?;
    let report = CapacityReport::of(input.return_consumed_capacity.as_deref());
    let mut members = input.statements.unwrap_or_default();
    let parsed: Vec<_> = members
        .iter_mut()
        .map(|members| {
            let parameters = members.take_parameters()?;
            Statement::parse(members.text(), &parameters)
        })
        .collect();
    let is_read = |statement: &Statement| matches!(statement, Statement::Select(_));
    let reads = parsed.iter().flatten().filter(|statement| is_read(statement)).count();
    if reads > 0 && reads < parsed.iter().flatten().count() {
        return Err(ServiceError::validation("Read and write requests together in the same batch is not supported."));
    }
    // A statement whose table is not there fails alone: there is no other attempt for it.
    call.look_for(parsed.iter().flatten().map(Statement::table)).await;
    let work: Vec<Result<Work, Failure>> = (0..)
        .zip(parsed.into_iter().zip(&members))
        .map(|(ordinal, (statement, members))| Work::of(call, statement?, members, ordinal))
        .collect();
    check_distinct(&work)?;
    let done = join_all(work.into_iter().map(|work| async move {
        let work = work?;
        let table = work.table.clone();
        work.run(call).await.map(|done| (table, done))
    }));
    answer(&done.await, report)
}

impl BatchExecuteStatementInput {
    fn constrain(&self) -> Result<(), ServiceError> {
        let mut constraints = Constraints::default();
        constraints.return_consumed_capacity(self.return_consumed_capacity.as_deref());
        constraints.required("statements", self.statements.is_some());
        let statements = self.statements.as_deref().unwrap_or_default();
        if self.statements.is_some() && statements.is_empty() {
            constraints.value("[]", "statements", "Member must have length greater than or equal to 1");
        }
        if statements.len() > BATCH_STATEMENTS_MAX {
            let shown: Vec<&str> = statements.iter().map(StatementMembers::text).collect();
            constraints.value(
                format_args!("[{}]", shown.join(", ")),
                "statements",
                "Member must have length less than or equal to 25",
            );
        }
        for (position, members) in statements.iter().enumerate() {
            let prefix = format!("statements.{}.member.", position + 1);
            members.constrain_on_condition_failure(&prefix, &mut constraints);
            members.constrain_statement(&prefix, &mut constraints);
            members.constrain_parameters(&prefix, &mut constraints);
        }
        constraints.finish()
    }
}

impl Work {
    fn of(call: &Call<'_>, statement: Statement, members: &StatementMembers, ordinal: u32) -> Result<Self, Failure> {
        let table_name = statement.table().to_owned();
        let table = call.open_table(&table_name).map_err(|error| Failure {
            error: Box::new(error),
            table_name: Some(table_name),
            units: HalfUnits::default(),
        })?;
        let action = match statement {
            Statement::Select(select) => {
                Action::Read { plan: read(select, &table)?, consistent: members.is_consistent() }
            }
            written => {
                let request_id = call.request_ids.write(ordinal);
                Action::Write(Box::new(WritePlan::new(
                    written,
                    &table.definition,
                    request_id,
                    members.item_on_condition_failure(),
                )?))
            }
        };
        Ok(Self { table, action })
    }

    fn key(&self) -> Option<&EncodedKey> {
        match &self.action {
            Action::Read { plan, .. } => plan.item_key(),
            Action::Write(plan) => Some(plan.key()),
        }
    }

    async fn run(self, call: &Call<'_>) -> Result<Done, Failure> {
        let (result, written_bytes) = match self.action {
            Action::Read { plan, consistent } => {
                let options = ReadOptions { consistent, ..ReadOptions::default() };
                let page = plan.run(call, &self.table, options).await;
                let done = page.map(|page| Done { row: page.rows.into_iter().next(), consumed: page.consumed });
                (done, 0)
            }
            Action::Write(plan) => {
                let written_bytes = plan.written_bytes();
                let done = plan.run(call, &self.table).await.map(|outcome| Done {
                    consumed: ConsumedCapacity::write(&self.table.definition, &outcome),
                    row: outcome.attributes.map(Row::Stored),
                });
                (done, written_bytes)
            }
        };
        result.map_err(|error| {
            let charged =
                matches!(error.kind, ErrorKind::ConditionalCheckFailedException | ErrorKind::DuplicateItemException);
            // The larger of what is there and what it would have written.
            let units = if charged { HalfUnits::write(error.met_bytes, written_bytes) } else { HalfUnits::default() };
            Failure { error: Box::new(error), table_name: Some(self.table.definition.table_name.clone()), units }
        })
    }
}

/// A SELECT of a batch, which must be of one item by its whole key and nothing else.
fn read(select: Select, table: &TableView) -> Result<ReadPlan, ServiceError> {
    let plan = ReadPlan::new(select, table, false)?;
    if plan.item_key().is_none() || plan.is_filtered() {
        return Err(ServiceError::validation(
            "Select statements within BatchExecuteStatement must specify the primary key in the where clause.",
        ));
    }
    Ok(plan)
}

/// Refuses the whole batch where two of its statements are of one item.
fn check_distinct(work: &[Result<Work, Failure>]) -> Result<(), ServiceError> {
    let mut seen = HashSet::with_capacity(work.len());
    let mut keys = work.iter().flatten().filter_map(|work| Some((work.table.definition.table_id, work.key()?)));
    if keys.all(|key| seen.insert(key)) {
        return Ok(());
    }
    Err(duplicate_keys())
}

fn answer(
    results: &[Result<(Arc<TableView>, Done), Failure>],
    report: CapacityReport,
) -> Result<Vec<u8>, ServiceError> {
    let mut out = Vec::with_capacity(256);
    let mut answer = Object::begin(&mut out);
    let mut written = Ok(());
    write_list(answer.field("Responses"), results, |result, out| {
        let mut response = Object::begin(out);
        match result {
            Ok((table, done)) => {
                if let (Some(row), Ok(())) = (&done.row, &written) {
                    written = row.write(response.field("Item"));
                }
                response.text("TableName", &table.definition.table_name);
            }
            Err(failure) => failure.write(&mut response),
        }
        response.end();
    });
    written?;
    if results.iter().any(Result::is_ok) {
        let consumed = consumed(results);
        report.write_tables(consumed.iter().map(|(name, consumed)| (*name, consumed)), &mut answer);
    }
    answer.end();
    Ok(out)
}

/// Table by table, in the order of the statements that were done: what failed costs only beside one of those.
fn consumed(results: &[Result<(Arc<TableView>, Done), Failure>]) -> Vec<(&str, ConsumedCapacity)> {
    let mut consumed: Vec<(&str, ConsumedCapacity)> = Vec::new();
    for (table, done) in results.iter().flatten() {
        let name = table.definition.table_name.as_str();
        match consumed.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => sum.add(&done.consumed),
            None => consumed.push((name, done.consumed.clone())),
        }
    }
    for failure in results.iter().filter_map(|result| result.as_ref().err()) {
        if let Some((_, sum)) = consumed.iter_mut().find(|(known, _)| failure.table_name.as_deref() == Some(*known)) {
            sum.add_failed(failure.units);
        }
    }
    consumed
}

impl Failure {
    fn write(&self, response: &mut Object<'_>) {
        if self.error.kind == ErrorKind::InternalServerError {
            tracing::warn!(error = %self.error, "failed to execute a statement of a batch");
        }
        let mut error = response.object("Error");
        error.text("Code", code(self.error.kind));
        error.text("Message", &self.error.message);
        if let Some(item) = &self.error.item {
            error.item("Item", item);
        }
        error.end();
        if let Some(name) = &self.table_name {
            response.text("TableName", name);
        }
    }
}

/// Of BatchStatementErrorCodeEnum.
fn code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ValidationException => "ValidationError",
        ErrorKind::ConditionalCheckFailedException => "ConditionalCheckFailed",
        ErrorKind::DuplicateItemException => "DuplicateItem",
        ErrorKind::ResourceNotFoundException => "ResourceNotFound",
        ErrorKind::ItemCollectionSizeLimitExceededException => "ItemCollectionSizeLimitExceeded",
        ErrorKind::ProvisionedThroughputExceededException => "ProvisionedThroughputExceeded",
        ErrorKind::RequestLimitExceeded => "RequestLimitExceeded",
        // Nobody could be asked, and nothing was done: to be asked again.
        ErrorKind::ThrottlingException | ErrorKind::ServiceUnavailable => "ThrottlingError",
        ErrorKind::TransactionConflictException => "TransactionConflict",
        ErrorKind::AccessDeniedException => "AccessDenied",
        _ => "InternalServerError",
    }
}
