//! ExecuteTransaction: up to 100 PartiQL statements of one item each, all of them reads or all writes, all or none.

use super::{Call, transact_get_items::write_items, transact_write_items::constrain_count};
use crate::{
    TableView,
    capacity::CapacityReport,
    input::{self, Input, shape::Shape},
    output::{Object, write_list},
    partiql::{
        members::StatementMembers,
        read::{ReadPlan, SelectList},
        write::WritePlan,
    },
    transactions::{self, Addressed, Got},
    validation::constraints::Constraints,
};
use cairn_expression::partiql::{DeleteItem, Select, Statement, TransactStatement, UpdateItem};
use cairn_model::{CancellationReason, ErrorKind, ServiceError, codec::EncodedItem, ids::RequestId};
use cairn_replication::{
    operation::{WriteAction, WriteRequest},
    transaction::{TransactAction, TransactGet},
};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ExecuteTransactionInput {
    transact_statements: Option<Vec<StatementMembers>>,
    client_request_token: Option<String>,
    return_consumed_capacity: Option<String>,
}

const STATEMENT: Shape = Shape::Struct(
    "ParameterizedStatement",
    &[
        ("Statement", Shape::Text),
        ("Parameters", Shape::List(&Shape::Value)),
        ("ReturnValuesOnConditionCheckFailure", Shape::Text),
    ],
);

impl Input for ExecuteTransactionInput {
    const FIELDS: &'static [(&'static str, Shape)] = &[
        ("TransactStatements", Shape::List(&STATEMENT)),
        ("ClientRequestToken", Shape::Text),
        ("ReturnConsumedCapacity", Shape::Text),
    ];
}

/// What a statement is on its table.
enum Plan {
    Read(TransactGet, SelectList),
    Write(Box<TransactAction>),
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let mut input: ExecuteTransactionInput = input::parse(call.body)?;
    input.constrain()?;
    let report = CapacityReport::of(input.return_consumed_capacity.as_deref());
    let mut members = input.transact_statements.take().unwrap_or_default();
    let mut statements = Vec::with_capacity(members.len());
    for (at, members) in members.iter_mut().enumerate() {
        let parameters = members.take_parameters()?;
        let statement = TransactStatement::parse(members.text(), &parameters);
        statements.push(statement.map_err(|error| of_statement(at, error))?);
    }
    let is_read =
        |statement: &&TransactStatement| matches!(statement, TransactStatement::Statement(Statement::Select(_)));
    let reads = statements.iter().filter(is_read).count();
    if reads > 0 && reads < statements.len() {
        return Err(ServiceError::validation(
            "ExecuteTransaction API does not support both read and write operations in the same request.",
        ));
    }
    let names: Vec<String> = statements.iter().map(|statement| statement.table().to_owned()).collect();
    let plans = plan(call, statements, &members)?;
    match reads {
        0 => write(call, plans, &names, input.client_request_token.as_deref(), report).await,
        _ => read(call, plans, &names, report).await,
    }
}

type Plans = Vec<(Arc<TableView>, Plan)>;

async fn read(
    call: &Call<'_>,
    plans: Plans,
    names: &[String],
    report: CapacityReport,
) -> Result<Vec<u8>, ServiceError> {
    let reads = plans.into_iter().filter_map(|(table, plan)| match plan {
        Plan::Read(what, list) => Some((Addressed { table, what }, list)),
        Plan::Write(_) => None,
    });
    let (gets, lists): (Vec<_>, Vec<_>) = reads.unzip();
    transactions::check_distinct(&gets)?;
    let (items, consumed) = transactions::read(call, &gets, names).await?;
    let mut out = Vec::with_capacity(256);
    let mut answer = Object::begin(&mut out);
    write_items(&listed(items, &lists)?, &mut answer)?;
    consumed.write(report, &mut answer);
    answer.end();
    Ok(out)
}

async fn write(
    call: &Call<'_>,
    plans: Plans,
    names: &[String],
    token: Option<&str>,
    report: CapacityReport,
) -> Result<Vec<u8>, ServiceError> {
    let writes = plans.into_iter().filter_map(|(table, plan)| match plan {
        Plan::Write(what) => Some(Addressed { table, what: *what }),
        Plan::Read(..) => None,
    });
    let actions: Vec<Addressed<TransactAction>> = writes.collect();
    transactions::check_distinct(&actions)?;
    let identity = transactions::identity(call, token, &actions)?;
    let written = transactions::write(call, &actions, identity, names).await;
    let (_, consumed) = written.map_err(|error| inserted(&actions, error))?;
    let mut out = Vec::with_capacity(256);
    let mut answer = Object::begin(&mut out);
    write_list(answer.field("Responses"), std::iter::empty::<()>(), |(), _| {});
    consumed.write(report, &mut answer);
    answer.end();
    Ok(out)
}

impl ExecuteTransactionInput {
    fn constrain(&self) -> Result<(), ServiceError> {
        let mut constraints = Constraints::default();
        transactions::constrain_token(self.client_request_token.as_deref(), &mut constraints);
        constraints.required("transactStatements", self.transact_statements.is_some());
        let statements = self.transact_statements.as_deref().unwrap_or_default();
        if self.transact_statements.is_some()
            && let Err(error) = constrain_count(statements.len(), "transactStatements")
        {
            constraints.add(error.message.trim_start_matches("1 validation error detected: "));
        }
        for (position, members) in statements.iter().enumerate() {
            let prefix = format!("transactStatements.{}.member.", position + 1);
            members.constrain_on_condition_failure(&prefix, &mut constraints);
            members.constrain_statement(&prefix, &mut constraints);
            members.constrain_parameters(&prefix, &mut constraints);
        }
        constraints.return_consumed_capacity(self.return_consumed_capacity.as_deref());
        constraints.finish()
    }
}

