//! What PutItem, UpdateItem and DeleteItem have in common: their conditions, their options, their answer.

use super::Call;
use crate::{
    TableView,
    capacity::{CapacityReport, ConsumedCapacity},
    input::fields::LegacyExpected,
    item_collections::CollectionMetrics,
    output::Object,
    validation::{
        constraints::{self, COMPARISON_OPERATORS, Constraints},
        parameters::{Names, Values},
    },
};
use cairn_expression::{Condition, ExpressionKind, Placeholders};
use cairn_model::ServiceError;
use cairn_replication::operation::{ReturnValues, WriteRequest};
use std::collections::BTreeMap;

pub(super) type Expected = BTreeMap<String, LegacyExpected>;

/// The parameters of a write that are not its condition.
#[derive(Debug, Default)]
pub(super) struct Options {
    /// Where the request named the table by it.
    pub(super) table_arn: Option<String>,
    pub(super) return_values: Option<String>,
    pub(super) return_consumed_capacity: Option<String>,
    pub(super) return_item_collection_metrics: Option<String>,
    pub(super) return_values_on_condition_check_failure: Option<String>,
}

/// The parameters of a write's condition.
#[derive(Debug, Default)]
pub(super) struct ConditionParameters {
    pub(super) expression: Option<String>,
    pub(super) expected: Option<Expected>,
    pub(super) conditional_operator: Option<String>,
    pub(super) names: Option<Names>,
    pub(super) values: Option<Values>,
}

impl Options {
    /// All of them, as PutItem and DeleteItem report them.
    pub(super) fn constrain(&self, constraints: &mut Constraints) {
        constraints.return_consumed_capacity(self.return_consumed_capacity.as_deref());
        self.constrain_return_values(constraints);
        self.constrain_metrics(constraints);
        self.constrain_on_condition_failure(constraints);
    }

    /// All of them in DynamoDB's older words, and a table's name that is missing or empty: UpdateItem without its key.
    pub(super) fn constrain_in_full(&self, table_name: Option<&str>, constraints: &mut Constraints) {
        constraints.return_consumed_capacity(self.return_consumed_capacity.as_deref());
        constraints.required("tableName", table_name.is_some());
        constraints.length("tableName", table_name, 1..=usize::MAX);
        constraints.one_of("returnValues", self.return_values.as_deref(), constraints::RETURN_VALUES);
        self.constrain_on_condition_failure(constraints);
        self.constrain_metrics(constraints);
    }

    /// The first that is wrong, as UpdateItem reports them: two of the four without the envelope.
    pub(super) fn check_first(&self) -> Result<(), ServiceError> {
        let of = |constrain: &dyn Fn(&mut Constraints)| {
            let mut constraints = Constraints::default();
            constrain(&mut constraints);
            constraints
        };
        of(&|constraints| self.constrain_return_values(constraints)).finish()?;
        of(&|constraints| self.constrain_on_condition_failure(constraints)).finish_bare()?;
        of(&|constraints| self.constrain_metrics(constraints)).finish()?;
        of(&|constraints| constraints.return_consumed_capacity(self.return_consumed_capacity.as_deref())).finish_bare()
    }

    fn constrain_return_values(&self, constraints: &mut Constraints) {
        if self.return_values.as_deref().is_some_and(|value| !constraints::RETURN_VALUES.contains(&value)) {
            // DynamoDB's text, which misspells one of the values.
            constraints.add(
                "Failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, UPDATED_OLD, ALL_NEW, \
                 UPDATE_NEW, NONE]",
            );
        }
    }

    fn constrain_metrics(&self, constraints: &mut Constraints) {
        constraints.one_of(
            "returnItemCollectionMetrics",
            self.return_item_collection_metrics.as_deref(),
            constraints::RETURN_ITEM_COLLECTION_METRICS,
        );
    }

    fn constrain_on_condition_failure(&self, constraints: &mut Constraints) {
        constraints.one_of(
            "returnValuesOnConditionCheckFailure",
            self.return_values_on_condition_check_failure.as_deref(),
            constraints::ON_CONDITION_CHECK_FAILURE,
        );
    }

