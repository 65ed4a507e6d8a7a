//! `spec.globalSecondaryIndexes` and what the status has of each: indexes that come and go while the table serves.

use super::{
    AttributeDefinition, AutoScaling, AutoScalingStatus, KeySchemaElement, OnDemandThroughput, Placement, Projection,
    ProvisionedThroughput, TableSpec, ThroughputStatus, WarmThroughput,
    definition::{DefinitionError, IndexFlaw},
    index::is_index_name,
    key::{attribute, elements, index_keys_of},
    rules,
};
use crate::rules::json;
use cairn_model::{
    ids::TableId,
    index::{GLOBAL_INDEXES_MAX, GlobalIndex, IndexPartition},
    table::{self, BillingMode, TableStatus},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Items of the table under another key.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = json(rules::GLOBAL_INDEX)))]
pub struct GlobalSecondaryIndex {
    #[schemars(length(min = 3, max = 255), regex(pattern = r"^[a-zA-Z0-9_.-]+$"))]
    pub index_name: String,
    /// The index's partition key, of up to four attributes (HASH), and, behind it, its sort key (RANGE) if there is one, of as many.
    /// They never change.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "atomic", "x-kubernetes-validations" = json(rules::GLOBAL_KEY_SCHEMA)))]
    pub key_schema: Vec<KeySchemaElement>,
    /// It never changes.
    pub projection: Projection,
    /// Needed where the table's billingMode is PROVISIONED, refused where it is PAY_PER_REQUEST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioned_throughput: Option<ProvisionedThroughput>,
    /// The most that an index of an on-demand table may consume in a second. Without it there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_demand_throughput: Option<OnDemandThroughput>,
    /// Has the throughput of an index of a PROVISIONED table follow what the index consumes; provisionedThroughput is where it
    /// begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_scaling: Option<AutoScaling>,
    /// As the table's; it only rises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_throughput: Option<WarmThroughput>,
}

/// What became of a global index. One that is made again under its name has an entry of its own.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GlobalSecondaryIndexStatus {
    #[schemars(length(max = 255))]
    pub index_name: String,
    /// Given once, with the placements, before any node is asked.
    #[schemars(length(max = 36))]
    pub index_id: String,
    /// Which changes in the table's log are the index's.
    #[schemars(range(min = 0, max = 19))]
    pub slot: i64,
    #[schemars(with = "String", extend("enum" = ["CREATING", "ACTIVE", "UPDATING", "DELETING"]))]
    pub index_status: TableStatus,
    /// What was in the table before the index is being brought into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backfilling: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1280))]
    pub index_arn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item_count: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_size_bytes: Option<i64>,
    /// Present where the index is provisioned, or was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<ThroughputStatus>,
    /// Present while the index's throughput is scaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_scaling: Option<AutoScalingStatus>,
    /// The version of the definition that its partitions have; absent until one of them was led.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<i64>,
    /// What the index was made with, whatever the spec says since.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub key_schema: Vec<KeySchemaElement>,
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub attribute_definitions: Vec<AttributeDefinition>,
    pub projection: Projection,
    /// The index's partitions as they are first made; where they lie now is what the nodes report.
    #[schemars(length(max = 1024), extend("x-kubernetes-list-type" = "atomic"))]
    pub placements: Vec<Placement>,
}

impl TableSpec {
    /// The global indexes that the spec asks for, without the identity that each is given. Checks again what the rules say.
    pub fn global_indexes(&self) -> Result<Vec<GlobalIndex>, DefinitionError> {
        let indexes = self.global_secondary_indexes.as_deref().unwrap_or_default();
        let flawed =
            |index: &GlobalSecondaryIndex, flaw| DefinitionError::GlobalIndex { index: index.index_name.clone(), flaw };
        let local = self.local_secondary_indexes.iter().flatten().map(|index| &index.index_name);
        let mut names: Vec<&String> = local.collect();
        for index in indexes {
            if names.contains(&&index.index_name) {
                return Err(flawed(index, IndexFlaw::Duplicate));
            }
            names.push(&index.index_name);
        }
        if let Some(one_too_many) = indexes.get(GLOBAL_INDEXES_MAX) {
            return Err(flawed(one_too_many, IndexFlaw::TooManyGlobal));
        }
        indexes.iter().map(|index| self.global_index(index)).collect()
    }

