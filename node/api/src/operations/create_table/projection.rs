//! `Projection` of an index, local or global.

use super::{attributes::constrain_attribute_name, indexes::invalid};
use crate::{
    input::shape::{Shape, TEXTS},
    validation::constraints::Constraints,
};
use cairn_model::{
    ServiceError,
    index::{IndexProjection, NON_KEY_ATTRIBUTES_MAX, NON_KEY_ATTRIBUTES_OF_TABLE_MAX, ProjectionType},
};
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ProjectionInput {
    projection_type: Option<String>,
    non_key_attributes: Option<Vec<String>>,
}

pub(super) const PROJECTION: Shape =
    Shape::Struct("Projection", &[("ProjectionType", Shape::Text), ("NonKeyAttributes", TEXTS)]);

/// Whether a table can have indexes with all of these.
pub(in crate::operations) fn check_together<'p>(
    projections: impl IntoIterator<Item = &'p IndexProjection>,
) -> Result<(), ServiceError> {
    let names: usize = projections.into_iter().map(|projection| projection.non_key_attributes.len()).sum();
    if names > NON_KEY_ATTRIBUTES_OF_TABLE_MAX {
        return Err(invalid(format_args!(
            "Number of NonKeyAttributes of all secondary indexes exceeds the per-table limit of \
             {NON_KEY_ATTRIBUTES_OF_TABLE_MAX}"
        )));
    }
    Ok(())
}

impl ProjectionInput {
    pub(super) fn constrain(&self, path: &str, constraints: &mut Constraints) {
        let projection_type = self.projection_type.as_deref();
        constraints.one_of(&format!("{path}.projectionType"), projection_type, &["ALL", "INCLUDE", "KEYS_ONLY"]);
        let path = format!("{path}.nonKeyAttributes");
        match self.non_key_attributes.as_deref() {
            Some([]) => constraints.value("[]", &path, "Member must have length greater than or equal to 1"),
            Some(names) if names.len() > NON_KEY_ATTRIBUTES_MAX => constraints.value(
                format_args!("[{}]", names.join(", ")),
                &path,
                &format!("Member must have length less than or equal to {NON_KEY_ATTRIBUTES_MAX}"),
            ),
            _ => {}
        }
        for (position, name) in self.non_key_attributes.iter().flatten().enumerate() {
            constrain_attribute_name(&format!("{path}.{}.member", position + 1), Some(name.as_str()), constraints);
        }
    }

    pub(super) fn checked(&self) -> Result<IndexProjection, ServiceError> {
        let named = self.projection_type.as_deref().unwrap_or("null");
        let projection_type = match named {
            "ALL" => ProjectionType::All,
            "KEYS_ONLY" => ProjectionType::KeysOnly,
            "INCLUDE" => ProjectionType::Include,
            _ => return Err(invalid(format_args!("Unknown ProjectionType: {named}"))),
        };
        let includes = projection_type == ProjectionType::Include;
        if includes != self.non_key_attributes.is_some() {
            let not = if includes { "not " } else { "" };
            return Err(invalid(format_args!("ProjectionType is {named}, but NonKeyAttributes is {not}specified")));
        }
        let mut non_key_attributes = BTreeSet::new();
        for name in self.non_key_attributes.iter().flatten() {
            if !non_key_attributes.insert(name.clone()) {
                return Err(invalid(format_args!("Duplicate element in NonKeyAttributes: {name}")));
            }
        }
        Ok(IndexProjection { projection_type, non_key_attributes })
    }
}
