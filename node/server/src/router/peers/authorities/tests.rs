//! Who is let in by which definitions.

use super::*;
use crate::{internal::client::GroupName, router::routes::KnownNode};
use cairn_model::{
    descriptor::{KeyRange, PartitionDescriptor},
    ids::{NodeId, PartitionId, ReplicaId, TableId},
    node::{NodeReport, ReplicaReport, ReplicaState},
    table::{GlobalReplicas, KeyAttribute, KeySchema, PeerCluster, ScalarType, TableDefinition},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca() -> Ca {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn caller(ca: &Ca, uri: &str) -> Shown {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(Vec::new()).unwrap().signed_by(&key, ca).unwrap();
    Shown { identity: uri.parse().unwrap(), chain: vec![certificate.der().clone()] }
}

fn table(number: u8, account: &str, peers: &[(&str, &Ca)]) -> ReplicaReport {
    let mut replicas = GlobalReplicas::in_region("west");
    for (region, ca) in peers {
        let peer = PeerCluster { endpoint: String::new(), cluster_id: String::new(), ca: ca.pem() };
        replicas.members.insert((*region).to_owned());
        replicas.peers.insert((*region).to_owned(), peer);
    }
    let partition = KeyAttribute { name: "Id".into(), scalar_type: ScalarType::S };
    let table_id = TableId([number; 16]);
    let descriptor = PartitionDescriptor::first(PartitionId([number; 16]), table_id, KeyRange::default(), Vec::new());
    let definition = TableDefinition {
        replicas: (!peers.is_empty()).then_some(replicas),
        ..TableDefinition::new(account, format!("table-{number}"), table_id, KeySchema { partition, sort: None })
    };
    ReplicaReport::new(ReplicaId(1), ReplicaState::Leader, descriptor, definition)
}

fn routes(replicas: Vec<ReplicaReport>) -> Routes {
    let group = GroupName { account: "game".into(), group: "default".into() };
    let report = NodeReport {
        node_id: NodeId([1; 16]),
        region: "west".into(),
        account: group.account,
        group: group.group,
        zone: "z".into(),
        version: "0".into(),
        replicas,
        disk_free_bytes: 0,
        disk_total_bytes: 0,
        disk_full: false,
        retired: Vec::new(),
        consumption: None,
    };
    Routes::from_reports(&[KnownNode { address: "a:1".into(), report }])
}

fn authorities(replicas: Vec<ReplicaReport>) -> Authorities {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Authorities::new(Arc::new(ArcSwap::from_pointee(routes(replicas))))
}

fn refused(authorities: &Authorities, caller: &Shown, name: &str) -> Option<RegionRefusal> {
    authorities.authorise(caller, "game", name).err()
}

const EAST: &str = "cairn://east/game/default/storage";

#[test]
fn a_table_is_open_to_the_regions_that_it_lists_and_tells_others_of_the_account_why_not() {
    let (east, north) = (ca(), ca());
    let authorities = authorities(vec![
        table(1, "game", &[("east", &east)]),
        table(2, "game", &[("north", &north)]),
        table(3, "game", &[]),
    ]);
    let caller = caller(&east, EAST);
    assert_eq!(refused(&authorities, &caller, "table-1"), None);
    assert_eq!(refused(&authorities, &caller, "table-2"), Some(RegionRefusal::NotListed));
    assert_eq!(refused(&authorities, &caller, "table-3"), Some(RegionRefusal::NotListed));
    assert_eq!(refused(&authorities, &caller, "table-4"), Some(RegionRefusal::TableMissing));
}

#[test]
fn who_is_no_peer_of_the_account_learns_nothing_of_its_tables() {
    let (east, north) = (ca(), ca());
    let authorities = authorities(vec![
        table(1, "game", &[("east", &east)]),
        table(2, "shop", &[("east", &east), ("north", &north)]),
    ]);
    let of_another_account = caller(&east, "cairn://east/shop/default/storage");
    let of_another_authority = caller(&north, EAST);
    let of_another_region = caller(&north, "cairn://north/game/default/storage");
    for stranger in [of_another_account, of_another_authority, of_another_region] {
        for name in ["table-1", "table-2", "table-4"] {
            assert_eq!(refused(&authorities, &stranger, name), Some(RegionRefusal::Untrusted), "{stranger:?}");
        }
    }
}

#[test]
fn a_table_trusts_a_region_by_its_own_definition_not_by_that_of_another() {
    let (old, new) = (ca(), ca());
    let authorities = authorities(vec![table(1, "game", &[("east", &old)]), table(2, "game", &[("east", &new)])]);
    assert_eq!(refused(&authorities, &caller(&new, EAST), "table-1"), Some(RegionRefusal::Untrusted));
    assert_eq!(refused(&authorities, &caller(&new, EAST), "table-2"), None);
}

#[test]
fn the_door_opens_to_the_authorities_of_the_newest_map_and_to_nobody_where_there_are_none() {
    let (east, north) = (ca(), ca());
    let authorities = authorities(vec![table(1, "game", &[])]);
    let lets_in = |ca: &Ca| {
        let chain = caller(ca, EAST).chain;
        let now = UnixTime::since_unix_epoch(Duration::from_millis(wall_ms()));
        authorities.verifier().verify_client_cert(&chain[0], &[], now).is_ok()
    };
    assert!(!lets_in(&east));
    authorities.routes.store(Arc::new(routes(vec![table(1, "game", &[("east", &east)])])));
    assert!(lets_in(&east) && !lets_in(&north));
    let mut unreadable = table(2, "game", &[("south", &north)]);
    unreadable.definition.replicas.as_mut().unwrap().peers.get_mut("south").unwrap().ca = "no PEM".into();
    let north_too = table(1, "game", &[("north", &north)]);
    authorities.routes.store(Arc::new(routes(vec![north_too, unreadable])));
    assert!(!lets_in(&east) && lets_in(&north), "one that can't be read keeps nobody else out");
}

#[test]
fn bundles_of_other_tenants_shut_nobody_out_though_all_authorities_have_the_same_name() {
    let (east, crowd) = (ca(), (0..120).map(|_| ca()).collect::<Vec<_>>());
    let of_others = crowd.iter().zip(2..).map(|(ca, number)| table(number, "shop", &[("east", ca)]));
    let authorities = authorities(of_others.chain([table(1, "game", &[("east", &east)])]).collect());
    let now = UnixTime::since_unix_epoch(Duration::from_millis(wall_ms()));
    let door = authorities.verifier();
    assert!(door.verify_client_cert(&caller(&east, EAST).chain[0], &[], now).is_ok());
    assert!(door.verify_client_cert(&caller(&ca(), EAST).chain[0], &[], now).is_err());
}

#[test]
fn a_bundle_of_more_authorities_than_one_may_have_lets_nobody_in() {
    let east = ca();
    let mut crowded = table(1, "game", &[("east", &east)]);
    let peers = &mut crowded.definition.replicas.as_mut().unwrap().peers;
    peers.get_mut("east").unwrap().ca = (0..4).map(|_| ca().pem()).chain([east.pem()]).collect();
    let authorities = authorities(vec![crowded]);
    assert_eq!(refused(&authorities, &caller(&east, EAST), "table-1"), Some(RegionRefusal::Untrusted));
}