    fn global_index(&self, index: &GlobalSecondaryIndex) -> Result<GlobalIndex, DefinitionError> {
        let flawed = |flaw| DefinitionError::GlobalIndex { index: index.index_name.clone(), flaw };
        if !is_index_name(&index.index_name) {
            return Err(flawed(IndexFlaw::Name));
        }
        let key_schema = index_keys_of(&index.key_schema, &self.attribute_definitions)
            .map_err(|error| if error == DefinitionError::KeySchema { flawed(IndexFlaw::GlobalKeys) } else { error })?;
        let provisioned_throughput = match (self.billing_mode, index.provisioned_throughput) {
            (BillingMode::Provisioned, Some(throughput)) => {
                Some(throughput.units().map_err(|_| flawed(IndexFlaw::Throughput))?)
            }
            (BillingMode::PayPerRequest, None) => None,
            _ => return Err(flawed(IndexFlaw::Throughput)),
        };
        if index.auto_scaling.is_some_and(|scaling| scaling.check(self.billing_mode).is_err()) {
            return Err(flawed(IndexFlaw::AutoScaling));
        }
        let on_demand = index.on_demand_throughput.map_or(Ok(None), |maxima| maxima.of(self.billing_mode));
        Ok(GlobalIndex {
            index_name: index.index_name.clone(),
            index_id: TableId([0; 16]),
            slot: 0,
            key_schema,
            projection: index.projection.checked().ok_or_else(|| flawed(IndexFlaw::Projection))?,
            provisioned_throughput,
            on_demand_throughput: on_demand.map_err(|_| flawed(IndexFlaw::OnDemandThroughput))?,
            warm_throughput: index.warm_throughput.and_then(|warm| warm.of(provisioned_throughput)),
            partitions: Vec::new(),
        })
    }

    /// Those of the indexes asked for that were given an identity: as they were made, in the order in which they were, with the
    /// throughput that the spec has, or that auto-scaling has made of it.
    pub(super) fn given_indexes(&self, given: &[GlobalIndex]) -> Result<Vec<GlobalIndex>, DefinitionError> {
        let asked = self.global_indexes()?;
        let given = given.iter().filter_map(|given| {
            let asked = asked.iter().find(|asked| asked.index_name == given.index_name)?;
            let (declared, on_demand_throughput, warm_throughput) = throughputs_of(asked);
            let scaled = given.provisioned_throughput.filter(|_| self.scales_index(&given.index_name));
            let provisioned_throughput = scaled.or(declared);
            // Of what it was scaled to, it is warmer only where it is told to be.
            let warm_throughput = warm_throughput.and_then(|warm| warm.beside(provisioned_throughput));
            Some(GlobalIndex { provisioned_throughput, on_demand_throughput, warm_throughput, ..given.clone() })
        });
        Ok(given.collect())
    }

