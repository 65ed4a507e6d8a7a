//! The scenarios, in the order in which they run on one installation.

mod clients;
mod exports;
mod faults;
mod imports;
mod indexes;
mod install;
mod memory;
mod protection;
mod recovery;
mod regions;
mod tables;
mod throughput;
mod transactions;
mod wipe;

use crate::harness::Scenario;

macro_rules! scenario {
    ($module:ident :: $name:ident) => {
        Scenario {
            name: stringify!($name),
            run: |world| Box::pin($module::$name(world)),
            essential: false,
            two_regions: false,
        }
    };
    ($module:ident :: $name:ident, essential) => {
        Scenario { essential: true, ..scenario!($module::$name) }
    };
    ($module:ident :: $name:ident, two_regions) => {
        Scenario { two_regions: true, ..scenario!($module::$name) }
    };
}

pub(crate) const ALL: [Scenario; 39] = [
    scenario!(install::the_chart_installs_and_tells_what_to_do_next, essential),
    scenario!(tables::a_table_comes_up_with_a_replica_in_each_zone, essential),
    scenario!(tables::a_table_is_active_within_two_seconds_once_its_group_stands),
    scenario!(tables::a_table_is_described_the_same_whoever_made_it),
    scenario!(tables::an_invalid_table_is_refused_by_a_rule_that_names_the_field),
    scenario!(tables::a_feature_that_is_not_there_yet_is_refused_by_a_condition),
    scenario!(tables::one_broken_table_stops_nobody_else),
    scenario!(clients::the_aws_cli_works_unmodified),
    scenario!(clients::boto3_works_unmodified),
    scenario!(clients::a_manifest_says_indexes_streams_and_expiry),
    scenario!(throughput::tables_are_held_to_their_throughput),
    scenario!(clients::a_wrong_signature_is_refused),
    scenario!(clients::an_access_key_follows_its_secret),
    scenario!(protection::a_protected_table_is_not_deleted),
    scenario!(protection::a_namespace_with_a_protected_table_is_not_deleted),
    scenario!(protection::the_definitions_are_not_deleted),
    scenario!(install::the_region_can_not_change),
    scenario!(install::uninstalling_is_refused_while_there_are_tables),
    scenario!(memory::idle_pods_stay_under_64_mib),
    scenario!(recovery::any_second_of_a_busy_table_comes_back),
    scenario!(recovery::a_backup_outlives_its_namespace),
    scenario!(recovery::a_schedule_makes_backups_and_keeps_the_last),
    scenario!(recovery::the_aws_cli_backs_up_and_restores),
    scenario!(imports::files_in_a_bucket_become_tables),
    scenario!(exports::an_export_reads_the_archive),
    scenario!(recovery::a_wrong_archive_holds_nothing_up_and_says_what_is_wrong),
    scenario!(faults::killing_the_leaders_zone_loses_nothing),
    scenario!(faults::killing_all_storage_pods_twice_loses_nothing),
    scenario!(indexes::an_index_is_filled_while_writes_go_on_and_its_leader_dies),
    scenario!(faults::reads_and_writes_go_on_without_the_operator_and_the_api_server),
    scenario!(transactions::transactions_stay_whole_whatever_fails),
    scenario!(regions::a_table_has_a_second_region, two_regions),
    scenario!(regions::indexes_and_streams_are_right_in_a_second_region, two_regions),
    scenario!(regions::each_wrong_thing_is_named, two_regions),
    scenario!(regions::a_region_is_taken_out_and_comes_back_empty, two_regions),
    scenario!(regions::the_aws_cli_adds_and_removes_a_region, two_regions),
    scenario!(regions::regions_cut_off_converge, two_regions),
    scenario!(wipe::data_survives_an_emptied_etcd),
    scenario!(install::uninstalling_without_tables_leaves_nothing_but_the_definitions),
];