    /// After the constraints found nothing.
    pub(super) fn return_values(&self) -> ReturnValues {
        match self.return_values.as_deref() {
            Some("ALL_OLD") => ReturnValues::AllOld,
            Some("UPDATED_OLD") => ReturnValues::UpdatedOld,
            Some("ALL_NEW") => ReturnValues::AllNew,
            Some("UPDATED_NEW") => ReturnValues::UpdatedNew,
            _ => ReturnValues::None,
        }
    }

    fn collection_metrics(&self) -> bool {
        wants_collection_metrics(self.return_item_collection_metrics.as_deref())
    }

    pub(super) fn item_on_condition_failure(&self) -> bool {
        self.return_values_on_condition_check_failure.as_deref() == Some("ALL_OLD")
    }
}

impl ConditionParameters {
    pub(super) fn constrain(&self, constraints: &mut Constraints) {
        for (name, expected) in self.expected.iter().flatten() {
            let path = format!("expected.{name}.member.comparisonOperator");
            constraints.one_of(&path, expected.comparison_operator.as_deref(), COMPARISON_OPERATORS);
        }
    }

    /// `ConditionalOperator` joins conditions: it needs at least two of them.
    pub(super) fn check_operator(&self) -> Result<(), ServiceError> {
        check_conditional_operator(
            self.conditional_operator.as_deref(),
            self.expected.as_ref().map_or(0, BTreeMap::len),
        )
    }

    /// The condition, whichever way it was given.
    pub(super) fn condition(&mut self, placeholders: &mut Placeholders) -> Result<Option<Condition>, ServiceError> {
        if let Some(expression) = &self.expression {
            return Condition::parse(expression, ExpressionKind::Condition, placeholders).map(Some);
        }
        match self.expected.take() {
            Some(expected) => super::legacy::expected(expected, self.conditional_operator.as_deref()),
            None => Ok(None),
        }
    }
}

pub(super) fn check_conditional_operator(operator: Option<&str>, conditions: usize) -> Result<(), ServiceError> {
    let Some(operator) = operator else { return Ok(()) };
    let refused = match conditions {
        0 => "ConditionalOperator cannot be used without Filter or Expected",
        1 => "ConditionalOperator can only be used when Filter or Expected has two or more elements",
        _ if operator != "AND" && operator != "OR" => {
            "Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]"
        }
        _ => return Ok(()),
    };
    Err(ServiceError::validation(refused))
}

/// `ReturnValues` of the writes that know no new values.
pub(super) fn only_old_values(values: ReturnValues) -> Result<(), ServiceError> {
    match values {
        ReturnValues::None | ReturnValues::AllOld => Ok(()),
        _ => Err(ServiceError::validation("ReturnValues can only be ALL_OLD or NONE")),
    }
}

/// `ReturnItemCollectionMetrics`, checked already.
pub(super) fn wants_collection_metrics(parameter: Option<&str>) -> bool {
    parameter == Some("SIZE")
}

/// Does the write and writes its answer.
pub(super) async fn finish(
    call: &Call<'_>,
    table: &TableView,
    request: WriteRequest,
    options: &Options,
) -> Result<Vec<u8>, ServiceError> {
    let key = options.collection_metrics().then(|| request.key.clone());
    let outcome = call.write(table, request).await?;
    let mut out = Vec::with_capacity(128 + outcome.attributes.as_ref().map_or(0, |item| item.0.len() * 2));
    let mut answer = Object::begin(&mut out);
    if let Some(attributes) = &outcome.attributes {
        answer.encoded_item("Attributes", attributes)?;
    }
    CapacityReport::of(options.return_consumed_capacity.as_deref()).write(
        options.table_arn.as_ref().unwrap_or(&table.definition.table_name),
        &ConsumedCapacity::write(&table.definition, &outcome),
        &mut answer,
    );
    if let Some(key) = key
        && let Some(metrics) = CollectionMetrics::of(&table.definition, &key, &outcome)?
    {
        metrics.write(answer.field("ItemCollectionMetrics"));
    }
    answer.end();
    Ok(out)
}