    /// Takes over what the API changed of the global indexes, and the attributes that their keys need and no longer need.
    pub(super) fn update_global_indexes(&mut self, before: &[GlobalIndex], after: &[GlobalIndex]) {
        let of_name = |indexes: &[GlobalIndex], name: &str| {
            indexes.iter().find(|index| index.index_name == name).map(throughputs_of)
        };
        let mut indexes = self.global_secondary_indexes.take().unwrap_or_default();
        let gone = |name: &str| of_name(before, name).is_some() && of_name(after, name).is_none();
        indexes.retain(|index| !gone(&index.index_name));
        for index in after {
            match indexes.iter_mut().find(|asked| asked.index_name == index.index_name) {
                Some(asked) => asked.update(of_name(before, &index.index_name).unwrap_or_default(), index),
                None => {
                    let keys = index.key_schema.keys().attributes();
                    let new = keys.filter(|key| !self.defines(&key.name)).map(attribute).collect::<Vec<_>>();
                    self.attribute_definitions.extend(new);
                    indexes.push(GlobalSecondaryIndex::of(index));
                }
            }
        }
        self.global_secondary_indexes = (!indexes.is_empty()).then_some(indexes);
        let mut attributes = std::mem::take(&mut self.attribute_definitions);
        attributes.retain(|attribute| self.is_key(&attribute.attribute_name));
        self.attribute_definitions = attributes;
    }

    fn scales_index(&self, name: &str) -> bool {
        let mut indexes = self.global_secondary_indexes.iter().flatten();
        indexes.any(|index| index.index_name == name && index.auto_scaling.is_some())
    }

    fn defines(&self, name: &str) -> bool {
        self.attribute_definitions.iter().any(|attribute| attribute.attribute_name == name)
    }
}

type Throughputs =
    (Option<table::ProvisionedThroughput>, Option<table::OnDemandThroughput>, Option<table::WarmThroughput>);

fn throughputs_of(index: &GlobalIndex) -> Throughputs {
    (index.provisioned_throughput, index.on_demand_throughput, index.warm_throughput)
}

impl GlobalSecondaryIndex {
    /// Takes over what the API changed of its throughput: what auto-scaling has made of it is not what was asked for.
    fn update(&mut self, (provisioned, on_demand, warm): Throughputs, after: &GlobalIndex) {
        if provisioned != after.provisioned_throughput {
            self.provisioned_throughput = after.provisioned_throughput.map(ProvisionedThroughput::from);
            let scaling = self.auto_scaling.filter(|_| self.provisioned_throughput.is_some());
            self.auto_scaling = scaling.map(AutoScaling::restarted);
        }
        if on_demand != after.on_demand_throughput {
            self.on_demand_throughput = after.on_demand_throughput.map(OnDemandThroughput::from);
        }
        if warm != after.warm_throughput {
            self.warm_throughput = after.warm_throughput.map(WarmThroughput::from);
        }
    }

    /// As a Table names an index.
    pub fn of(index: &GlobalIndex) -> Self {
        Self {
            index_name: index.index_name.clone(),
            key_schema: elements(index.key_schema.keys()),
            projection: Projection::of(&index.projection),
            provisioned_throughput: index.provisioned_throughput.map(ProvisionedThroughput::from),
            on_demand_throughput: index.on_demand_throughput.map(OnDemandThroughput::from),
            auto_scaling: None,
            warm_throughput: index.warm_throughput.map(WarmThroughput::from),
        }
    }
}

impl GlobalSecondaryIndexStatus {
    /// Of an index that is to be made, with its identity.
    pub fn new(index: &GlobalIndex, placements: Vec<Placement>) -> Self {
        Self {
            index_name: index.index_name.clone(),
            index_id: index.index_id.to_string(),
            slot: i64::from(index.slot),
            index_status: TableStatus::Creating,
            backfilling: None,
            index_arn: None,
            item_count: None,
            index_size_bytes: None,
            throughput: None,
            auto_scaling: None,
            schema_version: None,
            key_schema: elements(index.key_schema.keys()),
            attribute_definitions: index.key_schema.keys().attributes().map(attribute).collect(),
            projection: Projection::of(&index.projection),
            placements,
        }
    }

