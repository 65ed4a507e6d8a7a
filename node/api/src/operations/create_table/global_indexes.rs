//! `GlobalSecondaryIndexes` of a table that is made, one that UpdateTable makes, and `GlobalSecondaryIndexOverride` of a table
//! that is restored.

use super::{
    attributes::{Definitions, KEY_SCHEMA, KeySchemaElement, constrain_key_schema, not_hash, same_name},
    indexes::{check_names, invalid},
    projection::{PROJECTION, ProjectionInput},
};
use crate::{
    backups::{GlobalIndexOverride, IndexOverride},
    errors,
    input::shape::Shape,
    validation::{
        constraints::Constraints,
        on_demand::{ON_DEMAND_THROUGHPUT, OnDemandInput},
        throughput::{THROUGHPUT, ThroughputInput},
        warm::{WARM_THROUGHPUT, WarmInput},
    },
};
use cairn_model::{
    ServiceError,
    index::{GLOBAL_INDEXES_MAX, IndexProjection, NewGlobalIndex},
    keys::{IndexKeySchema, KEYS_OF_A_KIND_MAX},
    table::{BillingMode, KeyAttribute, ProvisionedThroughput},
};
use serde::Deserialize;

/// `GlobalSecondaryIndex`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GlobalIndexInput {
    index_name: Option<String>,
    key_schema: Option<Vec<KeySchemaElement>>,
    projection: Option<ProjectionInput>,
    provisioned_throughput: Option<ThroughputInput>,
    on_demand_throughput: Option<OnDemandInput>,
    warm_throughput: Option<WarmInput>,
}

pub(in crate::operations) const GLOBAL_INDEX_FIELDS: &[(&str, Shape)] = &[
    ("IndexName", Shape::Text),
    ("KeySchema", KEY_SCHEMA),
    ("Projection", PROJECTION),
    ("ProvisionedThroughput", THROUGHPUT),
    ("OnDemandThroughput", ON_DEMAND_THROUGHPUT),
    ("WarmThroughput", WARM_THROUGHPUT),
];
const GLOBAL_INDEX: Shape = Shape::Struct("GlobalSecondaryIndex", GLOBAL_INDEX_FIELDS);
pub(in crate::operations) const GLOBAL_INDEXES: Shape = Shape::List(&GLOBAL_INDEX);

pub(in crate::operations) fn constrain_global_indexes(
    path: &str,
    indexes: Option<&[GlobalIndexInput]>,
    constraints: &mut Constraints,
) {
    for (position, index) in indexes.unwrap_or_default().iter().enumerate() {
        index.constrain(&format!("{path}.{}.member", position + 1), constraints);
    }
}

/// The indexes of a new table, after the constraints found nothing.
pub(super) fn checked(
    indexes: Vec<GlobalIndexInput>,
    mode: BillingMode,
    definitions: &Definitions,
) -> Result<Vec<NewGlobalIndex>, ServiceError> {
    indexes.iter().try_for_each(|index| definitions.check_index_keys(index.key_schema()))?;
    indexes.iter().try_for_each(|index| index.check_structure())?;
    check_names(indexes.iter().map(GlobalIndexInput::name))?;
    if indexes.len() > GLOBAL_INDEXES_MAX {
        return Err(invalid(format_args!(
            "GlobalSecondaryIndex count exceeds the per-table limit of {GLOBAL_INDEXES_MAX}"
        )));
    }
    let of_new_table = |index: &GlobalIndexInput| match (mode, &index.provisioned_throughput) {
        (BillingMode::PayPerRequest, Some(_)) => Err(invalid(format_args!(
            "ProvisionedThroughput should not be specified for index: {} when BillingMode is PAY_PER_REQUEST",
            index.name()
        ))),
        (BillingMode::PayPerRequest, None) => Ok(None),
        (BillingMode::Provisioned, Some(units)) => units.checked().map(Some),
        (BillingMode::Provisioned, None) => {
            Err(invalid(format_args!("ProvisionedThroughput is not specified for index: {}", index.name())))
        }
    };
    let checked = indexes.into_iter().map(|index| {
        let units = of_new_table(&index)?;
        index.into_index(mode, units, |name| definitions.attribute(name))
    });
    checked.collect()
}

/// Those that a restored table is to have, after the constraints found nothing.
pub(in crate::operations) fn global_overrides(
    indexes: Vec<GlobalIndexInput>,
) -> Result<Vec<GlobalIndexOverride>, ServiceError> {
    let overrides = indexes.into_iter().map(|index| {
        let (partition, sort) = index.keys()?;
        let named = |elements: &[KeySchemaElement]| elements.iter().map(|element| element.name().to_owned()).collect();
        let like = IndexOverride {
            index_name: index.name().to_owned(),
            partition: named(partition),
            sort: named(sort),
            projection: index.projection()?,
        };
        if let Some(maxima) = &index.on_demand_throughput {
            maxima.of_new(BillingMode::PayPerRequest, Some(index.name()))?;
        }
        let units = index.provisioned_throughput.map(|units| units.checked()).transpose()?;
        let warm = index.warm_throughput.map(|warm| warm.of_new(units, Some(index.name())));
        Ok(GlobalIndexOverride {
            like,
            provisioned_throughput: units,
            on_demand_throughput: index.on_demand_throughput.and_then(|maxima| maxima.maxima()),
            warm_throughput: warm.transpose()?.flatten(),
        })
    });
    let overrides = overrides.collect::<Result<Vec<_>, ServiceError>>()?;
    check_names(overrides.iter().map(|index| index.like.index_name.as_str()))?;
    Ok(overrides)
}

