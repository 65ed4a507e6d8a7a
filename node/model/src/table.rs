//! What a table is, apart from where its partitions lie: its keys, billing and settings.

use crate::{
    ids::TableId,
    index::{GlobalIndex, IndexOf, LocalIndex},
    stream::{Stream, Streams},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ScalarType {
    S,
    N,
    B,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyAttribute {
    pub name: String,
    pub scalar_type: ScalarType,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeySchema {
    pub partition: KeyAttribute,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<KeyAttribute>,
}

impl KeySchema {
    /// The partition key, and the sort key if there is one.
    pub fn attributes(&self) -> impl Iterator<Item = &KeyAttribute> {
        self.keys().attributes()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BillingMode {
    Provisioned,
    PayPerRequest,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TableClass {
    /// That of every table that was given none.
    #[default]
    Standard,
    StandardInfrequentAccess,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvisionedThroughput {
    pub read_capacity_units: u64,
    pub write_capacity_units: u64,
}

/// The most that an on-demand table may consume in a second; none of a kind: as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnDemandThroughput {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_read_request_units: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_write_request_units: Option<u64>,
}

/// What a table, or a global index, takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WarmThroughput {
    pub read_units_per_second: u64,
    pub write_units_per_second: u64,
}

/// What every table that is on demand takes at once (Developer Guide, on-demand capacity, initial throughput).
pub const ON_DEMAND_WARM: WarmThroughput =
    WarmThroughput { read_units_per_second: 12_000, write_units_per_second: 4_000 };

impl WarmThroughput {
    /// What comes with these units, or with being on demand.
    pub fn of_units(provisioned: Option<ProvisionedThroughput>) -> Self {
        provisioned.map_or(ON_DEMAND_WARM, |units| Self {
            read_units_per_second: units.read_capacity_units,
            write_units_per_second: units.write_capacity_units,
        })
    }

    /// The more of each.
    pub fn max(self, other: Self) -> Self {
        Self {
            read_units_per_second: self.read_units_per_second.max(other.read_units_per_second),
            write_units_per_second: self.write_units_per_second.max(other.write_units_per_second),
        }
    }

    /// As a definition has it beside these units: none where it is no more than comes with them.
    pub fn beside(self, provisioned: Option<ProvisionedThroughput>) -> Option<Self> {
        let own = Self::of_units(provisioned);
        Some(self.max(own)).filter(|warm| *warm != own)
    }
}

/// Everything of a table that its storage nodes keep with its data and its routers need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableDefinition {
    /// The account: a Kubernetes namespace, or `local` in `cairn dev`.
    pub account: String,
    pub table_name: String,
    pub table_id: TableId,
    /// Rises with every change of the definition; an entry evaluated under another is void.
    pub schema_version: u64,
    pub key_schema: KeySchema,
    pub billing_mode: BillingMode,
    /// Absent when on demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioned_throughput: Option<ProvisionedThroughput>,
    /// Present where a table that is on demand has a maximum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_demand_throughput: Option<OnDemandThroughput>,
    /// Present where the table takes more at once than its units, or being on demand, bring with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_throughput: Option<WarmThroughput>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_class: Option<TableClass>,
    #[serde(default)]
    pub deletion_protection_enabled: bool,
    /// Milliseconds since the Unix epoch.
    pub creation_time_ms: u64,
    /// Present while point-in-time recovery is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuous_backups: Option<ContinuousBackups>,
    /// Where the table's first data came from, if it was restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_from: Option<RestoredFrom>,
    /// Present while the table is a replica of a global table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<GlobalReplicas>,
    /// In the order they were given in, in the slots of [`crate::index::in_slots`]; they never change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local_indexes: Vec<LocalIndex>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub global_indexes: Vec<GlobalIndex>,
    /// Of what these are partitions that are no table's own: a global index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_of: Option<IndexOf>,
    /// Present while items expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_live: Option<TimeToLive>,
    /// Present while changes of items are kept as stream records, and for a while after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Streams>,
}

impl TableDefinition {
    /// A table on demand with nothing else set, as it is first.
    pub fn new(
        account: impl Into<String>,
        table_name: impl Into<String>,
        table_id: TableId,
        key_schema: KeySchema,
    ) -> Self {
        Self {
            account: account.into(),
            table_name: table_name.into(),
            table_id,
            schema_version: 1,
            key_schema,
            billing_mode: BillingMode::PayPerRequest,
            provisioned_throughput: None,
            on_demand_throughput: None,
            warm_throughput: None,
            table_class: None,
            deletion_protection_enabled: false,
            creation_time_ms: 0,
            continuous_backups: None,
            restored_from: None,
            replicas: None,
            local_indexes: Vec::new(),
            global_indexes: Vec::new(),
            index_of: None,
            time_to_live: None,
            stream: None,
        }
    }
}

impl TableDefinition {
    /// What the table takes at once.
    pub fn warm(&self) -> WarmThroughput {
        warm(self.warm_throughput, self.provisioned_throughput)
    }

    /// The stream that takes the changes of the items.
    pub fn current_stream(&self) -> Option<Stream> {
        self.stream.as_ref()?.current
    }

    /// All streams that can be read, the oldest first, and whether each is on.
    pub fn readable_streams(&self, now_ms: u64) -> impl DoubleEndedIterator<Item = (Stream, bool)> {
        self.stream.iter().flat_map(move |streams| streams.readable(now_ms))
    }

    /// Begins a stream, in the place of one that is on; or ends the one that is on.
    pub fn set_stream(&mut self, view_type: Option<StreamViewType>, now_ms: u64) {
        let mut streams = self.stream.take().unwrap_or_default();
        match view_type {
            Some(view_type) => streams.enable(view_type, now_ms),
            None => streams.disable(now_ms),
        }
        self.stream = Some(streams).filter(|streams| !streams.is_empty());
    }

    /// What is left of a table that was deleted then, in milliseconds since the Unix epoch: what its streams are described and read
    /// by. The one that was on has ended with it.
    #[must_use]
    pub fn retired(&self, deleted_at_ms: u64) -> Self {
        let Self { account, table_name, table_id, key_schema, .. } = self.clone();
        let mut left = Self {
            schema_version: self.schema_version,
            creation_time_ms: self.creation_time_ms,
            stream: self.stream.clone(),
            ..Self::new(account, table_name, table_id, key_schema)
        };
        left.set_stream(None, deleted_at_ms);
        left
    }
}

/// Whether a table is UPDATING on its way from one definition to the other: so DynamoDB shows it while its billing mode, its throughput,
/// its class or its stream changes, or which global indexes it has. Whatever else changes does so while it is ACTIVE (measured:
/// deletion protection, the maxima of a table on demand, what it takes at once, the throughput of an index).
pub fn is_updating(before: &TableDefinition, after: &TableDefinition) -> bool {
    shown_as_updating(before) != shown_as_updating(after)
}

fn shown_as_updating(
    definition: &TableDefinition,
) -> (BillingMode, Option<ProvisionedThroughput>, TableClass, Option<StreamViewType>, BTreeSet<&str>) {
    let stream = definition.current_stream().map(|stream| stream.view_type);
    let indexes = definition.global_indexes.iter().map(|index| index.index_name.as_str()).collect();
    let class = definition.table_class.unwrap_or_default();
    (definition.billing_mode, definition.provisioned_throughput, class, stream, indexes)
}

/// What something with these settings takes at once.
pub(crate) fn warm(more: Option<WarmThroughput>, provisioned: Option<ProvisionedThroughput>) -> WarmThroughput {
    let own = WarmThroughput::of_units(provisioned);
    more.map_or(own, |more| more.max(own))
}

/// What a stream's records show of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StreamViewType {
    KeysOnly,
    NewImage,
    OldImage,
    NewAndOldImages,
}

/// When items are deleted by themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TimeToLive {
    /// A top-level number, in seconds since the Unix epoch.
    pub attribute_name: String,
    /// Since when; milliseconds since the Unix epoch.
    pub enabled_at_ms: u64,
}

/// The regions that keep the same table, as this one has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GlobalReplicas {
    /// The region of this replica: never changes while the table is global.
    pub region: String,
    /// Rises with every change of the members.
    pub epoch: u64,
    /// All of them, this one too; at most [`GLOBAL_MEMBERS_MAX`].
    pub members: BTreeSet<String>,
    /// The cluster of this replica: the uid of its namespace `kube-system`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster_id: String,
    /// How the other members are reached and known, by region. One that is missing here is a member that nothing is read of yet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub peers: BTreeMap<String, PeerCluster>,
}

/// Another cluster that keeps the same table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerCluster {
    /// `https://HOST:PORT` of that cluster's routers.
    pub endpoint: String,
    pub cluster_id: String,
    /// The authority that signs that cluster's certificates, in PEM.
    pub ca: String,
}

