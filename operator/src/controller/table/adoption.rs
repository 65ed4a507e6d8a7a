//! Data that nodes hold under a table's name and another id: a restored etcd, a manifest applied again. A person decides.

use super::validate::ValidatedTable;
use crate::controller::Refusal;
use cairn_crds::{ADOPT_ANNOTATION, storage_group::PendingDrop, table::Placement};
use cairn_model::{
    descriptor::PartitionDescriptor,
    ids::{PartitionId, TableId},
    index,
    node::{NodeReport, ReplicaState},
    table::TableDefinition,
};
use kube::ResourceExt;
use std::{collections::BTreeMap, sync::Arc};

/// A table that nodes hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldTable {
    pub definition: TableDefinition,
    pub partitions: BTreeMap<PartitionId, PartitionDescriptor>,
    pub item_count: u64,
}

/// The tables of this name that the nodes hold, but for those that are being dropped.
pub fn held(
    account: &str,
    table_name: &str,
    answers: &[Option<Arc<NodeReport>>],
    drops: &[PendingDrop],
) -> Vec<HeldTable> {
    let mut tables: BTreeMap<TableId, HeldTable> = BTreeMap::new();
    let replicas = answers.iter().flatten().flat_map(|report| &report.replicas);
    let replicas = replicas.filter(|replica| replica.definition.index_of.is_none());
    for replica in replicas.filter(|r| r.definition.account == account && r.definition.table_name == table_name) {
        let table_id = replica.definition.table_id;
        if drops.iter().any(|drop| drop.table_id == table_id.to_string()) {
            continue;
        }
        let table = tables.entry(table_id).or_insert_with(|| HeldTable {
            definition: replica.definition.clone(),
            partitions: BTreeMap::new(),
            item_count: 0,
        });
        if replica.definition.schema_version > table.definition.schema_version {
            table.definition = replica.definition.clone();
        }
        let newest =
            table.partitions.entry(replica.descriptor.partition_id).or_insert_with(|| replica.descriptor.clone());
        if replica.descriptor.epoch > newest.epoch {
            *newest = replica.descriptor.clone();
        }
        if !matches!(replica.state, ReplicaState::Damaged(_)) {
            table.item_count = table.item_count.max(replica.item_count);
        }
    }
    tables.into_values().collect()
}

/// What is to be done about the tables that nodes hold under this name.
pub fn decide(table: &ValidatedTable, held: Vec<HeldTable>) -> Result<Option<HeldTable>, Refusal> {
    if held.is_empty() {
        return Ok(None);
    }
    let wanted = table.table.annotations().get(ADOPT_ANNOTATION);
    let Some(adopted) = held.iter().find(|held| wanted == Some(&held.definition.table_id.to_string())) else {
        let found: Vec<_> =
            held.iter().map(|held| format!("{} (about {} items)", held.definition.table_id, held.item_count)).collect();
        let name = table.table.name_any();
        return Err(Refusal::new(
            "AdoptionRequired",
            format!(
                "the nodes hold data of a table {} with the id {}; to take it over: kubectl -n {} annotate tables.cairn.dev {name} {ADOPT_ANNOTATION}={}; \
                 where it is not wanted, take it over and delete the Table, then apply it again",
                table.table_name,
                found.join(" and "),
                table.account,
                held[0].definition.table_id,
            ),
        ));
    };
    let mismatch = |what: &str| {
        let id = adopted.definition.table_id;
        let message = format!("the data of {id} has other {what} say: correct them, or give the Table another name");
        Err(Refusal::new("AdoptionMismatch", message))
    };
    let spec = &table.table.spec;
    let keys = &adopted.definition.key_schema;
    if spec.keys().as_ref() != Ok(keys) {
        return mismatch("keys than spec.keySchema and spec.attributeDefinitions");
    }
    if !spec.local_indexes(keys).is_ok_and(|indexes| index::are_same(&indexes, &adopted.definition.local_indexes)) {
        return mismatch("local indexes than spec.localSecondaryIndexes");
    }
    Ok(Some(adopted.clone()))
}

/// The placements that say where an adopted table's partitions lie.
pub fn placements(held: &HeldTable) -> Vec<Placement> {
    held.partitions
        .values()
        .filter_map(|descriptor| {
            let first = descriptor.members.first()?;
            Some(Placement::from_descriptor(descriptor, first.node_id))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::{fixture, validate::validate};

    fn answers() -> Vec<Option<Arc<NodeReport>>> {
        fixture::reports_of_one_table(3).into_iter().map(Some).collect()
    }

    fn held_users() -> Vec<HeldTable> {
        held("game", "users", &answers(), &[])
    }

    fn users() -> ValidatedTable {
        validate(&fixture::table("users"), &[]).unwrap()
    }

    #[test]
    fn data_under_the_name_wants_a_persons_word() {
        let refusal = decide(&users(), held_users()).unwrap_err();
        assert_eq!(refusal.reason, "AdoptionRequired");
        assert!(refusal.message.contains(&fixture::table_id().to_string()), "{refusal:?}");
    }

    #[test]
    fn the_annotation_takes_the_data_over() {
        let mut table = users();
        table.table.annotations_mut().insert(ADOPT_ANNOTATION.to_owned(), fixture::table_id().to_string());
        let adopted = decide(&table, held_users()).unwrap().unwrap();
        let placements = placements(&adopted);
        assert_eq!(placements.len(), 1);
        assert_eq!(placements[0].descriptor(fixture::table_id()).unwrap().members.len(), 3);
    }

    #[test]
    fn data_with_other_keys_is_not_taken_over() {
        let mut table = users();
        table.table.annotations_mut().insert(ADOPT_ANNOTATION.to_owned(), fixture::table_id().to_string());
        table.table.spec.attribute_definitions[0].attribute_type = cairn_model::table::ScalarType::N;
        assert_eq!(decide(&table, held_users()).unwrap_err().reason, "AdoptionMismatch");
    }

    #[test]
    fn data_with_other_local_indexes_is_not_taken_over() {
        let mut table = users();
        table.table.annotations_mut().insert(ADOPT_ANNOTATION.to_owned(), fixture::table_id().to_string());
        let mut held = held_users();
        held[0].definition.local_indexes = vec![fixture::local_index("by-rank", 1)];
        let refusal = decide(&table, held).unwrap_err();
        assert_eq!(refusal.reason, "AdoptionMismatch");
        assert!(refusal.message.contains("spec.localSecondaryIndexes"), "{refusal:?}");
    }

    #[test]
    fn the_partitions_of_an_index_are_no_table_of_the_name() {
        let mut answers = answers();
        for report in answers.iter_mut().flatten() {
            let replicas = &mut Arc::make_mut(report).replicas;
            let mut of_index = replicas[0].clone();
            of_index.definition = of_index.definition.of_index(&fixture::global_index("by-team", 0));
            of_index.descriptor.table_id = fixture::index_id();
            replicas.push(of_index);
        }
        assert_eq!(held("game", "users", &answers, &[]), held_users());
    }

    #[test]
    fn data_that_is_being_dropped_is_not_in_the_way() {
        let drop = PendingDrop {
            partition_id: String::new(),
            table_id: fixture::table_id().to_string(),
            nodes: vec!["x".into()],
            last_backup: None,
            loading_until: None,
            deleted_at: None,
        };
        assert!(held("game", "users", &answers(), &[drop]).is_empty());
        assert!(held("game", "others", &answers(), &[]).is_empty());
    }
}
