//! The one time that a table is given its id and its placements, or finds that it can't have them yet.

use super::{
    MAKING, adoption, import, indexes::identity, observation::Answers, placement, recovery, restore, status, streams,
    time_to_live, validate, validate::ValidatedTable, write_status,
};
use crate::{
    context::Context,
    controller::{
        Refusal,
        storage_group::{expiry, members::ExpectedNode},
    },
    error::Result,
};
use cairn_crds::{
    StorageGroup, Table,
    table::{RestoreStatus, recovery::time_of_millis},
};
use cairn_model::{
    ids::{PartitionId, TableId},
    node::NodeReport,
    table::TableStatus,
};
use kube::ResourceExt;
use restore::Resolution;
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// What became of placing a table.
#[derive(Debug)]
pub enum Placed {
    Written(Box<Table>),
    Waits(Wait),
    Refused(Refusal),
}

/// What is waited for before a table can be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The reason of its conditions.
    pub reason: &'static str,
    pub message: String,
    pub again: Duration,
}

impl Wait {
    pub fn for_the_group(message: impl Into<String>) -> Self {
        Self { reason: "StorageGroupStarting", message: message.into(), again: MAKING }
    }
}

/// Writes down, once and over the version that was read, where the table's partitions lie; before any node is ordered anything.
pub async fn place(
    ctx: &Context,
    validated: &ValidatedTable,
    group: &StorageGroup,
    nodes: &[ExpectedNode],
    answers: &[Option<Arc<NodeReport>>],
) -> Result<Placed> {
    let known = group.status.clone().unwrap_or_default();
    if !placement::a_zone_has_answered(&known.zones, nodes, answers) {
        let message = format!("waiting for the storage nodes of {}", group.name_any());
        return Ok(Placed::Waits(Wait::for_the_group(message)));
    }
    let of_name = |drops: &[_]| adoption::held(&validated.account, &validated.table_name, answers, drops);
    let (table_id, partition_id) = (TableId(Uuid::new_v4().into_bytes()), PartitionId(Uuid::new_v4().into_bytes()));
    let chosen = placement::choose(&known.zones, nodes, answers, &known.nodes, table_id, partition_id);
    // An archive takes its time; nobody else waits for it, and it is not asked in vain.
    let source = match &validated.table.spec.restore_from {
        Some(from) if of_name(&known.pending_drops).is_empty() => {
            if let Err(message) = chosen {
                return Ok(Placed::Waits(Wait::for_the_group(message)));
            }
            match restore::resolve(ctx, validated, from, group, nodes, answers).await? {
                Resolution::Found(source) => Some(*source),
                Resolution::Waits(wait) => return Ok(Placed::Waits(wait)),
                Resolution::Refused(refusal) => return Ok(Placed::Refused(refusal)),
            }
        }
        _ => None,
    };
    let _alone = ctx.placing.lock().await;
    let in_namespace = expiry::tables_in(ctx, &validated.account).await?;
    let in_namespace: Vec<_> = in_namespace.into_iter().filter_map(|table| table.0.ok()).collect();
    if let Err(refusal) = validate::validate(&validated.table, &in_namespace) {
        return Ok(Placed::Refused(refusal));
    }
    let group = expiry::break_fence(ctx, &validated.account, &group.name_any()).await?;
    if group.metadata.deletion_timestamp.is_some() {
        return Ok(Placed::Waits(Wait::for_the_group("the StorageGroup is being deleted")));
    }
    let drops = group.status.clone().map(|status| status.pending_drops).unwrap_or_default();
    let adopted = match adoption::decide(validated, of_name(&drops)) {
        Ok(adopted) => adopted,
        Err(refusal) => return Ok(Placed::Refused(refusal)),
    };
    let mut status = validated.table.status.clone().unwrap_or_default();
    status::name(&mut status, validated, &ctx.config.region);
    status.table_status = Some(TableStatus::Creating);
    let (mut recovery_held, mut streams_held, mut time_to_live_held) = (None, None, None);
    let mut born_ms = validated.table.stream_born_ms();
    if let Some(adopted) = adopted {
        let held = &adopted.definition;
        tracing::info!(table = validated.table_name, table_id = %held.table_id, "a table's data is taken over");
        status.table_id = Some(held.table_id.to_string());
        status.schema_version = i64::try_from(held.schema_version).ok();
        status.creation_date_time = Some(time_of_millis(held.creation_time_ms));
        status.placements = Some(adoption::placements(&adopted));
        status.restore = held.restored_from.as_ref().and_then(RestoreStatus::of_restored);
        identity::recall(&mut status, held, Answers { nodes, reports: answers });
        recovery_held = held.continuous_backups;
        time_to_live_held.clone_from(&held.time_to_live);
        (streams_held, born_ms) = (held.stream.clone(), None);
    } else if validated.table.spec.restore_from.is_some() && source.is_none() {
        return Ok(Placed::Waits(Wait::for_the_group("the data that was under the table's name is being dropped")));
    } else {
        match chosen {
            Ok(placement) => status.placements = Some(vec![placement]),
            Err(message) => return Ok(Placed::Waits(Wait::for_the_group(message))),
        }
        status.table_id = Some(table_id.to_string());
        status.creation_date_time = validated.table.creation_timestamp();
        status.restore = source;
        status.import = match import::begin(validated, &ctx.config.region, &group, table_id)? {
            Ok(begun) => begun,
            Err(refusal) => return Ok(Placed::Refused(refusal)),
        };
    }
    if let Err(message) =
        identity::stamp(&mut status, &validated.table.spec, &group, Answers { nodes, reports: answers })?
    {
        return Ok(Placed::Waits(Wait::for_the_group(message)));
    }
    let is_asked = validated.table.spec.recovery_period_days()?.is_some();
    recovery::stamp(&mut status, is_asked, group.spec.archive.is_some(), recovery_held, ctx.now());
    let expires_by = validated.table.spec.time_to_live_attribute()?;
    time_to_live::stamp(&mut status, expires_by, time_to_live_held.as_ref(), ctx.now());
    streams::stamp(&mut status, &validated.table, streams_held.as_ref(), born_ms, ctx.now())?;
    let table = write_status(ctx, &validated.table, status).await?;
    Ok(Placed::Written(Box::new(table)))
}
