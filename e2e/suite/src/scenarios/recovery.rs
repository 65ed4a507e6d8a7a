//! Backups, and any second of a table's past: declared, asked for through the API, and come back from.

use super::{clients, faults, tables};
use crate::{
    client::{Dynamo, now},
    harness::{NAMESPACE, REGION, Verdict, World, aws},
    history::{self, Writing},
    kube,
    sigv4::Signer,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

const NO_BUCKET: &str = "the suite can't run an S3 server that this cluster's pods reach";
/// How far the latest restorable time may be behind.
const BEHIND_MAX: Duration = Duration::from_secs(10);
const RECOVERY: &str = "billingMode: PAY_PER_REQUEST\n  continuousBackups: {pointInTimeRecoveryEnabled: true}";
const LEDGER: &str = "ledger";
const RESTORE_PATIENCE: Duration = Duration::from_secs(90);

/// The latest restorable time that the API tells, in milliseconds since the Unix epoch.
async fn latest_ms(client: &Dynamo, table: &str) -> Result<Option<i64>> {
    let answer =
        client.insist("DescribeContinuousBackups", &json!({"TableName": table}), RESTORE_PATIENCE).await?.ok()?;
    let recovery = &answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"];
    ensure!(recovery["PointInTimeRecoveryStatus"] == "ENABLED", "recovery is not on: {answer}");
    Ok(recovery["LatestRestorableDateTime"].as_f64().map(|seconds| (seconds * 1_000.0) as i64))
}

/// Waits until a table can be restored to that millisecond.
async fn wait_restorable(client: &Dynamo, table: &str, at_ms: i64) -> Result<()> {
    let deadline = now() + Duration::from_secs(60);
    loop {
        let latest = latest_ms(client, table).await?;
        if latest.is_some_and(|latest| latest >= at_ms) {
            return Ok(());
        }
        ensure!(now() < deadline, "{table} can't be restored to {at_ms} after a minute: its latest time is {latest:?}");
        sleep(Duration::from_millis(500)).await;
    }
}

fn date_time(at_ms: i64) -> Result<String> {
    Ok(jiff::Timestamp::from_millisecond(at_ms)?.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}

fn restored(name: &str, from: &str) -> String {
    tables::manifest(name, &format!("billingMode: PAY_PER_REQUEST\n  restoreFrom: {from}"))
}

fn delete_tables(names: &[&str]) -> Result<()> {
    kube::kubectl(&[&["delete", "tables.cairn.dev", "-n", NAMESPACE, "--timeout=60s"], names].concat()).map(drop)
}

fn backup_status(namespace: &str, name: &str) -> Result<Value> {
    Ok(kube::get(&["backups.cairn.dev", name, "-n", namespace])?["status"].take())
}

fn wait_available(namespace: &str, name: &str) -> Result<Duration> {
    kube::wait(&format!("the backup {name} is AVAILABLE"), RESTORE_PATIENCE, || {
        let status = backup_status(namespace, name)?;
        ensure!(status["backupStatus"] != "DELETED", "{status}");
        Ok(status["backupStatus"] == "AVAILABLE")
    })
}

/// Kills the pod of a node that leads: the one whose archive ships.
fn kill_one_storage_pod() -> Result<()> {
    let zone = faults::leader_zone()?;
    let pods = kube::storage_pods(NAMESPACE)?;
    let pod = pods.iter().find(|pod| kube::pod_zone(pod) == zone).context("the leader's pod is gone")?;
    kube::kill_pods(NAMESPACE, &[kube::name(pod)])
}

pub(crate) async fn any_second_of_a_busy_table_comes_back(world: &mut World) -> Result<Verdict> {
    let client = world.dynamo()?;
    let Some(bucket) = &mut world.bucket else { return Ok(Verdict::Skipped(NO_BUCKET)) };
    faults::wait_whole()?;
    kube::apply(&tables::manifest(LEDGER, RECOVERY))?;
    tables::wait_active(LEDGER, Duration::from_secs(30))?;
    tables::wait_exists(&client, LEDGER).await?;

    // Under load, and while the S3 server and a leader die.
    let writing = Writing::start(&client, LEDGER);
    let behind = worst_behind(&client).await?;
    bucket.stop();
    sleep(Duration::from_secs(15)).await;
    bucket.resume()?;
    sleep(Duration::from_secs(4)).await;
    kill_one_storage_pod()?;
    sleep(Duration::from_secs(8)).await;
    let history = writing.end().await?;
    let (first, last) = history.span();
    wait_restorable(&client, LEDGER, last).await?;
    ensure!(behind < BEHIND_MAX, "the latest restorable time was {behind:?} behind");
    ensure!(history.longest_pause() < Duration::from_secs(6), "writes paused for {:?}", history.longest_pause());

    // Restores to seconds spread over it: by manifests, and one through the API.
    let quarter = (last - first) / 4;
    let times: Vec<i64> = (0..4).map(|n| first + n * quarter + quarter / 2 + n * 137).collect();
    let start = now();
    for (number, at_ms) in times.iter().enumerate().skip(1) {
        let from = format!("{{table: {LEDGER}, at: \"{}\"}}", date_time(*at_ms)?);
        kube::apply(&restored(&format!("past-{number}"), &from))?;
    }
    let request =
        json!({"SourceTableName": LEDGER, "TargetTableName": "past-0", "RestoreDateTime": times[0] as f64 / 1_000.0});
    let summary = client.call("RestoreTableToPointInTime", &request).await?.ok()?;
    ensure!(summary["TableDescription"]["RestoreSummary"]["RestoreInProgress"] == true, "{summary}");
    for (number, at_ms) in times.iter().enumerate() {
        let name = format!("past-{number}");
        tables::wait_active(&name, RESTORE_PATIENCE)?;
        tables::wait_exists(&client, &name).await?;
        history.verify(&client, &name, *at_ms).await?;
    }
    let took = start.elapsed();
    let status = tables::status("past-1")?;
    ensure!(status["restore"]["restoreInProgress"] == false, "{}", status["restore"]);
    delete_tables(&["past-0", "past-1", "past-2", "past-3"])?;

    // The same name as the lost table, whose last backup is kept.
    delete_tables(&[LEDGER])?;
    kube::wait("the deleted table's last backup is there", Duration::from_secs(60), || {
        Ok(bucket.objects("").iter().any(|path| path.ends_with("backup.json")))
    })?;
    kube::apply(&restored(LEDGER, &format!("{{table: {LEDGER}, latest: true}}")))?;
    tables::wait_active(LEDGER, RESTORE_PATIENCE)?;
    tables::wait_exists(&client, LEDGER).await?;
    history.verify(&client, LEDGER, last).await?;
    delete_tables(&[LEDGER])?;
    Ok(Verdict::Passed(format!(
        "{} writes, longest pause {:.1?}; latest restorable at most {behind:.1?} behind; 4 restores in {took:.1?}",
        history.writes(),
        history.longest_pause()
    )))
}

/// The farthest that the latest restorable time is behind in ten seconds, from when there is one.
async fn worst_behind(client: &Dynamo) -> Result<Duration> {
    wait_restorable(client, LEDGER, 0).await?;
    let mut worst = 0;
    for _ in 0..20 {
        let latest = latest_ms(client, LEDGER).await?.context("the latest restorable time is gone")?;
        worst = worst.max(history::clock().as_millisecond() - latest);
        sleep(Duration::from_millis(500)).await;
    }
    Ok(Duration::from_millis(u64::try_from(worst).unwrap_or_default()))
}

pub(crate) async fn a_backup_outlives_its_namespace(world: &mut World) -> Result<Verdict> {
    const ARCADE: &str = "arcade";
    let client = world.dynamo()?;
    let Some(bucket) = &world.bucket else { return Ok(Verdict::Skipped(NO_BUCKET)) };
    let account = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {ARCADE}}}\n---\n{}---\n{}---\n{}",
        clients::access_key("arcade", "AKIAARCADE0000EXAMPLE", "another-secret").replace(NAMESPACE, ARCADE),
        bucket.secrets(ARCADE),
        tables::manifest("scores", "billingMode: PAY_PER_REQUEST").replace(NAMESPACE, ARCADE),
    );
    kube::apply(&account)?;
    let theirs = Signer {
        access_key: "AKIAARCADE0000EXAMPLE".into(),
        secret_key: "another-secret".into(),
        region: REGION.into(),
    };
    let arcade = client.with_signer(theirs);
    kube::wait("the table scores is ACTIVE", Duration::from_secs(120), || {
        Ok(kube::get(&["tables.cairn.dev", "scores", "-n", ARCADE])?["status"]["tableStatus"] == "ACTIVE")
    })?;
    tables::wait_exists(&arcade, "scores").await?;
    for id in 0..50 {
        let item = json!({"Id": {"S": id.to_string()}, "Value": {"N": "7"}});
        arcade.insist("PutItem", &json!({"TableName": "scores", "Item": item}), RESTORE_PATIENCE).await?.ok()?;
    }
    kube::apply(&format!(
        "apiVersion: cairn.dev/v1alpha1\nkind: Backup\nmetadata: {{name: scores-1, namespace: {ARCADE}}}\nspec: {{tableName: scores}}\n"
    ))?;
    let made = wait_available(ARCADE, "scores-1")?;
    let arn = backup_status(ARCADE, "scores-1")?["backupArn"].as_str().context("no ARN")?.to_owned();
    kube::kubectl(&["delete", "namespace", ARCADE, "--timeout=120s"])?;

    kube::apply(&format!(
        "apiVersion: cairn.dev/v1alpha1\nkind: Backup\nmetadata: {{name: inherited, namespace: {NAMESPACE}}}\nspec: {{fromArchive: {{backupArn: \"{arn}\"}}}}\n---\n{}",
        restored("scores", "{backup: inherited}")
    ))?;
    wait_available(NAMESPACE, "inherited")?;
    tables::wait_active("scores", RESTORE_PATIENCE)?;
    tables::wait_exists(&client, "scores").await?;
    let count = client.call("Scan", &json!({"TableName": "scores", "Select": "COUNT"})).await?.ok()?;
    ensure!(count["Count"] == 50, "{count}");
    delete_tables(&["scores"])?;
    kube::kubectl(&["delete", "backups.cairn.dev", "inherited", "-n", NAMESPACE, "--timeout=60s"])?;
    Ok(Verdict::Passed(format!("AVAILABLE after {made:.1?}")))
}

