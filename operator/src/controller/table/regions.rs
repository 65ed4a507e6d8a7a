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
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::Time};
use kube::ResourceExt;
use std::{collections::BTreeMap, sync::Arc};

/// False while nodes hold a table as one of several regions' and nobody declares it so.
const DECLARED: &str = "GlobalTableDeclared";
/// A GlobalTable that is replaced, deleted and made anew, is back by then.
const LEAVES_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// Where the regions of a table come from, as of now.
#[derive(Clone, Debug)]
pub enum Regions {
    Declared {
        global: Box<GlobalTable>,
        peers: BTreeMap<String, Arc<ConfigMap>>,
        cluster_id: String,
        /// The epoch that was ordered last, as far as the cluster remembers.
        ordered: Option<u64>,
    },
    /// Its GlobalTable is gone, and may be back in a moment: what the nodes hold stays.
    Leaving,
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
                    let ordered = table.status.as_ref().and_then(|status| status.global_table_epoch);
                    let ordered = ordered.and_then(|epoch| u64::try_from(epoch).ok());
                    Self::Declared { global, peers, cluster_id: cluster_id.to_owned(), ordered }
                }
                Err(error) => Self::Unknown(crate::error::chain(&error)),
            },
            Claim::Unreadable(_) => Self::Unreadable,
            Claim::Nobody => {
                let status = table.status.as_ref().filter(|status| status.global_table.is_some());
                status.map_or(Self::Held, |status| Self::without(status, ctx.now()))
            }
        }
    }

    /// Of a table that had a GlobalTable.
    fn without(status: &TableResourceStatus, now: Timestamp) -> Self {
        let is_gone = |since: &Time| now.duration_since(since.0) >= LEAVES_AFTER;
        if status.global_table_gone_at.as_ref().is_some_and(is_gone) { Self::Left } else { Self::Leaving }
    }

    /// Whether they change by themselves soon.
    pub fn is_leaving(&self) -> bool {
        matches!(self, Self::Leaving)
    }

    /// What the definition is to say where nodes hold this.
    pub fn replicas(&self, region: &str, held: Option<&GlobalReplicas>) -> Option<GlobalReplicas> {
        match self {
            Self::Declared { .. } => self.membership(region, held).map(|membership| membership.replicas),
            Self::Left => None,
            Self::Held | Self::Leaving | Self::Unreadable | Self::Unknown(_) => held.cloned(),
        }
    }

    /// The same with what is wrong, where something is declared.
    pub fn membership(&self, region: &str, held: Option<&GlobalReplicas>) -> Option<Membership> {
        let Self::Declared { global, peers, cluster_id, ordered } = self else { return None };
        Some(membership::of(global, peers, Own { region, cluster_id }, *ordered, held))
    }

    /// Whether definitions may be ordered; or why not.
    pub fn unknown(&self) -> Option<&str> {
        match self {
            Self::Unknown(why) => Some(why),
            _ => None,
        }
    }

    /// Writes down which GlobalTable the table has, before any node is told; and that it has none, once all nodes know. `holds`:
    /// whether a partition is without a leader, or still one of several regions'; `wanted`: what nodes are to hold.
    pub fn stamp(&self, status: &mut TableResourceStatus, holds: bool, wanted: Option<&Membership>, now: Timestamp) {
        match self {
            Self::Declared { global, .. } => {
                status.global_table = Some(global.name_any());
                status.global_table_gone_at = None;
                if let Some(wanted) = wanted.filter(|wanted| wanted.unlisted.is_empty()) {
                    let epoch = i64::try_from(wanted.replicas.epoch).unwrap_or(i64::MAX);
                    status.global_table_epoch = status.global_table_epoch.max(Some(epoch));
                }
            }
            Self::Leaving => {
                status.global_table_gone_at.get_or_insert(Time(now));
            }
            Self::Left if !holds => {
                status.global_table = None;
                status.global_table_epoch = None;
                status.global_table_gone_at = None;
            }
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
        Regions::Declared {
            global: Box::new(global("users", 1, &["west"])),
            peers,
            cluster_id: "east-cluster".into(),
            ordered: None,
        }
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
        for regions in [Regions::Held, Regions::Leaving, Regions::Unreadable, Regions::Unknown("why".into())] {
            assert_eq!(regions.replicas("east", Some(&held())), Some(held()));
            assert_eq!(regions.replicas("east", None), None);
        }
    }

    #[test]
    fn that_a_global_table_is_gone_is_forgotten_once_all_nodes_know() {
        let mut status = TableResourceStatus::default();
        let now = Timestamp::UNIX_EPOCH;
        let wanted = declared().membership("east", None);
        declared().stamp(&mut status, false, wanted.as_ref(), now);
        assert_eq!((status.global_table.as_deref(), status.global_table_epoch), (Some("users"), Some(1)));
        for regions in [Regions::Held, Regions::Unreadable, Regions::Unknown(String::new())] {
            regions.stamp(&mut status, false, None, now);
        }
        Regions::Left.stamp(&mut status, true, None, now);
        assert!(status.global_table.is_some());
        Regions::Left.stamp(&mut status, false, None, now);
        assert_eq!((status.global_table, status.global_table_epoch), (None, None));
    }

    #[test]
    fn a_table_leaves_only_when_its_global_table_stays_away() {
        let mut status = TableResourceStatus { global_table: Some("users".into()), ..TableResourceStatus::default() };
        let at = |second| Timestamp::from_second(second).unwrap();
        let gone = Regions::without(&status, at(100));
        assert!(gone.is_leaving());
        gone.stamp(&mut status, true, None, at(100));
        gone.stamp(&mut status, true, None, at(105));
        assert!(Regions::without(&status, at(109)).is_leaving());
        assert!(matches!(Regions::without(&status, at(110)), Regions::Left));
        declared().stamp(&mut status, true, None, at(109));
        assert_eq!(status.global_table_gone_at, None, "it is back");
    }

    #[test]
    fn what_the_cluster_no_longer_remembers_is_not_remembered_before_all_of_it_is_listed() {
        let mut held = held();
        held.members.insert("north".into());
        let mut status = TableResourceStatus::default();
        let wanted = declared().membership("east", Some(&held)).unwrap();
        assert_eq!(wanted.unlisted, ["north"]);
        declared().stamp(&mut status, true, Some(&wanted), Timestamp::UNIX_EPOCH);
        assert_eq!(status.global_table_epoch, None);
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
