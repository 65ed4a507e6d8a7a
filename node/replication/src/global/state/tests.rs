use super::*;
use crate::global::Stability;
use cairn_model::ids::PartitionId;

fn lineage(region: &str) -> Lineage {
    Lineage { region: region.into(), since: Timestamp(2), partition: PartitionId([1; 16]) }
}

fn has(times: &[(&str, u64)]) -> Vector {
    times.iter().map(|(region, time)| (lineage(region), Timestamp(*time))).collect()
}

fn regions(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn said(region: &str, members: &[&str], times: &[(&str, u64)]) -> Member {
    Member { lineage: lineage(region), founder: None, is_settled: false, members: regions(members), has: has(times) }
}

fn stable(state: &GlobalState, own: &[(&str, u64)]) -> u64 {
    let replicas = GlobalReplicas { members: regions(&["east", "west"]), ..GlobalReplicas::in_region("east") };
    Stability { state, replicas: &replicas, own: &lineage("east"), has: &has(own) }.time().0
}

#[test]
fn what_is_stable_is_what_every_member_has_of_every_member() {
    let mut state = GlobalState::default();
    let own = [("east", 9), ("west", 7)];
    assert_eq!(stable(&state, &own), 0, "the west was never heard");
    state.hear(&said("west", &["east", "west"], &[("east", 5), ("west", 8)]));
    assert_eq!(stable(&state, &own), 5);
    state.hear(&said("west", &["east", "west"], &[("east", 8), ("west", 8)]));
    assert_eq!(stable(&state, &own), 7);
}

#[test]
fn members_of_members_count() {
    let mut state = GlobalState::default();
    let own = [("east", 9), ("west", 9), ("north", 9)];
    state.hear(&said("west", &["east", "west", "north"], &own));
    assert_eq!(stable(&state, &own), 0, "the north was never heard of");
    state.hear(&said("north", &["west", "north"], &[("east", 4), ("west", 9), ("north", 9)]));
    assert_eq!(stable(&state, &own), 4);
}

#[test]
fn a_lineage_that_has_ended_holds_nothing_back_once_all_have_all_of_it() {
    let mut state = GlobalState::default();
    let old = Lineage { since: Timestamp(1), ..lineage("west") };
    let mut own = has(&[("east", 9), ("west", 9)]);
    own.advance(&old, Timestamp(3));
    state.hear(&said("west", &["east", "west"], &[("east", 9), ("west", 9)]));
    let replicas = GlobalReplicas { members: regions(&["east", "west"]), ..GlobalReplicas::in_region("east") };
    let east = lineage("east");
    let time = |state: &GlobalState| Stability { state, replicas: &replicas, own: &east, has: &own }.time();
    assert_eq!(time(&state), Timestamp(0), "the west's table made anew lacks what the one before it wrote");
    let mut all = said("west", &["east", "west"], &[("east", 9), ("west", 9)]);
    all.has.advance(&old, Timestamp(3));
    state.hear(&all);
    assert_eq!(time(&state), Timestamp(9));
}

#[test]
fn of_the_tables_of_a_region_the_one_made_last_counts() {
    let mut state = GlobalState::default();
    assert_eq!(state.hear(&said("west", &["west"], &[("west", 9)])), Heard::New);
    let other = |since| Member {
        lineage: Lineage { region: "west".into(), since: Timestamp(since), partition: PartitionId([0; 16]) },
        ..said("west", &["west"], &[])
    };
    assert_eq!(state.hear(&other(1)), Heard::Nothing);
    assert_eq!(state.peers["west"].said.lineage, lineage("west"));
    assert_eq!(state.hear(&other(3)), Heard::New);
    assert_eq!(state.hear(&said("west", &["west"], &[("west", 10)])), Heard::Nothing);
    assert_eq!(state.peers["west"].said.lineage, other(3).lineage);
}

#[test]
fn who_is_in_nobodys_members_is_gone_and_is_heard_no_more() {
    let replicas = GlobalReplicas { members: regions(&["east", "west"]), ..GlobalReplicas::in_region("east") };
    let mut state = GlobalState::default();
    state.hear(&said("north", &["north", "east"], &[("north", 5)]));
    assert!(!state.forget_strangers(&replicas), "the west may list the north");
    assert_eq!(state.hear(&said("west", &["west", "north"], &[("west", 4)])), Heard::New);
    assert!(!state.forget_strangers(&replicas), "it does");
    state.hear(&said("west", &["west", "east"], &[("west", 5)]));
    assert!(state.forget_strangers(&replicas));
    assert!(state.gone.contains(&lineage("north")) && !state.peers.contains_key("north"));
    assert_eq!(state.hear(&said("north", &["north", "east"], &[("north", 9)])), Heard::Nothing);
}

#[test]
fn tombstones_wait_for_who_is_in_nobodys_members_until_that_is_noted() {
    let mut state = GlobalState::default();
    let own = [("east", 9), ("west", 9)];
    state.hear(&said("west", &["east", "west"], &own));
    state.hear(&said("north", &["north"], &[]));
    assert_eq!(stable(&state, &own), 0);
    state
        .forget_strangers(&GlobalReplicas { members: regions(&["east", "west"]), ..GlobalReplicas::in_region("east") });
    assert_eq!(stable(&state, &own), 9);
}

#[test]
fn a_version_set_aside_limits_what_a_region_says_it_has() {
    let state = GlobalState { vector: has(&[("west", 50)]), ..GlobalState::default() };
    assert_eq!(state.has(&lineage("east"), Timestamp(9), None), has(&[("west", 50), ("east", 9)]));
    assert_eq!(state.has(&lineage("east"), Timestamp(9), Some(Timestamp(21))), has(&[("west", 20), ("east", 9)]));
}

#[test]
fn the_log_is_held_for_the_member_that_has_read_least() {
    let replicas = GlobalReplicas { members: regions(&["east", "west", "north"]), ..GlobalReplicas::in_region("east") };
    let mut state = GlobalState::default();
    state.hear(&said("west", &[], &[]));
    assert_eq!(state.read_by_all(&replicas), 0);
    state.hear(&said("north", &[], &[]));
    state.peers.get_mut("west").unwrap().has_read = 7;
    state.peers.get_mut("north").unwrap().has_read = 5;
    assert_eq!(state.read_by_all(&replicas), 5);
}

/// The bytes of version 1: they are on disks.
#[test]
fn what_is_kept_of_other_regions_in_version_1_stays_readable() {
    let mut state = GlobalState { vector: has(&[("west", 300)]), ..GlobalState::beginning(lineage("east"), true) };
    state.hear(&said("west", &["west"], &[("west", 5)]));
    state.gone.note(&lineage("north"), Timestamp(7));
    let place = LogPlace { index: 4, term: 3, sequence: 2, epoch: 1, schema_version: 6 };
    let copy = CopyPosition { start: place, vector: Vector::default(), after: Bytes::from_static(b"k") };
    let peer = state.peers.get_mut("west").unwrap();
    (peer.has_read, peer.reading) = (8, Reading { place: Some(place), copy: Some(copy) });
    let partition = b"\x02\x2401010101-0101-0101-0101-010101010101";
    let golden = [
        &b"\x01\x01\x04east"[..],
        partition,
        b"\x01\x04east",
        partition,
        b"\x00\x01\x04west",
        partition,
        b"\xac\x02\x01\x04west\x04west",
        partition,
        b"\x00\x00\x01\x04west\x01\x04west",
        partition,
        b"\x05\x00\x08\x01\x04\x03\x02\x01\x06\x01\x04\x03\x02\x01\x06\x00\x01k\x01\x05north\x05north",
        partition,
        b"\x07",
    ]
    .concat();
    assert_eq!(state.encode().unwrap(), golden);
    assert_eq!(GlobalState::decode(&golden).unwrap(), state);
}
