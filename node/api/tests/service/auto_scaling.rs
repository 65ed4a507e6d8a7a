//! Auto-scaling of tables and of their global indexes, as DescribeTableReplicaAutoScaling and UpdateTableReplicaAutoScaling have it.

use crate::client::Service;
use cairn_model::table::TableStatus;
use serde_json::{Value, json};

const UPDATE: &str = "UpdateTableReplicaAutoScaling";
const WRITE_POLICY: &str = "DynamoDBWriteCapacityUtilization:table/users";

fn users() -> Value {
    json!({"TableName": "users"})
}

/// A provisioned table `users` with an index `by-team`, which the region west is to keep too.
async fn service() -> Service {
    let service = Service::archived().await;
    let units = json!({"ReadCapacityUnits": 5, "WriteCapacityUnits": 5});
    let request = json!({
        "TableName": "users", "ProvisionedThroughput": units,
        "AttributeDefinitions": [
            {"AttributeName": "Id", "AttributeType": "S"}, {"AttributeName": "Team", "AttributeType": "S"},
        ],
        "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": [{
            "IndexName": "by-team", "Projection": {"ProjectionType": "ALL"}, "ProvisionedThroughput": units,
            "KeySchema": [{"AttributeName": "Team", "KeyType": "HASH"}],
        }],
    });
    service.ok("CreateTable", request).await;
    service
}

