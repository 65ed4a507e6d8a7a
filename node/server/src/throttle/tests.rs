use super::*;
use crate::archive::testing;
use cairn_model::{
    ErrorKind, ServiceError,
    consumption::{MINUTES_KEPT, MinuteConsumption},
    ids::TableId,
    index::{GlobalIndex, IndexPartition, IndexProjection, NewGlobalIndex, ProjectionType},
    table::{OnDemandThroughput, ProvisionedThroughput},
    throttling::{CapacityKind, LimitType, TableLimit},
};
use cairn_replication::{
    Now,
    operation::{GetOutcome, GetRequest, IndexWrite, PartitionError, PartitionOutcome, PartitionRequest, WriteOutcome},
    transaction::{TransactGet, TransactGetRequest, TransactOutcome, TransactRequest, TransactStep, TransactionId},
};

const PARTITION: PartitionId = PartitionId([1; 16]);
const CREATED_MS: u64 = 60_000_000;

/// A clock that stands until it is set.
#[derive(Debug, Default)]
struct TestClock(Mutex<u64>);

impl TestClock {
    fn pass(&self, millis: u64) {
        *self.0.lock() += millis;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        let ms = *self.0.lock();
        Now { wall_ms: CREATED_MS + ms, boot_ms: ms }
    }
}

fn throttle() -> (Arc<TestClock>, Throttle) {
    throttle_to(ThroughputLimits::AsSet)
}

fn throttle_to(limits: ThroughputLimits) -> (Arc<TestClock>, Throttle) {
    let clock = Arc::new(TestClock::default());
    (clock.clone(), Throttle::new(clock, limits))
}

fn provisioned(read_capacity_units: u64, write_capacity_units: u64) -> TableDefinition {
    TableDefinition {
        provisioned_throughput: Some(ProvisionedThroughput { read_capacity_units, write_capacity_units }),
        creation_time_ms: CREATED_MS,
        ..testing::definition("users", 1)
    }
}

fn reads(keys: usize, consistent: bool) -> Demand {
    let keys = vec![cairn_model::key::EncodedKey(bytes::Bytes::new()); keys];
    Demand::of(&PartitionRequest::Get(GetRequest { keys, projection: None, consistent })).unwrap()
}

#[test]
fn a_transaction_is_charged_when_it_is_prepared_and_may_always_end() {
    let step = |step| {
        let (request_id, transaction) = (cairn_model::ids::RequestId([1; 16]), TransactionId([1; 16]));
        Demand::of(&PartitionRequest::Transact(TransactRequest { request_id, transaction, step }))
    };
    assert_eq!((step(TransactStep::Commit), step(TransactStep::Abort { age_ms_min: 0 })), (None, None));
    let get = |versions_only| {
        let get = TransactGet { key: cairn_model::key::EncodedKey(bytes::Bytes::new()), projection: None };
        Demand::of(&PartitionRequest::TransactGet(TransactGetRequest { gets: vec![get], versions_only }))
    };
    assert_eq!((get(true), get(false).map(|demand| demand.least)), (None, Some(4)));
    let Ok(PartitionOutcome::Write(outcome)) = written(2_000) else { panic!("nothing written") };
    let prepared = Ok(PartitionOutcome::Transact(TransactOutcome::Prepared(vec![outcome.clone(), outcome])));
    assert_eq!(write().cost(&prepared), 16);
    assert_eq!(write().cost(&Ok(PartitionOutcome::Locked(Vec::new()))), 0);
}

fn write() -> Demand {
    Demand { capacity: CapacityKind::Write, consistent: true, least: 2 }
}

fn written(size_after: u32) -> PartitionAnswer {
    let outcome =
        WriteOutcome { attributes: None, size_before: 0, size_after, indexes: Vec::new(), collection_bytes: None };
    Ok(PartitionOutcome::Write(outcome))
}

/// Whether the request was admitted; then it is answered so.
fn serve(throttle: &Throttle, table: &TableDefinition, demand: Demand, answer: &PartitionAnswer) -> bool {
    let admitted = throttle.admit(PARTITION, table, demand, |_| true).is_ok();
    if admitted {
        throttle.settle(PARTITION, table, demand, answer);
    }
    admitted
}

#[test]
fn reads_and_writes_have_capacities_of_their_own() {
    let (clock, throttle) = throttle();
    let table = provisioned(1, 1);
    assert!(serve(&throttle, &table, write(), &written(1_000)));
    let refused = throttle.admit(PARTITION, &table, write(), |_| true);
    let limit = TableLimit { capacity: CapacityKind::Write, limit: LimitType::Provisioned };
    assert_eq!(refused, Err(PartitionError::Throttled(limit)));
    assert!(throttle.admit(PARTITION, &table, reads(1, true), |_| true).is_ok());
    clock.pass(1_000);
    assert!(serve(&throttle, &table, write(), &written(1_000)));
}

