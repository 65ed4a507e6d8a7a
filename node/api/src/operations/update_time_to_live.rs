//! UpdateTimeToLive: the deletion of expired items, on or off.

use super::{Call, time_to_live::Standing};
use crate::{
    TableUpdate, TimeToLiveUpdate, errors,
    input::{self, Input, fields::Flag, shape::Shape},
    output::Object,
    validation::{constraints::Constraints, references::required_table},
};
use cairn_model::{ServiceError, limits::KEY_NAME_BYTES_MAX, table::TableStatus};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateTimeToLiveInput {
    table_name: Option<String>,
    time_to_live_specification: Option<Specification>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Specification {
    attribute_name: Option<String>,
    enabled: Option<Flag>,
}

const SPECIFICATION: Shape =
    Shape::Struct("TimeToLiveSpecification", &[("AttributeName", Shape::Text), ("Enabled", Shape::Flag)]);

impl Input for UpdateTimeToLiveInput {
    const FIELDS: &'static [(&'static str, Shape)] =
        &[("TableName", Shape::Text), ("TimeToLiveSpecification", SPECIFICATION)];
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let input: UpdateTimeToLiveInput = input::parse(call.body)?;
    let mut constraints = Constraints::default();
    let name = required_table(call, input.table_name, &mut constraints)?;
    let specification = input.time_to_live_specification;
    constraints.required("timeToLiveSpecification", specification.is_some());
    if let Some(specification) = &specification {
        specification.constrain(&mut constraints);
    }
    constraints.finish()?;
    let (attribute_name, enabled) = specification.and_then(Specification::parts).ok_or_else(errors::internal)?;
    let table = call.any_table(&name)?;
    match table.status {
        TableStatus::Creating => return Err(errors::time_to_live_of_new_table(&name)),
        TableStatus::Deleting => return Err(errors::table_being_deleted(&name)),
        TableStatus::Active | TableStatus::Updating => {}
    }
    match &table.definition.time_to_live {
        Some(on) if on.attribute_name != attribute_name => {
            return Err(errors::time_to_live_of_another_attribute(&on.attribute_name));
        }
        Some(_) if enabled => return Err(errors::time_to_live_enabled_already()),
        None if !enabled => return Err(errors::time_to_live_disabled_already()),
        _ => {}
    }
    if Standing::of(call, &table).await.is_changing() {
        return Err(errors::time_to_live_changed_just_now());
    }
    let time_to_live = match enabled {
        true => TimeToLiveUpdate::On { attribute_name: attribute_name.clone() },
        false => TimeToLiveUpdate::Off,
    };
    let update = TableUpdate { time_to_live: Some(time_to_live), ..TableUpdate::default() };
    call.catalog.update_table(call.account, &name, update).await?;
    let mut out = Vec::new();
    let mut answer = Object::begin(&mut out);
    let mut specification = answer.object("TimeToLiveSpecification");
    specification.text("AttributeName", &attribute_name);
    specification.literal("Enabled", enabled);
    specification.end();
    answer.end();
    Ok(out)
}

impl Specification {
    fn constrain(&self, constraints: &mut Constraints) {
        let path = "timeToLiveSpecification.attributeName";
        constraints.required(path, self.attribute_name.is_some());
        match self.attribute_name.as_deref() {
            Some("") => constraints.value("", path, "Member must have length greater than or equal to 1"),
            Some(name) if name.len() > KEY_NAME_BYTES_MAX => {
                constraints.value(name, path, "Member must have length less than or equal to 255");
            }
            _ => {}
        }
        constraints.required("timeToLiveSpecification.enabled", self.enabled.is_some());
    }

    fn parts(self) -> Option<(String, bool)> {
        Some((self.attribute_name?, self.enabled?.0))
    }
}
