//! `cairn-operator uninstall-check`: the chart runs it before an uninstallation, which it refuses while there are tables.

use crate::error::{Error, Result, While};
use cairn_crds::Table;
use kube::{Api, Client, ResourceExt, api::ListParams};

/// What to do about a refusal.
pub const ADVICE: &str = "delete the tables first, or leave them and their data behind with `helm uninstall --no-hooks`; \
                          to keep the release, `helm rollback` it to the revision that `helm history` ends with";

/// How many tables a refusal names.
const NAMED_MAX: usize = 10;

#[derive(Clone, Debug, clap::Parser)]
#[command(name = "cairn-operator uninstall-check", about = "Fails while there are tables.")]
pub struct Arguments {
    /// The namespaces that are watched; none: all.
    #[arg(long, env = "CAIRN_WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,
}

/// An error that names tables, if there are any.
pub async fn check(arguments: Arguments) -> Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::try_default().await.while_doing(|| "configure the API server's client".to_owned())?;
    let mut names = Vec::new();
    if arguments.watch_namespaces.is_empty() {
        collect(&Api::all(client), &mut names).await?;
    } else {
        for namespace in &arguments.watch_namespaces {
            collect(&Api::namespaced(client.clone(), namespace), &mut names).await?;
        }
    }
    if names.is_empty() { Ok(()) } else { Err(Error::TablesRemain { summary: summary(&names) }) }
}

async fn collect(api: &Api<Table>, names: &mut Vec<String>) -> Result<()> {
    let tables = match api.list_metadata(&ListParams::default()).await {
        // Without their definition there are no tables.
        Err(error) if crate::error::status_code(&error) == Some(404) => return Ok(()),
        other => other.while_doing(|| "list tables".to_owned())?,
    };
    names.extend(tables.iter().map(|table| format!("{}/{}", table.namespace().unwrap_or_default(), table.name_any())));
    Ok(())
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

    #[test]
    fn a_refusal_names_some_tables_and_counts_the_rest() {
        let names: Vec<String> = (0..12).map(|number| format!("game/t{number}")).collect();
        assert_eq!(summary(&names[..2]), "game/t0, game/t1");
        assert!(summary(&names).ends_with("game/t9 and 2 more"));
    }
}
