//! Between a Table and what the nodes keep of it: the table's definition.

use super::{
    AutoScaling, ContinuousBackups, GlobalSecondaryIndex, GlobalSecondaryIndexStatus, LocalSecondaryIndex,
    OnDemandThroughput, ProvisionedThroughput, StreamSpecification, StreamStatus, Table, TableResourceStatus,
    TableSpec, TimeToLive, TimeToLiveStatus, WarmThroughput,
    key::{attribute, elements, keys_of},
    recovery::millis_of_time,
};
use cairn_model::{
    arn::TableArn,
    ids::TableId,
    index::GlobalIndex,
    stream::Streams,
    table::{self, BillingMode, KeyAttribute, KeySchema, RestoredFrom, StreamViewType, TableDefinition},
};

/// Why a Table says nothing that a node could keep.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    #[error("spec.keySchema must be one HASH element and at most one RANGE element behind it")]
    KeySchema,
    #[error("spec.keySchema names {attribute:?}, which spec.attributeDefinitions does not define")]
    AttributeUndefined { attribute: String },
    #[error("spec.attributeDefinitions defines {attribute:?}: a key's name must have 1 to 255 bytes")]
    AttributeName { attribute: String },
    #[error("spec.attributeDefinitions defines {attribute:?}, which no key uses")]
    AttributeUnused { attribute: String },
    #[error(
        "spec.provisionedThroughput must be given, with units of at least 1, if and only if spec.billingMode is PROVISIONED"
    )]
    Throughput,
    #[error(
        "spec.onDemandThroughput must have maxima of at least 1, or -1 for none, and only where spec.billingMode is PAY_PER_REQUEST"
    )]
    OnDemandThroughput,
    #[error(
        "spec.autoScaling needs a spec.billingMode of PROVISIONED, minUnits of 1 to maxUnits, and a targetUtilizationPercent of 20 to 90"
    )]
    AutoScaling,
    #[error("spec.localSecondaryIndexes: {index:?} {flaw}")]
    LocalIndex { index: String, flaw: IndexFlaw },
    #[error("spec.globalSecondaryIndexes: {index:?} {flaw}")]
    GlobalIndex { index: String, flaw: IndexFlaw },
    #[error(
        "spec.localSecondaryIndexes and spec.globalSecondaryIndexes must have at most 100 projection.nonKeyAttributes together"
    )]
    Projections,
    #[error("spec.continuousBackups.recoveryPeriodInDays must be 1 to 35")]
    RecoveryPeriod,
    #[error(
        "spec.timeToLive.attributeName must be given, with 1 to 255 bytes, unless spec.timeToLive.enabled is false"
    )]
    TimeToLive,
    #[error(
        "spec.restoreFrom must name one source: table or tableId with at or latest, or backup or backupArn without them"
    )]
    RestoreFrom,
    #[error(
        "spec.streamSpecification.streamViewType must be given if and only if spec.streamSpecification.streamEnabled is true"
    )]
    Stream,
    #[error("{name:?} is no table's name: it must have 3 to 255 characters of a-zA-Z0-9_.-")]
    Name { name: String },
    #[error("the table has no {field} yet")]
    Missing { field: &'static str },
    #[error("{field} {value:?} can't be read")]
    Invalid { field: &'static str, value: String },
}

/// Why a table can't have an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexFlaw {
    #[error("is no index's name: it must have 3 to 255 characters of a-zA-Z0-9_.-")]
    Name,
    #[error("is there twice")]
    Duplicate,
    #[error("is one too many: a table has at most 5")]
    TooMany,
    #[error("needs a table with a RANGE key in spec.keySchema")]
    NoRangeKey,
    #[error("must have the table's HASH key and a RANGE key of another name in keySchema")]
    Keys,
    #[error("is one too many: a table has at most 20")]
    TooManyGlobal,
    #[error(
        "must have one to four HASH elements in keySchema and, behind them, at most four RANGE elements, all of different names"
    )]
    GlobalKeys,
    #[error(
        "must have provisionedThroughput, with units of at least 1, if and only if spec.billingMode is PROVISIONED"
    )]
    Throughput,
    #[error(
        "must have onDemandThroughput with maxima of at least 1, or -1 for none, and only where spec.billingMode is PAY_PER_REQUEST"
    )]
    OnDemandThroughput,
    #[error(
        "must have autoScaling with minUnits of 1 to maxUnits and a targetUtilizationPercent of 20 to 90, and only where spec.billingMode is PROVISIONED"
    )]
    AutoScaling,
    #[error(
        "must name 1 to 20 different projection.nonKeyAttributes, of 1 to 255 bytes each, if and only if projection.projectionType is INCLUDE"
    )]
    Projection,
}

