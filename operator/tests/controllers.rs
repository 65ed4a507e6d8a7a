//! The controllers against a real API server; kubelets and storage nodes are played.

#![allow(clippy::unwrap_used, clippy::panic)]

mod scenes {
    pub(crate) mod auto_scaling;
    pub(crate) mod global_indexes;
    pub(crate) mod imports;
    pub(crate) mod local_indexes;
    pub(crate) mod recovery;
    pub(crate) mod streams;
    pub(crate) mod table_class;
    pub(crate) mod time_to_live;
}
mod support;

use cairn_crds::{ADOPT_ANNOTATION, StorageGroup, Table};
use cairn_model::{
    archive::{ArchiveAnswer, ArchiveReport},
    node::ReplicaState,
};
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{PersistentVolumeClaim, Pod, Secret},
        events::v1::Event,
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        storage::v1::StorageClass,
    },
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};
use support::{World, api_server::ApiServer, wait};

/// All scenes on one API server: to start one takes longer than any of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_controllers_on_a_real_api_server() {
    if let Some(path) = std::env::var_os("CAIRN_TEST_LOG") {
        let log = std::fs::File::create(path).unwrap();
        let filter = tracing_subscriber::EnvFilter::new("cairn_operator=debug,kube_runtime=info");
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(log).init();
    }
    let Some(server) = ApiServer::start().await else { return };
    a_first_table_brings_its_group_and_the_next_is_active_within_two_seconds(&server).await;
    a_definition_follows_the_spec(&server).await;
    a_deleted_tables_data_is_dropped_everywhere(&server).await;
    data_under_the_name_waits_for_a_person(&server).await;
    a_name_and_a_missing_feature_are_refused(&server).await;
    a_damaged_replica_and_an_emptied_volume_are_replaced(&server).await;
    a_rollout_takes_one_pod_at_a_time(&server).await;
    an_archive_comes_with_a_rollout_and_the_routers_hear_of_it(&server).await;
    the_groups_conditions_say_how_its_archives_are(&server).await;
    what_archives_said_is_asked_again_at_once_where_another_write_got_ahead(&server).await;
    frozen_archives_hold_up_nothing(&server).await;
    volumes_grow(&server).await;
    access_keys_reach_the_routers(&server).await;
    however_many_namespaces_are_watched_the_routers_get_their_secret(&server).await;
    an_empty_group_is_removed_and_a_new_table_brings_it_back(&server).await;
    an_apply_under_version_0_only_makes_and_one_under_a_uid_only_changes(&server).await;
    scenes::auto_scaling::play(&server).await;
    scenes::global_indexes::play(&server).await;
    scenes::imports::play(&server).await;
    scenes::local_indexes::play(&server).await;
    scenes::recovery::play(&server).await;
    scenes::streams::play(&server).await;
    scenes::table_class::play(&server).await;
    scenes::time_to_live::play(&server).await;
}

async fn merge<K>(api: &Api<K>, name: &str, patch: Value) -> K
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap()
}

