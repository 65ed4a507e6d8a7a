//! Every CEL rule of a Table, with manifests it lets through and manifests it refuses.

#![allow(clippy::unwrap_used)]

mod support;

use cairn_model::tags;
use support::{errors, schema};

const KEYS: &str =
    "attributeDefinitions: [{attributeName: Id, attributeType: S}], keySchema: [{attributeName: Id, keyType: HASH}]";
const TWO_KEYS: &str = "attributeDefinitions: [{attributeName: Id, attributeType: S}, {attributeName: At, attributeType: N}], keySchema: [{attributeName: Id, keyType: HASH}, {attributeName: At, keyType: RANGE}]";
const ON_DEMAND: &str = "billingMode: PAY_PER_REQUEST";

fn table(spec: &str) -> String {
    named("users", spec, "")
}

fn named(name: &str, spec: &str, status: &str) -> String {
    format!("{{metadata: {{name: {name}}}, spec: {{{spec}}}{status}}}")
}

fn good() -> String {
    table(&format!("{KEYS}, {ON_DEMAND}"))
}

fn accepts(manifest: &str) {
    assert_eq!(errors(&schema("tables"), manifest, None), [""; 0], "{manifest}");
}

fn refuses(manifest: &str, told: &str) {
    let errors = errors(&schema("tables"), manifest, None);
    assert!(errors.iter().any(|error| error.contains(told)), "{manifest}: {errors:?}");
}

fn accepts_change(older: &str, manifest: &str) {
    assert_eq!(errors(&schema("tables"), manifest, Some(older)), [""; 0], "{manifest}");
}

fn refuses_change(older: &str, manifest: &str, told: &str) {
    let errors = errors(&schema("tables"), manifest, Some(older));
    assert!(errors.iter().any(|error| error.contains(told)), "{manifest}: {errors:?}");
}

#[test]
fn a_table_with_one_key_or_two_is_accepted() {
    accepts(&good());
    accepts(&table(&format!("{TWO_KEYS}, {ON_DEMAND}")));
}

#[test]
fn a_stream_that_is_on_says_what_it_shows_and_goes_on_showing_it() {
    let with = |stream: &str| table(&format!("{KEYS}, {ON_DEMAND}, streamSpecification: {{{stream}}}"));
    let (on, off) = ("streamEnabled: true, streamViewType: NEW_IMAGE", "streamEnabled: false");
    for stream in [on, off] {
        accepts(&with(stream));
        accepts_change(&good(), &with(stream));
        accepts_change(&with(stream), &good());
    }
    let told = "streamViewType is required where streamEnabled is true";
    refuses(&with("streamEnabled: true"), told);
    refuses(&with("streamEnabled: false, streamViewType: NEW_IMAGE"), told);
    let other = with("streamEnabled: true, streamViewType: KEYS_ONLY");
    refuses_change(&with(on), &other, "streamViewType can't change");
    accepts_change(&with(off), &other);
    accepts_change(&with(on), &with(off));
}

#[test]
fn the_hash_key_comes_first_and_the_range_key_behind_it() {
    let keys = |keys: &str| {
        table(&format!(
            "attributeDefinitions: [{{attributeName: Id, attributeType: S}}, {{attributeName: At, attributeType: N}}], keySchema: [{keys}], {ON_DEMAND}"
        ))
    };
    let told = "one HASH element";
    refuses(&keys("{attributeName: Id, keyType: RANGE}"), told);
    refuses(&keys("{attributeName: Id, keyType: RANGE}, {attributeName: At, keyType: HASH}"), told);
    refuses(&keys("{attributeName: Id, keyType: HASH}, {attributeName: At, keyType: HASH}"), told);
    refuses(&keys("{attributeName: Id, keyType: HASH}, {attributeName: Id, keyType: RANGE}"), "the same name");
}

#[test]
fn every_key_is_defined_and_every_definition_is_a_key() {
    refuses(
        &table(&format!(
            "attributeDefinitions: [{{attributeName: Id, attributeType: S}}], keySchema: [{{attributeName: Other, keyType: HASH}}], {ON_DEMAND}"
        )),
        "not defined in AttributeDefinitions",
    );
    refuses(
        &table(&format!(
            "attributeDefinitions: [{{attributeName: Id, attributeType: S}}, {{attributeName: X, attributeType: S}}], keySchema: [{{attributeName: Id, keyType: HASH}}], {ON_DEMAND}"
        )),
        "not used in the KeySchema",
    );
}