#[test]
fn a_large_write_is_paid_for_before_the_next() {
    let (clock, throttle) = throttle();
    let table = provisioned(1, 2);
    assert!(serve(&throttle, &table, write(), &written(10_240)));
    clock.pass(4_000);
    assert!(!serve(&throttle, &table, write(), &written(1)));
    clock.pass(1);
    assert!(serve(&throttle, &table, write(), &written(1)));
}

#[test]
fn an_eventually_consistent_read_costs_half() {
    let (_, throttle) = throttle();
    let table = provisioned(2, 1);
    let answer = Ok(PartitionOutcome::Get(GetOutcome { items: vec![None] }));
    let served = (0..10).filter(|_| serve(&throttle, &table, reads(1, false), &answer)).count();
    assert_eq!(served, 4);
}

#[test]
fn requests_under_way_together_are_charged_before_they_are_answered() {
    let (_, throttle) = throttle();
    let table = provisioned(5, 5);
    let admitted = (0..100).filter(|_| throttle.admit(PARTITION, &table, write(), |_| true).is_ok()).count();
    assert_eq!(admitted, 5);
}

#[test]
fn a_condition_that_fails_is_charged_and_what_did_nothing_is_not() {
    let (_, throttle) = throttle();
    let table = provisioned(1, 1);
    for error in [PartitionError::NotLeader { leader: None }, ServiceError::validation("no").into()] {
        assert!(serve(&throttle, &table, write(), &Err(error)));
    }
    assert!(serve(&throttle, &table, write(), &Err(failed_on(0).into())));
    assert!(!serve(&throttle, &table, write(), &written(1)));
}

fn failed_on(met_bytes: u32) -> ServiceError {
    let failed = ServiceError::new(ErrorKind::ConditionalCheckFailedException, "failed");
    ServiceError { met_bytes, ..failed }
}

#[test]
fn a_condition_that_fails_is_charged_for_the_item_that_it_met() {
    let (_, throttle) = throttle();
    let table = provisioned(5, 5);
    assert!(serve(&throttle, &table, write(), &Err(failed_on(2_049).into())));
    assert!(serve(&throttle, &table, write(), &Err(failed_on(1_024).into())));
    assert!(serve(&throttle, &table, write(), &Err(failed_on(0).into())));
    assert!(!serve(&throttle, &table, write(), &written(1)));
}

#[test]
fn a_transaction_that_was_done_before_takes_read_units_and_gives_its_write_units_back() {
    let (clock, throttle) = throttle();
    let table = provisioned(4, 2);
    let Ok(PartitionOutcome::Write(outcome)) = written(1) else { panic!("nothing written") };
    let transaction = TransactionId([1; 16]);
    let outcomes = vec![outcome];
    let replayed =
        Ok(PartitionOutcome::Transact(TransactOutcome::Replayed { transaction, participants: Vec::new(), outcomes }));
    let transacts = Demand { least: 4, ..write() };
    assert!((0..100).all(|_| serve(&throttle, &table, transacts, &replayed)));
    let refused = throttle.admit(PARTITION, &table, reads(1, true), |_| true);
    assert_eq!(refused, Err(met(CapacityKind::Read, LimitType::Provisioned)), "it is overdrawn");
    assert!(serve(&throttle, &table, write(), &written(2_000)), "no write was charged");
    clock.pass(60_000);
    let minutes = throttle.consumption().partitions.remove(0).minutes;
    assert_eq!((minutes[0].read_half_units, minutes[0].write_half_units), (400, 4));
}

#[test]
fn a_maximum_of_one_kind_leaves_the_other_alone() {
    let (_, throttle) = throttle();
    let maxima = OnDemandThroughput { max_read_request_units: None, max_write_request_units: Some(1) };
    let table = TableDefinition { on_demand_throughput: Some(maxima), ..testing::definition("users", 1) };
    assert!((0..100).all(|_| throttle.admit(PARTITION, &table, reads(1, true), |_| true).is_ok()));
    assert!(serve(&throttle, &table, write(), &written(1)));
    let refused = throttle.admit(PARTITION, &table, write(), |_| true);
    let limit = TableLimit { capacity: CapacityKind::Write, limit: LimitType::MaxOnDemand };
    assert_eq!(refused, Err(PartitionError::Throttled(limit)));
}

fn on_demand() -> TableDefinition {
    TableDefinition { creation_time_ms: CREATED_MS, ..testing::definition("users", 1) }
}

/// How many units of writes are served at once, and what then stands against them.
fn written_at_once(throttle: &Throttle, table: &TableDefinition) -> (u64, PartitionError) {
    for served in 0..1_000_000 {
        if let Err(refused) = throttle.admit(PARTITION, table, write(), |_| true) {
            return (served, refused);
        }
        throttle.settle(PARTITION, table, write(), &written(1));
    }
    panic!("it is never throttled")
}

