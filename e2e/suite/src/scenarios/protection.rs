//! What the admission policies refuse.

use super::tables;
use crate::{
    harness::{NAMESPACE, Verdict, World},
    kube,
};
use anyhow::{Result, bail, ensure};
use std::time::Duration;

fn protect(protected: bool) -> Result<()> {
    let patch = format!("{{\"spec\":{{\"deletionProtectionEnabled\":{protected}}}}}");
    kube::kubectl(&["patch", "table", tables::MAIN, "-n", NAMESPACE, "--type=merge", "-p", &patch]).map(drop)
}

fn refused(what: &[&str], word: &str) -> Result<()> {
    let arguments = [&["delete", "--wait=false"], what].concat();
    match kube::kubectl(&arguments) {
        Ok(_) => bail!("{} was deleted", what.join(" ")),
        Err(error) => {
            let text = format!("{error:#}");
            ensure!(text.contains(word), "the refusal does not say {word}: {text}");
            Ok(())
        }
    }
}

pub(crate) async fn a_protected_table_is_not_deleted(world: &mut World) -> Result<Verdict> {
    protect(true)?;
    refused(&["table", tables::MAIN, "-n", NAMESPACE], "deletionProtectionEnabled")?;
    let client = world.dynamo()?;
    let answer = client.call("DeleteTable", &serde_json::json!({"TableName": tables::MAIN})).await?;
    ensure!(answer.status == 400 && answer.body.to_string().contains("protected"), "DeleteTable answers {answer:?}");
    protect(false)?;
    Ok(Verdict::Passed(String::new()))
}

pub(crate) async fn a_namespace_with_a_protected_table_is_not_deleted(_: &mut World) -> Result<Verdict> {
    protect(true)?;
    // The policy sees tables through a cache that may be a moment behind.
    std::thread::sleep(Duration::from_secs(1));
    let outcome = refused(&["namespace", NAMESPACE, "--dry-run=server"], tables::MAIN);
    protect(false)?;
    outcome.map(|()| Verdict::Passed(String::new()))
}

pub(crate) async fn the_definitions_are_not_deleted(_: &mut World) -> Result<Verdict> {
    refused(&["customresourcedefinition", "tables.cairn.dev", "--dry-run=server"], "cairn.dev/allow-deletion")?;
    Ok(Verdict::Passed(String::new()))
}