/// What a table is given and is not in its spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Birth {
    pub table_id: TableId,
    pub schema_version: u64,
    pub creation_time_ms: u64,
    /// Since when point-in-time recovery is on without a break. Before it is known, recovery is not on, whatever the spec says.
    pub recovery_since_ms: Option<u64>,
    /// Since when items expire, and by which attribute. Before it is known they don't, whatever the spec says.
    pub time_to_live: Option<table::TimeToLive>,
    pub restored_from: Option<RestoredFrom>,
    /// What auto-scaling has made of the throughput; it counts only while the spec asks for auto-scaling.
    pub scaled: Option<table::ProvisionedThroughput>,
    /// The streams that the table has; before one is known here it is not on, whatever the spec says.
    pub streams: Streams,
    /// The global indexes that were given their identity, as they were made, with what auto-scaling has made of their
    /// throughput; one is the table's while the spec names it.
    pub global_indexes: Vec<GlobalIndex>,
}

impl Birth {
    /// Of a table that nobody has made yet.
    pub fn new(table_id: TableId, creation_time_ms: u64) -> Self {
        Self {
            table_id,
            schema_version: 1,
            creation_time_ms,
            recovery_since_ms: None,
            time_to_live: None,
            restored_from: None,
            scaled: None,
            streams: Streams::default(),
            global_indexes: Vec::new(),
        }
    }
}

impl TableSpec {
    /// The table's keys with their types.
    pub fn keys(&self) -> Result<KeySchema, DefinitionError> {
        keys_of(&self.key_schema, &self.attribute_definitions)
    }

    /// The definition this spec asks for, under the name and account given.
    ///
    /// Checks again what the CEL rules say, for an API server may have been asked to skip them (a CRD replaced by hand).
    pub fn definition(
        &self,
        account: &str,
        table_name: &str,
        birth: &Birth,
    ) -> Result<TableDefinition, DefinitionError> {
        let named = (3..=255).contains(&table_name.len())
            && table_name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        if !named {
            return Err(DefinitionError::Name { name: table_name.to_owned() });
        }
        let key_schema = self.keys()?;
        if let Some(unused) = self.attribute_definitions.iter().find(|d| !self.is_key(&d.attribute_name)) {
            return Err(DefinitionError::AttributeUnused { attribute: unused.attribute_name.clone() });
        }
        let local_indexes = self.local_indexes(&key_schema)?;
        let global_indexes = self.given_indexes(&birth.global_indexes)?;
        self.check_projections()?;
        let provisioned_throughput = match (self.billing_mode, self.provisioned_throughput) {
            (BillingMode::Provisioned, Some(throughput)) => {
                let scaled = self.auto_scaling.is_some().then_some(birth.scaled).flatten();
                Some(scaled.map_or_else(|| throughput.units(), Ok)?)
            }
            (BillingMode::PayPerRequest, None) => None,
            _ => return Err(DefinitionError::Throughput),
        };
        if let Some(scaling) = &self.auto_scaling {
            scaling.check(self.billing_mode)?;
        }
        let on_demand_throughput = self.on_demand_throughput.map_or(Ok(None), |maxima| maxima.of(self.billing_mode))?;
        let continuous_backups =
            self.recovery_period_days()?.zip(birth.recovery_since_ms).map(|(recovery_period_days, enabled_at_ms)| {
                table::ContinuousBackups { recovery_period_days, enabled_at_ms }
            });
        let time_to_live = self.time_to_live_attribute()?.and_then(|attribute_name| {
            birth.time_to_live.clone().filter(|since| since.attribute_name == attribute_name)
        });
        self.stream_view_type()?;
        Ok(TableDefinition {
            account: account.to_owned(),
            table_name: table_name.to_owned(),
            table_id: birth.table_id,
            schema_version: birth.schema_version,
            key_schema,
            billing_mode: self.billing_mode,
            provisioned_throughput,
            on_demand_throughput,
            warm_throughput: self.warm_throughput.and_then(|warm| warm.of(provisioned_throughput)),
            table_class: self.table_class,
            deletion_protection_enabled: self.deletion_protection_enabled.unwrap_or_default(),
            creation_time_ms: birth.creation_time_ms,
            continuous_backups,
            restored_from: birth.restored_from.clone(),
            replicas: None,
            local_indexes,
            global_indexes,
            index_of: None,
            time_to_live,
            stream: Some(birth.streams.clone()).filter(|streams| !streams.is_empty()),
        })
    }

