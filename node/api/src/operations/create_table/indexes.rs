//! `LocalSecondaryIndexes` of a table that is made, and `LocalSecondaryIndexOverride` of one that is restored.

use super::{
    attributes::{Definitions, KEY_ELEMENTS_MAX, KEY_SCHEMA, KeySchemaElement, constrain_key_schema, keys_of},
    projection::{PROJECTION, ProjectionInput},
};
use crate::{backups::IndexOverride, errors, input::shape::Shape, validation::constraints::Constraints};
use cairn_model::{
    KeySchema, ServiceError,
    index::{self, IndexProjection, LOCAL_INDEXES_MAX, LocalIndex},
};
use serde::Deserialize;
use std::collections::BTreeSet;

/// `LocalSecondaryIndex`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LocalIndexInput {
    index_name: Option<String>,
    key_schema: Option<Vec<KeySchemaElement>>,
    projection: Option<ProjectionInput>,
}

const LOCAL_INDEX: Shape = Shape::Struct(
    "LocalSecondaryIndex",
    &[("IndexName", Shape::Text), ("KeySchema", KEY_SCHEMA), ("Projection", PROJECTION)],
);
pub(in crate::operations) const LOCAL_INDEXES: Shape = Shape::List(&LOCAL_INDEX);

pub(in crate::operations) fn constrain_local_indexes(
    path: &str,
    indexes: Option<&[LocalIndexInput]>,
    constraints: &mut Constraints,
) {
    for (position, index) in indexes.unwrap_or_default().iter().enumerate() {
        let path = |member| format!("{path}.{}.member.{member}", position + 1);
        match &index.index_name {
            Some(name) => constraints.name_in_full(&path("indexName"), name),
            None => constraints.required(&path("indexName"), false),
        }
        let elements = index.key_schema.as_deref();
        constrain_key_schema(&path("keySchema"), Some(KEY_ELEMENTS_MAX), elements, constraints);
        match &index.projection {
            Some(projection) => projection.constrain(&path("projection"), constraints),
            None => constraints.required(&path("projection"), false),
        }
    }
}

/// The indexes with their slots, after the constraints found nothing.
pub(super) fn checked(
    indexes: &[LocalIndexInput],
    table: &KeySchema,
    definitions: &Definitions,
) -> Result<Vec<LocalIndex>, ServiceError> {
    if indexes.is_empty() {
        return Ok(Vec::new());
    }
    if table.sort.is_none() {
        return Err(invalid(
            "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
        ));
    }
    indexes.iter().try_for_each(|index| definitions.check_index_keys(index.key_schema()))?;
    let checked = indexes.iter().map(|index| index.checked(table, definitions)).collect::<Result<Vec<_>, _>>()?;
    check_names(checked.iter().map(|index| index.index_name.as_str()))?;
    if checked.len() > LOCAL_INDEXES_MAX {
        return Err(invalid(format_args!(
            "Number of LocalSecondaryIndexes exceeds per-table limit of {LOCAL_INDEXES_MAX}"
        )));
    }
    Ok(index::in_slots(checked))
}

/// Those that a restored table is to have, after the constraints found nothing.
pub(in crate::operations) fn overrides(indexes: &[LocalIndexInput]) -> Result<Vec<IndexOverride>, ServiceError> {
    let overrides = indexes.iter().map(|index| {
        let (hash, sort) = index.keys()?;
        Ok(IndexOverride {
            index_name: index.name().to_owned(),
            partition: vec![hash.to_owned()],
            sort: vec![sort.to_owned()],
            projection: index.projection()?,
        })
    });
    let overrides = overrides.collect::<Result<Vec<_>, ServiceError>>()?;
    check_names(overrides.iter().map(|index| index.index_name.as_str()))?;
    Ok(overrides)
}

pub(super) fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), ServiceError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(errors::index_named_twice(name));
        }
    }
    Ok(())
}

impl LocalIndexInput {
    fn name(&self) -> &str {
        self.index_name.as_deref().unwrap_or_default()
    }

    pub(super) fn key_schema(&self) -> &[KeySchemaElement] {
        self.key_schema.as_deref().unwrap_or_default()
    }

    fn checked(&self, table: &KeySchema, definitions: &Definitions) -> Result<LocalIndex, ServiceError> {
        let (hash, sort) = self.keys()?;
        if hash != table.partition.name {
            return Err(invalid(format_args!(
                "Index KeySchema does not have the same leading hash key as table KeySchema for index: {}. index hash \
                 key: {hash}, table hash key: {}",
                self.name(),
                table.partition.name
            )));
        }
        let projection = self.projection()?;
        let sort = definitions.attribute(sort)?;
        Ok(LocalIndex { index_name: self.name().to_owned(), slot: 0, sort, projection })
    }

    fn keys(&self) -> Result<(&str, &str), ServiceError> {
        let (hash, sort) = keys_of(self.key_schema())?;
        let missing = || invalid(format_args!("Index KeySchema does not have a range key for index: {}", self.name()));
        Ok((hash, sort.ok_or_else(missing)?))
    }

    fn projection(&self) -> Result<IndexProjection, ServiceError> {
        self.projection.as_ref().ok_or_else(errors::internal)?.checked()
    }
}

pub(in crate::operations) fn invalid(what: impl std::fmt::Display) -> ServiceError {
    ServiceError::validation(format!("One or more parameter values were invalid: {what}"))
}
