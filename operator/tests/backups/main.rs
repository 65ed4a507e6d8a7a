//! Backups and their schedules against a real API server; kubelets, storage nodes and their archives are played.

#![allow(clippy::unwrap_used, clippy::panic)]

mod scene;
mod scenes;
mod schedules;
#[path = "../support/mod.rs"]
mod support;

use support::api_server::ApiServer;

/// All scenes on one API server: to start one takes longer than any of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_on_a_real_api_server() {
    if let Some(path) = std::env::var_os("CAIRN_TEST_LOG") {
        let log = std::fs::File::create(path).unwrap();
        let filter = tracing_subscriber::EnvFilter::new("cairn_operator=debug,kube_runtime=info");
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(log).init();
    }
    let Some(server) = ApiServer::start().await else { return };
    scenes::a_backup_is_made_by_the_archive_beside_the_leader_and_tells_how_far_it_is(&server).await;
    scenes::a_backup_without_a_table_or_an_archive_says_what_to_do(&server).await;
    scenes::a_leader_that_moves_is_found_anew(&server).await;
    scenes::a_backup_that_fails_says_why_and_is_tried_again(&server).await;
    scenes::a_backup_is_adopted_from_the_bucket(&server).await;
    scenes::a_backup_of_another_account_is_never_deleted(&server).await;
    scenes::a_retained_backup_stays_in_the_bucket(&server).await;
    scenes::a_deleted_backup_goes_from_the_bucket(&server).await;
    scenes::no_resource_waits_for_a_bucket(&server).await;
    scenes::no_namespace_waits_for_a_bucket(&server).await;
    scenes::a_backup_goes_when_its_time_is_over(&server).await;
    scenes::a_backup_whose_time_is_over_is_left_to_the_buckets_clock(&server).await;
    scenes::a_backup_that_is_found_again_is_available_again(&server).await;
    scenes::a_backup_is_gone_only_when_the_bucket_says_so_twice(&server).await;
    scenes::a_finding_that_another_write_got_ahead_of_is_made_again_at_once(&server).await;
    schedules::a_schedule_makes_backups_and_keeps_some(&server).await;
    schedules::a_schedule_waits_for_the_backup_before(&server).await;
    schedules::a_schedule_counts_a_backup_that_is_there_already(&server).await;
    schedules::a_schedule_that_can_not_be_understood_says_so(&server).await;
}
