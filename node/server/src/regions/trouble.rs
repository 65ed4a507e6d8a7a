//! What is wrong between two regions, in words for a person who sees both.

use super::message::RegionRefusal;
use cairn_model::region::{RegionProblem, RegionTrouble};

pub(super) fn problem(reason: RegionTrouble, message: impl Into<String>) -> RegionProblem {
    RegionProblem { reason, message: message.into() }
}

/// Why region `to` does not answer `own`, about the table of this name.
pub(super) fn of_refusal(refusal: &RegionRefusal, own: &str, to: &str, table: &str) -> RegionProblem {
    let (reason, message) = match refusal {
        RegionRefusal::TableMissing => (
            RegionTrouble::TableMissing,
            format!("region {to} has no table {table} in this account: make it there, with the same keys and empty"),
        ),
        RegionRefusal::NotListed => (
            RegionTrouble::NotListed,
            format!(
                "table {table} in region {to} does not list region {own}: name {own} in spec.replicas of its GlobalTable there"
            ),
        ),
        RegionRefusal::Untrusted => (RegionTrouble::Untrusted, let_in(own, to)),
        RegionRefusal::WrongCluster => (
            RegionTrouble::WrongCluster,
            format!(
                "region {to} knows region {own} as another cluster: apply the peer bundle of this cluster there, as it is now"
            ),
        ),
        RegionRefusal::NotHeard => (
            RegionTrouble::Failed,
            format!("region {to} has not reached this one yet: see the status of its GlobalTable there"),
        ),
        RegionRefusal::NotEmpty(why) => (RegionTrouble::NotEmpty, format!("region {to} says: {why}")),
        RegionRefusal::NotLeader { .. } => {
            (RegionTrouble::Failed, format!("region {to} found no leader of the table's partition"))
        }
        RegionRefusal::Unavailable { message } => (RegionTrouble::Failed, format!("region {to} failed: {message}")),
    };
    problem(reason, message)
}

/// The other side does not know the authority of this one's certificates.
pub(super) fn let_in(own: &str, to: &str) -> String {
    format!(
        "region {to} does not let region {own} in: exchange the peer bundles anew (apply the ConfigMap cairn-peer of {own} in \
         region {to}, in the table's namespace), and name {own} in spec.replicas of a GlobalTable there"
    )
}
