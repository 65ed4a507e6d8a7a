//! CreateTable.

use super::{Call, table_description};
use crate::{
    NewTable, Tags, errors,
    input::{self, Input, fields::Flag, shape::Shape},
    validation::{
        constraints::{Constraints, required_table_name},
        on_demand::{ON_DEMAND_THROUGHPUT, OnDemandInput},
        references::resolve_table_arn,
        tags::{self, TAGS, TagInput},
        throughput::{self, THROUGHPUT, ThroughputInput},
        unsupported::{Unsupported, refuse, refuse_empty_list},
    },
};
use cairn_model::{
    KeySchema, ServiceError, limits,
    table::{BillingMode, KeyAttribute, ScalarType, TableClass},
};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateTableInput {
    attribute_definitions: Option<Vec<AttributeDefinition>>,
    pub(super) table_name: Option<String>,
    key_schema: Option<Vec<KeySchemaElement>>,
    billing_mode: Option<String>,
    provisioned_throughput: Option<ThroughputInput>,
    table_class: Option<String>,
    deletion_protection_enabled: Option<Flag>,
    local_secondary_indexes: Option<Unsupported>,
    global_secondary_indexes: Option<Unsupported>,
    stream_specification: Option<Unsupported>,
    #[serde(rename = "SSESpecification")]
    sse_specification: Option<Unsupported>,
    tags: Option<Vec<TagInput>>,
    warm_throughput: Option<Unsupported>,
    resource_policy: Option<Unsupported>,
    on_demand_throughput: Option<OnDemandInput>,
    global_table_source_arn: Option<Unsupported>,
    global_table_settings_replication_mode: Option<Unsupported>,
    vector_indexes: Option<Unsupported>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AttributeDefinition {
    attribute_name: Option<String>,
    attribute_type: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeySchemaElement {
    attribute_name: Option<String>,
    key_type: Option<String>,
}

const ATTRIBUTE_DEFINITION: Shape =
    Shape::Struct("AttributeDefinition", &[("AttributeName", Shape::Text), ("AttributeType", Shape::Text)]);
const KEY_SCHEMA_ELEMENT: Shape =
    Shape::Struct("KeySchemaElement", &[("AttributeName", Shape::Text), ("KeyType", Shape::Text)]);

/// Also those of ImportTable's `TableCreationParameters`.
pub(super) const FIELDS: &[(&str, Shape)] = &[
    ("AttributeDefinitions", Shape::List(&ATTRIBUTE_DEFINITION)),
    ("TableName", Shape::Text),
    ("BillingMode", Shape::Text),
    ("ProvisionedThroughput", THROUGHPUT),
    ("OnDemandThroughput", ON_DEMAND_THROUGHPUT),
    ("KeySchema", Shape::List(&KEY_SCHEMA_ELEMENT)),
    ("TableClass", Shape::Text),
    ("DeletionProtectionEnabled", Shape::Flag),
    ("Tags", TAGS),
];

impl Input for CreateTableInput {
    const FIELDS: &'static [(&'static str, Shape)] = FIELDS;
}

pub(super) async fn run(call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
    let mut input: CreateTableInput = input::parse(call.body)?;
    resolve_table_arn(call, &mut input.table_name)?;
    let name = required_table_name(input.table_name.take())?;
    let mut constraints = Constraints::default();
    constraints.name_in_full("tableName", &name);
    constraints.finish()?;
    let mut constraints = Constraints::default();
    input.constrain("", &mut constraints);
    constraints.finish()?;
    let tags = input.tags.take().unwrap_or_default();
    let table = NewTable { tags: tags::checked(tags)?, ..input.into_table(name)? };
    if call.catalog.table(call.account, &table.table_name).is_some() {
        return Err(errors::table_exists(&table.table_name));
    }
    call.check_table_count()?;
    let table = call.catalog.create_table(call.account, table).await?;
    Ok(table_description::answer(call, "TableDescription", &table))
}

impl CreateTableInput {
    /// All but the name. `parent` is the path of what the parameters are members of, with a dot after it.
    pub(super) fn constrain(&self, parent: &str, constraints: &mut Constraints) {
        let of = |member: &str| format!("{parent}{member}");
        constraints.required(&of("attributeDefinitions"), self.attribute_definitions.is_some());
        for (position, definition) in self.attribute_definitions.iter().flatten().enumerate() {
            let path = |member| of(&format!("attributeDefinitions.{}.member.{member}", position + 1));
            constrain_key_name(&path("attributeName"), definition.attribute_name.as_deref(), constraints);
            constraints.required(&path("attributeType"), definition.attribute_type.is_some());
            constraints.one_of(&path("attributeType"), definition.attribute_type.as_deref(), &["B", "N", "S"]);
        }
        throughput::constrain_billing_mode(&of("billingMode"), self.billing_mode.as_deref(), constraints);
        if let Some(units) = &self.provisioned_throughput {
            units.constrain(&of("provisionedThroughput"), constraints);
        }
        let elements = self.key_schema.as_deref();
        constraints.required(&of("keySchema"), elements.is_some());
        match elements.map_or(1, <[_]>::len) {
            0 => constraints.value("[]", &of("keySchema"), "Member must have length greater than or equal to 1"),
            1 | 2 => {}
            _ => constraints.value(
                shown(elements.unwrap_or_default()),
                &of("keySchema"),
                "Member must have length less than or equal to 2",
            ),
        }
        for (position, element) in elements.unwrap_or_default().iter().enumerate() {
            let path = |member| of(&format!("keySchema.{}.member.{member}", position + 1));
            constrain_key_name(&path("attributeName"), element.attribute_name.as_deref(), constraints);
            constraints.required(&path("keyType"), element.key_type.is_some());
            constraints.one_of(&path("keyType"), element.key_type.as_deref(), &["HASH", "RANGE"]);
        }
        constrain_table_class(self.table_class.as_deref(), constraints);
    }