    /// What the stream's records are to show; none while there is to be no stream.
    pub fn stream_view_type(&self) -> Result<Option<StreamViewType>, DefinitionError> {
        self.stream_specification.as_ref().map_or(Ok(None), StreamSpecification::view_type)
    }

    /// For how many days the table's past is to be kept; none while point-in-time recovery is not to be on.
    pub fn recovery_period_days(&self) -> Result<Option<u16>, DefinitionError> {
        self.continuous_backups.as_ref().map_or(Ok(None), ContinuousBackups::period_days)
    }

    /// By which attribute items are to expire; none where they aren't to.
    pub fn time_to_live_attribute(&self) -> Result<Option<&str>, DefinitionError> {
        self.time_to_live.as_ref().map_or(Ok(None), TimeToLive::attribute)
    }

    pub(super) fn is_key(&self, attribute: &str) -> bool {
        let indexes = self.global_secondary_indexes.iter().flatten().map(|index| &index.key_schema);
        let local = self.local_secondary_indexes.iter().flatten().map(|index| &index.key_schema);
        std::iter::once(&self.key_schema)
            .chain(indexes)
            .chain(local)
            .flatten()
            .any(|element| element.attribute_name == attribute)
    }

    /// The spec of a table that the API creates.
    pub fn from_definition(definition: &TableDefinition) -> Self {
        let of_indexes = definition.global_indexes.iter().flat_map(|index| index.key_schema.keys().attributes());
        let keys = definition.key_schema.attributes().chain(of_indexes);
        let mut attributes: Vec<&KeyAttribute> = Vec::new();
        for key in keys.chain(definition.local_indexes.iter().map(|index| &index.sort)) {
            if !attributes.contains(&key) {
                attributes.push(key);
            }
        }
        let global_indexes: Vec<_> = definition.global_indexes.iter().map(GlobalSecondaryIndex::of).collect();
        let local_indexes = definition.local_indexes.iter();
        let local_indexes: Vec<_> =
            local_indexes.map(|index| LocalSecondaryIndex::of(index, &definition.key_schema)).collect();
        Self {
            table_name: Some(definition.table_name.clone()),
            attribute_definitions: attributes.into_iter().map(attribute).collect(),
            key_schema: elements(definition.key_schema.keys()),
            billing_mode: definition.billing_mode,
            provisioned_throughput: definition.provisioned_throughput.map(ProvisionedThroughput::from),
            on_demand_throughput: definition.on_demand_throughput.map(OnDemandThroughput::from),
            warm_throughput: definition.warm_throughput.map(WarmThroughput::from),
            auto_scaling: None,
            table_class: definition.table_class,
            deletion_protection_enabled: definition.deletion_protection_enabled.then_some(true),
            storage_group: crate::DEFAULT_STORAGE_GROUP.to_owned(),
            tags: None,
            global_secondary_indexes: (!global_indexes.is_empty()).then_some(global_indexes),
            local_secondary_indexes: (!local_indexes.is_empty()).then_some(local_indexes),
            stream_specification: definition
                .current_stream()
                .map(|stream| StreamSpecification::of_view_type(Some(stream.view_type))),
            time_to_live: definition
                .time_to_live
                .as_ref()
                .map(|on| TimeToLive::changed(None, Some(&on.attribute_name))),
            continuous_backups: definition
                .continuous_backups
                .map(|backups| ContinuousBackups::of_period(Some(backups.recovery_period_days))),
            restore_from: None,
            import_from: None,
            sse_specification: None,
            table_replicas: None,
            contributor_insights: None,
            resource_policy: None,
            deletion_policy: None,
        }
    }

