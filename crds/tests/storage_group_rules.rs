//! Every CEL rule of a StorageGroup, with manifests it lets through and manifests it refuses.

#![allow(clippy::unwrap_used)]

mod support;

use support::{errors, schema};

fn group(spec: &str) -> String {
    format!("{{metadata: {{name: analytics}}, spec: {{{spec}}}}}")
}

fn sized(size: &str) -> String {
    group(&format!("volume: {{size: {size}}}"))
}

fn check(older: Option<&str>, manifest: &str, told: Option<&str>) {
    let errors = errors(&schema("storagegroups"), manifest, older);
    match told {
        None => assert!(errors.is_empty(), "{manifest}: {errors:?}"),
        Some(told) => assert!(errors.iter().any(|error| error.contains(told)), "{manifest}: {errors:?}"),
    }
}

#[test]
fn zones_are_counted_or_named() {
    check(None, &sized("10Gi"), None);
    check(None, &group("volume: {size: 1Gi}, zoneCount: 3"), None);
    check(None, &group("volume: {size: 1Gi}, zoneNames: [a, b, c]"), None);
    check(None, &group("volume: {size: 1Gi}, zoneCount: 3, zoneNames: [a, b, c]"), Some("not both"));
}

#[test]
fn a_group_never_gives_up_zones() {
    let count = |count: u8| group(&format!("volume: {{size: 1Gi}}, zoneCount: {count}"));
    check(Some(&count(3)), &count(5), None);
    check(Some(&count(3)), &count(1), Some("can't give up zones"));
    check(Some(&sized("1Gi")), &count(1), Some("can't give up zones"));
    let names = |names: &str| group(&format!("volume: {{size: 1Gi}}, zoneNames: [{names}]"));
    check(Some(&names("a, b, c")), &names("c, a, b, d"), None);
    check(Some(&names("a, b, c")), &names("a, b, d"), Some("can't give up a zone"));
    check(Some(&names("a, b, c")), &count(3), Some("can't give up a zone"));
}

#[test]
fn nodes_are_only_added() {
    let nodes = |nodes: u8| group(&format!("volume: {{size: 1Gi}}, nodesPerZone: {nodes}"));
    check(Some(&nodes(1)), &nodes(2), None);
    check(Some(&nodes(2)), &nodes(1), Some("nodesPerZone can't shrink"));
}

#[test]
fn a_volume_only_grows() {
    check(Some(&sized("10Gi")), &sized("20Gi"), None);
    check(Some(&sized("1024Mi")), &sized("1Gi"), None);
    check(Some(&sized("10Gi")), &sized("9999Mi"), Some("can't shrink"));
}

#[test]
fn the_storage_class_never_changes() {
    let class = |class: &str| group(&format!("volume: {{size: 1Gi, storageClassName: {class}}}"));
    check(Some(&class("fast")), &class("slow"), Some("storage class"));
    check(Some(&sized("1Gi")), &class("slow"), Some("storage class"));
    check(Some(&class("fast")), &class("fast"), None);
}

fn archived(archive: &str) -> String {
    group(&format!("volume: {{size: 1Gi}}, archive: {{url: 's3://backups/here'{archive}}}"))
}

#[test]
fn an_archive_may_come_move_and_go() {
    let moved = archived("").replace("backups", "others");
    check(Some(&sized("1Gi")), &archived(""), None);
    check(Some(&archived("")), &moved, None);
    check(Some(&moved), &sized("1Gi"), None);
}

#[test]
fn the_port_of_an_archives_endpoint_is_one() {
    for endpoint in ["https://s3", "http://store.backups.svc:9000", "https://[fd00::1]:9000/", "https://s3:65535"] {
        check(None, &archived(&format!(", endpoint: '{endpoint}'")), None);
    }
    check(None, &archived(", endpoint: 'https://s3:65536'"), Some("at most 65535"));
}

#[test]
fn an_archives_ca_needs_tls() {
    check(None, &archived(", endpoint: 'https://s3', ca: {name: store-ca}"), None);
    check(None, &archived(", ca: {name: proxy-ca}"), None);
    check(None, &archived(", endpoint: 'http://s3', ca: {name: store-ca}"), Some("https://"));
}

#[test]
fn a_groups_name_leaves_room_for_those_made_from_it() {
    let named = |name: &str| format!("{{metadata: {{name: {name}}}, spec: {{volume: {{size: 1Gi}}}}}}");
    check(None, &named(&"g".repeat(36)), None);
    check(None, &named(&"g".repeat(37)), Some("at most 36 characters"));
    check(None, &named("a.b"), Some("at most 36 characters"));
}