pub(crate) async fn a_schedule_makes_backups_and_keeps_the_last(world: &mut World) -> Result<Verdict> {
    if world.bucket.is_none() {
        return Ok(Verdict::Skipped(NO_BUCKET));
    }
    kube::apply(&format!(
        "apiVersion: cairn.dev/v1alpha1\nkind: ScheduledBackup\nmetadata: {{name: often, namespace: {NAMESPACE}}}\nspec: {{tableName: {}, schedule: \"* * * * *\", keep: 1}}\n",
        tables::MAIN
    ))?;
    let scheduled = || kube::items(&["backups.cairn.dev", "-n", NAMESPACE, "-l", "cairn.dev/scheduled-by=often"]);
    let took = kube::wait("a scheduled backup is AVAILABLE", Duration::from_secs(120), || {
        Ok(scheduled()?.iter().any(|backup| backup["status"]["backupStatus"] == "AVAILABLE"))
    })?;
    kube::kubectl(&["delete", "scheduledbackups", "often", "-n", NAMESPACE, "--timeout=30s"])?;
    for backup in scheduled()? {
        kube::kubectl(&["delete", "backups.cairn.dev", kube::name(&backup), "-n", NAMESPACE, "--timeout=60s"])?;
    }
    Ok(Verdict::Passed(format!("after {:.0} s", took.as_secs_f64())))
}