#[test]
fn the_keys_of_indexes_are_defined_too() {
    let with = |field: &str, index_key: &str| {
        table(&format!(
            "{TWO_KEYS}, {ON_DEMAND}, {field}: [{{indexName: idx, keySchema: [{{attributeName: Id, keyType: HASH}}, {{attributeName: {index_key}, keyType: RANGE}}], projection: {{projectionType: ALL}}}}]"
        ))
    };
    for field in ["globalSecondaryIndexes", "localSecondaryIndexes"] {
        accepts(&with(field, "At"));
        refuses(&with(field, "Missing"), field);
    }
}

/// A table with one local index, of these keys and with this projection.
fn indexed(keys: &str, projection: &str) -> String {
    table(&format!(
        "{TWO_KEYS}, {ON_DEMAND}, localSecondaryIndexes: [{{indexName: idx, keySchema: [{keys}], projection: {{{projection}}}}}]"
    ))
}

const INDEX_KEYS: &str = "{attributeName: Id, keyType: HASH}, {attributeName: At, keyType: RANGE}";

#[test]
fn a_local_index_has_the_tables_hash_key_and_a_range_key() {
    let all = "projectionType: ALL";
    accepts(&indexed(INDEX_KEYS, all));
    let told = "must have the table's HASH key and a RANGE key";
    for keys in [
        "{attributeName: Id, keyType: HASH}",
        "{attributeName: Id, keyType: RANGE}, {attributeName: At, keyType: HASH}",
        "{attributeName: Id, keyType: HASH}, {attributeName: Id, keyType: RANGE}",
    ] {
        refuses(&indexed(keys, all), told);
    }
    let other_hash = "{attributeName: At, keyType: HASH}, {attributeName: Id, keyType: RANGE}";
    refuses(&indexed(other_hash, all), "the same leading hash key");
    let sortless = format!(
        "attributeDefinitions: [{{attributeName: Id, attributeType: S}}, {{attributeName: At, attributeType: N}}], keySchema: [{{attributeName: Id, keyType: HASH}}], {ON_DEMAND}, localSecondaryIndexes: [{{indexName: idx, keySchema: [{INDEX_KEYS}], projection: {{{all}}}}}]"
    );
    refuses(&table(&sortless), "does not have a range key");
}

#[test]
fn attributes_are_named_for_a_projection_that_includes_some() {
    accepts(&indexed(INDEX_KEYS, "projectionType: KEYS_ONLY"));
    accepts(&indexed(INDEX_KEYS, "projectionType: INCLUDE, nonKeyAttributes: [Name]"));
    refuses(&indexed(INDEX_KEYS, "projectionType: INCLUDE"), "nonKeyAttributes must be specified");
    refuses(
        &indexed(INDEX_KEYS, "projectionType: ALL, nonKeyAttributes: [Name]"),
        "nonKeyAttributes must be specified",
    );
}

#[test]
fn a_projection_names_an_attribute_once_and_in_at_most_255_bytes() {
    let including = |names: &str| indexed(INDEX_KEYS, &format!("projectionType: INCLUDE, nonKeyAttributes: [{names}]"));
    accepts(&including(&format!("Name, name, {}, {}", "x".repeat(255), "é".repeat(127))));
    refuses(&including("Name, Other, Name"), "Duplicate element in NonKeyAttributes");
    refuses(&including(&"é".repeat(128)), "at most 255 bytes");
}

