//! Every CEL rule of a GlobalTable, with manifests it lets through and manifests it refuses.

#![allow(clippy::unwrap_used)]

mod support;

use support::{errors, schema};

fn global_table(name: &str, spec: &str) -> String {
    format!("{{metadata: {{name: {name}}}, spec: {{{spec}}}}}")
}

fn with_endpoint(endpoint: &str) -> String {
    global_table("users", &format!("replicas: [{{regionName: west, endpoint: '{endpoint}'}}]"))
}

fn check(older: Option<&str>, manifest: &str, told: Option<&str>) {
    let errors = errors(&schema("globaltables"), manifest, older);
    match told {
        None => assert!(errors.is_empty(), "{manifest}: {errors:?}"),
        Some(told) => assert!(errors.iter().any(|error| error.contains(told)), "{manifest}: {errors:?}"),
    }
}

#[test]
fn regions_are_listed_by_name_and_may_be_none() {
    check(None, &global_table("users", "replicas: []"), None);
    check(
        None,
        &global_table("users", "replicas: [{regionName: west}, {regionName: north, peerRef: {name: n}}]"),
        None,
    );
    let replicas = &schema("globaltables")["properties"]["spec"]["properties"]["replicas"];
    assert_eq!(replicas["x-kubernetes-list-type"], "map");
    assert_eq!(replicas["x-kubernetes-list-map-keys"], serde_json::json!(["regionName"]));
}

#[test]
fn an_endpoint_is_https_with_host_and_port() {
    for good in ["https://west.example:8443", "https://10.0.0.7:30443", "https://[fd00::7]:443", "https://w:1"] {
        check(None, &with_endpoint(good), None);
    }
    for bad in [
        "http://west.example:8443",
        "https://west.example",
        "https://west.example:",
        "https://west.example:0",
        "https://west.example:8443/",
        "https://user@west.example:8443",
        "https://:8443",
        "https://fd00::7:8443",
        "west.example:8443",
    ] {
        check(None, &with_endpoint(bad), Some("https://HOST:PORT"));
    }
}

#[test]
fn the_table_never_changes() {
    let named = |spec: &str| global_table("users", &format!("{spec}replicas: [{{regionName: west}}]"));
    check(Some(&named("")), &named("tableName: users, "), None);
    check(Some(&named("")), &named("tableName: scores, "), Some("tableName can't change"));
    check(Some(&named("tableName: Users, ")), &named(""), Some("tableName can't change"));
    check(Some(&named("tableName: Users, ")), &global_table("users", "tableName: Users, replicas: []"), None);
}

#[test]
fn a_short_resource_name_needs_a_table_name() {
    check(None, &global_table("ab", "replicas: []"), Some("at least 3 characters"));
    check(None, &global_table("ab", "tableName: abc, replicas: []"), None);
}