    /// The index as it was made, with its partitions where they were made. Its throughput is the spec's to say, but for what
    /// auto-scaling has made of it: that is here.
    pub fn index(&self) -> Result<GlobalIndex, DefinitionError> {
        let invalid = |field, value: &dyn ToString| DefinitionError::Invalid { field, value: value.to_string() };
        let index_id = self.id()?;
        let projection = self.projection.checked();
        let partitions = self.placements.iter().map(|placement| {
            let descriptor = placement.descriptor(index_id)?;
            Ok(IndexPartition { partition_id: descriptor.partition_id, members: descriptor.members })
        });
        Ok(GlobalIndex {
            index_name: self.index_name.clone(),
            index_id,
            slot: u8::try_from(self.slot).map_err(|_| invalid("slot", &self.slot))?,
            key_schema: index_keys_of(&self.key_schema, &self.attribute_definitions)?,
            projection: projection.ok_or_else(|| invalid("projection", &self.index_name))?,
            provisioned_throughput: self.auto_scaling.as_ref().map(|scaling| scaling.units.units()).transpose()?,
            on_demand_throughput: None,
            warm_throughput: None,
            partitions: partitions.collect::<Result<Vec<_>, DefinitionError>>()?,
        })
    }

    /// The id of the table that its partitions are of.
    pub fn id(&self) -> Result<TableId, DefinitionError> {
        let value = &self.index_id;
        value.parse().map_err(|_| DefinitionError::Invalid { field: "indexId", value: value.clone() })
    }

    pub fn is_deleting(&self) -> bool {
        self.index_status == TableStatus::Deleting
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Table, TableResourceStatus, table::recovery::time_of_millis};
    use cairn_model::table::TableDefinition;

    fn spec(indexes: &str) -> TableSpec {
        serde_yaml_ng::from_str(&format!(
            "attributeDefinitions: [{{attributeName: Id, attributeType: S}}, {{attributeName: Team, attributeType: S}}, {{attributeName: Rank, attributeType: N}}]
keySchema: [{{attributeName: Id, keyType: HASH}}]
billingMode: PAY_PER_REQUEST
globalSecondaryIndexes: [{indexes}]"
        ))
        .unwrap()
    }

    const TEAM: &str = "{attributeName: Team, keyType: HASH}, {attributeName: Rank, keyType: RANGE}";
    const ALL: &str = "projection: {projectionType: ALL}";

    fn index(name: &str, keys: &str, more: &str) -> String {
        format!("{{indexName: {name}, keySchema: [{keys}], {more}}}")
    }

    fn keys(elements: &[(&str, &str)]) -> String {
        let element = |(name, key_type): &(&str, &str)| format!("{{attributeName: {name}, keyType: {key_type}}}");
        elements.iter().map(element).collect::<Vec<_>>().join(", ")
    }

    /// Of several attributes of either kind.
    fn by_all() -> String {
        index("by-all", &keys(&[("Team", "HASH"), ("Id", "HASH"), ("Rank", "RANGE"), ("Age", "RANGE")]), ALL)
    }

    fn by_team() -> String {
        index("by-team", TEAM, "projection: {projectionType: INCLUDE, nonKeyAttributes: [A, B]}")
    }

    /// An entry of the status for each index that is asked for.
    fn given(spec: &TableSpec) -> Vec<GlobalSecondaryIndexStatus> {
        let indexes = (1..).zip(spec.global_indexes().unwrap());
        let given = indexes.map(|(n, index)| GlobalIndex { index_id: TableId([n; 16]), slot: n, ..index });
        given.map(|index| GlobalSecondaryIndexStatus::new(&index, Vec::new())).collect()
    }

    fn definition(spec: &TableSpec, global_secondary_indexes: Vec<GlobalSecondaryIndexStatus>) -> TableDefinition {
        let mut table = Table::new("scores", spec.clone());
        table.metadata.namespace = Some("game".into());
        table.status = Some(TableResourceStatus {
            table_id: Some(TableId([7; 16]).to_string()),
            creation_date_time: Some(time_of_millis(1_000)),
            global_secondary_indexes,
            ..TableResourceStatus::default()
        });
        table.definition().unwrap()
    }

