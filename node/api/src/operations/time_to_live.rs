//! How it stands with the deletion of a table's expired items: what was asked for, against what the nodes do.

use super::Call;
use crate::{TableView, output::Object};

/// `TimeToLiveStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Enabling,
    Enabled,
    Disabling,
    Disabled,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Enabling => "ENABLING",
            Self::Enabled => "ENABLED",
            Self::Disabling => "DISABLING",
            Self::Disabled => "DISABLED",
        }
    }
}

/// The field `TimeToLiveDescription`.
pub(super) fn write_time_to_live(status: Status, attribute_name: Option<&str>, out: &mut Object<'_>) {
    let mut description = out.object("TimeToLiveDescription");
    description.text("TimeToLiveStatus", status.name());
    if let Some(attribute_name) = attribute_name {
        description.text("AttributeName", attribute_name);
    }
    description.end();
}

pub(super) struct Standing {
    pub(super) status: Status,
    pub(super) attribute_name: Option<String>,
}

impl Standing {
    /// Where the nodes can't be asked, they do what was asked for.
    pub(super) async fn of(call: &Call<'_>, table: &TableView) -> Self {
        let asked = table.definition.time_to_live.as_ref().map(|asked| asked.attribute_name.as_str());
        let held = call.partitions.counts(table).await.and_then(|counts| counts.time_to_live);
        let is_so = held.as_ref().is_none_or(|held| !held.is_changing && held.attribute_name.as_deref() == asked);
        let status = match (asked, is_so) {
            (Some(_), true) => Status::Enabled,
            (Some(_), false) => Status::Enabling,
            (None, true) => Status::Disabled,
            (None, false) => Status::Disabling,
        };
        let attribute_name = asked.map(str::to_owned).or_else(|| held.and_then(|held| held.attribute_name));
        Self { status, attribute_name }
    }

    /// Whether the last change is still under way.
    pub(super) fn is_changing(&self) -> bool {
        matches!(self.status, Status::Enabling | Status::Disabling)
    }
}