fn met(capacity: CapacityKind, limit: LimitType) -> PartitionError {
    PartitionError::Throttled(TableLimit { capacity, limit })
}

#[test]
fn a_table_on_demand_starts_at_4000_writes_and_12000_reads_where_dynamodbs_limits_hold() {
    let (clock, throttle) = throttle_to(ThroughputLimits::AsDynamodb);
    let table = on_demand();
    clock.pass(10_000_000);
    let refused = met(CapacityKind::Write, LimitType::KeyRange);
    assert_eq!(written_at_once(&throttle, &table), (4_000, refused.clone()), "nothing is saved up");
    clock.pass(500);
    assert_eq!(written_at_once(&throttle, &table), (2_000, refused));
    let is_read = |_: &usize| throttle.admit(PARTITION, &table, reads(1, true), |_| true).is_ok();
    assert_eq!((0..20_000).take_while(is_read).count(), 12_000);
}

#[test]
fn a_table_on_demand_gets_what_there_is_where_only_what_is_set_holds() {
    let (_, throttle) = throttle();
    assert!(!throttle.limits(&on_demand()));
    assert!((0..100_000).all(|_| throttle.admit(PARTITION, &on_demand(), write(), |_| true).is_ok()));
}

#[test]
fn a_table_that_is_warmed_takes_that_at_once() {
    let (clock, throttle) = throttle_to(ThroughputLimits::AsDynamodb);
    assert_eq!(written_at_once(&throttle, &on_demand()).0, 4_000);
    clock.pass(1_000);
    let warm = WarmThroughput { read_units_per_second: 1, write_units_per_second: 5_000 };
    let warmed = TableDefinition { warm_throughput: Some(warm), ..on_demand() };
    clock.pass(1_000);
    assert_eq!(written_at_once(&throttle, &warmed).0, 4_000, "what the old limit kept");
    clock.pass(1_000);
    assert_eq!(written_at_once(&throttle, &warmed).0, 5_000);
    let is_read = |_: &usize| throttle.admit(PARTITION, &warmed, reads(1, true), |_| true).is_ok();
    assert_eq!((0..20_000).take_while(is_read).count(), 12_000, "no less than every table");
}

#[test]
fn a_table_on_demand_takes_twice_its_previous_peak_after_half_an_hour() {
    let (clock, throttle) = throttle_to(ThroughputLimits::AsDynamodb);
    let table = on_demand();
    for _ in 0..60 {
        assert_eq!(written_at_once(&throttle, &table).0, 4_000);
        clock.pass(1_000);
    }
    assert_eq!(written_at_once(&throttle, &table).0, 4_000, "a minute later");
    clock.pass(30 * 60_000);
    written_at_once(&throttle, &table);
    clock.pass(1_000);
    assert_eq!(written_at_once(&throttle, &table).0, 8_000);
}

#[test]
fn a_maximum_below_what_a_table_takes_at_once_is_the_one_that_is_met() {
    let (_, throttle) = throttle_to(ThroughputLimits::AsDynamodb);
    let with_maximum = |units| {
        let maxima = OnDemandThroughput { max_read_request_units: None, max_write_request_units: Some(units) };
        TableDefinition { on_demand_throughput: Some(maxima), ..on_demand() }
    };
    assert_eq!(written_at_once(&throttle, &with_maximum(10)), (10, met(CapacityKind::Write, LimitType::MaxOnDemand)));
    let (_, throttle) = throttle_to(ThroughputLimits::AsDynamodb);
    assert_eq!(
        written_at_once(&throttle, &with_maximum(10_000)),
        (4_000, met(CapacityKind::Write, LimitType::KeyRange))
    );
}

#[test]
fn a_provisioned_table_has_its_units_and_their_burst_whatever_it_is_warmed_to() {
    let (_, throttle) = throttle_to(ThroughputLimits::AsDynamodb);
    let warm = WarmThroughput { read_units_per_second: 50_000, write_units_per_second: 50_000 };
    let table = TableDefinition { warm_throughput: Some(warm), ..provisioned(5, 5) };
    assert_eq!(written_at_once(&throttle, &table), (5, met(CapacityKind::Write, LimitType::Provisioned)));
}