    fn names(definition: &TableDefinition) -> Vec<&str> {
        definition.global_indexes.iter().map(|index| index.index_name.as_str()).collect()
    }

    #[test]
    fn an_index_is_the_tables_once_it_has_an_identity_and_until_it_is_to_go() {
        let spec = spec(&by_team());
        assert_eq!(names(&definition(&spec, Vec::new())), [""; 0]);
        let mut entries = given(&spec);
        let index = definition(&spec, entries.clone()).global_indexes.remove(0);
        assert_eq!((index.index_id, index.slot), (TableId([1; 16]), 1));
        assert_eq!(index.key_schema.keys().sort[0].name, "Rank");
        entries[0].index_status = TableStatus::Deleting;
        assert_eq!(names(&definition(&spec, entries)), [""; 0]);
    }

    #[test]
    fn an_index_has_the_keys_that_it_was_made_with_and_the_throughput_that_is_asked_for() {
        let made = spec(&by_team());
        let units = "onDemandThroughput: {maxReadRequestUnits: 5}";
        let swapped = "{attributeName: Rank, keyType: HASH}, {attributeName: Team, keyType: RANGE}";
        let other = spec(&index("by-team", swapped, &format!("{ALL}, {units}")));
        let mut found = definition(&other, given(&made)).global_indexes.remove(0);
        assert_eq!(found.on_demand_throughput.take().unwrap().max_read_request_units, Some(5));
        assert_eq!(vec![found], definition(&made, given(&made)).global_indexes);
        let warm = spec(&index("by-team", TEAM, &format!("{ALL}, warmThroughput: {{readUnitsPerSecond: 20000}}")));
        let found = definition(&warm, given(&made)).global_indexes.remove(0);
        assert_eq!(found.warm_throughput.unwrap().read_units_per_second, 20_000);
    }

    #[test]
    fn indexes_survive_the_way_through_a_spec() {
        let spec = spec(&[by_team(), index("by-rank", "{attributeName: Rank, keyType: HASH}", ALL)].join(", "));
        let definition = definition(&spec, given(&spec));
        let again = TableSpec::from_definition(&definition);
        assert_eq!(again.global_secondary_indexes, spec.global_secondary_indexes);
        assert_eq!(again.attribute_definitions, spec.attribute_definitions);
    }

    #[test]
    fn an_index_has_several_attributes_of_a_kind_in_their_order_and_they_survive_the_way_through_a_status_and_a_spec() {
        let mut spec = spec(&by_all());
        spec.attribute_definitions
            .push(AttributeDefinition { attribute_name: "Age".into(), attribute_type: table::ScalarType::N });
        let definition = definition(&spec, given(&spec));
        let keys = definition.global_indexes[0].key_schema.keys();
        let names =
            |attributes: &[table::KeyAttribute]| attributes.iter().map(|key| key.name.clone()).collect::<Vec<_>>();
        assert_eq!(
            (names(keys.partition), names(keys.sort)),
            (vec!["Team".into(), "Id".into()], vec!["Rank".into(), "Age".into()])
        );
        assert_eq!(keys.sort[1].scalar_type, table::ScalarType::N);
        let again = TableSpec::from_definition(&definition);
        assert_eq!(again.global_secondary_indexes, spec.global_secondary_indexes);
        assert_eq!(again.attribute_definitions.len(), spec.attribute_definitions.len());
    }

