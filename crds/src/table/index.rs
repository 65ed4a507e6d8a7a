//! `spec.localSecondaryIndexes`: a table's local indexes, which come with it and never change.

use super::{
    KeySchemaElement, KeyType, TableSpec,
    definition::{DefinitionError, IndexFlaw},
    key::key_attribute,
    rules,
};
use crate::rules::json;
use cairn_model::{
    KeySchema,
    index::{
        self, IndexProjection, LOCAL_INDEXES_MAX, LocalIndex, NON_KEY_ATTRIBUTES_MAX, NON_KEY_ATTRIBUTES_OF_TABLE_MAX,
        ProjectionType,
    },
    limits::KEY_NAME_BYTES_MAX,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The table's partition key with another sort key.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalSecondaryIndex {
    #[schemars(length(min = 3, max = 255), regex(pattern = r"^[a-zA-Z0-9_.-]+$"))]
    pub index_name: String,
    /// The table's partition key (HASH), and the index's own sort key (RANGE) behind it.
    #[schemars(length(min = 1, max = 2), extend("x-kubernetes-list-type" = "atomic", "x-kubernetes-validations" = json(rules::LOCAL_KEY_SCHEMA)))]
    pub key_schema: Vec<KeySchemaElement>,
    pub projection: Projection,
}

/// Which attributes an index shows besides the keys.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = json(rules::PROJECTION)))]
pub struct Projection {
    #[schemars(with = "String", extend("enum" = ["ALL", "KEYS_ONLY", "INCLUDE"]))]
    pub projection_type: ProjectionType,
    /// With INCLUDE, and only then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20), inner(length(min = 1, max = 255)))]
    pub non_key_attributes: Option<Vec<String>>,
}

impl TableSpec {
    /// The table's local indexes, with their slots. Checks again what the rules say.
    pub fn local_indexes(&self, table: &KeySchema) -> Result<Vec<LocalIndex>, DefinitionError> {
        let indexes = self.local_secondary_indexes.as_deref().unwrap_or_default();
        let flawed =
            |index: &LocalSecondaryIndex, flaw| DefinitionError::LocalIndex { index: index.index_name.clone(), flaw };
        let found = indexes.iter().map(|index| self.local_index(index, table)).collect::<Result<Vec<_>, _>>()?;
        let mut names = found.iter().enumerate();
        if let Some((at, _)) = names.find(|(at, index)| found[..*at].iter().any(|b| b.index_name == index.index_name)) {
            return Err(flawed(&indexes[at], IndexFlaw::Duplicate));
        }
        match indexes.get(LOCAL_INDEXES_MAX) {
            Some(sixth) => Err(flawed(sixth, IndexFlaw::TooMany)),
            None => Ok(index::in_slots(found)),
        }
    }

    /// Against what the projections of all indexes may name together.
    pub(super) fn check_projections(&self) -> Result<(), DefinitionError> {
        let local = self.local_secondary_indexes.iter().flatten().map(|index| &index.projection);
        let global = self.global_secondary_indexes.iter().flatten().map(|index| &index.projection);
        let names = local.chain(global).flat_map(|projection| projection.non_key_attributes.iter().flatten());
        if names.count() > NON_KEY_ATTRIBUTES_OF_TABLE_MAX { Err(DefinitionError::Projections) } else { Ok(()) }
    }

    fn local_index(&self, index: &LocalSecondaryIndex, table: &KeySchema) -> Result<LocalIndex, DefinitionError> {
        let flawed = |flaw| DefinitionError::LocalIndex { index: index.index_name.clone(), flaw };
        let name = &index.index_name;
        if !is_index_name(name) {
            return Err(flawed(IndexFlaw::Name));
        }
        if table.sort.is_none() {
            return Err(flawed(IndexFlaw::NoRangeKey));
        }
        let sort = match index.key_schema.as_slice() {
            [hash, range]
                if hash.key_type == KeyType::Hash
                    && range.key_type == KeyType::Range
                    && hash.attribute_name == table.partition.name
                    && range.attribute_name != hash.attribute_name =>
            {
                key_attribute(range, &self.attribute_definitions)?
            }
            _ => return Err(flawed(IndexFlaw::Keys)),
        };
        let projection = index.projection.checked().ok_or_else(|| flawed(IndexFlaw::Projection))?;
        Ok(LocalIndex { index_name: name.clone(), slot: 0, sort, projection })
    }
}