async fn a_first_table_brings_its_group_and_the_next_is_active_within_two_seconds(server: &ApiServer) {
    let world = World::new(server, "first").await;
    world.create_table("users", "").await;
    let status = wait("all zones to have the table", || async {
        let status = world.wait_active("users").await.status.unwrap();
        (status.zones_ready.as_deref() == Some("3/3")).then_some(status)
    })
    .await;
    assert_eq!(status.table_arn.as_deref(), Some("arn:aws:dynamodb:east:first:table/users"));
    assert_eq!(status.item_count, Some(7));
    assert_eq!(status.placements.unwrap()[0].members.len(), 3);
    let group = world.group("default").await;
    assert_eq!(group.status.unwrap().zones, ["zone-a", "zone-b", "zone-c"]);
    assert_eq!(world.api::<StatefulSet>().list(&ListParams::default()).await.unwrap().items.len(), 3);
    assert!(world.api::<PodDisruptionBudget>().get("cairn-default").await.is_ok());
    assert!(world.api::<NetworkPolicy>().get("cairn-default").await.is_ok());
    assert!(world.api::<Secret>().get("cairn-default-tls").await.unwrap().data.unwrap().contains_key("tls.crt"));

    #[allow(clippy::disallowed_methods)]
    let started = Instant::now();
    world.create_table("scores", "").await;
    world.wait_active("scores").await;
    let took = started.elapsed();
    eprintln!("a table on a standing group was ACTIVE after {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

/// What the routers rely on where several write at once.
async fn an_apply_under_version_0_only_makes_and_one_under_a_uid_only_changes(server: &ApiServer) {
    assert!(server.create_namespace("applies").await);
    let tables: Api<Table> = Api::namespaced(server.client.clone(), "applies");
    let apply = |metadata: Value, protected: bool| {
        let mut table = json!({
            "apiVersion": "cairn.dev/v1alpha1", "kind": "Table", "metadata": metadata,
            "spec": {
                "attributeDefinitions": [{"attributeName": "Id", "attributeType": "S"}],
                "keySchema": [{"attributeName": "Id", "keyType": "HASH"}],
                "billingMode": "PAY_PER_REQUEST", "deletionProtectionEnabled": protected,
            },
        });
        table["metadata"]["name"] = json!("users");
        let tables = tables.clone();
        async move {
            match tables.patch("users", &PatchParams::apply("cairn-api"), &Patch::Apply(&table)).await {
                Ok(table) => Ok(table),
                Err(kube::Error::Api(status)) => Err(status),
                Err(error) => panic!("{error}"),
            }
        }
    };
    let make = || json!({"resourceVersion": "0"});
    let made = apply(make(), false).await.unwrap();
    let refused = apply(make(), true).await.unwrap_err();
    let field = refused.details.as_ref().and_then(|details| details.causes.first()).map(|cause| cause.field.as_str());
    assert_eq!((refused.code, field), (422, Some("metadata.resourceVersion")), "{refused:?}");
    let of_made = json!({"uid": made.uid(), "resourceVersion": made.resource_version()});
    let changed = apply(of_made.clone(), true).await.unwrap();
    assert_eq!(apply(of_made, false).await.unwrap_err().code, 409);
    tables.delete("users", &DeleteParams::default()).await.unwrap();
    let of_changed = json!({"uid": changed.uid(), "resourceVersion": changed.resource_version()});
    assert_eq!(apply(of_changed, true).await.unwrap_err().code, 409);
    assert!(tables.get_opt("users").await.unwrap().is_none());
}

async fn a_definition_follows_the_spec(server: &ApiServer) {
    let world = World::new(server, "update").await;
    world.create_table("users", "").await;
    world.wait_active("users").await;
    let throughput = json!({"readCapacityUnits": 3, "writeCapacityUnits": 4});
    let spec = json!({"spec": {"billingMode": "PROVISIONED", "provisionedThroughput": throughput}});
    merge(&world.api::<Table>(), "users", spec).await;
    wait("the definition to change", || async {
        let status = world.table("users").await.status.unwrap();
        (status.schema_version == Some(2) && status.table_status == Some(cairn_model::table::TableStatus::Active))
            .then_some(())
    })
    .await;
    let leader = world.fleet.with(|nodes| nodes.values().next().unwrap().replicas[0].clone());
    assert_eq!(leader.definition.provisioned_throughput.unwrap().write_capacity_units, 4);
}

async fn a_deleted_tables_data_is_dropped_everywhere(server: &ApiServer) {
    let world = World::new(server, "delete").await;
    world.create_table("users", "").await;
    let first = world.wait_active("users").await;
    world.api::<Table>().delete("users", &DeleteParams::default()).await.unwrap();
    wait("the table to go", || async { world.api::<Table>().get_opt("users").await.unwrap().is_none().then_some(()) })
        .await;
    world.create_table("users", "").await;
    let second = world.wait_active("users").await;
    assert_ne!(first.status.unwrap().table_id, second.status.as_ref().unwrap().table_id);
    wait("the data to be dropped", || async {
        let left = world.group("default").await.status.unwrap().pending_drops;
        let held = world.fleet.with(|nodes| nodes.values().map(|node| node.replicas.len()).sum::<usize>());
        (left.is_empty() && held == 3).then_some(())
    })
    .await;
}

async fn data_under_the_name_waits_for_a_person(server: &ApiServer) {
    let world = World::new(server, "adopt").await;
    world.create_table("users", "").await;
    let id = world.wait_active("users").await.status.unwrap().table_id.unwrap();
    // As after a restored etcd: the Table is gone without its controller having seen it go.
    let fleet_before = world.fleet.clone();
    drop(world);
    let tables: Api<Table> = Api::namespaced(server.client.clone(), "adopt");
    merge(&tables, "users", json!({"metadata": {"finalizers": null}})).await;
    tables.delete("users", &DeleteParams::default()).await.unwrap();
    let world = World::resume(server, "adopt", fleet_before);
    world.create_table("users", "").await;
    let message = world.wait_reason("users", "AdoptionRequired").await;
    assert!(message.contains(&id), "{message}");
    assert!(world.table("users").await.status.unwrap().placements.is_none());
    merge(&tables, "users", json!({"metadata": {"annotations": {ADOPT_ANNOTATION: id}}})).await;
    let status = world.wait_active("users").await.status.unwrap();
    assert_eq!((status.table_id, status.item_count), (Some(id), Some(7)));
}

async fn a_name_and_a_missing_feature_are_refused(server: &ApiServer) {
    let world = World::new(server, "refuse").await;
    world.create_table("users", "").await;
    world.wait_active("users").await;
    world.create_table("again", ", tableName: users").await;
    world.create_table("encrypted", ", sseSpecification: {enabled: true}").await;
    assert!(world.wait_reason("again", "NameTaken").await.contains("users"));
    assert!(world.wait_reason("encrypted", "FeatureMissing").await.contains("spec.sseSpecification"));
    world.api::<Table>().delete("users", &DeleteParams::default()).await.unwrap();
    world.wait_active("again").await;
}

async fn a_damaged_replica_and_an_emptied_volume_are_replaced(server: &ApiServer) {
    let world = World::new(server, "repair").await;
    world.create_table("users", "").await;
    world.wait_active("users").await;
    let follower = world.fleet.with(|nodes| {
        let (address, node) = nodes.iter_mut().find(|(_, n)| n.replicas[0].state != ReplicaState::Leader).unwrap();
        node.replicas[0].state = ReplicaState::Damaged("torn".into());
        address.clone()
    });
    wait("the damaged replica to be replaced", || async {
        world.fleet.with(|nodes| nodes[&follower].replicas.iter().any(|r| r.replica_id.0 == 4).then_some(()))
    })
    .await;
    world.fleet.with(|nodes| {
        let node = nodes.get_mut(&follower).unwrap();
        node.node_id.0[0] ^= 0xff;
        node.replicas.clear();
    });
    wait("the emptied volume to be filled", || async {
        world.fleet.with(|nodes| nodes[&follower].replicas.iter().any(|r| r.replica_id.0 == 5).then_some(()))
    })
    .await;
}

async fn a_rollout_takes_one_pod_at_a_time(server: &ApiServer) {
    let world = World::new(server, "rollout").await;
    world.create_table("users", "").await;
    world.wait_active("users").await;
    let pods = world.api::<Pod>();
    let before: Vec<_> = pods.list(&ListParams::default()).await.unwrap().iter().map(ResourceExt::uid).collect();
    let resources = json!({"spec": {"resources": {"limits": {"memory": "2Gi"}}}});
    merge(&world.api::<StorageGroup>(), "default", resources).await;
    wait("every pod to be replaced", || async {
        let now = pods.list(&ListParams::default()).await.unwrap();
        assert!(now.items.len() >= 2, "two pods were gone at once");
        let is_new = now.iter().all(|pod| !before.contains(&pod.uid()));
        (now.items.len() == 3 && is_new).then_some(())
    })
    .await;
}

/// What the archive of a pod says of the bucket.
fn report(unreachable: Option<&str>) -> ArchiveAnswer {
    ArchiveAnswer::Report(ArchiveReport { unreachable: unreachable.map(str::to_owned), ..ArchiveReport::default() })
}

fn condition(group: &StorageGroup, type_: &str) -> Option<Condition> {
    group.status.as_ref().unwrap().conditions.iter().find(|condition| condition.type_ == type_).cloned()
}

async fn wait_condition(world: &World, type_: &str, reason: &str) -> Condition {
    wait(&format!("{type_} with the reason {reason}"), || async {
        condition(&world.group("default").await, type_).filter(|condition| condition.reason == reason)
    })
    .await
}

async fn an_archive_comes_with_a_rollout_and_the_routers_hear_of_it(server: &ApiServer) {
    let world = World::new(server, "archive").await;
    world.fleet.archive(|_, _| report(None));
    world.create_table("users", "").await;
    world.wait_active("users").await;
    assert_eq!(condition(&world.group("default").await, "ArchiveHealthy"), None);
    let pods = world.api::<Pod>();
    let archives_in = |fleet: &Secret| {
        String::from_utf8(fleet.data.as_ref().unwrap()["fleet.json"].0.clone()).unwrap().matches(":7401").count()
    };
    let rolled = |archives: usize| {
        let pods = pods.clone();
        async move {
            let now = pods.list(&ListParams::default()).await.unwrap();
            assert!(now.items.len() >= 2, "two pods were gone at once");
            let with_archive = now.iter().filter(|pod| pod.spec.as_ref().unwrap().init_containers.is_some()).count();
            (now.items.len() == 3 && with_archive == archives).then_some(())
        }
    };
    let groups = world.api::<StorageGroup>();
    let archive = json!({"url": "s3://backups", "credentialsSecret": {"name": "not-there"}});
    merge(&groups, "default", json!({"spec": {"archive": archive}})).await;
    wait("every pod to have an archive", || rolled(3)).await;
    wait("the routers to hear of the archives", || async {
        (archives_in(&world.api::<Secret>().get("cairn-fleet").await.unwrap()) == 3).then_some(())
    })
    .await;
    wait_condition(&world, "ArchiveHealthy", "Shipping").await;
    merge(&groups, "default", json!({"spec": {"archive": null}})).await;
    wait("no pod to have an archive", || rolled(0)).await;
    wait("the routers to hear that the archives are gone", || async {
        (archives_in(&world.api::<Secret>().get("cairn-fleet").await.unwrap()) == 0).then_some(())
    })
    .await;
    wait("the condition to go", || async {
        condition(&world.group("default").await, "ArchiveHealthy").is_none().then_some(())
    })
    .await;
}

async fn the_groups_conditions_say_how_its_archives_are(server: &ApiServer) {
    let defaults = "{volume: {size: 1Gi}, archive: {url: 's3://backups'}}";
    let world = World::with_defaults(server, "unreachable", defaults, &[]).await;
    let trouble = Arc::new(Mutex::new(None));
    let of_archives = Arc::clone(&trouble);
    world.fleet.archive(move |_, _| report(*of_archives.lock().unwrap()));
    world.create_table("users", "").await;
    world.wait_active("users").await;
    assert_eq!(wait_condition(&world, "ArchiveHealthy", "Shipping").await.status, "True");
    assert_eq!(wait_condition(&world, "LogHeld", "ArchiveKeepsUp").await.status, "False");

    *trouble.lock().unwrap() = Some("failed to open the archive: access_key_id: the store refuses this key");
    world.fleet.with(|nodes| {
        let follower = nodes.values_mut().find(|node| node.replicas[0].state != ReplicaState::Leader).unwrap();
        follower.replicas[0].unarchived_bytes = 600 << 20;
    });
    let unreachable = wait_condition(&world, "ArchiveHealthy", "ArchiveUnreachable").await;
    assert_eq!(unreachable.status, "False");
    for told in ["cairn-default-", "the store refuses this key", "spec.archive.credentialsSecret"] {
        assert!(unreachable.message.contains(told), "{}", unreachable.message);
    }
    let held = wait_condition(&world, "LogHeld", "ArchiveBehind").await;
    assert!(held.status == "True" && held.message.contains("users (576 MiB)"), "{}", held.message);
    wait("events that tell of both", || async {
        let events = world.api::<Event>().list(&ListParams::default()).await.unwrap();
        let has = |reason: &str| events.iter().any(|event| event.reason.as_deref() == Some(reason));
        (has("ArchiveUnreachable") && has("ArchiveBehind")).then_some(())
    })
    .await;
    assert!(condition(&world.group("default").await, "Ready").is_some_and(|ready| ready.status == "True"));

    *trouble.lock().unwrap() = None;
    wait_condition(&world, "ArchiveHealthy", "Shipping").await;
}

async fn what_archives_said_is_asked_again_at_once_where_another_write_got_ahead(server: &ApiServer) {
    let defaults = "{volume: {size: 1Gi}, archive: {url: 's3://backups'}}";
    let world = World::with_defaults(server, "ahead", defaults, &[]).await;
    world.fleet.archive(move |_, _| report(None));
    world.create_table("users", "").await;
    world.wait_active("users").await;
    wait_condition(&world, "ArchiveHealthy", "Shipping").await;
    let (groups, asked) = (world.api::<StorageGroup>(), Arc::new(Mutex::new(Vec::new())));
    let all_asked = Arc::clone(&asked);
    world.fleet.archive(move |address, _| {
        let mut asked: MutexGuard<'_, Vec<(String, Instant)>> = all_asked.lock().unwrap();
        if asked.first().is_none_or(|(first, _)| first == address) {
            #[allow(clippy::disallowed_methods)]
            asked.push((address.to_owned(), Instant::now()));
            if asked.len() == 1 {
                let annotation = json!({"metadata": {"annotations": {"tests/by": "another"}}});
                let written = merge(&groups, "default", annotation);
                tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(written));
            }
        }
        report(Some("the bucket is gone"))
    });
    wait_condition(&world, "ArchiveHealthy", "ArchiveUnreachable").await;
    let asked = asked.lock().unwrap().clone();
    let again_after = asked[1].1 - asked[0].1;
    assert!(again_after < Duration::from_secs(9), "it was only asked when it was time again, after {again_after:?}");
}

async fn frozen_archives_hold_up_nothing(server: &ApiServer) {
    let defaults = "{volume: {size: 1Gi}, archive: {url: 's3://backups'}}";
    let world = World::with_defaults(server, "frozen", defaults, &[]).await;
    world.fleet.freeze_archives();
    world.create_table("users", "").await;
    world.wait_active("users").await;
    wait("the group to be ready", || async {
        condition(&world.group("default").await, "Ready").filter(|ready| ready.status == "True")
    })
    .await;
    assert_eq!(condition(&world.group("default").await, "ArchiveHealthy"), None, "they may have just started");
}

async fn volumes_grow(server: &ApiServer) {
    let class = json!({"metadata": {"name": "growing"}, "provisioner": "none", "allowVolumeExpansion": true});
    let classes: Api<StorageClass> = Api::all(server.client.clone());
    classes.create(&PostParams::default(), &serde_json::from_value(class).unwrap()).await.unwrap();
    let defaults = "{volume: {size: 1Gi, storageClassName: growing}}";
    let world = World::with_defaults(server, "volumes", defaults, &[]).await;
    world.create_table("users", "").await;
    world.wait_active("users").await;
    merge(&world.api::<StorageGroup>(), "default", json!({"spec": {"volume": {"size": "2Gi"}}})).await;
    wait("claims to grow and their sets to be deleted around the pods", || async {
        let claims = world.api::<PersistentVolumeClaim>().list(&ListParams::default()).await.unwrap();
        let is_grown = claims.iter().all(|claim| {
            let requests = claim.spec.clone().unwrap().resources.unwrap().requests.unwrap();
            requests["storage"].0 == "2Gi"
        });
        // There is no garbage collector here to let the orphans go.
        let sets = world.api::<StatefulSet>();
        for set in sets.list(&ListParams::default()).await.unwrap() {
            if set.metadata.deletion_timestamp.is_some() {
                merge(&sets, &set.name_any(), json!({"metadata": {"finalizers": null}})).await;
            }
        }
        let sets = sets.list(&ListParams::default()).await.unwrap();
        let is_new =
            sets.iter().all(|set| cairn_operator::controller::storage_group::volumes::set_size(set) == Some("2Gi"));
        (is_grown && is_new && sets.items.len() == 3).then_some(())
    })
    .await;
    assert_eq!(world.api::<Pod>().list(&ListParams::default()).await.unwrap().items.len(), 3);
}

async fn access_keys_reach_the_routers(server: &ApiServer) {
    let world = World::new(server, "keys").await;
    let secret = |name: &str, more: Value| {
        let mut data = json!({"accessKeyId": "AKIAGAME0000EXAMPLE1", "secretAccessKey": "hidden"});
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let secret =
            json!({"metadata": {"name": name, "labels": {"cairn.dev/credentials": "true"}}, "stringData": data});
        serde_json::from_value::<Secret>(secret).unwrap()
    };
    let secrets = world.api::<Secret>();
    let with_policy = secret("limited", json!({"policy": "{}", "accessKeyId": "AKIAGAME0000EXAMPLE2"}));
    secrets.create(&PostParams::default(), &secret("service", json!({}))).await.unwrap();
    secrets.create(&PostParams::default(), &with_policy).await.unwrap();
    world.create_table("users", "").await;
    wait("the routers' Secret", || async {
        let fleet = secrets.get_opt("cairn-fleet").await.unwrap()?;
        let text = |key: &str| String::from_utf8(fleet.data.as_ref().unwrap()[key].0.clone()).unwrap();
        let (keys, groups) = (text("credentials.json"), text("fleet.json"));
        assert!(!keys.contains("EXAMPLE2"), "{keys}");
        (keys.contains(r#""account":"keys""#) && groups.matches(":7400").count() == 3).then_some(())
    })
    .await;
    secrets.delete("service", &DeleteParams::default()).await.unwrap();
    wait("the key to go", || async {
        let fleet = secrets.get("cairn-fleet").await.unwrap();
        let keys = String::from_utf8(fleet.data.unwrap()["credentials.json"].0.clone()).unwrap();
        (!keys.contains("AKIA")).then_some(())
    })
    .await;
}

async fn however_many_namespaces_are_watched_the_routers_get_their_secret(server: &ApiServer) {
    let others: Vec<_> = (0..7).map(|number| format!("many-{number}")).collect();
    let flag = format!("--watch-namespaces={}", others.join(","));
    let world = World::with_defaults(server, "many", "{volume: {size: 1Gi}}", &[&flag]).await;
    world.create_table("users", "").await;
    world.wait_active("users").await;
    wait("the routers' Secret", || async {
        let fleet = world.api::<Secret>().get_opt("cairn-fleet").await.unwrap()?;
        let groups = String::from_utf8(fleet.data.unwrap()["fleet.json"].0.clone()).unwrap();
        (groups.matches(":7400").count() == 3).then_some(())
    })
    .await;
}

async fn an_empty_group_is_removed_and_a_new_table_brings_it_back(server: &ApiServer) {
    let flags = ["--empty-group-retention-seconds=1"];
    let world = World::with_defaults(server, "expiry", "{volume: {size: 1Gi}}", &flags).await;
    world.create_table("users", "").await;
    world.wait_active("users").await;
    let first = world.group("default").await.uid();
    world.api::<Table>().delete("users", &DeleteParams::default()).await.unwrap();
    wait("the group to go", || async {
        world.api::<StorageGroup>().get_opt("default").await.unwrap().is_none().then_some(())
    })
    .await;
    world.create_table("users", "").await;
    world.wait_active("users").await;
    assert_ne!(world.group("default").await.uid(), first);
}
