//! `warmThroughput` that asks for less than a table, or an index, takes anyway: it has no effect, and that is told. The API refuses it.

use cairn_crds::{
    TableResourceStatus, TableSpec, condition,
    table::{ProvisionedThroughput, WarmThroughput},
};
use cairn_model::table;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Whether every warmThroughput has an effect; there only while one has none.
pub const WARM_THROUGHPUT: &str = "WarmThroughput";

/// Says what has no effect, by what is declared: auto-scaling may take the units beyond it for a while.
pub fn note(status: &mut TableResourceStatus, spec: &TableSpec, generation: Option<i64>, now: Timestamp) {
    let message = idle(spec).join("; ");
    if message.is_empty() {
        return status.conditions.retain(|condition| condition.type_ != WARM_THROUGHPUT);
    }
    condition::set(&mut status.conditions, WARM_THROUGHPUT, false, "NoEffect", &message, generation, &Time(now));
}

fn idle(spec: &TableSpec) -> Vec<String> {
    let of_table = idle_of("spec.", "", spec.warm_throughput, spec.provisioned_throughput);
    let of_indexes = spec.global_secondary_indexes.iter().flatten().flat_map(|index| {
        let of = format!(" of spec.globalSecondaryIndexes[indexName={}]", index.index_name);
        idle_of("", &of, index.warm_throughput, index.provisioned_throughput)
    });
    of_table.into_iter().chain(of_indexes).collect()
}

/// `before` and `behind`: of the field's name.
fn idle_of(
    before: &str,
    behind: &str,
    warm: Option<WarmThroughput>,
    provisioned: Option<ProvisionedThroughput>,
) -> Vec<String> {
    let Some(warm) = warm else { return Vec::new() };
    let comes_with = if provisioned.is_some() { "its units" } else { "being on demand" };
    let own = table::WarmThroughput::of_units(provisioned.and_then(|units| units.units().ok()));
    let fields = [
        ("readUnitsPerSecond", warm.read_units_per_second, own.read_units_per_second),
        ("writeUnitsPerSecond", warm.write_units_per_second, own.write_units_per_second),
    ];
    let told = fields.into_iter().filter_map(|(field, asked, own)| {
        let asked = u64::try_from(asked?).unwrap_or_default();
        (asked < own).then(|| {
            format!(
                "{before}warmThroughput.{field}{behind} is {asked} and has no effect, for {own} come with {comes_with}: raise it \
                 to more than that, or remove it"
            )
        })
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::table::fixture;

    fn warm(read: Option<i64>, write: Option<i64>) -> Option<WarmThroughput> {
        Some(WarmThroughput { read_units_per_second: read, write_units_per_second: write })
    }

    fn units(read_capacity_units: i64, write_capacity_units: i64) -> Option<ProvisionedThroughput> {
        Some(ProvisionedThroughput { read_capacity_units, write_capacity_units })
    }

    fn told(spec: &TableSpec) -> Vec<(String, String)> {
        let mut status = TableResourceStatus::default();
        note(&mut status, spec, Some(1), Timestamp::UNIX_EPOCH);
        let told =
            status.conditions.iter().map(|told| (format!("{}={}", told.type_, told.status), told.message.clone()));
        let told = told.collect();
        note(&mut status, &fixture::table("users").spec, Some(2), Timestamp::UNIX_EPOCH);
        assert_eq!(status.conditions, [], "it goes with what it tells of");
        told
    }

    #[test]
    fn less_than_comes_with_the_units_is_told_by_its_field() {
        let mut spec = fixture::table("users").spec;
        spec.warm_throughput = warm(Some(12_000), Some(3_999));
        assert_eq!(
            told(&spec),
            [(
                "WarmThroughput=False".to_owned(),
                "spec.warmThroughput.writeUnitsPerSecond is 3999 and has no effect, for 4000 come with being on demand: \
                 raise it to more than that, or remove it"
                    .to_owned()
            )]
        );
        spec.provisioned_throughput = units(5, 5);
        assert_eq!(told(&spec), []);
    }

    #[test]
    fn that_of_an_index_is_told_beside_its_tables() {
        let index = serde_json::json!({
            "indexName": "by-team", "keySchema": [{"attributeName": "Team", "keyType": "HASH"}],
            "projection": {"projectionType": "ALL"}, "warmThroughput": {"readUnitsPerSecond": 4},
            "provisionedThroughput": {"readCapacityUnits": 5, "writeCapacityUnits": 5},
        });
        let mut spec = fixture::table("users").spec;
        spec.global_secondary_indexes = Some(vec![serde_json::from_value(index).unwrap()]);
        (spec.provisioned_throughput, spec.warm_throughput) = (units(5, 5), warm(Some(1), None));
        let (_, message) = told(&spec).remove(0);
        for field in [
            "spec.warmThroughput.readUnitsPerSecond is 1",
            "; warmThroughput.readUnitsPerSecond of spec.globalSecondaryIndexes[indexName=by-team] is 4",
        ] {
            assert!(message.contains(field), "{message}");
        }
    }
}
