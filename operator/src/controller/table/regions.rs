//! The regions of a table: what its definition is to say of them, by its GlobalTable.
//!
//! Leaving is explicit. A region leaves when its GlobalTable no longer lists it; a table leaves all others when its GlobalTable is
//! deleted, which is known by the table's status having named it. What is merely not there, a bundle or a GlobalTable that was
//! never seen, changes nothing of what the nodes hold.

use crate::{
    context::Context,
    controller::global_table::{
        claims::Claim,
        membership::{self, Membership, Own},
    },
};
use cairn_crds::{GlobalTable, Table, TableResourceStatus, condition};
use cairn_model::table::GlobalReplicas;
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::Time};
use kube::ResourceExt;
use std::{collections::BTreeMap, sync::Arc};

/// False while nodes hold a table as one of several regions' and nobody declares it so.
const DECLARED: &str = "GlobalTableDeclared";

/// Where the regions of a table come from, as of now.
#[derive(Clone, Debug)]
pub enum Regions {
    Declared {
        global: Box<GlobalTable>,
        peers: BTreeMap<String, Arc<ConfigMap>>,
        cluster_id: String,
    },
    /// Its GlobalTable was deleted.
    Left,
    /// It has none that anybody knows of: what the nodes hold stays.
    Held,
    /// Its GlobalTable can't be read: what the nodes hold stays.
    Unreadable,
    /// What is declared can't be known now: nothing is ordered of the definition, for the reason given.
    Unknown(String),
}

impl Regions {
    /// Looks up what is declared for the table.
    pub async fn of(ctx: &Context, table: &Table) -> Self {
        if !ctx.known.is_synced() {
            return Self::Unknown("the GlobalTables and peer bundles of the namespace are not listed yet".to_owned());
        }
        match ctx.known.claim(table) {
            Claim::By(global) => match ctx.cluster_id().await {
                Ok(cluster_id) => {
                    let peers = ctx.known.peers_of(&global);
                    Self::Declared { global, peers, cluster_id: cluster_id.to_owned() }
                }
                Err(error) => Self::Unknown(crate::error::chain(&error)),
            },
            Claim::Unreadable(_) => Self::Unreadable,
            Claim::Nobody => {
                let had_one = table.status.as_ref().is_some_and(|status| status.global_table.is_some());
                if had_one { Self::Left } else { Self::Held }
            }
        }
    }

    /// What the definition is to say where nodes hold this.
    pub fn replicas(&self, region: &str, held: Option<&GlobalReplicas>) -> Option<GlobalReplicas> {
        match self {
            Self::Declared { .. } => self.membership(region, held).map(|membership| membership.replicas),
            Self::Left => None,
            Self::Held | Self::Unreadable | Self::Unknown(_) => held.cloned(),
        }
    }

    /// The same with what is wrong, where something is declared.
    pub fn membership(&self, region: &str, held: Option<&GlobalReplicas>) -> Option<Membership> {
        let Self::Declared { global, peers, cluster_id } = self else { return None };
        Some(membership::of(global, peers, Own { region, cluster_id }, held))
    }

    /// Whether definitions may be ordered; or why not.
    pub fn unknown(&self) -> Option<&str> {
        match self {
            Self::Unknown(why) => Some(why),
            _ => None,
        }
    }

    /// Writes down which GlobalTable the table has, before any node is told; and that it has none, once all nodes know. `holds`:
    /// whether a partition is without a leader, or still one of several regions'.
    pub fn stamp(&self, status: &mut TableResourceStatus, holds: bool) {
        match self {
            Self::Declared { global, .. } => status.global_table = Some(global.name_any()),
            Self::Left if !holds => status.global_table = None,
            Self::Left | Self::Held | Self::Unreadable | Self::Unknown(_) => {}
        }
    }

    /// Says in the conditions if nodes hold what nobody declares.
    pub fn note(
        &self,
        status: &mut TableResourceStatus,
        held: Option<&GlobalReplicas>,
        generation: Option<i64>,
        now: Timestamp,
    ) {
        let Some(held) = held.filter(|_| matches!(self, Self::Held)) else {
            status.conditions.retain(|condition| condition.type_ != DECLARED);
            return;
        };
        let others = held.members.iter().filter(|member| **member != held.region).cloned().collect::<Vec<_>>();
        let message = format!(
            "the nodes hold this table with the regions {}, and no GlobalTable names it: nothing of that changes until one does; \
             apply it again, and to leave the others delete it then",
            others.join(", ")
        );
        let now = Time(now);
        condition::set(&mut status.conditions, DECLARED, false, "GlobalTableMissing", &message, generation, &now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{
        global_table::fixture::{bundle, global},
        table::fixture,
    };

    fn declared() -> Regions {
        let peers = [("west".to_owned(), Arc::new(bundle("west")))].into();
        Regions::Declared { global: Box::new(global("users", 1, &["west"])), peers, cluster_id: "east-cluster".into() }
    }

    fn held() -> GlobalReplicas {
        declared().replicas("east", None).unwrap()
    }

    #[test]
    fn a_table_has_the_regions_that_are_declared() {
        assert_eq!(held().members.iter().collect::<Vec<_>>(), ["east", "west"]);
        assert_eq!(declared().replicas("east", Some(&held())), Some(held()));
    }

    #[test]
    fn a_deleted_global_table_leaves_a_table_that_stands_alone() {
        assert_eq!(Regions::Left.replicas("east", Some(&held())), None);
    }

    #[test]
    fn what_is_not_known_changes_nothing() {
        for regions in [Regions::Held, Regions::Unreadable, Regions::Unknown("why".into())] {
            assert_eq!(regions.replicas("east", Some(&held())), Some(held()));
            assert_eq!(regions.replicas("east", None), None);
        }
    }

    #[test]
    fn that_a_global_table_is_gone_is_forgotten_once_all_nodes_know() {
        let mut status = TableResourceStatus::default();
        declared().stamp(&mut status, false);
        assert_eq!(status.global_table.as_deref(), Some("users"));
        for regions in [Regions::Held, Regions::Unreadable, Regions::Unknown(String::new())] {
            regions.stamp(&mut status, false);
        }
        Regions::Left.stamp(&mut status, true);
        assert!(status.global_table.is_some());
        Regions::Left.stamp(&mut status, false);
        assert_eq!(status.global_table, None);
    }

    #[test]
    fn regions_that_nobody_declares_are_told() {
        let mut status = fixture::table("users").status.unwrap_or_default();
        Regions::Held.note(&mut status, Some(&held()), None, Timestamp::UNIX_EPOCH);
        assert_eq!(status.conditions[0].reason, "GlobalTableMissing");
        assert!(status.conditions[0].message.contains("the regions west,"), "{:?}", status.conditions);
        declared().note(&mut status, Some(&held()), None, Timestamp::UNIX_EPOCH);
        assert!(status.conditions.is_empty());
        Regions::Held.note(&mut status, None, None, Timestamp::UNIX_EPOCH);
        assert!(status.conditions.is_empty());
    }
}
