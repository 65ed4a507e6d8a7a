//! What the cluster has of a group: dereferenced once, for the whole reconcile.

use crate::{
    build::names,
    context::Context,
    error::{Result, While},
};
use cairn_crds::StorageGroup;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::StatefulSet,
        core::v1::{Node, PersistentVolumeClaim, Pod},
    },
};
use kube::{Api, Resource, ResourceExt, api::ListParams};
use serde::de::DeserializeOwned;
use std::fmt::Debug;

#[derive(Clone, Debug)]
pub struct View {
    pub sets: Vec<StatefulSet>,
    pub pods: Vec<Pod>,
    pub claims: Vec<PersistentVolumeClaim>,
    /// The nodes of the cluster.
    pub nodes: Vec<Node>,
}

pub async fn dereference(ctx: &Context, group: &StorageGroup) -> Result<View> {
    let (sets, pods, claims, nodes) = tokio::try_join!(
        of_group::<StatefulSet>(ctx, group),
        of_group::<Pod>(ctx, group),
        of_group::<PersistentVolumeClaim>(ctx, group),
        async {
            let nodes = Api::<Node>::all(ctx.client.clone()).list(&ListParams::default()).await;
            nodes.while_doing(|| "list the cluster's nodes".to_owned())
        },
    )?;
    Ok(View { sets, pods, claims, nodes: nodes.items })
}

async fn of_group<K>(ctx: &Context, group: &StorageGroup) -> Result<Vec<K>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let namespace = group.namespace().unwrap_or_default();
    let labels = format!("{}={}", names::GROUP_LABEL, group.name_any());
    let list = ctx.api::<K>(&namespace).list(&ListParams::default().labels(&labels)).await;
    Ok(list.while_doing(|| format!("list the {} of {namespace}/{}", K::plural(&()), group.name_any()))?.items)
}