#[test]
fn all_indexes_together_name_at_most_100_attributes() {
    let indexes = |kind: &str, keys: &str, of_each: &[usize]| {
        let index = |(number, names): (usize, &usize)| {
            let names: Vec<String> = (0..*names).map(|name| format!("n{name}")).collect();
            format!(
                "{{indexName: {kind}-{number}, keySchema: [{keys}], projection: {{projectionType: INCLUDE, nonKeyAttributes: [{}]}}}}",
                names.join(", ")
            )
        };
        let all = "projection: {projectionType: ALL}";
        let without = format!("{{indexName: {kind}-all, keySchema: [{keys}], {all}}}");
        let named: Vec<String> = of_each.iter().enumerate().map(index).chain([without]).collect();
        format!("{kind}SecondaryIndexes: [{}]", named.join(", "))
    };
    let table = |local: &[usize], global: &[usize]| {
        let (local, global) = (indexes("local", INDEX_KEYS, local), indexes("global", INDEX_KEYS, global));
        table(&format!("{TWO_KEYS}, {ON_DEMAND}, {local}, {global}"))
    };
    let told = "exceeds the per-table limit of 100";
    accepts(&table(&[20, 20, 20], &[20, 20]));
    refuses(&table(&[20, 20, 20], &[20, 20, 1]), told);
    accepts(&table(&[], &[20, 20, 20, 20, 20]));
    refuses(&table(&[], &[20, 20, 20, 20, 20, 1]), told);
}

#[test]
fn a_keys_name_has_at_most_255_bytes() {
    let key = |name: &str| {
        table(&format!(
            "attributeDefinitions: [{{attributeName: {name}, attributeType: S}}], keySchema: [{{attributeName: {name}, keyType: HASH}}], {ON_DEMAND}"
        ))
    };
    accepts(&key(&"é".repeat(127)));
    refuses(&key(&"é".repeat(128)), "at most 255 bytes");
}

#[test]
fn a_definition_that_only_an_index_uses_is_used() {
    accepts(&table(&format!(
        "attributeDefinitions: [{{attributeName: Id, attributeType: S}}, {{attributeName: X, attributeType: S}}], keySchema: [{{attributeName: Id, keyType: HASH}}], {ON_DEMAND}, globalSecondaryIndexes: [{{indexName: idx, keySchema: [{{attributeName: X, keyType: HASH}}], projection: {{projectionType: ALL}}}}]"
    )));
}

#[test]
fn throughput_is_given_when_provisioned_and_only_then() {
    let throughput = "provisionedThroughput: {readCapacityUnits: 1, writeCapacityUnits: 1}";
    accepts(&table(&format!("{KEYS}, {throughput}")));
    accepts(&table(&format!("{KEYS}, billingMode: PROVISIONED, {throughput}")));
    refuses(&table(KEYS), "must be specified when billingMode is PROVISIONED");
    refuses(
        &table(&format!("{KEYS}, {ON_DEMAND}, {throughput}")),
        "can be specified when BillingMode is PAY_PER_REQUEST",
    );
}

#[test]
fn a_short_resource_name_needs_a_table_name() {
    refuses(&named("ab", &format!("{KEYS}, {ON_DEMAND}"), ""), "at least 3 characters");
    accepts(&named("ab", &format!("{KEYS}, {ON_DEMAND}, tableName: abc"), ""));
}

#[test]
fn a_tables_name_never_changes() {
    let renamed = table(&format!("{KEYS}, {ON_DEMAND}, tableName: others"));
    refuses_change(&good(), &renamed, "name can't change");
    refuses_change(&renamed, &good(), "name can't change");
    accepts_change(&good(), &table(&format!("{KEYS}, {ON_DEMAND}, tableName: users")));
}

#[test]
fn keys_never_change() {
    refuses_change(&good(), &table(&format!("{TWO_KEYS}, {ON_DEMAND}")), "keySchema can't change");
    let number = "attributeDefinitions: [{attributeName: Id, attributeType: N}], keySchema: [{attributeName: Id, keyType: HASH}]";
    refuses_change(&good(), &table(&format!("{number}, {ON_DEMAND}")), "type of a key attribute can't change");
}

#[test]
fn what_is_a_key_of_an_index_keeps_its_type() {
    let typed = |index: &str, scalar: &str| {
        table(&format!(
            "attributeDefinitions: [{{attributeName: Id, attributeType: S}}, {{attributeName: At, attributeType: N}}, {{attributeName: X, attributeType: {scalar}}}], keySchema: [{{attributeName: Id, keyType: HASH}}, {{attributeName: At, keyType: RANGE}}], {ON_DEMAND}, {index}"
        ))
    };
    let all = "projection: {projectionType: ALL}";
    let global = format!(
        "globalSecondaryIndexes: [{{indexName: idx, keySchema: [{{attributeName: X, keyType: HASH}}], {all}}}]"
    );
    let local = format!(
        "localSecondaryIndexes: [{{indexName: idx, keySchema: [{{attributeName: Id, keyType: HASH}}, {{attributeName: X, keyType: RANGE}}], {all}}}]"
    );
    for index in [global.as_str(), local.as_str()] {
        refuses_change(&typed(index, "S"), &typed(index, "N"), "type of a key attribute can't change");
        accepts_change(&typed(index, "S"), &typed(index, "S"));
    }
    let without = table(&format!("{TWO_KEYS}, {ON_DEMAND}"));
    accepts_change(&typed(&global, "S"), &without);
    accepts_change(&without, &typed(&global, "N"));
}

