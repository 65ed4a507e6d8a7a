//! What tables and global indexes take at once: shown, raised, and never lowered.

use crate::{
    client::Service,
    global_indexes::{definition, index, with},
};
use cairn_api::Catalog;
use cairn_model::table::TableStatus;
use serde_json::{Value, json};

const INVALID: &str = "One or more parameter values were invalid: ";
const RANKS: &[(&str, &str)] = &[("Team", "S"), ("Rank", "N")];

/// The table `scores` with the index `by-rank`, on demand.
fn scores(of_table: Value, of_index: Value) -> Value {
    let ranks = index("by-rank", &["Team", "Rank"], json!({"ProjectionType": "ALL"}));
    with(definition(RANKS, &[with(ranks, of_index)]), of_table)
}

fn provisioned(read: u64, write: u64) -> Value {
    json!({"ProvisionedThroughput": {"ReadCapacityUnits": read, "WriteCapacityUnits": write}})
}

fn warm(warm: Value) -> Value {
    json!({"WarmThroughput": warm})
}

fn update(more: Value) -> Value {
    with(json!({"TableName": "scores"}), more)
}

/// An UpdateTable of the index `by-rank`.
fn of_index(more: Value) -> Value {
    let change = with(json!({"IndexName": "by-rank"}), more);
    json!({"GlobalSecondaryIndexUpdates": [{"Update": change}]})
}

/// Reads and writes that the table and its index take at once.
async fn takes(service: &Service) -> [(u64, u64); 2] {
    let table = service.ok("DescribeTable", json!({"TableName": "scores"})).await["Table"].clone();
    [&table, &table["GlobalSecondaryIndexes"][0]].map(|of| {
        let warm = &of["WarmThroughput"];
        assert_eq!(warm["Status"], "ACTIVE");
        (warm["ReadUnitsPerSecond"].as_u64().unwrap(), warm["WriteUnitsPerSecond"].as_u64().unwrap())
    })
}

#[tokio::test]
async fn every_table_and_index_says_what_it_takes_at_once() {
    let service = Service::start().await;
    service.ok("CreateTable", scores(json!({}), json!({}))).await;
    assert_eq!(takes(&service).await, [(12_000, 4_000); 2]);
    service.ok("DeleteTable", json!({"TableName": "scores"})).await;
    let of_table = with(json!({"BillingMode": "PROVISIONED"}), provisioned(5, 6));
    service.ok("CreateTable", scores(of_table, provisioned(7, 8))).await;
    assert_eq!(takes(&service).await, [(5, 6), (7, 8)]);
}

#[tokio::test]
async fn a_table_is_made_warm_and_what_is_not_said_is_as_it_always_is() {
    let service = Service::start().await;
    let warmed = (warm(json!({"ReadUnitsPerSecond": 20_000})), warm(json!({"WriteUnitsPerSecond": 5_000})));
    service.ok("CreateTable", scores(warmed.0, warmed.1)).await;
    assert_eq!(takes(&service).await, [(20_000, 4_000), (12_000, 5_000)]);
    service.ok("DeleteTable", json!({"TableName": "scores"})).await;
    service.ok("CreateTable", scores(warm(json!({})), warm(json!({})))).await;
    assert_eq!(takes(&service).await, [(12_000, 4_000); 2], "nothing is asked for");
}

#[tokio::test]
async fn it_is_updating_while_the_table_is() {
    let service = Service::start().await;
    service.ok("CreateTable", scores(json!({}), json!({}))).await;
    service.catalog.set_status("scores", TableStatus::Creating);
    let table = service.ok("DescribeTable", json!({"TableName": "scores"})).await["Table"].clone();
    assert_eq!(table["WarmThroughput"]["Status"], "UPDATING");
}

