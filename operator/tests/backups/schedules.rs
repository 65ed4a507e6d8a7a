//! Backups by the clock.

use crate::{
    scene::Scene,
    support::{api_server::ApiServer, wait},
};
use cairn_crds::{Backup, SCHEDULED_BY_LABEL, ScheduledBackup};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

impl Scene {
    async fn schedule(&self, name: &str, spec: Value) -> Api<ScheduledBackup> {
        let schedules = self.world.api::<ScheduledBackup>();
        let scheduled = json!({"apiVersion": "cairn.dev/v1alpha1", "kind": "ScheduledBackup",
            "metadata": {"name": name}, "spec": spec});
        schedules.create(&PostParams::default(), &serde_json::from_value(scheduled).unwrap()).await.unwrap();
        schedules
    }

    /// Lets an hour pass for a schedule of every hour; answers with what it made then.
    async fn hour(&self, schedules: &Api<ScheduledBackup>, name: &str) -> String {
        let last = || async { schedules.get(name).await.unwrap().status.unwrap_or_default().last_backup_name };
        let before = last().await;
        self.pass::<ScheduledBackup>(name, 3600).await;
        wait("the schedule to make a backup", || async { last().await.filter(|now| before.as_ref() != Some(now)) })
            .await
    }

    async fn names(&self) -> Vec<String> {
        let backups = self.world.api::<Backup>().list(&ListParams::default()).await.unwrap();
        backups.iter().map(ResourceExt::name_any).collect()
    }
}

pub(crate) async fn a_schedule_makes_backups_and_keeps_some(server: &ApiServer) {
    let scene = Scene::new(server, "scheduled").await;
    let spec = json!({"tableName": "users", "schedule": "@hourly", "keep": 2, "retainDays": 30});
    let schedules = scene.schedule("hourly", spec).await;
    let next = wait("the next time", || async { schedules.get("hourly").await.unwrap().status?.next_schedule_time });
    next.await;
    let mut made = Vec::new();
    for _ in 0..3 {
        let name = scene.hour(&schedules, "hourly").await;
        scene.wait_reason(&name, "Ready").await;
        made.push(name);
    }
    scene.wait_gone(&made[0]).await;
    assert_eq!(scene.names().await, made[1..]);
    assert_eq!(scene.bucket().backups.len(), 2, "the objects go with the resource");
    let backup = scene.world.api::<Backup>().get(&made[2]).await.unwrap();
    assert_eq!((backup.labels()[SCHEDULED_BY_LABEL].as_str(), backup.spec.retain_days), ("hourly", Some(30)));
    let status = schedules.get("hourly").await.unwrap().status.unwrap();
    let last = status.last_schedule_time.unwrap().0;
    assert_eq!(made[2], format!("hourly-{}", last.strftime("%Y%m%d%H%M")));
    assert!(status.next_schedule_time.unwrap().0 > last);

    let suspend = json!({"spec": {"suspend": true}});
    schedules.patch("hourly", &PatchParams::default(), &Patch::Merge(&suspend)).await.unwrap();
    wait("the schedule to be suspended", || async {
        schedules.get("hourly").await.unwrap().status.unwrap().next_schedule_time.is_none().then_some(())
    })
    .await;
    scene.pass::<ScheduledBackup>("hourly", 7200).await;
    schedules.delete("hourly", &DeleteParams::default()).await.unwrap();
    assert_eq!(scene.names().await, made[1..], "backups outlive their schedule");
}

pub(crate) async fn a_schedule_waits_for_the_backup_before(server: &ApiServer) {
    let scene = Scene::new(server, "holding").await;
    scene.bucket().bytes_done = Some(1);
    let spec = json!({"tableName": "users", "schedule": "@hourly", "keep": 2});
    let schedules = scene.schedule("hourly", spec).await;
    wait("the next time", || async { schedules.get("hourly").await.unwrap().status?.next_schedule_time }).await;
    let first = scene.hour(&schedules, "hourly").await;
    scene.wait_status(&first, |status| status.progress.is_some()).await;
    scene.pass::<ScheduledBackup>("hourly", 3600).await;
    wait("the schedule to say so", || async {
        let status = schedules.get("hourly").await.unwrap().status.unwrap();
        status.conditions.into_iter().find(|c| c.reason == "BackupUnfinished" && c.message.contains(&first))
    })
    .await;
    assert_eq!(scene.names().await, std::slice::from_ref(&first));
    scene.bucket().bytes_done = None;
    scene.wait_reason(&first, "Ready").await;
    assert_ne!(scene.hour(&schedules, "hourly").await, first);
}

pub(crate) async fn a_schedule_counts_a_backup_that_is_there_already(server: &ApiServer) {
    let scene = Scene::new(server, "again").await;
    scene.bucket().bytes_done = Some(1);
    let spec = json!({"tableName": "users", "schedule": "@hourly", "keep": 2});
    let schedules = scene.schedule("hourly", spec).await;
    let next = wait("the next time", || async { schedules.get("hourly").await.unwrap().status?.next_schedule_time });
    let name = format!("hourly-{}", next.await.0.strftime("%Y%m%d%H%M"));
    scene.create(&name, json!({"tableName": "users"})).await;
    let label = json!({"metadata": {"labels": {SCHEDULED_BY_LABEL: "hourly"}}});
    scene.world.api::<Backup>().patch(&name, &PatchParams::default(), &Patch::Merge(&label)).await.unwrap();
    assert_eq!(scene.hour(&schedules, "hourly").await, name);
    let conditions = schedules.get("hourly").await.unwrap().status.unwrap().conditions;
    assert!(conditions.iter().all(|condition| condition.reason != "BackupUnfinished"), "{conditions:?}");
}

pub(crate) async fn a_schedule_that_can_not_be_understood_says_so(server: &ApiServer) {
    let scene = Scene::new(server, "invalid").await;
    let spec = json!({"tableName": "users", "schedule": "0 3 * * *", "timeZone": "Europe/Atlantis", "keep": 7});
    let schedules = scene.schedule("nightly", spec).await;
    let told = wait("the schedule to be refused", || async {
        let status = schedules.get("nightly").await.unwrap().status.unwrap_or_default();
        status.conditions.into_iter().find(|c| c.type_ == "Ready" && c.reason == "InvalidSchedule")
    });
    assert!(told.await.message.contains("spec.timeZone"));
    let refused = json!({"spec": {"schedule": "now and then"}});
    assert!(schedules.patch("nightly", &PatchParams::default(), &Patch::Merge(&refused)).await.is_err());
}
