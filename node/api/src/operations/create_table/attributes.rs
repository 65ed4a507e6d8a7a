//! `AttributeDefinitions` and `KeySchema`: of a table, and of its indexes.

use crate::{
    errors,
    input::shape::Shape,
    validation::{constraints::Constraints, java},
};
use cairn_model::{
    KeySchema, ServiceError, limits,
    table::{KeyAttribute, ScalarType},
};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::operations) struct AttributeDefinition {
    attribute_name: Option<String>,
    attribute_type: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::operations) struct KeySchemaElement {
    attribute_name: Option<String>,
    key_type: Option<String>,
}

pub(in crate::operations) const ATTRIBUTE_DEFINITION: Shape =
    Shape::Struct("AttributeDefinition", &[("AttributeName", Shape::Text), ("AttributeType", Shape::Text)]);
const KEY_SCHEMA_ELEMENT: Shape =
    Shape::Struct("KeySchemaElement", &[("AttributeName", Shape::Text), ("KeyType", Shape::Text)]);
pub(super) const KEY_SCHEMA: Shape = Shape::List(&KEY_SCHEMA_ELEMENT);

impl AttributeDefinition {
    pub(in crate::operations) fn constrain(&self, path: &str, constraints: &mut Constraints) {
        constrain_attribute_name(&format!("{path}.attributeName"), self.attribute_name.as_deref(), constraints);
        let path = format!("{path}.attributeType");
        constraints.required(&path, self.attribute_type.is_some());
        constraints.one_of(&path, self.attribute_type.as_deref(), &["B", "N", "S"]);
    }
}

impl KeySchemaElement {
    pub(super) fn name(&self) -> &str {
        self.attribute_name.as_deref().unwrap_or_default()
    }

    pub(super) fn is(&self, key_type: &str) -> bool {
        self.key_type.as_deref() == Some(key_type)
    }
}

/// How many elements a table's key has, or a local index's.
pub(super) const KEY_ELEMENTS_MAX: usize = 2;

/// With more than `elements_max` elements, if there is such a limit here, a schema is reported as if it were the table's, as
/// DynamoDB does.
pub(super) fn constrain_key_schema(
    path: &str,
    elements_max: Option<usize>,
    elements: Option<&[KeySchemaElement]>,
    constraints: &mut Constraints,
) {
    constraints.required(path, elements.is_some());
    let elements = match elements {
        None => return,
        Some([]) => return constraints.value("[]", path, "Member must have length greater than or equal to 1"),
        Some(elements) => elements,
    };
    if let Some(elements_max) = elements_max {
        constrain_key_elements(elements, elements_max, constraints);
    }
    for (position, element) in elements.iter().enumerate() {
        let path = |member| format!("{path}.{}.member.{member}", position + 1);
        constrain_attribute_name(&path("attributeName"), element.attribute_name.as_deref(), constraints);
        constraints.required(&path("keyType"), element.key_type.is_some());
        constraints.one_of(&path("keyType"), element.key_type.as_deref(), &["HASH", "RANGE"]);
    }
}

fn constrain_key_elements(elements: &[KeySchemaElement], elements_max: usize, constraints: &mut Constraints) {
    if elements.len() > elements_max {
        let constraint = format!("Member must have length less than or equal to {elements_max}");
        constraints.value(shown(elements), "keySchema", &constraint);
    }
}

/// That a table's key has no more elements than it can have: looked at when its throughput is found right.
pub(super) fn check_key_elements(elements: &[KeySchemaElement]) -> Result<(), ServiceError> {
    let mut constraints = Constraints::default();
    constrain_key_elements(elements, KEY_ELEMENTS_MAX, &mut constraints);
    constraints.finish()
}

/// The name of a key's attribute, or of one that an index shows.
pub(super) fn constrain_attribute_name(path: &str, name: Option<&str>, constraints: &mut Constraints) {
    constraints.required(path, name.is_some());
    match name.map(str::len) {
        Some(0) => constraints.value("", path, "Member must have length greater than or equal to 1"),
        Some(length) if length > limits::KEY_NAME_BYTES_MAX => {
            constraints.value(name.unwrap_or_default(), path, "Member must have length less than or equal to 255")
        }
        _ => {}
    }
}

/// A list of elements as Java shows it.
fn shown(elements: &[KeySchemaElement]) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".into());
    let elements: Vec<String> = elements
        .iter()
        .map(|element| {
            format!(
                "KeySchemaElement(attributeName={}, keyType={})",
                text(&element.attribute_name),
                text(&element.key_type)
            )
        })
        .collect();
    format!("[{}]", elements.join(", "))
}