#[tokio::test]
async fn throughput_is_told_as_it_was_until_the_nodes_have_what_it_is_to_be() {
    let service = Service::start().await;
    let of_table = with(json!({"BillingMode": "PROVISIONED"}), provisioned(5, 6));
    service.ok("CreateTable", scores(of_table, provisioned(7, 8))).await;
    service.catalog.set_held("scores");
    service.ok("UpdateTable", update(provisioned(50, 60))).await;
    service.ok("UpdateTable", update(of_index(provisioned(70, 80)))).await;
    service.ok("UpdateTable", update(warm(json!({"ReadUnitsPerSecond": 20_000})))).await;
    let told = async || {
        let table = service.ok("DescribeTable", json!({"TableName": "scores"})).await["Table"].clone();
        [&table, &table["GlobalSecondaryIndexes"][0]].map(|of| {
            let (units, warm) = (&of["ProvisionedThroughput"], &of["WarmThroughput"]);
            json!([units["ReadCapacityUnits"], warm["ReadUnitsPerSecond"], warm["Status"]])
        })
    };
    service.catalog.set_status("scores", TableStatus::Updating);
    service.catalog.set_index_status("scores", "by-rank", TableStatus::Updating, false);
    assert_eq!(told().await, [json!([5, 5, "UPDATING"]), json!([7, 7, "UPDATING"])]);
    service.catalog.set_index_status("scores", "by-rank", TableStatus::Active, false);
    assert_eq!(told().await, [json!([5, 5, "UPDATING"]), json!([70, 70, "ACTIVE"])]);
    service.catalog.set_status("scores", TableStatus::Active);
    assert_eq!(told().await[0], json!([50, 20_000, "ACTIVE"]));
    service.catalog.set_warming("scores", true);
    assert_eq!(told().await[0], json!([5, 5, "UPDATING"]));
    service.catalog.set_held("scores");
    assert_eq!(told().await[0], json!([50, 20_000, "ACTIVE"]), "they have it");
}

#[tokio::test]
async fn a_table_and_its_indexes_are_warmed_and_do_not_cool_down() {
    let service = Service::start().await;
    service.ok("CreateTable", scores(json!({}), json!({}))).await;
    let answer = service.ok("UpdateTable", update(warm(json!({"ReadUnitsPerSecond": 20_000})))).await;
    let shown = &answer["TableDescription"]["WarmThroughput"];
    assert_eq!((&shown["ReadUnitsPerSecond"], &shown["Status"]), (&json!(12_000), &json!("UPDATING")), "as it was");
    let answer = service.ok("UpdateTable", update(of_index(warm(json!({"WriteUnitsPerSecond": 6_000}))))).await;
    let index = &answer["TableDescription"]["GlobalSecondaryIndexes"][0];
    let shown = [&answer["TableDescription"]["TableStatus"], &index["IndexStatus"], &index["WarmThroughput"]["Status"]];
    assert_eq!(shown, ["ACTIVE", "ACTIVE", "UPDATING"]);
    assert_eq!(takes(&service).await, [(20_000, 4_000), (12_000, 6_000)]);
    // What it has already is no less.
    service.ok("UpdateTable", update(warm(json!({"ReadUnitsPerSecond": 20_000, "WriteUnitsPerSecond": 4_000})))).await;
    let lower = |member: &str, of: &str| {
        format!(
            "{INVALID}Requested {member} for WarmThroughput for {of} is lower than current WarmThroughput, decreasing \
             WarmThroughput is not supported"
        )
    };
    for units in [19_999, 0, -1] {
        let request = update(warm(json!({"ReadUnitsPerSecond": units, "WriteUnitsPerSecond": 9_000})));
        assert_eq!(service.invalid("UpdateTable", request).await, lower("ReadUnitsPerSecond", "table"));
    }
    let request = update(of_index(warm(json!({"WriteUnitsPerSecond": 5_999}))));
    assert_eq!(service.invalid("UpdateTable", request).await, lower("WriteUnitsPerSecond", "index by-rank"));
    assert_eq!(takes(&service).await, [(20_000, 4_000), (12_000, 6_000)]);
}

