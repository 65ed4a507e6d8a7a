//! Update expressions.

mod apply;
pub(crate) mod parse;

use crate::{Path, path::project};
use cairn_model::{AttributeValue, Item, KeySchema, ServiceError};
use serde::{Deserialize, Serialize};

/// An update with its names and values in place: no path lies within another's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Update {
    actions: Vec<Action>,
    form: Form,
}

/// Which parameter an update came from: DynamoDB words some errors by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Form {
    Expression,
    AttributeUpdates,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Action {
    Set(Path, Value),
    Remove(Path),
    /// Adds a number to a number, or members to a set, or (only from the legacy parameters) elements to a list.
    Add(Path, AttributeValue),
    /// Takes members out of a set.
    Delete(Path, AttributeValue),
}

/// What SET computes a value from; all of it as the item was before the update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    Literal(AttributeValue),
    Path(Path),
    IfNotExists(Path, Box<Value>),
    ListAppend(Box<Value>, Box<Value>),
    Plus(Box<Value>, Box<Value>),
    Minus(Box<Value>, Box<Value>),
}

/// The paths an update wrote, for `UPDATED_OLD` and `UPDATED_NEW`.
#[derive(Clone, Debug, PartialEq)]
pub struct TouchedPaths {
    /// In ascending order.
    paths: Vec<Path>,
}

impl Update {
    /// An update of the legacy parameter: its paths are top-level attributes, each once.
    pub(crate) fn of_attribute_updates(actions: Vec<Action>) -> Self {
        Self { actions, form: Form::AttributeUpdates }
    }

    /// An update of a PartiQL statement, whose paths don't get in each other's way.
    pub(crate) fn of_statement(actions: Vec<Action>) -> Self {
        Self { actions, form: Form::Expression }
    }

    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// The paths written to.
    pub fn paths(&self) -> impl Iterator<Item = &Path> + Clone {
        self.actions.iter().map(Action::path)
    }

    /// Whether there is nothing that it could put into an item: it takes away, and does so at least once.
    pub fn only_takes_away(&self) -> bool {
        let takes_away = |action: &Action| matches!(action, Action::Remove(_) | Action::Delete(..));
        !self.actions.is_empty() && self.actions.iter().all(takes_away)
    }

    /// DynamoDB's error where the update writes to a key attribute.
    pub fn check_key_untouched(&self, schema: &KeySchema) -> Result<(), ServiceError> {
        let is_key = |name: &str| std::iter::once(&schema.partition).chain(&schema.sort).any(|key| key.name == name);
        match self.paths().find(|path| is_key(path.name())) {
            Some(path) => Err(ServiceError::validation(format!(
                "One or more parameter values were invalid: Cannot update attribute {}. This attribute is part of the key",
                path.name()
            ))),
            None => Ok(()),
        }
    }
}

impl Action {
    /// The path written to.
    pub fn path(&self) -> &Path {
        match self {
            Self::Set(path, _) | Self::Remove(path) | Self::Add(path, _) | Self::Delete(path, _) => path,
        }
    }
}

impl TouchedPaths {
    /// What lay at the paths in the item as it was.
    pub fn project_old(&self, item: &Item) -> Item {
        project(&self.paths, item)
    }

    /// What lies at the paths in the item as the update left it. As in DynamoDB: an element set past a list's end lies elsewhere than
    /// its path says, and where one was taken out of a list, the next one lies.
    pub fn project_new(&self, item: &Item) -> Item {
        project(&self.paths, item)
    }
}

#[cfg(test)]
mod tests;