    #[test]
    fn indexes_that_the_rules_would_refuse_are_refused_here_too() {
        let many: Vec<_> = (0..21).map(|number| index(&format!("by-{number}"), TEAM, ALL)).collect();
        let units = "provisionedThroughput: {readCapacityUnits: 1, writeCapacityUnits: 1}";
        let no_units = "onDemandThroughput: {maxReadRequestUnits: 0}";
        for (indexes, flaw) in [
            (index("no", TEAM, ALL), IndexFlaw::Name),
            (index("by-rank", "{attributeName: Rank, keyType: RANGE}", ALL), IndexFlaw::GlobalKeys),
            (
                index("by-rank", &keys(&[("Rank", "HASH"), ("Team", "RANGE"), ("Id", "HASH")]), ALL),
                IndexFlaw::GlobalKeys,
            ),
            (index("by-rank", &keys(&[("Rank", "HASH"), ("Rank", "HASH")]), ALL), IndexFlaw::GlobalKeys),
            (index("by-team", TEAM, "projection: {projectionType: INCLUDE}"), IndexFlaw::Projection),
            (index("by-team", TEAM, &format!("{ALL}, {units}")), IndexFlaw::Throughput),
            (index("by-team", TEAM, &format!("{ALL}, {no_units}")), IndexFlaw::OnDemandThroughput),
            ([by_team(), by_team()].join(", "), IndexFlaw::Duplicate),
            (many.join(", "), IndexFlaw::TooManyGlobal),
        ] {
            let refused = spec(&indexes).global_indexes().unwrap_err();
            assert!(
                matches!(&refused, DefinitionError::GlobalIndex { flaw: told, .. } if *told == flaw),
                "{refused:?}"
            );
        }
        let undefined = spec(&index("by-age", "{attributeName: Age, keyType: HASH}", ALL)).global_indexes();
        assert_eq!(undefined.unwrap_err(), DefinitionError::AttributeUndefined { attribute: "Age".into() });
        let mut unpaid = spec(&by_team());
        unpaid.billing_mode = BillingMode::Provisioned;
        assert!(unpaid.global_indexes().unwrap_err().to_string().contains("provisionedThroughput"));
    }

    #[test]
    fn the_api_adds_changes_and_removes_indexes_with_the_attributes_of_their_keys() {
        let before = spec(&by_team());
        let held = definition(&before, given(&before));
        let mut with_another = held.clone();
        with_another.global_indexes.push(GlobalIndex {
            index_name: "by-age".into(),
            key_schema: cairn_model::KeySchema {
                partition: table::KeyAttribute { name: "Age".into(), scalar_type: table::ScalarType::N },
                sort: None,
            }
            .into(),
            ..held.global_indexes[0].clone()
        });
        let maxima = table::OnDemandThroughput { max_read_request_units: Some(5), max_write_request_units: None };
        with_another.global_indexes[0].on_demand_throughput = Some(maxima);
        let warm = table::WarmThroughput { read_units_per_second: 20_000, write_units_per_second: 4_000 };
        with_another.global_indexes[0].warm_throughput = Some(warm);
        let mut spec = before.clone();
        spec.update_from_definition(&held, &with_another);
        assert_eq!(names(&definition(&spec, given(&spec))), ["by-team", "by-age"]);
        assert_eq!(definition(&spec, given(&spec)).global_indexes[0].on_demand_throughput, Some(maxima));
        assert_eq!(definition(&spec, given(&spec)).global_indexes[0].warm_throughput, Some(warm));
        assert_eq!(spec.attribute_definitions.len(), 4);
        let without = TableDefinition { global_indexes: with_another.global_indexes[1..].to_vec(), ..held };
        spec.update_from_definition(&with_another, &without);
        assert_eq!(names(&definition(&spec, given(&spec))), ["by-age"]);
        let defined: Vec<_> = spec.attribute_definitions.iter().map(|a| a.attribute_name.as_str()).collect();
        assert_eq!(defined, ["Id", "Age"]);
    }

    const SCALED: &str = "provisionedThroughput: {readCapacityUnits: 5, writeCapacityUnits: 5}, \
                          autoScaling: {read: {minUnits: 1, maxUnits: 100}}";

    /// A provisioned table with one index, of which this is said.
    fn provisioned(more: &str) -> TableSpec {
        let mut spec = spec(&index("by-team", TEAM, &format!("{ALL}, {more}")));
        spec.billing_mode = BillingMode::Provisioned;
        spec.provisioned_throughput = Some(ProvisionedThroughput { read_capacity_units: 9, write_capacity_units: 9 });
        spec
    }