#[test]
fn local_indexes_never_change() {
    let index = |name: &str| {
        table(&format!(
            "{TWO_KEYS}, {ON_DEMAND}, localSecondaryIndexes: [{{indexName: {name}, keySchema: [{INDEX_KEYS}], projection: {{projectionType: ALL}}}}]"
        ))
    };
    let without = table(&format!("{TWO_KEYS}, {ON_DEMAND}"));
    for (older, newer) in [(index("one"), index("two")), (index("one"), without.clone()), (without, index("one"))] {
        refuses_change(&older, &newer, "localSecondaryIndexes can't change");
    }
    accepts_change(&index("one"), &index("one"));
}

/// A table with one global index of these keys, and what more is given of both.
fn globally_indexed(name: &str, keys: &str, of_index: &str, of_table: &str) -> String {
    table(&format!(
        "{TWO_KEYS}, {of_table}, globalSecondaryIndexes: [{{indexName: {name}, keySchema: [{keys}], {of_index}}}]"
    ))
}

#[test]
fn a_global_index_has_keys_of_its_own() {
    let all = "projection: {projectionType: ALL}";
    for keys in [
        "{attributeName: At, keyType: HASH}",
        "{attributeName: At, keyType: HASH}, {attributeName: Id, keyType: RANGE}",
    ] {
        accepts(&globally_indexed("idx", keys, all, ON_DEMAND));
    }
    let range = "{attributeName: At, keyType: RANGE}";
    refuses(&globally_indexed("idx", range, all, ON_DEMAND), "its HASH elements first");
    let twice = "{attributeName: At, keyType: HASH}, {attributeName: At, keyType: RANGE}";
    refuses(&globally_indexed("idx", twice, all, ON_DEMAND), "the same name");
    let include = "projection: {projectionType: INCLUDE}";
    refuses(&globally_indexed("idx", INDEX_KEYS, include, ON_DEMAND), "nonKeyAttributes must be specified");
    let local = format!(
        "{ON_DEMAND}, localSecondaryIndexes: [{{indexName: idx, keySchema: [{INDEX_KEYS}], projection: {{projectionType: ALL}}}}]"
    );
    refuses(&globally_indexed("idx", INDEX_KEYS, all, &local), "of a global index or of a local one");
    accepts(&globally_indexed("other", INDEX_KEYS, all, &local));
}

#[test]
fn a_global_index_has_up_to_four_attributes_of_its_partition_key_and_up_to_four_of_its_sort_key() {
    let with = |kinds: &[&str]| {
        let names: Vec<String> = (0..kinds.len()).map(|number| format!("A{number}")).collect();
        let defined: Vec<_> = names.iter().map(|name| format!("{{attributeName: {name}, attributeType: S}}")).collect();
        let keys = names.iter().zip(kinds).map(|(name, kind)| format!("{{attributeName: {name}, keyType: {kind}}}"));
        let keys = keys.collect::<Vec<_>>().join(", ");
        table(&format!(
            "attributeDefinitions: [{{attributeName: Id, attributeType: S}}, {}], keySchema: [{{attributeName: Id, keyType: HASH}}], {ON_DEMAND}, globalSecondaryIndexes: [{{indexName: idx, keySchema: [{keys}], projection: {{projectionType: ALL}}}}]",
            defined.join(", ")
        ))
    };
    let (hash, range) = ("HASH", "RANGE");
    for kinds in [&[hash, hash][..], &[hash, range, range], &[hash, hash, hash, hash, range, range, range, range]] {
        accepts(&with(kinds));
    }
    for kinds in [&[hash, range, hash][..], &[range, hash], &[hash, hash, range, hash]] {
        refuses(&with(kinds), "its HASH elements first");
    }
    for kinds in [&[hash; 5][..], &[hash, range, range, range, range, range]] {
        refuses(&with(kinds), "at most four HASH and at most four RANGE");
    }
}