pub(crate) async fn the_aws_cli_backs_up_and_restores(world: &mut World) -> Result<Verdict> {
    if world.bucket.is_none() {
        return Ok(Verdict::Skipped(NO_BUCKET));
    }
    let mut aws = |arguments: &[&str]| aws(world, arguments);
    aws(&[
        "create-table",
        "--table-name",
        "kept",
        "--billing-mode",
        "PAY_PER_REQUEST",
        "--attribute-definitions",
        "AttributeName=Id,AttributeType=S",
        "--key-schema",
        "AttributeName=Id,KeyType=HASH",
    ])?;
    aws(&["wait", "table-exists", "--table-name", "kept"])?;
    aws(&["put-item", "--table-name", "kept", "--item", r#"{"Id": {"S": "a"}, "Value": {"N": "1"}}"#])?;
    let created = aws(&["create-backup", "--table-name", "kept", "--backup-name", "before"])?;
    let arn = created["BackupDetails"]["BackupArn"].as_str().context("no ARN")?.to_owned();
    kube::wait("the backup is AVAILABLE", RESTORE_PATIENCE, || {
        Ok(aws(&["describe-backup", "--backup-arn", &arn])?["BackupDescription"]["BackupDetails"]["BackupStatus"]
            == "AVAILABLE")
    })?;
    let listed = aws(&["list-backups", "--table-name", "kept"])?;
    ensure!(listed["BackupSummaries"][0]["BackupArn"] == *arn, "list-backups answers {listed}");
    aws(&["put-item", "--table-name", "kept", "--item", r#"{"Id": {"S": "a"}, "Value": {"N": "2"}}"#])?;
    aws(&[
        "update-continuous-backups",
        "--table-name",
        "kept",
        "--point-in-time-recovery-specification",
        "PointInTimeRecoveryEnabled=true,RecoveryPeriodInDays=7",
    ])?;
    let restored = aws(&["restore-table-from-backup", "--target-table-name", "again", "--backup-arn", &arn])?;
    ensure!(restored["TableDescription"]["TableStatus"] == "CREATING", "{restored}");
    aws(&["wait", "table-exists", "--table-name", "again"])?;
    let item = aws(&["get-item", "--table-name", "again", "--key", r#"{"Id": {"S": "a"}}"#, "--consistent-read"])?;
    ensure!(item["Item"]["Value"]["N"] == "1", "the backup held {item}");
    let past = kube::wait("the past can be restored", RESTORE_PATIENCE, || {
        let answer = aws(&["describe-continuous-backups", "--table-name", "kept"])?;
        let recovery = &answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"];
        ensure!(recovery["RecoveryPeriodInDays"] == 7, "{answer}");
        Ok(!recovery["LatestRestorableDateTime"].is_null())
    })?;
    aws(&[
        "restore-table-to-point-in-time",
        "--source-table-name",
        "kept",
        "--target-table-name",
        "latest",
        "--use-latest-restorable-time",
    ])?;
    aws(&["wait", "table-exists", "--table-name", "latest"])?;
    let item = aws(&["get-item", "--table-name", "latest", "--key", r#"{"Id": {"S": "a"}}"#, "--consistent-read"])?;
    ensure!(item["Item"]["Value"]["N"] == "2", "the latest past held {item}");
    let deleted = aws(&["delete-backup", "--backup-arn", &arn])?;
    ensure!(deleted["BackupDescription"]["BackupDetails"]["BackupStatus"] == "DELETED", "{deleted}");
    let gone = aws(&["describe-backup", "--backup-arn", &arn]);
    ensure!(gone.is_err_and(|error| format!("{error:#}").contains("BackupNotFoundException")), "it is there still");
    let absurd = aws(&[
        "restore-table-to-point-in-time",
        "--source-table-name",
        "kept",
        "--target-table-name",
        "never",
        "--restore-date-time",
        "2001-01-01T00:00:00Z",
    ]);
    ensure!(
        absurd.is_err_and(|error| format!("{error:#}").contains("InvalidRestoreTimeException")),
        "a time before everything is not refused"
    );
    for table in ["kept", "again", "latest"] {
        aws(&["delete-table", "--table-name", table])?;
    }
    Ok(Verdict::Passed(format!("restorable {past:.1?} after it was turned on")))
}

pub(crate) async fn a_wrong_archive_holds_nothing_up_and_says_what_is_wrong(world: &mut World) -> Result<Verdict> {
    let client = world.dynamo()?;
    let Some(bucket) = &world.bucket else { return Ok(Verdict::Skipped(NO_BUCKET)) };
    let group = |archive: &str| {
        format!(
            "apiVersion: cairn.dev/v1alpha1\nkind: StorageGroup\nmetadata: {{name: analytics, namespace: {NAMESPACE}}}\nspec: {{zoneCount: 1, volume: {{size: 1Gi}}, archive: {archive}}}\n"
        )
    };
    let wrong = bucket.spec().replace("s3://tables/", "s3://nowhere/");
    kube::apply(&group(&wrong))?;
    kube::apply(&tables::manifest("events", &format!("{RECOVERY}\n  storageGroup: analytics")))?;
    tables::wait_active("events", Duration::from_secs(60))?;
    tables::wait_exists(&client, "events").await?;
    let item = json!({"TableName": "events", "Item": {"Id": {"S": "a"}}});
    client.insist("PutItem", &item, RESTORE_PATIENCE).await?.ok()?;
    let healthy = || -> Result<Value> {
        let group = kube::get(&["storagegroups", "analytics", "-n", NAMESPACE])?;
        let conditions = group["status"]["conditions"].as_array().context("no conditions")?;
        Ok(conditions.iter().find(|condition| condition["type"] == "ArchiveHealthy").cloned().unwrap_or_default())
    };
    kube::wait("ArchiveHealthy is False and names the bucket", Duration::from_secs(60), || {
        let condition = healthy()?;
        Ok(condition["status"] == "False" && condition["message"].as_str().is_some_and(|m| m.contains("nowhere")))
    })?;
    let refused = client
        .call(
            "RestoreTableToPointInTime",
            &json!({"SourceTableName": "events", "TargetTableName": "never", "UseLatestRestorableTime": true}),
        )
        .await?;
    ensure!(refused.status >= 400, "a restore without a bucket is answered with {refused:?}");
    ensure!(
        kube::get(&["tables.cairn.dev", "never", "-n", NAMESPACE]).is_err(),
        "a refused restore left a Table behind"
    );
    kube::apply(&group(&bucket.spec()))?;
    let mended = kube::wait("ArchiveHealthy is True", Duration::from_secs(120), || Ok(healthy()?["status"] == "True"))?;
    wait_restorable(&client, "events", 0).await?;
    delete_tables(&["events"])?;
    kube::kubectl(&["delete", "storagegroups", "analytics", "-n", NAMESPACE, "--timeout=60s"])?;
    // A group's volumes outlive it.
    for claim in kube::items(&["persistentvolumeclaims", "-n", NAMESPACE])? {
        if kube::name(&claim).starts_with("data-cairn-analytics-") {
            let name = kube::name(&claim);
            kube::kubectl(&["delete", "persistentvolumeclaim", name, "-n", NAMESPACE, "--timeout=60s"])?;
        }
    }
    Ok(Verdict::Passed(format!("healthy {mended:.0?} after it was set right")))
}
