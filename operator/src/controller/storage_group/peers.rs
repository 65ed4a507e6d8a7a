//! The ports of other clusters that a group's nodes have to reach.

use super::{members, validate::ValidatedGroup};
use crate::{context::Context, controller::global_table::bundle};
use cairn_model::node::NodeReport;
use jiff::SignedDuration;
use std::{collections::BTreeSet, sync::Arc};

/// What a definition says changes seldom.
const REPORT_AGE_MAX: SignedDuration = SignedDuration::from_secs(10);

/// The ports that are declared for the account, as far as that is known yet, and those that its nodes have in the definitions they
/// hold: a bundle that is gone cuts nobody off.
pub async fn ports(ctx: &Context, group: &ValidatedGroup) -> BTreeSet<u16> {
    if !ctx.config.peers {
        return BTreeSet::new();
    }
    let mut ports = ctx.known.ports(&group.namespace);
    let recorded = ctx.group(&group.namespace, &group.name);
    let nodes = recorded.map(|group| members::recorded(&group, &ctx.config)).unwrap_or_default();
    let targets: Vec<_> = nodes.into_iter().map(|node| node.target).collect();
    ports.extend(held(&ctx.reports.of(&targets, REPORT_AGE_MAX).await));
    ports
}

fn held(reports: &[Option<Arc<NodeReport>>]) -> BTreeSet<u16> {
    let replicas = reports.iter().flatten().flat_map(|report| &report.replicas);
    let peers =
        replicas.filter_map(|replica| replica.definition.replicas.as_ref()).flat_map(|held| held.peers.values());
    peers.filter_map(|peer| bundle::port(&peer.endpoint)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::fixture;
    use cairn_model::table::{GlobalReplicas, PeerCluster};

    #[test]
    fn what_nodes_hold_stays_open() {
        let mut reports = fixture::reports_of_one_table(3);
        let mut replicas = GlobalReplicas::in_region("east");
        let endpoint = "https://[fd00::7]:30443".to_owned();
        replicas.peers.insert("west".into(), PeerCluster { endpoint, cluster_id: String::new(), ca: String::new() });
        Arc::make_mut(&mut reports[1]).replicas[0].definition.replicas = Some(replicas);
        let reports: Vec<_> = reports.into_iter().map(Some).chain([None]).collect();
        assert_eq!(held(&reports), [30443].into());
        assert!(held(&reports[2..]).is_empty());
    }
}
