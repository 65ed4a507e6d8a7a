//! Exports: asked for with the AWS CLI, made by the archives, read as whoever gets the files reads them.

use super::tables;
use crate::{
    bucket::Bucket,
    harness::{NAMESPACE, Verdict, World, aws},
    kube,
};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf, process::Command, time::Duration};

const NO_BUCKET: &str = "the suite can't run an S3 server that this cluster's pods reach";
const TABLE: &str = "exported";
const RECOVERY: &str = "billingMode: PAY_PER_REQUEST\n  continuousBackups: {pointInTimeRecoveryEnabled: true}";
const PATIENCE: Duration = Duration::from_secs(120);
/// The suite's bucket, and where in it its files are looked for.
const BUCKET: &str = "tables";
const PREFIX: &str = "exported";

/// Whoever exports, and what comes of it.
struct Exporting<'a> {
    world: &'a mut World,
    table_arn: String,
}

impl Exporting<'_> {
    fn begin(&mut self, bucket: &str, more: &[&str]) -> Result<String> {
        let prefix = format!("cairn/{PREFIX}");
        let to = ["--table-arn", &self.table_arn, "--s3-bucket", bucket, "--s3-prefix", &prefix];
        let begun = aws(self.world, &[&["export-table-to-point-in-time"][..], &to, more].concat())?;
        let description = &begun["ExportDescription"];
        ensure!(description["ExportStatus"] == "IN_PROGRESS", "{description}");
        Ok(description["ExportArn"].as_str().context("the export has no ARN")?.to_owned())
    }

    /// The export, once it has ended.
    fn end(&mut self, arn: &str) -> Result<Value> {
        let mut export = Value::Null;
        kube::wait(&format!("{arn} has ended"), PATIENCE, || {
            export = aws(self.world, &["describe-export", "--export-arn", arn])?["ExportDescription"].take();
            Ok(export["ExportStatus"] != "IN_PROGRESS")
        })?;
        Ok(export)
    }

    fn put(&mut self, id: &str, value: &str) -> Result<()> {
        let item = format!(r#"{{"Id": {{"S": "{id}"}}, "Value": {{"S": "{value}"}}}}"#);
        aws(self.world, &["put-item", "--table-name", TABLE, "--item", &item]).map(drop)
    }
}

/// The file of an object that an export wrote.
fn file(bucket: &Bucket, key: &str) -> Result<PathBuf> {
    let found = bucket.objects(PREFIX).into_iter().find(|path| path.ends_with(key));
    found.with_context(|| format!("{key} is not in the bucket"))
}

/// The items of an export, by way of its manifests.
fn items(bucket: &Bucket, export: &Value) -> Result<BTreeMap<String, String>> {
    let manifest = export["ExportManifest"].as_str().with_context(|| format!("no manifest: {export}"))?;
    let summary: Value = serde_json::from_slice(&std::fs::read(file(bucket, manifest)?)?)?;
    ensure!(summary["exportArn"] == export["ExportArn"], "{summary}");
    let files = summary["manifestFilesS3Key"].as_str().context("the summary names no files")?;
    let mut items = BTreeMap::new();
    for line in std::fs::read_to_string(file(bucket, files)?)?.lines() {
        let entry: Value = serde_json::from_str(line)?;
        let data = file(bucket, entry["dataFileS3Key"].as_str().context("a file has no key")?)?;
        for line in kube::output(Command::new("gzip").arg("-dc").arg(data))?.lines() {
            let line: Value = serde_json::from_str(line)?;
            let text = |name: &str| line["Item"][name]["S"].as_str().unwrap_or_default().to_owned();
            items.insert(text("Id"), text("Value"));
        }
    }
    ensure!(summary["itemCount"] == items.len(), "{summary}");
    Ok(items)
}

pub(crate) async fn an_export_reads_the_archive(world: &mut World) -> Result<Verdict> {
    if world.bucket.is_none() {
        return Ok(Verdict::Skipped(NO_BUCKET));
    }
    let client = world.dynamo()?;
    kube::apply(&tables::manifest(TABLE, RECOVERY))?;
    tables::wait_active(TABLE, Duration::from_secs(30))?;
    tables::wait_exists(&client, TABLE).await?;
    let described = aws(world, &["describe-table", "--table-name", TABLE])?;
    let table_arn = described["Table"]["TableArn"].as_str().context("the table has no ARN")?.to_owned();
    kube::wait("the table can be restored", PATIENCE, || {
        let answer = aws(world, &["describe-continuous-backups", "--table-name", TABLE])?;
        let recovery = &answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"];
        Ok(!recovery["LatestRestorableDateTime"].is_null())
    })?;
    let mut exporting = Exporting { world, table_arn };
    exporting.put("a", "1")?;
    // The CLI sends whole seconds.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let between = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    exporting.put("a", "2")?;
    exporting.put("b", "2")?;

    let now = exporting.begin(BUCKET, &[])?;
    let then = exporting.begin(BUCKET, &["--export-time", &between])?;
    let nowhere = exporting.begin("no-such-bucket", &[])?;
    for (arn, expected) in [(&now, &[("a", "2"), ("b", "2")][..]), (&then, &[("a", "1")])] {
        let export = exporting.end(arn)?;
        ensure!(export["ExportStatus"] == "COMPLETED", "{export}");
        let expected = expected.iter().map(|(id, value)| ((*id).to_owned(), (*value).to_owned())).collect();
        let bucket = exporting.world.bucket.as_ref().context("the bucket is gone")?;
        let found = items(bucket, &export)?;
        ensure!(found == expected, "{export} has {found:?} instead of {expected:?}");
    }
    let failed = exporting.end(&nowhere)?;
    ensure!(failed["ExportStatus"] == "FAILED" && failed["FailureCode"] == "S3NoSuchBucket", "{failed}");
    let table_arn = exporting.table_arn.clone();
    let listed = aws(exporting.world, &["list-exports", "--table-arn", &table_arn])?;
    let listed: Vec<&str> = listed["ExportSummaries"].as_array().into_iter().flatten().filter_map(arn_of).collect();
    ensure!(listed == [&nowhere, &then, &now], "list-exports gives {listed:?}");
    kube::kubectl(&["delete", "tables.cairn.dev", "-n", NAMESPACE, "--timeout=60s", TABLE])?;
    Ok(Verdict::Passed(String::new()))
}

fn arn_of(summary: &Value) -> Option<&str> {
    summary["ExportArn"].as_str()
}