    /// The index's entry, where its throughput was scaled to so many units.
    fn scaled(spec: &TableSpec, read: i64) -> Vec<GlobalSecondaryIndexStatus> {
        let units = ProvisionedThroughput { read_capacity_units: read, write_capacity_units: 5 };
        let mut entries = given(spec);
        entries[0].auto_scaling =
            Some(AutoScalingStatus { units, began_with: units, restarts: 0, last_scaled_at: None });
        entries
    }

    fn read_units(spec: &TableSpec, entries: Vec<GlobalSecondaryIndexStatus>) -> Option<u64> {
        let throughput = definition(spec, entries).global_indexes[0].provisioned_throughput;
        throughput.map(|throughput| throughput.read_capacity_units)
    }

    #[test]
    fn what_auto_scaling_made_of_an_indexs_throughput_counts_while_it_is_on() {
        let mut spec = provisioned(SCALED);
        assert_eq!(read_units(&spec, given(&spec)), Some(5));
        let entries = scaled(&spec, 50);
        assert_eq!(read_units(&spec, entries.clone()), Some(50));
        spec.global_secondary_indexes.as_mut().unwrap()[0].auto_scaling = None;
        assert_eq!(read_units(&spec, entries), Some(5));
    }

    #[test]
    fn auto_scaling_of_an_index_that_got_past_the_rules_is_refused() {
        let units = "provisionedThroughput: {readCapacityUnits: 5, writeCapacityUnits: 5}";
        for wrong in ["minUnits: 6, maxUnits: 5", "minUnits: 1, maxUnits: 5, targetUtilizationPercent: 91"] {
            let refused = provisioned(&format!("{units}, autoScaling: {{read: {{{wrong}}}}}")).global_indexes();
            assert!(refused.unwrap_err().to_string().contains("\"by-team\" must have autoScaling"));
        }
    }

    #[test]
    fn the_api_changes_where_an_indexs_auto_scaling_begins_and_nothing_else_of_it() {
        let mut spec = provisioned(SCALED);
        let before = definition(&spec, scaled(&spec, 50));
        let mut after = TableDefinition { deletion_protection_enabled: true, ..before.clone() };
        let asked = |spec: &TableSpec| spec.global_secondary_indexes.as_ref().unwrap()[0].clone();
        let declared = asked(&spec);
        spec.update_from_definition(&before, &after);
        assert_eq!(asked(&spec), declared);
        after.global_indexes[0].provisioned_throughput =
            Some(table::ProvisionedThroughput { read_capacity_units: 20, write_capacity_units: 5 });
        spec.update_from_definition(&before, &after);
        assert_eq!(asked(&spec).provisioned_throughput.unwrap().read_capacity_units, 20);
        assert_eq!(asked(&spec).auto_scaling, declared.auto_scaling.map(AutoScaling::restarted));
    }

    #[test]
    fn an_index_of_a_table_that_the_api_puts_on_demand_is_not_scaled_any_more() {
        let mut spec = provisioned(SCALED);
        let before = definition(&spec, scaled(&spec, 50));
        let mut after = TableDefinition {
            billing_mode: BillingMode::PayPerRequest,
            provisioned_throughput: None,
            ..before.clone()
        };
        after.global_indexes[0].provisioned_throughput = None;
        spec.update_from_definition(&before, &after);
        assert_eq!(read_units(&spec, scaled(&spec, 50)), None);
    }

    #[test]
    fn another_change_of_the_api_leaves_an_index_that_is_asked_for_and_not_there_yet() {
        let mut spec = spec(&by_team());
        let before = definition(&spec, Vec::new());
        let after = TableDefinition { deletion_protection_enabled: true, ..before.clone() };
        spec.update_from_definition(&before, &after);
        assert!(spec.global_secondary_indexes.is_some());
    }
}
