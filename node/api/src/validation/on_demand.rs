//! `OnDemandThroughput`: the most that an on-demand table may consume in a second.

use crate::{
    catalog::{MaximumUpdate, OnDemandUpdate},
    input::{fields::Long, shape::Shape},
};
use cairn_model::{
    ServiceError,
    table::{BillingMode, OnDemandThroughput},
};
use serde::Deserialize;

pub(crate) const ON_DEMAND_THROUGHPUT: Shape =
    Shape::Struct("OnDemandThroughput", &[("MaxReadRequestUnits", Shape::Long), ("MaxWriteRequestUnits", Shape::Long)]);

/// UpdateTable's "no maximum".
const REMOVE: i64 = -1;

/// `OnDemandThroughput` as a request has it. With neither member it asks for nothing.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct OnDemandInput {
    max_read_request_units: Option<Long>,
    max_write_request_units: Option<Long>,
}

impl OnDemandInput {
    /// CreateTable's: of the table, or of its global index of this name.
    pub(crate) fn of_new(
        &self,
        mode: BillingMode,
        index_name: Option<&str>,
    ) -> Result<Option<OnDemandThroughput>, ServiceError> {
        if let (BillingMode::Provisioned, Some((member, _))) = (mode, self.members().next()) {
            let of_index = index_name.map_or_else(String::new, |name| format!(" for index: {name}"));
            return Err(invalid(format!(
                "{member} for OnDemandThroughput{of_index} cannot be specified when table BillingMode is PROVISIONED."
            )));
        }
        self.check_range(index_name, |units| units >= 1)?;
        Ok(self.maxima())
    }

    /// What is asked for, where it is right.
    pub(crate) fn maxima(&self) -> Option<OnDemandThroughput> {
        let units = |maximum: Option<Long>| maximum.and_then(|units| u64::try_from(units.0).ok());
        let maxima = OnDemandThroughput {
            max_read_request_units: units(self.max_read_request_units),
            max_write_request_units: units(self.max_write_request_units),
        };
        Some(maxima).filter(|maxima| *maxima != OnDemandThroughput::default())
    }

    /// UpdateTable's, of a table that has this mode afterwards, or of its global index of this name.
    pub(crate) fn check_update(&self, mode: BillingMode, index_name: Option<&str>) -> Result<(), ServiceError> {
        if let (BillingMode::Provisioned, Some((member, _))) = (mode, self.members().next()) {
            let of_index = index_name.map_or_else(String::new, |name| format!(" for index: {name}"));
            return Err(invalid(format!(
                "{member} for OnDemandThroughput{of_index} cannot be specified when the table BillingMode is PROVISIONED"
            )));
        }
        self.check_range(index_name, |units| units >= 1 || units == REMOVE)
    }

    /// What changes; none where nothing is asked for. Right once [`Self::check_update`] found nothing.
    pub(crate) fn update(&self) -> Option<OnDemandUpdate> {
        let maximum = |maximum: Option<Long>| {
            let units = maximum?.0;
            Some(u64::try_from(units).map_or(MaximumUpdate::Remove, MaximumUpdate::Set))
        };
        let update = OnDemandUpdate {
            max_read_request_units: maximum(self.max_read_request_units),
            max_write_request_units: maximum(self.max_write_request_units),
        };
        (update != OnDemandUpdate::default()).then_some(update)
    }

    fn check_range(&self, index_name: Option<&str>, is_valid: impl Fn(i64) -> bool) -> Result<(), ServiceError> {
        let of = index_name.map_or_else(|| "table".to_owned(), |name| format!("index : {name}"));
        match self.members().find(|(_, units)| !is_valid(*units)) {
            Some((member, _)) => {
                Err(invalid(format!("Requested {member} for OnDemandThroughput for {of} is outside of valid range")))
            }
            None => Ok(()),
        }
    }

    /// Those that are given.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&'static str, i64)> {
        [("MaxReadRequestUnits", self.max_read_request_units), ("MaxWriteRequestUnits", self.max_write_request_units)]
            .into_iter()
            .filter_map(|(member, units)| Some((member, units?.0)))
    }
}

fn invalid(what: String) -> ServiceError {
    ServiceError::validation(format!("One or more parameter values were invalid: {what}"))
}
