//! `cairn-operator uninstall-check`: the chart runs it before an uninstallation, which it refuses while there are tables, or
//! backups that nobody but the operator can let go.

use crate::error::{Error, Result, While};
use cairn_crds::{BACKUP_FINALIZER, Backup, Table};
use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt, api::ListParams, core::PartialObjectMeta};

/// What to do about a refusal.
pub const ADVICE: &str = "delete the tables first, and delete the backups or set their spec.deletionPolicy to Retain; or leave everything behind with `helm uninstall --no-hooks`; \
                          to keep the release, `helm rollback` it to the revision that `helm history` ends with";

/// How many objects a refusal names.
const NAMED_MAX: usize = 10;

#[derive(Clone, Debug, clap::Parser)]
#[command(
    name = "cairn-operator uninstall-check",
    about = "Fails while there are tables, or backups that the operator has to let go."
)]
pub struct Arguments {
    /// The namespaces that are watched; none: all.
    #[arg(long, env = "CAIRN_WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,
}

/// An error that names tables and backups, if there are any.
pub async fn check(arguments: Arguments) -> Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::try_default().await.while_doing(|| "configure the API server's client".to_owned())?;
    let namespaces: Vec<_> = match arguments.watch_namespaces {
        all if all.is_empty() => vec![None],
        named => named.into_iter().map(Some).collect(),
    };
    let mut names = Vec::new();
    for namespace in namespaces {
        let tables = list::<Table>(&client, namespace.as_deref()).await?;
        names.extend(tables.iter().map(|table| name_of("", table)));
        let backups = list::<Backup>(&client, namespace.as_deref()).await?;
        names.extend(backups.iter().filter(|backup| is_held(backup)).map(|backup| name_of("Backup ", backup)));
    }
    if names.is_empty() { Ok(()) } else { Err(Error::ObjectsRemain { summary: summary(&names) }) }
}

async fn list<K>(client: &Client, namespace: Option<&str>) -> Result<Vec<PartialObjectMeta<K>>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let api: Api<K> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    match api.list_metadata(&ListParams::default()).await {
        // Without their definition there are none.
        Err(error) if crate::error::status_code(&error) == Some(404) => Ok(Vec::new()),
        other => Ok(other.while_doing(|| format!("list {}", K::plural(&())))?.items),
    }
}

fn name_of(kind: &str, object: &impl ResourceExt) -> String {
    format!("{kind}{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

/// Whether its finalizer waits for the operator: without one, neither it nor its namespace could be deleted.
fn is_held(backup: &PartialObjectMeta<Backup>) -> bool {
    backup.finalizers().iter().any(|finalizer| finalizer == BACKUP_FINALIZER)
}

fn summary(names: &[String]) -> String {
    let named = names.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use kube::core::PartialObjectMetaExt;

    #[test]
    fn a_backup_that_goes_from_its_bucket_needs_the_operator() {
        let mut backup = ObjectMeta::default().into_response_partial::<Backup>();
        assert!(!is_held(&backup));
        backup.metadata.finalizers = Some(vec![BACKUP_FINALIZER.to_owned()]);
        (backup.metadata.namespace, backup.metadata.name) = (Some("game".to_owned()), Some("nightly".to_owned()));
        assert!(is_held(&backup));
        assert_eq!(name_of("Backup ", &backup), "Backup game/nightly");
    }

    #[test]
    fn a_refusal_names_some_tables_and_counts_the_rest() {
        let names: Vec<String> = (0..12).map(|number| format!("game/t{number}")).collect();
        assert_eq!(summary(&names[..2]), "game/t0, game/t1");
        assert!(summary(&names).ends_with("game/t9 and 2 more"));
    }
}