#[tokio::test]
async fn what_a_table_took_at_once_it_takes_whatever_becomes_of_its_units_and_its_mode() {
    let service = Service::start().await;
    let mode = json!({"BillingMode": "PROVISIONED"});
    service.ok("CreateTable", scores(with(mode.clone(), provisioned(5, 5)), provisioned(5, 5))).await;
    service.ok("UpdateTable", update(provisioned(9, 3))).await;
    service.ok("UpdateTable", update(of_index(provisioned(4, 7)))).await;
    assert_eq!(takes(&service).await, [(9, 5), (5, 7)]);
    service.ok("UpdateTable", update(warm(json!({"ReadUnitsPerSecond": 13_000})))).await;
    service.ok("UpdateTable", update(json!({"BillingMode": "PAY_PER_REQUEST"}))).await;
    assert_eq!(takes(&service).await, [(13_000, 4_000), (12_000, 4_000)]);
    let back = with(with(mode, provisioned(1, 1)), of_index(provisioned(1, 1)));
    service.ok("UpdateTable", update(back)).await;
    assert_eq!(takes(&service).await, [(13_000, 4_000), (12_000, 4_000)]);
}

#[tokio::test]
async fn a_new_index_can_be_warm_and_one_of_a_provisioned_table_is_warmed_alone() {
    let service = Service::start().await;
    let of_table = with(json!({"BillingMode": "PROVISIONED"}), provisioned(5, 5));
    service.ok("CreateTable", scores(of_table, provisioned(5, 5))).await;
    service.ok("UpdateTable", update(of_index(warm(json!({"ReadUnitsPerSecond": 50}))))).await;
    assert_eq!(takes(&service).await[1], (50, 5));
    let table = service.catalog.table("game", "scores").unwrap();
    assert_eq!(table.definition.global_indexes[0].provisioned_throughput.unwrap().read_capacity_units, 5);
    let teams = index("by-team", &["Team"], json!({"ProjectionType": "KEYS_ONLY"}));
    let create = |of_index: Value| {
        let teams = with(with(teams.clone(), provisioned(5, 5)), of_index);
        update(json!({
            "AttributeDefinitions": [{"AttributeName": "Team", "AttributeType": "S"}],
            "GlobalSecondaryIndexUpdates": [{"Create": teams}]
        }))
    };
    assert_eq!(
        service.invalid("UpdateTable", create(warm(json!({"WriteUnitsPerSecond": 4})))).await,
        format!(
            "{INVALID}Requested WriteUnitsPerSecond for WarmThroughput for index by-team is lower than WriteCapacityUnits of \
             ProvisionedThroughput"
        )
    );
    let answer = service.ok("UpdateTable", create(warm(json!({"WriteUnitsPerSecond": 60})))).await;
    assert_eq!(answer["TableDescription"]["GlobalSecondaryIndexes"][1]["WarmThroughput"]["WriteUnitsPerSecond"], 60);
}