/// What is wrong with a statement of the request, at this place.
fn of_statement(at: usize, mut error: ServiceError) -> ServiceError {
    if error.kind == ErrorKind::ValidationException {
        error.message = format!("Validation failed in TransactStatements[{at}]: {}", error.message);
    }
    error
}

/// What other operations take, and a transaction does not: told of a table that is there.
fn refuse(statement: &TransactStatement) -> Result<(), ServiceError> {
    let refused = match statement {
        TransactStatement::Statement(
            Statement::Update(UpdateItem { returning: Some(_), .. })
            | Statement::Delete(DeleteItem { returning: true, .. }),
        ) => "RETURNING clause is not supported in ExecuteTransaction.",
        TransactStatement::Statement(Statement::Select(Select { index: Some(_), .. }))
        | TransactStatement::Exists(Select { index: Some(_), .. }) => {
            "Reads on indices are not supported within transactions."
        }
        _ => return Ok(()),
    };
    Err(ServiceError::validation(refused))
}

/// The statements on their tables. A table that is not there, or a key that can't be its, is a reason to cancel them all.
fn plan(
    call: &Call<'_>,
    statements: Vec<TransactStatement>,
    members: &[StatementMembers],
) -> Result<Plans, ServiceError> {
    let mut plans = Vec::with_capacity(statements.len());
    let mut reasons = Vec::with_capacity(statements.len());
    for (at, (statement, members)) in statements.into_iter().zip(members).enumerate() {
        let planned = call.open_table(statement.table()).and_then(|table| {
            refuse(&statement)?;
            Ok((table.clone(), Plan::of(statement, &table, members.item_on_condition_failure())?))
        });
        match planned {
            Ok(planned) => {
                plans.push(planned);
                reasons.push(None);
            }
            Err(error) if error.kind == ErrorKind::ResourceNotFoundException => {
                let message = Some(error.message);
                reasons.push(Some(CancellationReason { code: "ResourceNotFound", message, item: None }));
            }
            Err(error) => match of_key(error) {
                Ok(error) => reasons.push(Some(transactions::reason_of(error))),
                Err(error) => return Err(of_statement(at, error)),
            },
        }
    }
    if reasons.iter().any(Option::is_some) { Err(transactions::canceled(reasons)) } else { Ok(plans) }
}

/// What a transaction is cancelled for where a statement does not name one item by its key; `Err` for anything else.
fn of_key(error: ServiceError) -> Result<ServiceError, ServiceError> {
    const MISMATCH: &str = "The provided key element does not match the schema";
    const AS_IT_IS: [&str; 3] = [MISMATCH, "Missing the key ", "Multiple conditions on same key "];
    const OF_STATEMENTS: [&str; 3] = [
        "Where clause does not contain a mandatory equality on all key attributes",
        "Key attribute's data type should match its data type in table's schema",
        "Key value must be of type S, N, or B",
    ];
    let says = |texts: [&str; 3]| texts.iter().any(|text| error.message.contains(text));
    match error.kind {
        ErrorKind::ValidationException if says(AS_IT_IS) => Ok(error),
        ErrorKind::ValidationException if says(OF_STATEMENTS) => Ok(ServiceError::validation(MISMATCH)),
        _ => Err(error),
    }
}

impl Plan {
    fn of(statement: TransactStatement, table: &TableView, item_on_failure: bool) -> Result<Self, ServiceError> {
        let schema = &table.definition.key_schema;
        match statement {
            TransactStatement::Statement(Statement::Select(select)) => {
                let (key, list) = ReadPlan::new(select, table, false)?.into_get().ok_or_else(|| {
                    ServiceError::validation(
                        "Select statements within ExecuteTransaction must specify the primary key in the where clause.",
                    )
                })?;
                Ok(Self::Read(TransactGet { key, projection: list.attributes() }, list))
            }
            TransactStatement::Statement(written) => {
                let plan = WritePlan::new(written, &table.definition, RequestId([0; 16]), item_on_failure)?;
                Ok(Self::Write(Box::new(TransactAction::Write(plan.into_request()))))
            }
            TransactStatement::Exists(select) => {
                let check = WritePlan::check(select, schema, item_on_failure)?;
                Ok(Self::Write(Box::new(TransactAction::Check(check))))
            }
        }
    }
}

/// The items as the statements' lists show them.
fn listed(items: Vec<Got>, lists: &[SelectList]) -> Result<Vec<Got>, ServiceError> {
    items
        .into_iter()
        .zip(lists)
        .map(|(got, list)| match got {
            None => Ok(None),
            Some((item, size)) => Ok(Some((EncodedItem::encode(&list.of(item.decode()?)), size))),
        })
        .collect()
}

/// INSERT fails where the item is there: that has a name of its own.
fn inserted(actions: &[Addressed<TransactAction>], mut error: ServiceError) -> ServiceError {
    let is_insert = |action: &TransactAction| {
        matches!(action, TransactAction::Write(WriteRequest { action: WriteAction::Put(_), .. }))
    };
    if error.cancellation_reasons.is_empty() {
        return error;
    }
    let reasons = error.cancellation_reasons.drain(..).zip(actions).map(|(reason, action)| {
        if reason.code == "ConditionalCheckFailed" && is_insert(&action.what) {
            return Some(transactions::reason_of(crate::errors::duplicate_item()));
        }
        (reason.code != "None").then_some(reason)
    });
    transactions::canceled(reasons.collect())
}
