//! CreateTable.

mod attributes;
mod global_indexes;
mod indexes;
mod projection;

pub(super) use attributes::{ATTRIBUTE_DEFINITION, AttributeDefinition, Definitions};
pub(super) use global_indexes::{
    GLOBAL_INDEX_FIELDS, GLOBAL_INDEXES, GlobalIndexInput, constrain_global_indexes, global_overrides,
};
pub(super) use indexes::{LOCAL_INDEXES, LocalIndexInput, constrain_local_indexes, invalid, overrides};
pub(super) use projection::check_together;

use super::{Call, table_description};
use crate::{
    NewTable, Tags, errors,
    input::{self, Input, fields::Flag, shape::Shape},
    validation::{
        constraints::{Constraints, required_table_name},
        on_demand::{ON_DEMAND_THROUGHPUT, OnDemandInput},
        references::resolve_table_arn,
        stream_specification::{STREAM_SPECIFICATION, StreamSpecificationInput},
        tags::{self, TAGS, TagInput},
        throughput::{self, THROUGHPUT, ThroughputInput},
        unsupported::{Unsupported, refuse, refuse_empty_list},
        warm::{WARM_THROUGHPUT, WarmInput},
    },
};
use attributes::{KEY_SCHEMA, KeySchemaElement};
use cairn_model::{
    ServiceError,
    table::{BillingMode, TableClass, TableStatus},
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
    local_secondary_indexes: Option<Vec<LocalIndexInput>>,
    global_secondary_indexes: Option<Vec<GlobalIndexInput>>,
    stream_specification: Option<StreamSpecificationInput>,
    #[serde(rename = "SSESpecification")]
    sse_specification: Option<Unsupported>,
    tags: Option<Vec<TagInput>>,
    warm_throughput: Option<WarmInput>,
    resource_policy: Option<Unsupported>,
    on_demand_throughput: Option<OnDemandInput>,
    global_table_source_arn: Option<Unsupported>,
    global_table_settings_replication_mode: Option<Unsupported>,
    vector_indexes: Option<Unsupported>,
}

/// Also those of ImportTable's `TableCreationParameters`.
pub(super) const FIELDS: &[(&str, Shape)] = &[
    ("AttributeDefinitions", Shape::List(&ATTRIBUTE_DEFINITION)),
    ("TableName", Shape::Text),
    ("BillingMode", Shape::Text),
    ("ProvisionedThroughput", THROUGHPUT),
    ("OnDemandThroughput", ON_DEMAND_THROUGHPUT),
    ("WarmThroughput", WARM_THROUGHPUT),
    ("KeySchema", KEY_SCHEMA),
    ("LocalSecondaryIndexes", LOCAL_INDEXES),
    ("GlobalSecondaryIndexes", GLOBAL_INDEXES),
    ("TableClass", Shape::Text),
    ("DeletionProtectionEnabled", Shape::Flag),
    ("Tags", TAGS),
    ("StreamSpecification", STREAM_SPECIFICATION),
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
    if let Some(stream) = &input.stream_specification {
        stream.constrain(&mut constraints);
    }
    constraints.finish()?;
    let tags = input.tags.take().unwrap_or_default();
    let stream = input.stream_specification.take();
    let table = input.into_table(name)?;
    let stream = stream.map_or(Ok(None), |stream| stream.of_new_table())?;
    let table = NewTable { tags: tags::checked(tags)?, stream, ..table };
    if let Some(taken) = call.known_table(&table.table_name) {
        return Err(match taken.status {
            TableStatus::Creating => errors::table_being_created(&table.table_name),
            _ => errors::table_exists(&table.table_name),
        });
    }
    call.check_table_count()?;
    let table = call.catalog.create_table(call.account, table).await?;
    Ok(table_description::created(call, &table))
}

impl CreateTableInput {
    /// All but the name. `parent` is the path of what the parameters are members of, with a dot after it.
    pub(super) fn constrain(&self, parent: &str, constraints: &mut Constraints) {
        let of = |member: &str| format!("{parent}{member}");
        constraints.required(&of("attributeDefinitions"), self.attribute_definitions.is_some());
        for (position, definition) in self.attribute_definitions.iter().flatten().enumerate() {
            definition.constrain(&of(&format!("attributeDefinitions.{}.member", position + 1)), constraints);
        }
        throughput::constrain_billing_mode(&of("billingMode"), self.billing_mode.as_deref(), constraints);
        if let Some(units) = &self.provisioned_throughput {
            units.constrain(&of("provisionedThroughput"), constraints);
        }
        attributes::constrain_key_schema(&of("keySchema"), None, self.key_schema.as_deref(), constraints);
        constrain_global_indexes(&of("globalSecondaryIndexes"), self.global_secondary_indexes.as_deref(), constraints);
        constrain_local_indexes(&of("localSecondaryIndexes"), self.local_secondary_indexes.as_deref(), constraints);
    }

