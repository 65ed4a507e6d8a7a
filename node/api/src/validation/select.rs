//! `Select`, against the other parameters that say what a Query or Scan returns.

use super::constraints::Constraints;
use cairn_model::ServiceError;

/// In DynamoDB's order.
const SELECT: &[&str] = &["SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"];

/// What a page returns of its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Select {
    /// What was asked for of them, or what is read.
    Items,
    /// Of an index too.
    WholeItems,
    Count,
}

/// The parameters that `Select` must agree with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SelectParameters<'a> {
    pub(crate) select: Option<&'a str>,
    pub(crate) attributes_to_get: bool,
    pub(crate) projection_expression: bool,
    pub(crate) index: bool,
}

impl SelectParameters<'_> {
    pub(crate) fn check(self) -> Result<Select, ServiceError> {
        let mut constraints = Constraints::default();
        constraints.one_of("select", self.select, SELECT);
        constraints.finish()?;
        let projected = match (self.attributes_to_get, self.projection_expression) {
            (true, _) => Some("AttributesToGet"),
            (_, true) => Some("ProjectionExpression"),
            _ => None,
        };
        let refused = match (self.select, projected) {
            (None, _) => None,
            (Some("SPECIFIC_ATTRIBUTES"), Some(_)) => None,
            (Some("SPECIFIC_ATTRIBUTES"), None) => Some(
                "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
                    .to_owned(),
            ),
            (Some("COUNT"), Some(parameter)) => {
                Some(format!("Cannot specify the {parameter} when choosing to get only the Count"))
            }
            (Some(select), Some(parameter)) => {
                Some(format!("Cannot specify the {parameter} when choosing to get {select}"))
            }
            (Some("ALL_PROJECTED_ATTRIBUTES"), None) if !self.index => {
                Some("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName".to_owned())
            }
            (Some(_), None) => None,
        };
        match (refused, self.select) {
            (Some(message), _) => Err(super::enveloped(ServiceError::validation(message))),
            (None, Some("COUNT")) => Ok(Select::Count),
            (None, Some("ALL_ATTRIBUTES")) => Ok(Select::WholeItems),
            (None, _) => Ok(Select::Items),
        }
    }
}