#[test]
fn a_global_index_is_paid_for_as_its_table_is() {
    let all = "projection: {projectionType: ALL}";
    let units = "provisionedThroughput: {readCapacityUnits: 1, writeCapacityUnits: 1}";
    let maxima = "onDemandThroughput: {maxReadRequestUnits: 5}";
    accepts(&globally_indexed("idx", INDEX_KEYS, &format!("{all}, {units}"), units));
    accepts(&globally_indexed("idx", INDEX_KEYS, &format!("{all}, {maxima}"), ON_DEMAND));
    let told = "each of globalSecondaryIndexes must have provisionedThroughput";
    refuses(&globally_indexed("idx", INDEX_KEYS, all, units), told);
    refuses(&globally_indexed("idx", INDEX_KEYS, &format!("{all}, {units}"), ON_DEMAND), told);
    let both = format!("{all}, {units}, {maxima}");
    refuses(&globally_indexed("idx", INDEX_KEYS, &both, units), "OnDemandThroughput of globalSecondaryIndexes");
}

#[test]
fn global_indexes_come_and_go_and_keep_their_keys() {
    let [all, keys_only] = ["ALL", "KEYS_ONLY"].map(|projected| format!("projection: {{projectionType: {projected}}}"));
    let index = |name: &str, keys: &str, of_index: &str| globally_indexed(name, keys, of_index, ON_DEMAND);
    let (older, without) = (index("idx", INDEX_KEYS, &all), table(&format!("{TWO_KEYS}, {ON_DEMAND}")));
    accepts_change(&older, &without);
    accepts_change(&without, &older);
    // One in the place of another is the operator's scene: what evaluates rules here has an item's older self at its position,
    // an API server by its name.
    let other = format!("{{indexName: other, keySchema: [{INDEX_KEYS}], {keys_only}}}]");
    accepts_change(&older, &older.replace("}}]", &format!("}}}}, {other}")));
    let maxima = format!("{all}, onDemandThroughput: {{maxReadRequestUnits: 5}}");
    accepts_change(&older, &index("idx", INDEX_KEYS, &maxima));
    let told = "keySchema and projection of a global index can't change";
    refuses_change(&older, &index("idx", INDEX_KEYS, &keys_only), told);
    refuses_change(&older, &index("idx", "{attributeName: At, keyType: HASH}", &all), told);
}

#[test]
fn where_data_came_from_and_where_it_lies_never_changes() {
    refuses_change(
        &good(),
        &table(&format!("{KEYS}, {ON_DEMAND}, restoreFrom: {{table: other, latest: true}}")),
        "restoreFrom",
    );
    refuses_change(&good(), &table(&format!("{KEYS}, {ON_DEMAND}, storageGroup: analytics")), "storageGroup");
    accepts_change(&good(), &table(&format!("{KEYS}, {ON_DEMAND}, storageGroup: default")));
}

#[test]
fn billing_and_protection_may_change() {
    accepts_change(
        &good(),
        &table(&format!(
            "{KEYS}, provisionedThroughput: {{readCapacityUnits: 1, writeCapacityUnits: 1}}, deletionProtectionEnabled: true"
        )),
    );
}

#[test]
fn placements_and_the_tables_id_are_frozen_once_set() {
    let spec = format!("{KEYS}, {ON_DEMAND}");
    let placed = |node: &str| {
        named(
            "users",
            &spec,
            &format!(
                ", status: {{tableId: t, placements: [{{partitionId: p, epoch: 1, bootstrapNode: {node}, members: [{{replicaId: 1, nodeId: {node}, zone: z, address: a}}]}}]}}"
            ),
        )
    };
    accepts_change(&good(), &placed("a"));
    accepts_change(&placed("a"), &placed("a"));
    refuses_change(&placed("a"), &placed("b"), "status.placements is written once");
    refuses_change(&placed("a"), &good(), "status.placements is written once");
    let other_id = placed("a").replace("tableId: t", "tableId: u");
    refuses_change(&placed("a"), &other_id, "status.tableId is written once");
}

