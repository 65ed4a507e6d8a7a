//! `WarmThroughput`: what a table, or a global index, takes at once.

use super::throughput::UNITS_MAX;
use crate::input::{fields::Long, shape::Shape};
use cairn_model::{
    ServiceError,
    table::{ProvisionedThroughput, WarmThroughput},
};
use serde::Deserialize;

pub(crate) const WARM_THROUGHPUT: Shape =
    Shape::Struct("WarmThroughput", &[("ReadUnitsPerSecond", Shape::Long), ("WriteUnitsPerSecond", Shape::Long)]);

/// `WarmThroughput` as a request has it. With neither member it asks for nothing.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WarmInput {
    read_units_per_second: Option<Long>,
    write_units_per_second: Option<Long>,
}

/// A member of the request: its name, what is asked for, and what it may not be below.
type Member = (&'static str, i64, u64);

impl WarmInput {
    /// Whether anything is asked for.
    pub(crate) fn is_given(&self) -> bool {
        self.read_units_per_second.is_some() || self.write_units_per_second.is_some()
    }

    /// CreateTable's: of a table with these units, none where it is on demand, or of its global index of this name. Gives
    /// what a definition has.
    pub(crate) fn of_new(
        &self,
        units: Option<ProvisionedThroughput>,
        index_name: Option<&str>,
    ) -> Result<Option<WarmThroughput>, ServiceError> {
        let own = WarmThroughput::of_units(units);
        if let Some((member, ..)) = self.members(own).find(is_below) {
            return Err(requested(
                member,
                index_name,
                &match (units, member) {
                    (None, _) => format!("initial throughput for OnDemand. See: {INITIAL_THROUGHPUT}"),
                    (Some(_), "ReadUnitsPerSecond") => "ReadCapacityUnits of ProvisionedThroughput".to_owned(),
                    (Some(_), _) => "WriteCapacityUnits of ProvisionedThroughput".to_owned(),
                },
            ));
        }
        Ok(self.over(own)?.beside(units))
    }

    /// UpdateTable's, of a table that takes so much at once, or of its global index of this name: what it is to take.
    pub(crate) fn over_current(
        &self,
        current: WarmThroughput,
        index_name: Option<&str>,
    ) -> Result<WarmThroughput, ServiceError> {
        match self.members(current).find(is_below) {
            Some((member, ..)) => {
                Err(requested(member, index_name, "current WarmThroughput, decreasing WarmThroughput is not supported"))
            }
            None => self.over(current),
        }
    }

    fn over(&self, floor: WarmThroughput) -> Result<WarmThroughput, ServiceError> {
        if let Some((member, units, _)) = self.members(floor).find(|(_, units, _)| *units > UNITS_MAX) {
            return Err(ServiceError::validation(format!("Given value {units} for {member} is out of bounds")));
        }
        let units = |units: Option<Long>, floor| units.and_then(|units| u64::try_from(units.0).ok()).unwrap_or(floor);
        Ok(WarmThroughput {
            read_units_per_second: units(self.read_units_per_second, floor.read_units_per_second),
            write_units_per_second: units(self.write_units_per_second, floor.write_units_per_second),
        })
    }

    /// Those that are given.
    fn members(&self, floor: WarmThroughput) -> impl Iterator<Item = Member> {
        [
            ("ReadUnitsPerSecond", self.read_units_per_second, floor.read_units_per_second),
            ("WriteUnitsPerSecond", self.write_units_per_second, floor.write_units_per_second),
        ]
        .into_iter()
        .filter_map(|(member, units, floor)| Some((member, units?.0, floor)))
    }
}

const INITIAL_THROUGHPUT: &str = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html\
                                  #on-demand-capacity-mode-initial";

fn is_below((_, units, floor): &Member) -> bool {
    u64::try_from(*units).is_ok_and(|units| units < *floor) || *units < 0
}

/// What is asked for against what it is lower than.
fn requested(member: &str, index_name: Option<&str>, lower_than: &str) -> ServiceError {
    let of = index_name.map_or_else(|| "table".to_owned(), |name| format!("index {name}"));
    ServiceError::validation(format!(
        "One or more parameter values were invalid: Requested {member} for WarmThroughput for {of} is lower than {lower_than}"
    ))
}
