//! Tables with regions in other clusters against a real API server; kubelets and storage nodes are played.

#![allow(clippy::unwrap_used, clippy::panic)]

mod scene;
mod scenes;
#[path = "../support/mod.rs"]
mod support;
mod telling;

use support::api_server::ApiServer;

/// All scenes on one API server: to start one takes longer than any of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn global_tables_on_a_real_api_server() {
    if let Some(path) = std::env::var_os("CAIRN_TEST_LOG") {
        let log = std::fs::File::create(path).unwrap();
        let filter = tracing_subscriber::EnvFilter::new("cairn_operator=debug,kube_runtime=info");
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(log).init();
    }
    let Some(server) = ApiServer::start().await else { return };
    scenes::this_clusters_bundle_is_published_and_taken_back(&server).await;
    scenes::a_table_joins_the_regions_that_are_listed_and_have_a_bundle(&server).await;
    scenes::a_bundle_that_changes_reaches_the_nodes_and_one_that_is_gone_does_not(&server).await;
    scenes::a_region_leaves_when_it_is_listed_no_more_and_all_do_with_the_global_table(&server).await;
    scenes::a_new_operator_changes_nothing(&server).await;
    scenes::what_nodes_hold_and_nobody_declares_stays(&server).await;
    scenes::a_table_made_with_a_global_table_gets_its_regions_by_an_update(&server).await;
    telling::what_is_wrong_with_a_bundle_is_told_with_what_to_do(&server).await;
    telling::the_second_claim_on_a_table_is_refused(&server).await;
    telling::the_regions_standing_is_told_and_active_stays(&server).await;
}