    /// Takes over what the API changed, and leaves the rest as it was written: what is asked for and not so yet, too.
    pub fn update_from_definition(&mut self, before: &TableDefinition, after: &TableDefinition) {
        self.billing_mode = after.billing_mode;
        // What auto-scaling made of it is not what was asked for.
        if before.provisioned_throughput != after.provisioned_throughput {
            self.provisioned_throughput = after.provisioned_throughput.map(ProvisionedThroughput::from);
            self.auto_scaling = self.auto_scaling.map(AutoScaling::restarted);
        }
        if after.billing_mode == BillingMode::PayPerRequest {
            self.auto_scaling = None;
        }
        if before.on_demand_throughput != after.on_demand_throughput {
            self.on_demand_throughput = after.on_demand_throughput.map(OnDemandThroughput::from);
        }
        if before.warm_throughput != after.warm_throughput {
            self.warm_throughput = after.warm_throughput.map(WarmThroughput::from);
        }
        if before.global_indexes != after.global_indexes {
            self.update_global_indexes(&before.global_indexes, &after.global_indexes);
        }
        // What the table has is not what was asked for while that has to wait.
        if before.table_class != after.table_class {
            self.table_class = after.table_class;
        }
        if after.deletion_protection_enabled != self.deletion_protection_enabled.unwrap_or_default() {
            self.deletion_protection_enabled = Some(after.deletion_protection_enabled);
        }
        let period = |definition: &TableDefinition| definition.continuous_backups.map(|b| b.recovery_period_days);
        if period(before) != period(after) {
            self.continuous_backups = Some(ContinuousBackups::of_period(period(after)));
        }
        if before.current_stream() != after.current_stream() {
            let view_type = after.current_stream().map(|stream| stream.view_type);
            self.stream_specification = Some(StreamSpecification::of_view_type(view_type));
        }
        let [before, after] =
            [before, after].map(|definition| definition.time_to_live.as_ref().map(|on| on.attribute_name.as_str()));
        if before != after {
            self.time_to_live = Some(TimeToLive::changed(before, after));
        }
    }
}

impl Table {
    /// The definition of a table that has been given its id: what its nodes keep, or will once they have caught up.
    pub fn definition(&self) -> Result<TableDefinition, DefinitionError> {
        let status = self.status.as_ref().ok_or(DefinitionError::Missing { field: "status" })?;
        self.spec.definition(&self.account(), &self.table_name(), &status.birth()?)
    }
}