/// Regions of one global table.
pub const GLOBAL_MEMBERS_MAX: usize = 16;

impl GlobalReplicas {
    /// Those of a table that has no other region yet.
    pub fn in_region(region: &str) -> Self {
        Self {
            region: region.to_owned(),
            epoch: 1,
            members: BTreeSet::from([region.to_owned()]),
            cluster_id: String::new(),
            peers: BTreeMap::new(),
        }
    }

    /// Why a table that was (or was not) global as `before` can't become one like this.
    pub fn flaw(&self, before: Option<&Self>) -> Option<String> {
        let named = |region: &String| !region.is_empty() && region.len() <= REGION_BYTES_MAX;
        if !self.members.iter().all(named) {
            return Some(format!("replicas.members: a region's name has 1 to {REGION_BYTES_MAX} bytes"));
        }
        if !self.members.contains(&self.region) {
            return Some(format!("replicas.members: the table's own region {:?} is not among them", self.region));
        }
        if let Some(stranger) = self.peers.keys().find(|region| !self.members.contains(*region)) {
            return Some(format!("replicas.peers: {stranger:?} is not among the members"));
        }
        if self.members.len() > GLOBAL_MEMBERS_MAX {
            return Some(format!("replicas.members: a global table has at most {GLOBAL_MEMBERS_MAX} regions"));
        }
        let before = before?;
        if before.region != self.region {
            return Some(format!("replicas.region: it is {:?} and can't become {:?}", before.region, self.region));
        }
        let higher = self.epoch > before.epoch;
        (self != before && !higher)
            .then(|| format!("replicas.epoch: it must be above {}, the present one", before.epoch))
    }
}