#[tokio::test]
async fn warm_throughput_that_can_not_be_is_refused_in_dynamodbs_words() {
    let service = Service::start().await;
    let initial = "is lower than initial throughput for OnDemand. See: https://docs.aws.amazon.com/amazondynamodb/latest/\
                   developerguide/on-demand-capacity-mode.html#on-demand-capacity-mode-initial";
    let of_mode = with(json!({"BillingMode": "PROVISIONED"}), provisioned(10, 10));
    for (request, expected) in [
        (
            scores(warm(json!({"ReadUnitsPerSecond": 1, "WriteUnitsPerSecond": 1})), json!({})),
            format!("{INVALID}Requested ReadUnitsPerSecond for WarmThroughput for table {initial}"),
        ),
        (
            scores(json!({}), warm(json!({"WriteUnitsPerSecond": 3_999}))),
            format!("{INVALID}Requested WriteUnitsPerSecond for WarmThroughput for index by-rank {initial}"),
        ),
        (
            scores(with(of_mode, warm(json!({"ReadUnitsPerSecond": 5, "WriteUnitsPerSecond": 5}))), provisioned(1, 1)),
            format!(
                "{INVALID}Requested ReadUnitsPerSecond for WarmThroughput for table is lower than ReadCapacityUnits of \
                 ProvisionedThroughput"
            ),
        ),
        (
            scores(warm(json!({"ReadUnitsPerSecond": 1_000_000_000_001_u64})), json!({})),
            "Given value 1000000000001 for ReadUnitsPerSecond is out of bounds".to_owned(),
        ),
    ] {
        assert_eq!(service.invalid("CreateTable", request).await, expected);
    }
    service.ok("CreateTable", scores(json!({}), json!({}))).await;
    let text = service.invalid("UpdateTable", update(warm(json!({})))).await;
    assert!(text.starts_with("At least one of ProvisionedThroughput"), "{text}");
    let absent =
        update(json!({"GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "absent", "WarmThroughput": {}}}]}));
    assert_eq!(
        service.invalid("UpdateTable", absent).await,
        format!(
            "{INVALID}WarmThroughput must have at least one of ReadUnitsPerSecond or WriteUnitsPerSecond specified for index: \
             absent"
        )
    );
}

#[tokio::test]
async fn one_update_is_one_change_but_for_what_goes_together() {
    let service = Service::start().await;
    service.ok("CreateTable", scores(json!({}), json!({}))).await;
    let reads = || warm(json!({"ReadUnitsPerSecond": 20_000}));
    let (class, protection) = (json!({"TableClass": "STANDARD"}), json!({"DeletionProtectionEnabled": true}));
    let mode = json!({"BillingMode": "PAY_PER_REQUEST"});
    let maxima = json!({"OnDemandThroughput": {"MaxReadRequestUnits": 5}});
    let stream = json!({"StreamSpecification": {"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"}});
    let teams = index("by-team", &["Team"], json!({"ProjectionType": "KEYS_ONLY"}));
    let new_index = json!({"GlobalSecondaryIndexUpdates": [{"Create": teams}]});
    let units = with(json!({"BillingMode": "PROVISIONED"}), provisioned(5, 5));
    let alone = |what: &str| format!("{what} must be the only operation in the request");
    let maxima_alone = "OnDemandThroughput can only be combined with BillingMode in an UpdateTable request".to_owned();
    let stream_alone = "You cannot modify stream status while updating table IOPS".to_owned();
    for (one, other, expected) in [
        (&class, &protection, alone("TableClass modification")),
        (&class, &mode, alone("TableClass modification")),
        (&protection, &mode, alone("DeletionProtection modification")),
        (&protection, &reads(), alone("DeletionProtection modification")),
        (&reads(), &mode, alone("WarmThroughput")),
        (&reads(), &stream, alone("WarmThroughput")),
        (&reads(), &maxima, maxima_alone.clone()),
        (&stream, &maxima, maxima_alone),
        (&stream, &units, stream_alone.clone()),
        (&stream, &provisioned(5, 5), stream_alone),
        (
            &reads(),
            &new_index,
            "Create global secondary index cannot be specified when updating WarmThroughput".to_owned(),
        ),
    ] {
        let request = update(with(one.clone(), other.clone()));
        assert_eq!(service.invalid("UpdateTable", request).await, format!("{INVALID}{expected}"));
    }
    let unchanged = with(warm(json!({})), protection);
    service.ok("UpdateTable", update(unchanged)).await;
    service.ok("UpdateTable", update(with(mode.clone(), maxima))).await;
    service.ok("UpdateTable", update(with(mode, stream))).await;
    service.ok("UpdateTable", update(with(reads(), of_index(reads())))).await;
    assert_eq!(takes(&service).await, [(20_000, 4_000); 2]);
}
