//! What this package asks of whoever knows the other regions that keep a table. Where they are and how they are reached is
//! the implementor's business.

use crate::catalog::TableView;
use async_trait::async_trait;
use cairn_model::{ServiceError, region::ReplicaStatus};
use std::collections::BTreeSet;

/// Another region of a table, as `ReplicaDescription` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    pub region: String,
    pub status: ReplicaStatus,
    /// What is wrong on which side, or how far it is.
    pub description: Option<String>,
    pub percent_progress: Option<u8>,
}

/// A table that other regions keep too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalTable {
    /// Milliseconds since the Unix epoch.
    pub creation_time_ms: u64,
    /// Whether a change of the replicas is under way: the table is UPDATING.
    pub changing: bool,
    /// The other regions, one at least, in ascending order of their names.
    pub replicas: Vec<Replica>,
}

impl GlobalTable {
    pub fn replica(&self, region: &str) -> Option<&Replica> {
        self.replicas.iter().find(|replica| replica.region == region)
    }
}

/// Regions that are to be replicas of a table, and some that are to be none any more: never this one, and none twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaUpdate {
    pub create: BTreeSet<String>,
    pub delete: BTreeSet<String>,
}

/// Who knows the other regions of tables.
#[async_trait]
pub trait GlobalTables: Send + Sync {
    /// Which other regions keep this table, or are to, or still do; none where it is a table of this region alone. From
    /// memory, without waiting.
    fn describe(&self, table: &TableView) -> Option<GlobalTable>;

    /// Begins to add replicas to an ACTIVE table that are none yet, and to remove some that are: what
    /// [`Self::describe`] tells afterwards has those that are added CREATING, and those that still take part DELETING.
    ///
    /// `ValidationException` for a region that this account does not know, `AccessDeniedException` where another owner
    /// keeps the replicas from being changed, `ResourceInUseException` where they are being changed. [`crate::errors::overtaken`]
    /// where somebody else made the same change first: then [`Self::describe`] knows of it.
    async fn update_replicas(&self, table: &TableView, update: ReplicaUpdate) -> Result<(), ServiceError>;
}