/// Bytes of a region's name.
pub const REGION_BYTES_MAX: usize = 63;

/// Point-in-time recovery, while it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContinuousBackups {
    /// 1 to 35.
    pub recovery_period_days: u16,
    /// Since when it is on without a break; milliseconds since the Unix epoch.
    pub enabled_at_ms: u64,
}

/// What a table was restored from: a backup, or another table at a point in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoredFrom {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_backup_arn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_table_arn: Option<String>,
    /// The moment that was restored; milliseconds since the Unix epoch.
    pub restore_time_ms: u64,
}

/// The life of a table, in DynamoDB's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TableStatus {
    Creating,
    Active,
    Updating,
    Deleting,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicas(epoch: u64, members: &[&str]) -> GlobalReplicas {
        let members = members.iter().map(|region| (*region).to_owned()).collect();
        GlobalReplicas { epoch, members, ..GlobalReplicas::in_region("east") }
    }

    #[test]
    fn of_a_deleted_table_its_streams_are_left_and_all_have_ended() {
        let key = KeyAttribute { name: "Id".into(), scalar_type: ScalarType::S };
        let mut table =
            TableDefinition::new("game", "users", TableId([1; 16]), KeySchema { partition: key, sort: None });
        assert_eq!(table.retired(5_000).stream, None);
        table.time_to_live = Some(TimeToLive { attribute_name: "End".into(), enabled_at_ms: 1 });
        table.set_stream(Some(StreamViewType::KeysOnly), 1_000);
        table.set_stream(Some(StreamViewType::NewImage), 2_000);
        let left = table.retired(5_000);
        assert_eq!((&left.table_name, left.table_id, &left.time_to_live), (&table.table_name, table.table_id, &None));
        let shown: Vec<_> = left.readable_streams(5_000).map(|(stream, is_on)| (stream.enabled_at_ms, is_on)).collect();
        assert_eq!(shown, [(1_000, false), (2_000, false)]);
        assert_eq!(left.stream.unwrap().past_until_ms(), 5_000 + crate::stream::RETENTION_MS);
    }

    #[test]
    fn members_name_their_own_region_and_change_with_a_higher_epoch() {
        let before = replicas(2, &["east", "west"]);
        assert_eq!(before.flaw(None), None);
        assert_eq!(before.flaw(Some(&before)), None);
        assert_eq!(replicas(3, &["east", "north"]).flaw(Some(&before)), None);
        let elsewhere = GlobalReplicas { region: "west".into(), ..replicas(3, &["east", "west"]) };
        for flawed in [replicas(2, &["east"]), replicas(3, &["west"]), replicas(3, &["east", ""]), elsewhere] {
            assert!(flawed.flaw(Some(&before)).is_some(), "{flawed:?}");
        }
    }
}