#[test]
fn writes_wait_for_an_index_on_demand_that_takes_no_more_at_once() {
    let (_, throttle) = throttle_to(ThroughputLimits::AsDynamodb);
    let warm = WarmThroughput { read_units_per_second: 12_000, write_units_per_second: 100_000 };
    let index = index("by-team", 0, None);
    let table = TableDefinition { warm_throughput: Some(warm), global_indexes: vec![index], ..on_demand() };
    let change = IndexWrite { slot: cairn_engine::global_index(0), size_before: 0, size_after: 900, moved: false };
    let Ok(PartitionOutcome::Write(outcome)) = written(1) else { panic!("nothing written") };
    let answer = Ok(PartitionOutcome::Write(WriteOutcome { indexes: vec![change], ..outcome }));
    let served = (0..10_000).take_while(|_| serve(&throttle, &table, write(), &answer)).count();
    assert_eq!(served, 4_000);
    let limit = TableLimit { capacity: CapacityKind::Write, limit: LimitType::KeyRange };
    let refused = throttle.admit(PARTITION, &table, write(), |_| true);
    assert_eq!(refused, Err(PartitionError::ThrottledByIndex { limit, index_name: "by-team".to_owned() }));
}

fn index(name: &str, slot: u8, provisioned_throughput: Option<ProvisionedThroughput>) -> GlobalIndex {
    let at = IndexPartition { partition_id: PartitionId([7 + slot; 16]), members: Vec::new() };
    GlobalIndex {
        provisioned_throughput,
        partitions: vec![at],
        ..NewGlobalIndex {
            index_name: name.to_owned(),
            key_schema: provisioned(1, 1).key_schema.into(),
            projection: IndexProjection {
                projection_type: ProjectionType::All,
                non_key_attributes: Default::default(),
            },
            provisioned_throughput: None,
            on_demand_throughput: None,
            warm_throughput: None,
        }
        .into_index(TableId([slot; 16]), slot)
    }
}

#[test]
fn the_last_minutes_are_told_when_they_are_over() {
    let (clock, throttle) = throttle();
    let table = provisioned(1_000, 1_000);
    serve(&throttle, &table, write(), &written(2_000));
    assert_eq!(throttle.consumption().partitions, []);
    clock.pass(60_000);
    let first_minute = CREATED_MS / 60_000;
    let told = throttle.consumption();
    assert_eq!((told.first_minute, told.last_minute), (first_minute + 1, first_minute));
    let counted = MinuteConsumption { minute: first_minute, read_half_units: 0, write_half_units: 4 };
    assert_eq!(told.partitions, [PartitionConsumption { partition_id: PARTITION, minutes: vec![counted] }]);
    for _ in 0..2 * MINUTES_KEPT {
        clock.pass(60_000);
        serve(&throttle, &table, write(), &written(1));
    }
    let minutes = throttle.consumption().partitions.remove(0).minutes;
    assert_eq!(minutes.len() as u64, MINUTES_KEPT);
    clock.pass(60_000 * (MINUTES_KEPT + 1));
    assert_eq!(throttle.consumption().partitions, []);
}

#[test]
fn partitions_that_are_gone_are_forgotten() {
    let (_, throttle) = throttle();
    let table = provisioned(1, 1);
    for number in 0..100 {
        let partition = PartitionId([number; 16]);
        throttle.admit(partition, &table, write(), |held| held == PARTITION).unwrap();
    }
    assert_eq!(throttle.meters.lock().len(), 2);
}

#[test]
fn writes_wait_for_an_index_that_is_used_up_and_reads_do_not() {
    let (clock, throttle) = throttle();
    let units = |write_capacity_units| Some(ProvisionedThroughput { read_capacity_units: 5, write_capacity_units });
    let table = TableDefinition {
        global_indexes: vec![index("large", 0, units(100)), index("small", 1, units(1))],
        ..provisioned(100, 100)
    };
    let changes =
        |slot| IndexWrite { slot: cairn_engine::global_index(slot), size_before: 0, size_after: 900, moved: false };
    let outcome = WriteOutcome {
        attributes: None,
        size_before: 0,
        size_after: 1_000,
        indexes: vec![changes(0), changes(1)],
        collection_bytes: None,
    };
    let answer = Ok(PartitionOutcome::Write(outcome));
    assert!(serve(&throttle, &table, write(), &answer));
    let limit = TableLimit { capacity: CapacityKind::Write, limit: LimitType::Provisioned };
    let refused = throttle.admit(PARTITION, &table, write(), |_| true);
    assert_eq!(refused, Err(PartitionError::ThrottledByIndex { limit, index_name: "small".to_owned() }));
    assert!(throttle.admit(PARTITION, &table, reads(1, true), |_| true).is_ok());
    clock.pass(1_000);
    assert!(serve(&throttle, &table, write(), &answer));
    clock.pass(60_000);
    let consumed = throttle.consumption().partitions;
    let of = |partition: u8| {
        let found = consumed.iter().find(|it| it.partition_id == PartitionId([partition; 16])).unwrap();
        found.minutes.iter().map(|minute| minute.write_half_units).sum::<u64>()
    };
    assert_eq!([of(1), of(7), of(8)], [4, 4, 4], "of the table and of each index, and nothing of what was refused");
}
