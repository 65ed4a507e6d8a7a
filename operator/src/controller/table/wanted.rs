//! The definition that a table is to have, and the orders that bring it to the nodes.

use super::{
    indexes::Indexes, observation::Observation, regions::Regions, table_class, throughput, validate::ValidatedTable,
};
use crate::{controller::Refusal, error::Result, node_client::Target};
use cairn_crds::{
    TableResourceStatus,
    condition::Progress,
    table::{
        definition::{Birth, DefinitionError},
        table_class::CLASS_LIMITED,
        throughput::DECREASE_LIMITED,
    },
};
use cairn_model::{index, node::Order, table::TableDefinition};
use jiff::Timestamp;

/// The definition that is wanted where the nodes hold this one: of what can't change, and of what is counted up, they know best.
pub fn definition(
    validated: &ValidatedTable,
    regions: &Regions,
    region: &str,
    indexes: &Indexes<'_>,
    held: Option<&TableDefinition>,
) -> Result<Result<TableDefinition, DefinitionError>> {
    let replicas = regions.replicas(region, held.and_then(|held| held.replicas.as_ref()));
    let status = validated.table.status.clone().unwrap_or_default();
    let definition = validated.definition(&birth(&status, held)?);
    Ok(definition.map(|definition| {
        let definition = TableDefinition { replicas, ..definition };
        let definition = indexes.locate(definition, held);
        held.map_or_else(|| definition.clone(), |held| with_indexes_of(held, &definition))
    }))
}

/// With the local indexes in the order and the slots that the nodes hold them in, where they are the same.
fn with_indexes_of(held: &TableDefinition, wanted: &TableDefinition) -> TableDefinition {
    let are_same = index::are_same(&held.local_indexes, &wanted.local_indexes);
    let local_indexes = if are_same { &held.local_indexes } else { &wanted.local_indexes };
    TableDefinition { local_indexes: local_indexes.clone(), ..wanted.clone() }
}

/// Has what is wanted keep what the nodes hold wherever DynamoDB's limits have a change wait; everything else goes on. Says what waits.
pub fn hold_back(
    status: &TableResourceStatus,
    held: &TableDefinition,
    wanted: &mut TableDefinition,
    now: Timestamp,
) -> Option<Progress> {
    let mut waits = throughput::hold_back(status, held, wanted, now);
    let reason = if waits.is_empty() { CLASS_LIMITED } else { DECREASE_LIMITED };
    waits.extend(table_class::hold_back(status, held, wanted, now));
    (!waits.is_empty()).then(|| Progress::reconciling(reason, waits.join("; ")))
}

/// What is wanted otherwise than the nodes hold it, and never changes.
pub fn unchangeable(wanted: &TableDefinition, held: &TableDefinition) -> Option<Refusal> {
    let field = if wanted.key_schema != held.key_schema {
        "spec.keySchema"
    } else if !index::are_same(&wanted.local_indexes, &held.local_indexes) {
        "spec.localSecondaryIndexes"
    } else {
        return None;
    };
    let names: Vec<_> = held.local_indexes.iter().map(|index| index.index_name.as_str()).collect();
    let made_with = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Some(Refusal::new(
        "Unchangeable",
        format!(
            "{field} is not what the table was made with (its local indexes: {made_with}) and never changes: put it back as it \
             was, or make a new table and copy the items"
        ),
    ))
}

/// The orders that bring the leaders' definitions to what is wanted.
pub fn updates(
    wanted: &TableDefinition,
    regions: &Regions,
    region: &str,
    observation: &Observation<'_>,
) -> Vec<(Target, Order)> {
    observation
        .leaders()
        .filter_map(|(target, leader)| {
            let mut definition = with_indexes_of(&leader.definition, wanted);
            definition.schema_version = leader.definition.schema_version;
            definition.replicas = regions.replicas(region, leader.definition.replicas.as_ref());
            if definition == leader.definition || unchangeable(&definition, &leader.definition).is_some() {
                return None;
            }
            definition.schema_version += 1;
            let partition_id = leader.descriptor.partition_id;
            Some((target.clone(), Order::UpdateDefinition { partition_id, definition }))
        })
        .collect()
}