#[test]
fn data_comes_from_one_source() {
    let from = |source: &str| table(&format!("{KEYS}, {ON_DEMAND}, restoreFrom: {{{source}}}"));
    let id = "tableId: 07070707-0707-0707-0707-070707070707";
    let arn = "backupArn: 'arn:aws:dynamodb:east:game:table/users/backup/01550000000000-abcdef12'";
    accepts(&from("table: users, latest: true"));
    accepts(&from(&format!("{id}, at: '2026-11-21T10:00:00.123+02:00'")));
    accepts(&from("table: users, at: '2026-11-21T10:00:00Z', latest: false"));
    accepts(&from("backup: nightly"));
    accepts(&from(arn));
    for none_or_two in ["latest: true", "table: users, backup: nightly", &format!("{id}, table: users, latest: true")] {
        refuses(&from(none_or_two), "one source");
    }
}

#[test]
fn a_past_has_a_moment_and_a_backup_has_its_own() {
    let from = |source: &str| table(&format!("{KEYS}, {ON_DEMAND}, restoreFrom: {{{source}}}"));
    refuses(&from("table: users"), "give restoreFrom.at, or");
    refuses(&from("table: users, latest: false"), "give restoreFrom.at, or");
    refuses(&from("table: users, latest: true, at: '2026-11-21T10:00:00Z'"), "not both");
    for moment in ["latest: true", "at: '2026-11-21T10:00:00Z'"] {
        refuses(&from(&format!("backup: nightly, {moment}")), "a backup has one moment");
    }
    for no_moment in ["2026-11-21", "2026-11-21T10:00:00", "2026-13-21T10:00:00Z", "2026-11-21T24:00:00Z", "yesterday"]
    {
        refuses(&from(&format!("table: users, at: '{no_moment}'")), "RFC 3339");
    }
}

#[test]
fn what_is_restored_is_frozen_with_the_placements_but_for_how_far_it_is() {
    let spec = format!("{KEYS}, {ON_DEMAND}, restoreFrom: {{table: old, latest: true}}");
    let placed = |restore: &str| named("users", &spec, &format!(", status: {{tableId: t, placements: []{restore}}}"));
    let restoring = |source: &str, progress: &str| {
        placed(&format!(
            ", restore: {{sourceTableArn: a, restoreDateTime: '2026-11-21T10:00:00Z', region: east, account: game, {source}, {progress}}}"
        ))
    };
    let at = |at: u8| format!("tableId: t, at: '{at}'");
    let begun = restoring(&at(1), "restoreInProgress: true");
    accepts_change(&table(&spec), &begun);
    accepts_change(&begun, &restoring(&at(1), "restoreInProgress: true, progress: 37%"));
    accepts_change(&begun, &restoring(&at(1), "restoreInProgress: false"));
    for other in [at(2), "tableId: t".to_owned(), "backupId: b".to_owned()] {
        refuses_change(&begun, &restoring(&other, "restoreInProgress: true"), "written once, but for");
    }
    refuses_change(&begun, &placed(""), "written with status.placements");
    refuses_change(&placed(""), &begun, "written with status.placements");
}

const IMPORT: &str = "s3BucketSource: {s3Bucket: source}";

fn importing(from: &str, more: &str) -> String {
    table(&format!("{KEYS}, {ON_DEMAND}, importFrom: {{{from}}}{more}"))
}

#[test]
fn options_for_csv_are_for_csv() {
    accepts(&importing(&format!("{IMPORT}, inputFormat: ION"), ""));
    let csv = "inputFormatOptions: {csv: {delimiter: ';'}}";
    accepts(&importing(&format!("{IMPORT}, inputFormat: CSV, {csv}"), ""));
    refuses(&importing(&format!("{IMPORT}, inputFormat: ION, {csv}"), ""), "when importFrom.inputFormat is CSV");
}

#[test]
fn the_first_data_comes_from_one_place_and_where_it_came_from_never_changes() {
    let ion = format!("{IMPORT}, inputFormat: ION");
    let both = importing(&ion, ", restoreFrom: {table: old, latest: true}");
    refuses(&both, "not from both");
    accepts_change(&importing(&ion, ""), &importing(&ion, ""));
    for other in [importing(&format!("{IMPORT}, inputFormat: CSV"), ""), good()] {
        refuses_change(&importing(&ion, ""), &other, "importFrom says where");
        refuses_change(&other, &importing(&ion, ""), "importFrom says where");
    }
}