impl TableResourceStatus {
    /// What the table was given.
    pub fn birth(&self) -> Result<Birth, DefinitionError> {
        let table_id = self.table_id.as_ref().ok_or(DefinitionError::Missing { field: "status.tableId" })?;
        let created =
            self.creation_date_time.as_ref().ok_or(DefinitionError::Missing { field: "status.creationDateTime" })?;
        Ok(Birth {
            table_id: table_id
                .parse()
                .map_err(|_| DefinitionError::Invalid { field: "status.tableId", value: table_id.clone() })?,
            schema_version: self.schema_version.and_then(|version| u64::try_from(version).ok()).unwrap_or(1),
            creation_time_ms: millis_of_time(created),
            recovery_since_ms: self.continuous_backups.as_ref().map(|backups| millis_of_time(&backups.enabled_at)),
            time_to_live: self.time_to_live.as_ref().map(TimeToLiveStatus::definition),
            streams: StreamStatus::streams(&self.streams)?,
            restored_from: self.restore.as_ref().map(|restore| restore.restored_from()).transpose()?,
            scaled: self.auto_scaling.as_ref().map(|scaling| scaling.units.units()).transpose()?,
            global_indexes: {
                let stay = self.global_secondary_indexes.iter().filter(|index| !index.is_deleting());
                stay.map(GlobalSecondaryIndexStatus::index).collect::<Result<_, _>>()?
            },
        })
    }
}

impl ProvisionedThroughput {
    /// As nodes keep it.
    pub fn units(self) -> Result<table::ProvisionedThroughput, DefinitionError> {
        let units =
            |value: i64| u64::try_from(value).ok().filter(|units| *units >= 1).ok_or(DefinitionError::Throughput);
        Ok(table::ProvisionedThroughput {
            read_capacity_units: units(self.read_capacity_units)?,
            write_capacity_units: units(self.write_capacity_units)?,
        })
    }
}

impl From<table::ProvisionedThroughput> for ProvisionedThroughput {
    fn from(throughput: table::ProvisionedThroughput) -> Self {
        Self {
            read_capacity_units: i64::try_from(throughput.read_capacity_units).unwrap_or(i64::MAX),
            write_capacity_units: i64::try_from(throughput.write_capacity_units).unwrap_or(i64::MAX),
        }
    }
}