/// What the table was given; of what can't change, the nodes know best.
fn birth(status: &TableResourceStatus, held: Option<&TableDefinition>) -> Result<Birth> {
    let mut birth = status.birth()?;
    if let Some(held) = held {
        birth.schema_version = held.schema_version;
        birth.creation_time_ms = held.creation_time_ms;
    }
    Ok(birth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{
        global_table::fixture::{bundle, global},
        table::{
            fixture::{self, local_index},
            observation::Answers,
        },
    };
    use cairn_crds::Table;
    use cairn_model::{index::LocalIndex, node::NodeReport, table::GlobalReplicas};
    use std::sync::Arc;

    fn validated() -> ValidatedTable {
        let mut table: Table = fixture::table("users");
        table.status = Some(TableResourceStatus {
            table_id: Some(fixture::table_id().to_string()),
            creation_date_time: Some(cairn_crds::table::recovery::time_of_millis(1_000)),
            ..TableResourceStatus::default()
        });
        ValidatedTable { account: "game".into(), table_name: "users".into(), table }
    }

    fn declared() -> Regions {
        let peers = [("west".to_owned(), Arc::new(bundle("west")))].into();
        Regions::Declared {
            global: Box::new(global("users", 1, &["west"])),
            peers,
            cluster_id: "east-cluster".into(),
            ordered: None,
        }
    }

    /// What is ordered of nodes that hold this.
    fn ordered(regions: &Regions, held: &TableDefinition) -> Option<TableDefinition> {
        let mut reports = fixture::reports_of_one_table(3);
        for report in &mut reports {
            Arc::make_mut(report).replicas[0].definition = held.clone();
        }
        let reports: Vec<Option<Arc<NodeReport>>> = reports.into_iter().map(Some).collect();
        let nodes = fixture::nodes();
        let observation = Observation::of(fixture::table_id(), Answers { nodes: &nodes, reports: &reports });
        let wanted =
            definition(&validated(), regions, "east", &Indexes::default(), observation.definition()).unwrap().unwrap();
        let mut orders = updates(&wanted, regions, "east", &observation);
        assert!(orders.len() <= 1);
        assert_eq!(orders.is_empty(), wanted == *held, "what is ordered is what is not current");
        match orders.pop() {
            Some((_, Order::UpdateDefinition { definition, .. })) => Some(definition),
            _ => None,
        }
    }

    #[test]
    fn regions_come_with_the_next_version_and_go_with_the_one_after() {
        let alone = fixture::definition();
        let joined = ordered(&declared(), &alone).unwrap();
        assert_eq!((joined.schema_version, joined.replicas.as_ref().unwrap().epoch), (2, 1));
        assert_eq!(ordered(&declared(), &joined), None);
        let left = ordered(&Regions::Left, &joined).unwrap();
        assert_eq!((left.schema_version, left.replicas), (3, None));
    }

    #[test]
    fn another_change_leaves_the_epoch_and_the_members() {
        let joined = ordered(&declared(), &fixture::definition()).unwrap();
        let held = TableDefinition { deletion_protection_enabled: true, ..joined.clone() };
        for regions in [declared(), Regions::Held, Regions::Unreadable] {
            let changed = ordered(&regions, &held).unwrap();
            assert_eq!((changed.schema_version, &changed.replicas), (3, &joined.replicas));
        }
    }

    fn indexed(local_indexes: Vec<LocalIndex>) -> TableDefinition {
        TableDefinition { local_indexes, ..fixture::definition() }
    }

    #[test]
    fn indexes_keep_the_slots_that_the_nodes_hold_them_in() {
        let held = indexed(vec![local_index("by-rank", 1), local_index("by-age", 2)]);
        let wanted = indexed(vec![local_index("by-age", 1), local_index("by-rank", 2)]);
        assert_eq!(with_indexes_of(&held, &wanted), held);
        assert_eq!(unchangeable(&wanted, &held), None);
    }

    #[test]
    fn indexes_that_are_not_those_of_the_nodes_are_refused_and_not_ordered() {
        let held = indexed(vec![local_index("by-rank", 1)]);
        for other in
            [vec![], vec![local_index("by-age", 1)], vec![local_index("by-rank", 1), local_index("by-zone", 2)]]
        {
            let refusal = unchangeable(&indexed(other), &held).unwrap();
            assert_eq!(refusal.reason, "Unchangeable");
            assert!(refusal.message.contains("spec.localSecondaryIndexes") && refusal.message.contains("by-rank"));
        }
        let mut reports = fixture::reports_of_one_table(3);
        reports.iter_mut().for_each(|report| Arc::make_mut(report).replicas[0].definition = held.clone());
        let reports: Vec<Option<Arc<NodeReport>>> = reports.into_iter().map(Some).collect();
        let nodes = fixture::nodes();
        let observation = Observation::of(fixture::table_id(), Answers { nodes: &nodes, reports: &reports });
        let without = TableDefinition { deletion_protection_enabled: true, ..fixture::definition() };
        assert!(updates(&without, &Regions::Held, "east", &observation).is_empty());
    }

    #[test]
    fn members_that_nobody_declares_stay() {
        let held = TableDefinition { replicas: Some(GlobalReplicas::in_region("east")), ..fixture::definition() };
        assert_eq!(ordered(&Regions::Held, &held), None);
        assert_eq!(ordered(&Regions::Unreadable, &held), None);
    }
}
