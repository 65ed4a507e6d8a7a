//! What a Table that restores asks for otherwise than its source has it.

use cairn_model::{
    index::{self, LocalIndex},
    table::KeySchema,
};

/// What of the keys is other than in the source.
pub(super) fn of_keys(wanted: &KeySchema, source: &KeySchema) -> Option<String> {
    let names = |keys: &KeySchema| {
        let sort = keys.sort.as_ref().map(|sort| format!(", {} (RANGE)", sort.name)).unwrap_or_default();
        format!("{} (HASH){sort}", keys.partition.name)
    };
    if names(wanted) != names(source) {
        return Some(format!(
            "the source has the keys {}: change spec.keySchema from {}",
            names(source),
            names(wanted)
        ));
    }
    let pairs = [(Some(&wanted.partition), Some(&source.partition)), (wanted.sort.as_ref(), source.sort.as_ref())];
    let types: Vec<_> = pairs
        .into_iter()
        .filter_map(|(wanted, source)| wanted.zip(source))
        .filter(|(wanted, source)| wanted.scalar_type != source.scalar_type)
        .map(|(wanted, source)| format!("{} from {:?} to {:?}", wanted.name, wanted.scalar_type, source.scalar_type))
        .collect();
    (!types.is_empty()).then(|| {
        format!("the source has keys of other types: change in spec.attributeDefinitions {}", types.join(" and "))
    })
}

/// The local index that the source does not have. Indexes can be left out, not added and not changed.
pub(super) fn of_indexes(wanted: &[LocalIndex], source: &[LocalIndex]) -> Option<String> {
    let added = index::first_without_equal(wanted, source)?;
    let names: Vec<_> = source.iter().map(|index| index.index_name.as_str()).collect();
    let has = if names.is_empty() {
        "no local indexes".to_owned()
    } else {
        format!("the local indexes {}", names.join(", "))
    };
    Some(format!(
        "the source has {has}: leave {} out of spec.localSecondaryIndexes, or give it the sort key and the projection that it has \
         in the source; indexes can be left out, not added",
        added.index_name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::fixture;
    use cairn_model::table::{KeyAttribute, ScalarType};

    fn keys(partition: (&str, ScalarType), sort: Option<(&str, ScalarType)>) -> KeySchema {
        let key = |(name, scalar_type): (&str, ScalarType)| KeyAttribute { name: name.into(), scalar_type };
        KeySchema { partition: key(partition), sort: sort.map(key) }
    }

    #[test]
    fn keys_that_are_other_than_the_sources_are_named() {
        let source = keys(("Id", ScalarType::S), Some(("At", ScalarType::N)));
        assert_eq!(of_keys(&source, &source), None);
        let other_names = of_keys(&keys(("Id", ScalarType::S), None), &source).unwrap();
        assert!(other_names.contains("spec.keySchema") && other_names.contains("At (RANGE)"), "{other_names}");
        let other_types = of_keys(&keys(("Id", ScalarType::B), Some(("At", ScalarType::N))), &source).unwrap();
        assert!(other_types.contains("spec.attributeDefinitions Id from B to S"), "{other_types}");
    }

    #[test]
    fn indexes_can_be_left_out_and_not_added_or_changed() {
        let source = [fixture::local_index("by-age", 1), fixture::local_index("by-rank", 2)];
        assert_eq!(of_indexes(&source, &source), None);
        assert_eq!(of_indexes(&[fixture::local_index("by-rank", 1)], &source), None);
        assert_eq!(of_indexes(&[], &source), None);
        let added = of_indexes(&[fixture::local_index("by-zone", 1)], &source).unwrap();
        assert!(added.contains("leave by-zone out") && added.contains("by-age, by-rank"), "{added}");
        let mut changed = fixture::local_index("by-rank", 1);
        changed.sort.scalar_type = ScalarType::N;
        assert!(of_indexes(&[changed], &source).is_some());
    }
}
