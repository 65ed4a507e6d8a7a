//! `StreamSpecification` of CreateTable and UpdateTable.

use super::constraints::Constraints;
use crate::{
    catalog::StreamUpdate,
    errors,
    input::{fields::Flag, shape::Shape},
};
use cairn_model::{ServiceError, TableDefinition, table::StreamViewType};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StreamSpecificationInput {
    stream_enabled: Option<Flag>,
    stream_view_type: Option<String>,
}

pub(crate) const STREAM_SPECIFICATION: Shape =
    Shape::Struct("StreamSpecification", &[("StreamEnabled", Shape::Flag), ("StreamViewType", Shape::Text)]);

const VIEW_TYPES: &[&str] = &["NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY"];

impl StreamSpecificationInput {
    pub(crate) fn constrain(&self, constraints: &mut Constraints) {
        constraints.required("streamSpecification.streamEnabled", self.stream_enabled.is_some());
        let path = "streamSpecification.streamViewType";
        constraints.one_of(path, self.stream_view_type.as_deref(), VIEW_TYPES);
    }

    /// Of a table that is being created; none without a stream. After [`Self::constrain`] found nothing.
    pub(crate) fn of_new_table(&self) -> Result<Option<StreamViewType>, ServiceError> {
        match (self.is_enabled(), self.view_type()) {
            (true, None) => Err(invalid("Table is being created with a stream enabled, UpdateViewType is required")),
            (false, Some(_)) => {
                Err(invalid("Table is being created with a stream disabled, UpdateViewType should not be specified"))
            }
            (_, view_type) => Ok(view_type),
        }
    }

    /// Of a table that is there. After [`Self::constrain`] found nothing.
    pub(crate) fn update(&self) -> Result<StreamUpdate, ServiceError> {
        match (self.is_enabled(), self.view_type()) {
            (true, Some(view_type)) => Ok(StreamUpdate::On { view_type }),
            (true, None) => Err(invalid("If stream is being enabled then UpdateViewType is required")),
            (false, None) => Ok(StreamUpdate::Off),
            (false, Some(_)) => Err(invalid("If stream is being disabled, then UpdateViewType must not be specified")),
        }
    }

    fn is_enabled(&self) -> bool {
        self.stream_enabled.is_some_and(|flag| flag.0)
    }

    fn view_type(&self) -> Option<StreamViewType> {
        StreamViewType::of_name(self.stream_view_type.as_deref()?)
    }
}

/// Whether the table's stream can become so: on where it was off, or the reverse.
pub(crate) fn check_stream_change(definition: &TableDefinition, update: StreamUpdate) -> Result<(), ServiceError> {
    match (update, definition.current_stream()) {
        (StreamUpdate::On { .. }, Some(_)) => Err(errors::stream_enabled_already(&definition.table_name)),
        (StreamUpdate::Off, None) => Err(errors::no_stream_to_disable(&definition.table_name)),
        _ => Ok(()),
    }
}

fn invalid(what: &str) -> ServiceError {
    ServiceError::validation(format!("One or more parameter values were invalid: {what}"))
}