fn update(more: Value) -> Value {
    let mut request = users();
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn write(settings: Value) -> Value {
    update(json!({"ProvisionedWriteCapacityAutoScalingUpdate": settings}))
}

fn target(value: Value) -> Value {
    json!({"TargetTrackingScalingPolicyConfiguration": {"TargetValue": value}})
}

fn described(min: u64, max: u64, percent: f64, policy: &str) -> Value {
    let configuration = json!({"DisableScaleIn": false, "TargetValue": percent});
    json!({
        "MinimumUnits": min, "MaximumUnits": max, "AutoScalingDisabled": false,
        "ScalingPolicies": [{"PolicyName": policy, "TargetTrackingScalingPolicyConfiguration": configuration}],
    })
}

async fn replicas(service: &Service) -> Value {
    let answer = service.ok("DescribeTableReplicaAutoScaling", users()).await;
    assert_eq!(answer["TableAutoScalingDescription"]["TableName"], "users");
    assert_eq!(answer["TableAutoScalingDescription"]["TableStatus"], "ACTIVE");
    answer["TableAutoScalingDescription"]["Replicas"].clone()
}

#[tokio::test]
async fn a_table_that_is_not_scaled_says_so() {
    let off = json!({"AutoScalingDisabled": true});
    let expected = json!([{
        "RegionName": "east",
        "GlobalSecondaryIndexes": [{
            "IndexName": "by-team", "IndexStatus": "ACTIVE",
            "ProvisionedReadCapacityAutoScalingSettings": off, "ProvisionedWriteCapacityAutoScalingSettings": off,
        }],
        "ReplicaProvisionedReadCapacityAutoScalingSettings": off,
        "ReplicaProvisionedWriteCapacityAutoScalingSettings": off,
        "ReplicaStatus": "ACTIVE",
    }]);
    assert_eq!(replicas(&service().await).await, expected);
}

#[tokio::test]
async fn an_on_demand_table_has_nothing_to_scale() {
    let service = Service::with_users().await;
    let expected = json!([{"RegionName": "east", "GlobalSecondaryIndexes": [], "ReplicaStatus": "ACTIVE"}]);
    assert_eq!(replicas(&service).await, expected);
    let told = service.invalid(UPDATE, write(json!({"MinimumUnits": 5, "MaximumUnits": 10}))).await;
    assert!(told.contains("when BillingMode is PAY_PER_REQUEST"), "{told}");
}

#[tokio::test]
async fn reads_and_writes_of_a_table_and_of_its_index_are_scaled_each_for_itself() {
    let service = service().await;
    let bounds = |max: u64| json!({"MinimumUnits": 5, "MaximumUnits": max});
    let request = json!({
        "ProvisionedWriteCapacityAutoScalingUpdate": bounds(10),
        "GlobalSecondaryIndexUpdates": [
            {"IndexName": "by-team", "ProvisionedWriteCapacityAutoScalingUpdate": bounds(20)},
        ],
        "ReplicaUpdates": [{
            "RegionName": "east", "ReplicaProvisionedReadCapacityAutoScalingUpdate": bounds(30),
            "ReplicaGlobalSecondaryIndexUpdates": [
                {"IndexName": "by-team", "ProvisionedReadCapacityAutoScalingUpdate": bounds(40)},
            ],
        }],
    });
    let answer = service.ok(UPDATE, update(request)).await;
    let replica = replicas(&service).await[0].clone();
    assert_eq!(answer["TableAutoScalingDescription"]["Replicas"][0], replica);
    let index = &replica["GlobalSecondaryIndexes"][0];
    let read_policy = "DynamoDBReadCapacityUtilization:table/users";
    for (settings, max, policy) in [
        (&replica["ReplicaProvisionedWriteCapacityAutoScalingSettings"], 10, WRITE_POLICY.to_owned()),
        (&index["ProvisionedWriteCapacityAutoScalingSettings"], 20, format!("{WRITE_POLICY}/index/by-team")),
        (&replica["ReplicaProvisionedReadCapacityAutoScalingSettings"], 30, read_policy.to_owned()),
        (&index["ProvisionedReadCapacityAutoScalingSettings"], 40, format!("{read_policy}/index/by-team")),
    ] {
        assert_eq!(*settings, described(5, max, 70.0, &policy));
    }
}

#[tokio::test]
async fn the_settings_of_a_global_table_are_told_by_its_operation_of_2017_too() {
    let service = service().await;
    let regions = json!([{"RegionName": "east"}, {"RegionName": "west"}]);
    service.ok("CreateGlobalTable", json!({"GlobalTableName": "users", "ReplicationGroup": regions})).await;
    service.regions.settle("users");
    let bounds = json!({"MinimumUnits": 5, "MaximumUnits": 10});
    let of_index = json!([{"IndexName": "by-team", "ProvisionedWriteCapacityAutoScalingUpdate": bounds}]);
    let request = json!({"ProvisionedWriteCapacityAutoScalingUpdate": bounds, "GlobalSecondaryIndexUpdates": of_index});
    service.ok(UPDATE, update(request)).await;
    let expected = |policy: &str| described(5, 10, 70.0, policy);
    let off = json!({"AutoScalingDisabled": true});
    let settings = service.ok("DescribeGlobalTableSettings", json!({"GlobalTableName": "users"})).await;
    assert_eq!(
        settings["ReplicaSettings"],
        json!([
            {
                "RegionName": "east", "ReplicaStatus": "ACTIVE",
                "ReplicaBillingModeSummary": {"BillingMode": "PROVISIONED"},
                "ReplicaProvisionedReadCapacityUnits": 5, "ReplicaProvisionedWriteCapacityUnits": 5,
                "ReplicaProvisionedReadCapacityAutoScalingSettings": off,
                "ReplicaProvisionedWriteCapacityAutoScalingSettings": expected(WRITE_POLICY),
                "ReplicaGlobalSecondaryIndexSettings": [{
                    "IndexName": "by-team", "IndexStatus": "ACTIVE",
                    "ProvisionedReadCapacityUnits": 5, "ProvisionedWriteCapacityUnits": 5,
                    "ProvisionedReadCapacityAutoScalingSettings": off,
                    "ProvisionedWriteCapacityAutoScalingSettings": expected(&format!("{WRITE_POLICY}/index/by-team")),
                }],
            },
            {"RegionName": "west", "ReplicaStatus": "ACTIVE"},
        ])
    );
}

#[tokio::test]
async fn what_an_update_does_not_name_stays_until_it_is_switched_off() {
    let service = service().await;
    let settings = async || replicas(&service).await[0]["ReplicaProvisionedWriteCapacityAutoScalingSettings"].clone();
    service.ok(UPDATE, write(json!({"MinimumUnits": 5, "MaximumUnits": 10}))).await;
    let mut policy = target(json!(50.0));
    policy["PolicyName"] = json!(WRITE_POLICY);
    service.ok(UPDATE, write(json!({"ScalingPolicyUpdate": policy}))).await;
    service.ok(UPDATE, write(json!({"MaximumUnits": 20}))).await;
    assert_eq!(settings().await, described(5, 20, 50.0, WRITE_POLICY));
    service.ok(UPDATE, write(json!({"AutoScalingDisabled": true}))).await;
    assert_eq!(settings().await, json!({"AutoScalingDisabled": true}));
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let service = service().await;
    let policy = |policy: Value| write(json!({"MinimumUnits": 5, "MaximumUnits": 10, "ScalingPolicyUpdate": policy}));
    let configured = |name: &str, value: Value| {
        let mut policy = target(json!(70));
        policy["TargetTrackingScalingPolicyConfiguration"][name] = value;
        policy
    };
    let index = |name: &str| json!({"IndexName": name, "ProvisionedWriteCapacityAutoScalingUpdate": {"MinimumUnits": 1, "MaximumUnits": 2}});
    for (request, text) in [
        (users(), "At least one of ProvisionedWriteCapacityAutoScalingUpdate"),
        (
            write(json!({"MinimumUnits": 0, "MaximumUnits": 5})),
            "'provisionedWriteCapacityAutoScalingUpdate.minimumUnits'",
        ),
        (write(json!({"MaximumUnits": 5})), "MinimumUnits must be specified"),
        (write(json!({"MinimumUnits": 6, "MaximumUnits": 5})), "MinimumUnits must not be greater than MaximumUnits"),
        (
            write(json!({"MinimumUnits": 5, "MaximumUnits": 2_000_000_000_000_u64})),
            "Given value 2000000000000 for MaximumUnits is out of bounds",
        ),
        (
            write(json!({"MinimumUnits": 5, "MaximumUnits": 6, "AutoScalingRoleArn": "arn:aws:iam::1:role/scaler"})),
            "AutoScalingRoleArn is not supported",
        ),
        (policy(json!({})), "scalingPolicyUpdate.targetTrackingScalingPolicyConfiguration' failed"),
        (policy(target(json!(95))), "TargetValue 95 is out of bounds"),
        (policy(target(json!(70.5))), "TargetValue 70.5 is out of bounds"),
        (policy(configured("ScaleInCooldown", json!(60))), "ScaleInCooldown is not supported"),
        (
            policy(json!({"PolicyName": "mine", "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 70}})),
            "PolicyName mine",
        ),
        (update(json!({"GlobalSecondaryIndexUpdates": []})), "'globalSecondaryIndexUpdates' failed"),
        (update(json!({"ReplicaUpdates": [{}]})), "'replicaUpdates.1.member.regionName' failed"),
        (
            update(json!({"GlobalSecondaryIndexUpdates": [index("by-team"), index("by-team")]})),
            "Only one global secondary index update per index",
        ),
    ] {
        let told = service.invalid(UPDATE, request).await;
        assert!(told.contains(text), "{told} should say {text}");
    }
    let none = update(json!({"GlobalSecondaryIndexUpdates": [index("by-rank")]}));
    let (name, text) = service.error(UPDATE, none).await;
    assert_eq!((name.as_str(), text.contains("Index by-rank for table users")), ("ResourceNotFoundException", true));
    let scaled = service.ok(UPDATE, policy(configured("DisableScaleIn", json!(true)))).await;
    let replica = &scaled["TableAutoScalingDescription"]["Replicas"][0];
    let policies = &replica["ReplicaProvisionedWriteCapacityAutoScalingSettings"]["ScalingPolicies"];
    assert_eq!(policies[0]["TargetTrackingScalingPolicyConfiguration"]["DisableScaleIn"], true);
}

#[tokio::test]
async fn another_regions_settings_are_changed_and_told_there() {
    let service = service().await;
    let read = |region: &str| {
        let bounds = json!({"MinimumUnits": 5, "MaximumUnits": 10});
        let of_region = json!({"RegionName": region, "ReplicaProvisionedReadCapacityAutoScalingUpdate": bounds});
        update(json!({"ReplicaUpdates": [of_region]}))
    };
    assert_eq!(service.error(UPDATE, read("west")).await.0, "ReplicaNotFoundException");
    let west = json!({"TableName": "users", "ReplicaUpdates": [{"Create": {"RegionName": "west"}}]});
    service.ok("UpdateTable", west).await;
    let told = service.invalid(UPDATE, read("west")).await;
    assert!(told.contains("Change those of west there"), "{told}");
    service.ok(UPDATE, read("east")).await;
    let other = json!({"RegionName": "west", "ReplicaStatus": "CREATING"});
    assert_eq!(replicas(&service).await[1], other);
}

#[tokio::test]
async fn a_table_that_is_being_changed_or_is_not_there_is_refused() {
    let service = service().await;
    let request = || write(json!({"MinimumUnits": 5, "MaximumUnits": 10}));
    service.catalog.set_status("users", TableStatus::Updating);
    assert_eq!(service.error(UPDATE, request()).await.0, "ResourceInUseException");
    for operation in ["DescribeTableReplicaAutoScaling", UPDATE] {
        let mut request = request();
        request["TableName"] = json!("nobody");
        assert_eq!(service.error(operation, request).await.0, "ResourceNotFoundException");
    }
}