impl LocalSecondaryIndex {
    /// As a Table names an index of a table with these keys.
    pub fn of(index: &LocalIndex, table: &KeySchema) -> Self {
        let element = |name: &str, key_type| KeySchemaElement { attribute_name: name.to_owned(), key_type };
        Self {
            index_name: index.index_name.clone(),
            key_schema: vec![element(&table.partition.name, KeyType::Hash), element(&index.sort.name, KeyType::Range)],
            projection: Projection::of(&index.projection),
        }
    }
}

/// Whether it can be an index's name.
pub(super) fn is_index_name(name: &str) -> bool {
    (3..=255).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// Whether it can be the name of a key attribute, or of one that an index shows.
pub(super) fn is_attribute_name(name: &str) -> bool {
    (1..=KEY_NAME_BYTES_MAX).contains(&name.len())
}

impl Projection {
    /// As a Table names a projection.
    pub fn of(projection: &IndexProjection) -> Self {
        let included = &projection.non_key_attributes;
        Self {
            projection_type: projection.projection_type,
            non_key_attributes: (!included.is_empty()).then(|| included.iter().cloned().collect()),
        }
    }

    /// None where names don't go with the type, are too many, or one is there twice or is no attribute's.
    pub(super) fn checked(&self) -> Option<IndexProjection> {
        let names = self.non_key_attributes.as_deref().unwrap_or_default();
        let includes = self.projection_type == ProjectionType::Include;
        let non_key_attributes: BTreeSet<String> = names.iter().cloned().collect();
        let fits = includes != names.is_empty()
            && names.len() <= NON_KEY_ATTRIBUTES_MAX
            && names.len() == non_key_attributes.len()
            && names.iter().all(|name| is_attribute_name(name));
        fits.then_some(IndexProjection { projection_type: self.projection_type, non_key_attributes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{GlobalSecondaryIndex, definition::Birth};
    use cairn_model::ids::TableId;

    fn spec(indexes: &str) -> TableSpec {
        serde_yaml_ng::from_str(&format!(
            "attributeDefinitions: [{{attributeName: Id, attributeType: S}}, {{attributeName: At, attributeType: N}}, {{attributeName: Rank, attributeType: N}}]
keySchema: [{{attributeName: Id, keyType: HASH}}, {{attributeName: At, keyType: RANGE}}]
billingMode: PAY_PER_REQUEST
localSecondaryIndexes: [{indexes}]"
        ))
        .unwrap()
    }

    fn index(name: &str, hash: &str, range: &str, projection: &str) -> String {
        format!(
            "{{indexName: {name}, keySchema: [{{attributeName: {hash}, keyType: HASH}}, {{attributeName: {range}, keyType: RANGE}}], projection: {{{projection}}}}}"
        )
    }

    fn found(spec: &TableSpec) -> Result<Vec<LocalIndex>, DefinitionError> {
        spec.local_indexes(&spec.keys().unwrap())
    }

    fn by(name: &str) -> String {
        index(name, "Id", "Rank", "projectionType: ALL")
    }

    #[test]
    fn indexes_survive_the_way_through_a_spec() {
        let spec = spec(
            &[by("by-rank"), index("all-at", "Id", "At", "projectionType: INCLUDE, nonKeyAttributes: [A, B]")]
                .join(", "),
        );
        let indexes = found(&spec).unwrap();
        let slots: Vec<_> = indexes.iter().map(|index| (index.index_name.as_str(), index.slot)).collect();
        assert_eq!(slots, [("by-rank", 2), ("all-at", 1)], "by the order of the names");
        let again = indexes.iter().map(|index| LocalSecondaryIndex::of(index, &spec.keys().unwrap())).collect();
        assert_eq!(Some(again), spec.local_secondary_indexes);
    }

    #[test]
    fn a_list_in_another_order_asks_for_the_same() {
        let [one, other] = [[by("by-rank"), by("by-age")], [by("by-age"), by("by-rank")]];
        let [one, other] = [one, other].map(|indexes| found(&spec(&indexes.join(", "))).unwrap());
        assert_ne!(one, other);
        assert!(one.iter().all(|index| other.contains(index)), "each has its slot: {one:?}, {other:?}");
    }

    #[test]
    fn indexes_that_the_rules_would_refuse_are_refused_here_too() {
        let names: Vec<String> = (0..21).map(|number| format!("n{number}")).collect();
        let including = |names: &str| format!("projectionType: INCLUDE, nonKeyAttributes: [{names}]");
        let many = including(&names.join(", "));
        let six: Vec<String> = (0..6).map(|number| by(&format!("by-{number}"))).collect();
        for (indexes, flaw) in [
            (by("no"), IndexFlaw::Name),
            (index("by-rank", "At", "Rank", "projectionType: ALL"), IndexFlaw::Keys),
            (index("by-rank", "Id", "Id", "projectionType: ALL"), IndexFlaw::Keys),
            (index("by-rank", "Id", "Rank", "projectionType: INCLUDE"), IndexFlaw::Projection),
            (index("by-rank", "Id", "Rank", "projectionType: ALL, nonKeyAttributes: [A]"), IndexFlaw::Projection),
            (index("by-rank", "Id", "Rank", &many), IndexFlaw::Projection),
            (index("by-rank", "Id", "Rank", &including("A, B, A")), IndexFlaw::Projection),
            (index("by-rank", "Id", "Rank", &including(&"é".repeat(128))), IndexFlaw::Projection),
            ([by("by-rank"), by("by-rank")].join(", "), IndexFlaw::Duplicate),
            (six.join(", "), IndexFlaw::TooMany),
        ] {
            let refused = found(&spec(&indexes)).unwrap_err();
            assert!(matches!(&refused, DefinitionError::LocalIndex { flaw: told, .. } if *told == flaw), "{refused:?}");
        }
        let undefined = found(&spec(&index("by-age", "Id", "Age", "projectionType: ALL"))).unwrap_err();
        assert_eq!(undefined, DefinitionError::AttributeUndefined { attribute: "Age".into() });
        let mut plain = spec(&by("by-rank"));
        plain.key_schema.pop();
        let refused = found(&plain).unwrap_err();
        assert!(refused.to_string().contains("by-rank") && refused.to_string().contains("RANGE"), "{refused}");
    }

    #[test]
    fn all_indexes_together_name_at_most_100_attributes() {
        let names: Vec<String> = (0..20).map(|number| format!("n{number}")).collect();
        let include = |names: &[String]| format!("projectionType: INCLUDE, nonKeyAttributes: [{}]", names.join(", "));
        let local = |number| index(&format!("local-{number}"), "Id", "Rank", &include(&names));
        let mut spec = spec(&[1, 2, 3].map(local).join(", "));
        let global = |number: usize, names: &[String]| {
            let index = index(&format!("global-{number}"), "Rank", "At", &include(names));
            serde_yaml_ng::from_str::<GlobalSecondaryIndex>(&index).unwrap()
        };
        spec.global_secondary_indexes = Some(vec![global(1, &names), global(2, &names)]);
        assert_eq!(spec.check_projections(), Ok(()));
        spec.global_secondary_indexes.as_mut().unwrap().push(global(3, &names[..1]));
        assert_eq!(spec.check_projections(), Err(DefinitionError::Projections), "also where another index names it");
        let birth = Birth::new(TableId([7; 16]), 1_000);
        assert_eq!(spec.definition("game", "Scores", &birth), Err(DefinitionError::Projections));
    }
}