impl GlobalIndexInput {
    /// `path`: the index's.
    pub(in crate::operations) fn constrain(&self, path: &str, constraints: &mut Constraints) {
        let of = |member| format!("{path}.{member}");
        let elements_max = Some(2 * KEYS_OF_A_KIND_MAX);
        constrain_key_schema(&of("keySchema"), elements_max, self.key_schema.as_deref(), constraints);
        match &self.projection {
            Some(projection) => projection.constrain(&of("projection"), constraints),
            None => constraints.required(&of("projection"), false),
        }
        match &self.index_name {
            Some(name) => constraints.name_in_full(&of("indexName"), name),
            None => constraints.required(&of("indexName"), false),
        }
        if let Some(units) = &self.provisioned_throughput {
            units.constrain(&of("provisionedThroughput"), constraints);
        }
    }

    pub(in crate::operations) fn name(&self) -> &str {
        self.index_name.as_deref().unwrap_or_default()
    }

    pub(in crate::operations) fn key_schema(&self) -> &[KeySchemaElement] {
        self.key_schema.as_deref().unwrap_or_default()
    }

    pub(in crate::operations) fn provisioned_throughput(&self) -> Option<&ThroughputInput> {
        self.provisioned_throughput.as_ref()
    }

    /// The keys and the projection, for themselves.
    pub(in crate::operations) fn check_structure(&self) -> Result<(), ServiceError> {
        self.keys()?;
        self.projection().map(drop)
    }

    /// The index, once everything else of it is checked.
    pub(in crate::operations) fn into_index(
        self,
        mode: BillingMode,
        provisioned_throughput: Option<ProvisionedThroughput>,
        attribute: impl Fn(&str) -> Result<KeyAttribute, ServiceError>,
    ) -> Result<NewGlobalIndex, ServiceError> {
        let (partition, sort) = self.keys()?;
        let attributes = |elements: &[KeySchemaElement]| {
            elements.iter().map(|element| attribute(element.name())).collect::<Result<Vec<_>, ServiceError>>()
        };
        let key_schema = IndexKeySchema::new(attributes(partition)?, attributes(sort)?).ok_or_else(errors::internal)?;
        let maxima = self.on_demand_throughput.as_ref();
        let on_demand_throughput = maxima.map_or(Ok(None), |maxima| maxima.of_new(mode, Some(self.name())))?;
        let warm = self.warm_throughput.map(|warm| warm.of_new(provisioned_throughput, Some(self.name())));
        let warm_throughput = warm.transpose()?.flatten();
        let projection = self.projection()?;
        Ok(NewGlobalIndex {
            index_name: self.index_name.unwrap_or_default(),
            key_schema,
            projection,
            provisioned_throughput,
            on_demand_throughput,
            warm_throughput,
        })
    }

    fn projection(&self) -> Result<IndexProjection, ServiceError> {
        self.projection.as_ref().ok_or_else(errors::internal)?.checked()
    }

    /// The elements of the partition key, and those of the sort key.
    fn keys(&self) -> Result<(&[KeySchemaElement], &[KeySchemaElement]), ServiceError> {
        let elements = self.key_schema();
        if !elements.first().is_some_and(|first| first.is("HASH")) {
            return Err(not_hash());
        }
        if let [hash, range] = elements
            && range.is("RANGE")
            && hash.name() == range.name()
        {
            return Err(same_name());
        }
        let is_repeated = |(at, element): (usize, &KeySchemaElement)| {
            elements.iter().take(at).any(|earlier| earlier.name() == element.name())
        };
        if elements.iter().enumerate().any(is_repeated) {
            return Err(ServiceError::validation("The KeySchema contains multiple key attributes with the same name"));
        }
        if elements.windows(2).any(|pair| matches!(pair, [one, two] if one.is("RANGE") && two.is("HASH"))) {
            return Err(invalid("All HASH key attributes must precede RANGE key attributes in the KeySchema"));
        }
        let count = |key_type| elements.iter().filter(|element| element.is(key_type)).count();
        if let Some(key_type) = ["HASH", "RANGE"].into_iter().find(|key_type| count(key_type) > KEYS_OF_A_KIND_MAX) {
            return Err(invalid(format_args!(
                "The KeySchema exceeds the maximum allowed number of {key_type} key attributes"
            )));
        }
        Ok(elements.split_at(count("HASH")))
    }
}