#[test]
fn an_import_that_has_ended_stays_as_it_ended() {
    let status = |arn: &str, status: &str| {
        let status = format!(
            ", status: {{import: {{importArn: {arn}, importStatus: {status}, startTime: '2026-01-01T00:00:00Z'}}}}"
        );
        named("users", &format!("{KEYS}, {ON_DEMAND}, importFrom: {{{IMPORT}, inputFormat: ION}}"), &status)
    };
    accepts_change(&status("a", "IN_PROGRESS"), &status("a", "FAILED"));
    accepts_change(&status("a", "FAILED"), &status("a", "FAILED"));
    refuses_change(&status("a", "FAILED"), &status("a", "IN_PROGRESS"), "does not begin again");
    refuses_change(&status("a", "IN_PROGRESS"), &status("b", "IN_PROGRESS"), "does not begin again");
}

#[test]
fn tags_are_those_that_the_api_takes_too() {
    let tagged =
        |key: &str, value: &str| table(&format!("{KEYS}, {ON_DEMAND}, tags: [{{key: \"{key}\", value: \"{value}\"}}]"));
    let (long, longest) = ("v".repeat(256), "k".repeat(128));
    for (key, value) in [
        ("env", "prod"),
        ("ключ", "café 表"),
        ("a+b-c=d.e_f:g/h@i", ""),
        (" ", "9"),
        ("myaws:x", &long),
        (&longest, ""),
    ] {
        accepts(&tagged(key, value));
        assert!(tags::is_key(key) && tags::is_value(value) && !tags::is_reserved(key), "{key}: {value}");
    }
    for text in ["#", "100%", "a,b", "🔑", "हिन्दी"] {
        refuses(&tagged(text, ""), "The Tag Key provided is invalid");
        refuses(&tagged("env", text), "The Tag Value provided is invalid");
        assert!(!tags::is_key(text) && !tags::is_value(text), "{text}");
    }
    for key in ["aws:x", "AWS:x"] {
        refuses(&tagged(key, ""), "Tag Key cannot be prefixed with aws:");
        assert!(tags::is_reserved(key));
    }
}

#[test]
fn tags_come_and_go_with_any_change() {
    let tagged = table(&format!("{KEYS}, {ON_DEMAND}, tags: [{{key: env, value: prod}}]"));
    accepts_change(&good(), &tagged);
    accepts_change(&tagged, &good());
}

#[test]
fn maxima_are_of_on_demand_tables_and_at_least_one() {
    let maxima = |mode: &str, maxima: &str| table(&format!("{KEYS}, {mode}, onDemandThroughput: {{{maxima}}}"));
    for good in ["maxReadRequestUnits: 1", "maxReadRequestUnits: -1, maxWriteRequestUnits: 40000"] {
        accepts(&maxima(ON_DEMAND, good));
    }
    refuses(&maxima(ON_DEMAND, "maxWriteRequestUnits: 0"), "a maximum is at least 1");
    let provisioned = "provisionedThroughput: {readCapacityUnits: 1, writeCapacityUnits: 1}";
    accepts(&maxima(provisioned, "maxReadRequestUnits: -1"));
    refuses(&maxima(provisioned, "maxReadRequestUnits: 5"), "OnDemandThroughput cannot be specified");
}

#[test]
fn a_table_is_warmed_and_does_not_cool_down() {
    let warmed = |mode: &str, warm: &str| table(&format!("{KEYS}, {mode}, warmThroughput: {{{warm}}}"));
    let provisioned = "provisionedThroughput: {readCapacityUnits: 5, writeCapacityUnits: 6}";
    for good in ["readUnitsPerSecond: 12000, writeUnitsPerSecond: 4000", "writeUnitsPerSecond: 50000"] {
        accepts(&warmed(ON_DEMAND, good));
    }
    accepts(&warmed(provisioned, "readUnitsPerSecond: 5, writeUnitsPerSecond: 7"));
    // What it was warmed to once is in no later change's way.
    let warm = "readUnitsPerSecond: 5, writeUnitsPerSecond: 7";
    let more = "provisionedThroughput: {readCapacityUnits: 50, writeCapacityUnits: 60}";
    accepts_change(&warmed(provisioned, warm), &warmed(more, warm));
    accepts_change(&warmed(provisioned, warm), &warmed(ON_DEMAND, warm));
    let reads = |units: u64| warmed(ON_DEMAND, &format!("readUnitsPerSecond: {units}"));
    accepts_change(&reads(20_000), &reads(30_000));
    refuses_change(&reads(20_000), &reads(19_999), "decreasing WarmThroughput is not supported");
}