    /// After the constraints found nothing. Without the tags and the stream, which only CreateTable itself has.
    pub(super) fn into_table(self, table_name: String) -> Result<NewTable, ServiceError> {
        let table_class = self.table_class.as_deref().map(parse_table_class).transpose()?;
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
            self.on_demand_throughput.as_ref().map(|maxima| maxima.of_new(billing_mode, None)).transpose()?.flatten();
        let warm = self.warm_throughput.map(|warm| warm.of_new(provisioned_throughput, None));
        let warm_throughput = warm.transpose()?.flatten();
        self.refuse_unsupported()?;
        let definitions = Definitions(self.attribute_definitions.unwrap_or_default());
        let elements = self.key_schema.unwrap_or_default();
        attributes::check_key_elements(&elements)?;
        let key_schema = definitions.key_schema(&elements)?;
        refuse_empty_list("LocalSecondaryIndexes", self.local_secondary_indexes.as_ref().map(Vec::is_empty))?;
        refuse_empty_list("GlobalSecondaryIndexes", self.global_secondary_indexes.as_ref().map(Vec::is_empty))?;
        let local = self.local_secondary_indexes.unwrap_or_default();
        let global = self.global_secondary_indexes.unwrap_or_default();
        let of_indexes = || {
            let of_local = local.iter().map(LocalIndexInput::key_schema);
            of_local.chain(global.iter().map(GlobalIndexInput::key_schema))
        };
        // What is not defined is told of in its place.
        if of_indexes().all(|keys| definitions.check_index_keys(keys).is_ok()) {
            definitions.all_used(&elements, &of_indexes().flatten().collect::<Vec<_>>())?;
        }
        let local_indexes = indexes::checked(&local, &key_schema, &definitions)?;
        let global_indexes = global_indexes::checked(global, billing_mode, &definitions)?;
        let names = local_indexes.iter().map(|index| index.index_name.as_str());
        indexes::check_names(names.chain(global_indexes.iter().map(|index| index.index_name.as_str())))?;
        let projections = local_indexes.iter().map(|index| &index.projection);
        check_together(projections.chain(global_indexes.iter().map(|index| &index.projection)))?;
        Ok(NewTable {
            key_schema,
            local_indexes,
            global_indexes,
            billing_mode,
            provisioned_throughput,
            on_demand_throughput,
            warm_throughput,
            table_class,
            deletion_protection_enabled: self.deletion_protection_enabled.is_some_and(|flag| flag.0),
            table_name,
            stream: None,
            tags: Tags::new(),
        })
    }

    /// As ImportTable has it, whose `TableCreationParameters` have fewer members: a field that it doesn't know is nothing to it.
    pub(super) fn of_import(self) -> Self {
        Self {
            local_secondary_indexes: None,
            warm_throughput: None,
            table_class: None,
            deletion_protection_enabled: None,
            resource_policy: None,
            global_table_source_arn: None,
            global_table_settings_replication_mode: None,
            ..self
        }
    }

    fn refuse_unsupported(&self) -> Result<(), ServiceError> {
        refuse([
            ("SSESpecification", &self.sse_specification),
            ("ResourcePolicy", &self.resource_policy),
            ("GlobalTableSourceArn", &self.global_table_source_arn),
            ("GlobalTableSettingsReplicationMode", &self.global_table_settings_replication_mode),
            ("VectorIndexes", &self.vector_indexes),
        ])
    }
}

pub(super) fn parse_table_class(class: &str) -> Result<TableClass, ServiceError> {
    match class {
        "STANDARD" => Ok(TableClass::Standard),
        "STANDARD_INFREQUENT_ACCESS" => Ok(TableClass::StandardInfrequentAccess),
        _ => Err(ServiceError::validation(
            "Invalid table-class parameter provided. Please try again with a valid table-class value: [STANDARD, \
             STANDARD_INFREQUENT_ACCESS].",
        )),
    }
}