    /// After the constraints found nothing. Without the tags, which only CreateTable itself has.
    pub(super) fn into_table(self, table_name: String) -> Result<NewTable, ServiceError> {
        let billing_mode = self.billing_mode.as_deref().map_or(BillingMode::Provisioned, throughput::billing_mode);
        let provisioned_throughput = match (billing_mode, self.provisioned_throughput) {
            (BillingMode::PayPerRequest, Some(_)) => return Err(throughput::units_on_demand()),
            (BillingMode::PayPerRequest, None) => None,
            (BillingMode::Provisioned, Some(units)) => Some(units.checked()?),
            (BillingMode::Provisioned, None) => {
                return Err(ServiceError::validation(
                    "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be \
                     specified when BillingMode is PROVISIONED",
                ));
            }
        };
        let on_demand_throughput =
            self.on_demand_throughput.as_ref().map(|maxima| maxima.of_new_table(billing_mode)).transpose()?.flatten();
        self.refuse_unsupported()?;
        Ok(NewTable {
            key_schema: key_schema(
                &self.key_schema.unwrap_or_default(),
                &self.attribute_definitions.unwrap_or_default(),
            )?,
            billing_mode,
            provisioned_throughput,
            on_demand_throughput,
            table_class: self.table_class.as_deref().map(parse_table_class),
            deletion_protection_enabled: self.deletion_protection_enabled.is_some_and(|flag| flag.0),
            table_name,
            tags: Tags::new(),
        })
    }

    fn refuse_unsupported(&self) -> Result<(), ServiceError> {
        refuse_empty_list("LocalSecondaryIndexes", &self.local_secondary_indexes)?;
        refuse_empty_list("GlobalSecondaryIndexes", &self.global_secondary_indexes)?;
        refuse([
            ("LocalSecondaryIndexes", &self.local_secondary_indexes),
            ("GlobalSecondaryIndexes", &self.global_secondary_indexes),
            ("StreamSpecification", &self.stream_specification),
            ("SSESpecification", &self.sse_specification),
            ("WarmThroughput", &self.warm_throughput),
            ("ResourcePolicy", &self.resource_policy),
            ("GlobalTableSourceArn", &self.global_table_source_arn),
            ("GlobalTableSettingsReplicationMode", &self.global_table_settings_replication_mode),
            ("VectorIndexes", &self.vector_indexes),
        ])
    }
}

pub(super) fn constrain_table_class(class: Option<&str>, constraints: &mut Constraints) {
    constraints.one_of("tableClass", class, &["STANDARD", "STANDARD_INFREQUENT_ACCESS"]);
}

/// After [`constrain_table_class`] found nothing.
pub(super) fn parse_table_class(class: &str) -> TableClass {
    if class == "STANDARD" { TableClass::Standard } else { TableClass::StandardInfrequentAccess }
}

fn constrain_key_name(path: &str, name: Option<&str>, constraints: &mut Constraints) {
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

/// The key schema, every attribute of it defined and no other.
fn key_schema(elements: &[KeySchemaElement], definitions: &[AttributeDefinition]) -> Result<KeySchema, ServiceError> {
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    let keys: Vec<String> = elements.iter().map(|element| name(&element.attribute_name)).collect();
    let defined: Vec<String> = definitions.iter().map(|definition| name(&definition.attribute_name)).collect();
    if keys.len() > defined.len() {
        return Err(ServiceError::validation("Invalid KeySchema: Some index key attribute have no definition"));
    }
    if keys.iter().any(|key| !defined.contains(key)) {
        return Err(ServiceError::validation(format!(
            "One or more parameter values were invalid: Some index key attributes are not defined in \
             AttributeDefinitions. Keys: [{}], AttributeDefinitions: [{}]",
            keys.join(", "),
            defined.join(", ")
        )));
    }
    if elements.first().and_then(|element| element.key_type.as_deref()) != Some("HASH") {
        return Err(ServiceError::validation("Invalid KeySchema: The first KeySchemaElement is not a HASH key type"));
    }
    if let [partition, sort] = keys.as_slice() {
        if partition == sort {
            return Err(ServiceError::validation(
                "Both the Hash Key and the Range Key element in the KeySchema have the same name",
            ));
        }
        if elements.get(1).and_then(|element| element.key_type.as_deref()) != Some("RANGE") {
            return Err(ServiceError::validation(
                "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
            ));
        }
    }
    if keys.len() != defined.len() {
        return Err(ServiceError::validation(
            "One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match \
             number of attributes defined in AttributeDefinitions",
        ));
    }
    let attribute = |name: &String| {
        let definition = definitions.iter().find(|definition| definition.attribute_name.as_ref() == Some(name));
        let scalar_type = match definition.and_then(|definition| definition.attribute_type.as_deref()) {
            Some("N") => ScalarType::N,
            Some("B") => ScalarType::B,
            _ => ScalarType::S,
        };
        KeyAttribute { name: name.clone(), scalar_type }
    };
    match keys.as_slice() {
        [partition] => Ok(KeySchema { partition: attribute(partition), sort: None }),
        [partition, sort] => Ok(KeySchema { partition: attribute(partition), sort: Some(attribute(sort)) }),
        _ => Err(errors::internal()),
    }
}