/// The keys' names, after the constraints found nothing: the partition key's, and the sort key's if there is one.
pub(super) fn keys_of(elements: &[KeySchemaElement]) -> Result<(&str, Option<&str>), ServiceError> {
    let (first, second) = match elements {
        [first] => (first, None),
        [first, second] => (first, Some(second)),
        _ => return Err(errors::internal()),
    };
    if !first.is("HASH") {
        return Err(not_hash());
    }
    if second.is_some_and(|second| second.name() == first.name()) {
        return Err(same_name());
    }
    if second.is_some_and(|second| !second.is("RANGE")) {
        return Err(ServiceError::validation("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"));
    }
    Ok((first.name(), second.map(KeySchemaElement::name)))
}

pub(super) fn not_hash() -> ServiceError {
    ServiceError::validation("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
}

pub(super) fn same_name() -> ServiceError {
    ServiceError::validation("Both the Hash Key and the Range Key element in the KeySchema have the same name")
}

/// `AttributeDefinitions`.
pub(in crate::operations) struct Definitions(pub(in crate::operations) Vec<AttributeDefinition>);

impl Definitions {
    /// The table's key schema.
    pub(super) fn key_schema(&self, elements: &[KeySchemaElement]) -> Result<KeySchema, ServiceError> {
        let keys: Vec<&str> = elements.iter().map(KeySchemaElement::name).collect();
        let defined = self.names();
        if let Some((_, name)) = defined.iter().enumerate().find(|(at, name)| defined[..*at].contains(name)) {
            return Err(ServiceError::validation(format!("Attribute Name is duplicated: {name}")));
        }
        if keys.len() > defined.len() {
            return Err(undefined_of_few());
        }
        if keys.iter().any(|key| !defined.contains(key)) {
            return Err(undefined(&keys, &defined));
        }
        let (partition, sort) = keys_of(elements)?;
        Ok(KeySchema {
            partition: self.attribute(partition)?,
            sort: sort.map(|sort| self.attribute(sort)).transpose()?,
        })
    }

    /// That the keys of an index are defined.
    pub(in crate::operations) fn check_index_keys(&self, elements: &[KeySchemaElement]) -> Result<(), ServiceError> {
        let defined = self.names();
        let keys: Vec<&str> = elements.iter().map(KeySchemaElement::name).collect();
        if keys.iter().all(|key| defined.contains(key)) {
            return Ok(());
        }
        let keys = java::map_order(&keys);
        Err(if keys.len() > defined.len() { undefined_of_few() } else { undefined(&keys, &java::map_order(&defined)) })
    }

    /// That every definition is that of a key, of the table or of an index.
    pub(super) fn all_used(
        &self,
        elements: &[KeySchemaElement],
        of_indexes: &[&KeySchemaElement],
    ) -> Result<(), ServiceError> {
        let used: Vec<&str> = elements.iter().chain(of_indexes.iter().copied()).map(KeySchemaElement::name).collect();
        let used = java::set_order(&used);
        let defined = self.names();
        if used.len() == defined.len() {
            return Ok(());
        }
        Err(ServiceError::validation(if of_indexes.is_empty() {
            "One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match \
             number of attributes defined in AttributeDefinitions"
                .to_owned()
        } else {
            format!(
                "One or more parameter values were invalid: Some AttributeDefinitions are not used. \
                 AttributeDefinitions: [{}], keys used: [{}]",
                java::map_order(&defined).join(", "),
                used.join(", ")
            )
        }))
    }

    /// One that is defined.
    pub(in crate::operations) fn attribute(&self, name: &str) -> Result<KeyAttribute, ServiceError> {
        let definition = self.0.iter().find(|definition| definition.attribute_name.as_deref() == Some(name));
        let scalar_type = match definition.ok_or_else(errors::internal)?.attribute_type.as_deref() {
            Some("N") => ScalarType::N,
            Some("B") => ScalarType::B,
            _ => ScalarType::S,
        };
        Ok(KeyAttribute { name: name.to_owned(), scalar_type })
    }

    fn names(&self) -> Vec<&str> {
        self.0.iter().map(|definition| definition.attribute_name.as_deref().unwrap_or_default()).collect()
    }
}

/// What is said where fewer attributes are defined than there are keys.
fn undefined_of_few() -> ServiceError {
    ServiceError::validation("Invalid KeySchema: Some index key attribute have no definition")
}

fn undefined(keys: &[&str], defined: &[&str]) -> ServiceError {
    ServiceError::validation(format!(
        "One or more parameter values were invalid: Some index key attributes are not defined in \
         AttributeDefinitions. Keys: [{}], AttributeDefinitions: [{}]",
        keys.join(", "),
        defined.join(", ")
    ))
}