/// The name that DynamoDB's clients know the table by beyond its account.
pub fn table_arn(region: &str, account: &str, table_name: &str) -> String {
    TableArn { region, account, table_name }.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{AutoScalingStatus, TargetTracking};
    use cairn_model::{
        index::{IndexProjection, LocalIndex, ProjectionType},
        stream::Stream,
        table::ScalarType,
    };

    fn definition() -> TableDefinition {
        TableDefinition {
            account: "game".into(),
            table_name: "Scores".into(),
            table_id: TableId([7; 16]),
            schema_version: 3,
            key_schema: KeySchema {
                partition: KeyAttribute { name: "Player".into(), scalar_type: ScalarType::S },
                sort: Some(KeyAttribute { name: "At".into(), scalar_type: ScalarType::N }),
            },
            billing_mode: BillingMode::Provisioned,
            provisioned_throughput: Some(table::ProvisionedThroughput {
                read_capacity_units: 5,
                write_capacity_units: 6,
            }),
            on_demand_throughput: None,
            warm_throughput: None,
            table_class: None,
            deletion_protection_enabled: true,
            creation_time_ms: 1_000,
            continuous_backups: Some(table::ContinuousBackups { recovery_period_days: 7, enabled_at_ms: 5_000 }),
            restored_from: Some(RestoredFrom {
                source_backup_arn: None,
                source_table_arn: Some(table_arn("east", "game", "Old")),
                restore_time_ms: 999,
            }),
            replicas: None,
            local_indexes: vec![LocalIndex {
                index_name: "by-rank".into(),
                slot: 1,
                sort: KeyAttribute { name: "Rank".into(), scalar_type: ScalarType::N },
                projection: IndexProjection {
                    projection_type: ProjectionType::Include,
                    non_key_attributes: ["Name".to_owned()].into(),
                },
            }],
            global_indexes: Vec::new(),
            index_of: None,
            time_to_live: None,
            stream: Some(streams()),
        }
    }

    fn streams() -> Streams {
        let stream = Stream { view_type: StreamViewType::OldImage, enabled_at_ms: 6_000 };
        Streams { current: Some(stream), past: Vec::new() }
    }

    fn birth() -> Birth {
        Birth {
            schema_version: 3,
            recovery_since_ms: Some(5_000),
            restored_from: definition().restored_from,
            streams: streams(),
            ..Birth::new(TableId([7; 16]), 1_000)
        }
    }

    #[test]
    fn a_definition_survives_the_way_through_a_spec() {
        let definition = definition();
        let spec = TableSpec::from_definition(&definition);
        assert_eq!(spec.definition("game", "Scores", &birth()).unwrap(), definition);
    }

    #[test]
    fn a_spec_that_the_rules_would_refuse_is_refused_here_too() {
        let good = TableSpec::from_definition(&definition());
        let mut unused = good.clone();
        unused.key_schema.pop();
        let mut undefined = good.clone();
        undefined.attribute_definitions.remove(1);
        let long_name = "é".repeat(128);
        let mut long = good.clone();
        long.attribute_definitions[1].attribute_name.clone_from(&long_name);
        long.key_schema[1].attribute_name.clone_from(&long_name);
        let mut unindexed = good.clone();
        unindexed.local_secondary_indexes = None;
        let mut swapped = good.clone();
        swapped.key_schema.reverse();
        let mut unpaid = good.clone();
        unpaid.provisioned_throughput = None;
        for (spec, error) in [
            (unused, DefinitionError::AttributeUnused { attribute: "At".into() }),
            (undefined, DefinitionError::AttributeUndefined { attribute: "At".into() }),
            (long, DefinitionError::AttributeName { attribute: long_name }),
            (unindexed, DefinitionError::AttributeUnused { attribute: "Rank".into() }),
            (swapped, DefinitionError::KeySchema),
            (unpaid, DefinitionError::Throughput),
        ] {
            assert_eq!(spec.definition("game", "Scores", &birth()).unwrap_err(), error);
        }
        assert!(matches!(good.definition("game", "no", &birth()), Err(DefinitionError::Name { .. })));
    }

    #[test]
    fn an_update_leaves_what_the_api_can_not_change() {
        let mut spec = TableSpec::from_definition(&definition());
        spec.storage_group = "analytics".into();
        let mut changed = definition();
        changed.billing_mode = BillingMode::PayPerRequest;
        changed.provisioned_throughput = None;
        spec.update_from_definition(&definition(), &changed);
        assert_eq!(spec.storage_group, "analytics");
        assert_eq!(spec.definition("game", "Scores", &birth()).unwrap(), changed);
    }

    #[test]
    fn another_update_leaves_a_class_that_the_table_does_not_have_yet() {
        let asked = Some(table::TableClass::StandardInfrequentAccess);
        let mut spec = TableSpec { table_class: asked, ..TableSpec::from_definition(&definition()) };
        let after = TableDefinition { deletion_protection_enabled: false, ..definition() };
        spec.update_from_definition(&definition(), &after);
        assert_eq!(spec.table_class, asked);
        let standard = TableDefinition { table_class: Some(table::TableClass::Standard), ..definition() };
        spec.update_from_definition(&definition(), &standard);
        assert_eq!(spec.table_class, standard.table_class);
    }

    fn scaled(spec: &mut TableSpec) -> Birth {
        let read =
            TargetTracking { min_units: 1, max_units: 100, target_utilization_percent: 70, disable_scale_in: false };
        spec.auto_scaling = Some(AutoScaling { read: Some(read), write: None, restarts: 0 });
        let units = table::ProvisionedThroughput { read_capacity_units: 50, write_capacity_units: 6 };
        Birth { scaled: Some(units), ..birth() }
    }

    #[test]
    fn what_auto_scaling_made_of_the_throughput_counts_while_it_is_on() {
        let mut spec = TableSpec::from_definition(&definition());
        let birth = scaled(&mut spec);
        let units = |spec: &TableSpec| spec.definition("game", "Scores", &birth).unwrap().provisioned_throughput;
        assert_eq!(units(&spec), birth.scaled);
        spec.auto_scaling = None;
        assert_eq!(units(&spec), definition().provisioned_throughput);
    }

    #[test]
    fn what_the_api_warmed_is_in_the_spec_and_in_what_nodes_keep() {
        let before = definition();
        let mut spec = TableSpec::from_definition(&before);
        assert_eq!(spec.warm_throughput, None);
        let warm = table::WarmThroughput { read_units_per_second: 50, write_units_per_second: 60 };
        let after = TableDefinition { warm_throughput: Some(warm), ..before.clone() };
        spec.update_from_definition(&before, &after);
        assert_eq!(spec.definition("game", "Scores", &birth()).unwrap(), after);
        assert_eq!(TableSpec::from_definition(&after).warm_throughput, spec.warm_throughput);
    }

    #[test]
    fn auto_scaling_that_got_past_the_rules_is_refused() {
        for (min_units, max_units, target_utilization_percent) in [(0, 5, 70), (6, 5, 70), (1, 5, 19), (1, 5, 91)] {
            let mut spec = TableSpec::from_definition(&definition());
            let read = TargetTracking { min_units, max_units, target_utilization_percent, disable_scale_in: false };
            spec.auto_scaling = Some(AutoScaling { read: Some(read), write: None, restarts: 0 });
            assert_eq!(spec.definition("game", "Scores", &birth()), Err(DefinitionError::AutoScaling));
        }
    }

    #[test]
    fn another_update_leaves_what_auto_scaling_began_with() {
        let mut spec = TableSpec::from_definition(&definition());
        let birth = scaled(&mut spec);
        let before = spec.definition("game", "Scores", &birth).unwrap();
        let after = TableDefinition { deletion_protection_enabled: false, ..before.clone() };
        let declared = spec.provisioned_throughput;
        spec.update_from_definition(&before, &after);
        assert_eq!((spec.provisioned_throughput, spec.auto_scaling.is_some()), (declared, true));
        let on_demand = TableDefinition {
            billing_mode: BillingMode::PayPerRequest,
            provisioned_throughput: None,
            on_demand_throughput: Some(table::OnDemandThroughput {
                max_read_request_units: Some(9),
                max_write_request_units: None,
            }),
            ..before.clone()
        };
        spec.update_from_definition(&before, &on_demand);
        assert_eq!(spec.definition("game", "Scores", &birth).unwrap(), on_demand);
    }

    #[test]
    fn units_that_the_api_sets_are_where_auto_scaling_begins_anew_though_they_are_declared_already() {
        let mut spec = TableSpec::from_definition(&definition());
        let birth = scaled(&mut spec);
        let before = spec.definition("game", "Scores", &birth).unwrap();
        let (declared, scaling) = (spec.provisioned_throughput, spec.auto_scaling.unwrap());
        let after = TableDefinition { provisioned_throughput: definition().provisioned_throughput, ..before.clone() };
        spec.update_from_definition(&before, &after);
        assert_eq!(spec.provisioned_throughput, declared);
        assert_eq!(spec.auto_scaling, Some(AutoScaling { restarts: 1, ..scaling }));
        let units = declared.unwrap();
        let known = AutoScalingStatus { units, began_with: units, restarts: 0, last_scaled_at: None };
        let mut table = Table::new("scores", spec);
        table.status = Some(TableResourceStatus { auto_scaling: Some(known), ..TableResourceStatus::default() });
        assert!(table.scaling_begins_anew());
        table.spec.auto_scaling = Some(scaling);
        assert!(!table.scaling_begins_anew());
    }

    #[test]
    fn recovery_that_is_asked_for_is_on_only_once_it_is_known_since_when() {
        let spec = TableSpec::from_definition(&definition());
        let unknown = Birth { recovery_since_ms: None, ..birth() };
        assert_eq!(spec.definition("game", "Scores", &unknown).unwrap().continuous_backups, None);
    }

    #[test]
    fn the_api_turns_recovery_off_and_on() {
        let mut spec = TableSpec::from_definition(&definition());
        let off = TableDefinition { continuous_backups: None, ..definition() };
        spec.update_from_definition(&definition(), &off);
        assert_eq!(spec.continuous_backups.as_ref().unwrap().point_in_time_recovery_enabled, Some(false));
        spec.update_from_definition(&off, &definition());
        assert_eq!(spec.recovery_period_days(), Ok(Some(7)));
    }

    #[test]
    fn another_update_leaves_recovery_that_is_asked_for_and_not_on_yet() {
        let mut spec = TableSpec::from_definition(&definition());
        let before = TableDefinition { continuous_backups: None, ..definition() };
        let after = TableDefinition { deletion_protection_enabled: false, ..before.clone() };
        spec.update_from_definition(&before, &after);
        assert_eq!(spec.recovery_period_days(), Ok(Some(7)));
    }

    #[test]
    fn items_expire_only_once_it_is_known_since_when() {
        let since = |name: &str| table::TimeToLive { attribute_name: name.into(), enabled_at_ms: 6_000 };
        let expiring = TableDefinition { time_to_live: Some(since("ends")), ..definition() };
        let spec = TableSpec::from_definition(&expiring);
        assert_eq!(spec.definition("game", "Scores", &birth()).unwrap().time_to_live, None);
        let of_another = Birth { time_to_live: Some(since("gone")), ..birth() };
        assert_eq!(spec.definition("game", "Scores", &of_another).unwrap().time_to_live, None);
        let known = Birth { time_to_live: Some(since("ends")), ..birth() };
        assert_eq!(spec.definition("game", "Scores", &known).unwrap(), expiring);
    }

    #[test]
    fn the_api_turns_time_to_live_off_and_on_and_leaves_what_it_does_not_change() {
        let on = table::TimeToLive { attribute_name: "ends".into(), enabled_at_ms: 6_000 };
        let on = TableDefinition { time_to_live: Some(on), ..definition() };
        let mut spec = TableSpec::from_definition(&on);
        spec.update_from_definition(&on, &definition());
        let off = TimeToLive { attribute_name: Some("ends".into()), enabled: Some(false) };
        assert_eq!(spec.time_to_live, Some(off));
        spec.update_from_definition(&definition(), &on);
        assert_eq!(spec.time_to_live_attribute(), Ok(Some("ends")));
        spec.update_from_definition(&definition(), &definition());
        assert_eq!(spec.time_to_live_attribute(), Ok(Some("ends")), "it is asked for and not so yet");
    }

    #[test]
    fn a_status_says_what_the_nodes_keep() {
        let mut table = Table::new("scores", TableSpec::from_definition(&definition()));
        table.metadata.namespace = Some("game".into());
        let time = |second| format!("1970-01-01T00:00:0{second}Z");
        let status = serde_json::json!({
            "tableId": TableId([7; 16]), "schemaVersion": 3, "creationDateTime": time(1),
            "continuousBackups": {"enabledAt": time(5)},
            "streams": [{
                "streamLabel": "1970-01-01T00:00:06.000", "streamViewType": "OLD_IMAGE", "streamStatus": "ENABLED",
            }],
            "restore": {
                "sourceTableArn": table_arn("east", "game", "Old"), "restoreDateTime": time(0), "region": "east",
                "account": "game", "tableId": TableId([8; 16]), "at": (999_u64 << 16).to_string(),
                "restoreInProgress": true,
            },
        });
        table.status = Some(serde_json::from_value(status).unwrap());
        assert_eq!(table.definition().unwrap(), definition());
    }
}