#[test]
fn a_global_index_is_warmed_by_the_same_rules() {
    let units = "provisionedThroughput: {readCapacityUnits: 5, writeCapacityUnits: 6}";
    let warmed = |more: &str, mode: &str, warm: &str| {
        let of_index = format!("projection: {{projectionType: ALL}}{more}, warmThroughput: {{{warm}}}");
        globally_indexed("idx", INDEX_KEYS, &of_index, mode)
    };
    let on_demand = |warm: &str| warmed("", ON_DEMAND, warm);
    accepts(&on_demand("readUnitsPerSecond: 12000, writeUnitsPerSecond: 4000"));
    accepts(&warmed(&format!(", {units}"), units, "readUnitsPerSecond: 5, writeUnitsPerSecond: 6"));
    accepts(&warmed(&format!(", {units}"), units, "writeUnitsPerSecond: 5"));
    let cooled = (on_demand("readUnitsPerSecond: 20000"), on_demand("readUnitsPerSecond: 12000"));
    refuses_change(&cooled.0, &cooled.1, "decreasing WarmThroughput is not supported");
}

#[test]
fn auto_scaling_is_of_provisioned_tables_within_bounds() {
    let scaled = |mode: &str, scaling: &str| table(&format!("{KEYS}, {mode}, autoScaling: {{{scaling}}}"));
    let provisioned = "provisionedThroughput: {readCapacityUnits: 1, writeCapacityUnits: 1}";
    let read = "read: {minUnits: 5, maxUnits: 100}";
    accepts(&scaled(provisioned, read));
    accepts(&scaled(provisioned, "write: {minUnits: 5, maxUnits: 5, targetUtilizationPercent: 90}"));
    refuses(&scaled(ON_DEMAND, read), "an on-demand table scales by itself");
    refuses(&scaled(provisioned, ""), "give autoScaling.read, autoScaling.write, or both");
    refuses(&scaled(provisioned, "read: {minUnits: 6, maxUnits: 5}"), "minUnits must not be above maxUnits");
}

#[test]
fn auto_scaling_of_a_global_index_is_as_its_tables() {
    let provisioned = "provisionedThroughput: {readCapacityUnits: 1, writeCapacityUnits: 1}";
    let scaled = |mode: &str, of_index: &str, scaling: &str| {
        let of_index = format!("projection: {{projectionType: ALL}}{of_index}, autoScaling: {{{scaling}}}");
        globally_indexed("idx", INDEX_KEYS, &of_index, mode)
    };
    let units = format!(", {provisioned}");
    let write = "write: {minUnits: 5, maxUnits: 100}";
    accepts(&scaled(provisioned, &units, write));
    refuses(&scaled(ON_DEMAND, "", write), "on demand they scale by themselves");
    refuses(&scaled(provisioned, &units, ""), "give autoScaling.read, autoScaling.write, or both");
    refuses(&scaled(provisioned, &units, "write: {minUnits: 6, maxUnits: 5}"), "minUnits must not be above maxUnits");
}

#[test]
fn time_to_live_names_its_attribute_unless_it_is_off() {
    let with = |time_to_live: &str| table(&format!("{KEYS}, {ON_DEMAND}, timeToLive: {time_to_live}"));
    for accepted in ["{attributeName: ends}", "{attributeName: ends, enabled: true}", "{enabled: false}"] {
        accepts(&with(accepted));
    }
    accepts_change(&with("{attributeName: ends}"), &with("{attributeName: expires}"));
    for refused in ["{}", "{enabled: true}"] {
        refuses(&with(refused), "timeToLive.attributeName must be given");
    }
}
