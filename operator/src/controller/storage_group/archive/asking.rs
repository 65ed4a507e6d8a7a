//! Asking the archives of a group: not often, and not for long.

use crate::controller::storage_group::members::ExpectedNode;
use crate::{build, context::Context, error};
use cairn_crds::StorageGroup;
use cairn_model::archive::{ArchiveAnswer, ArchiveCall};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

const ASK_PERIOD: SignedDuration = SignedDuration::from_secs(10);
/// How long a reconcile waits for them.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// An archive starts while its node does, and may restart alone: only one that is silent for longer is told of.
const SILENCE_MAX: SignedDuration = SignedDuration::from_secs(30);

/// A group, by namespace and name.
pub(super) type Key = (String, String);

pub(super) fn key(group: &StorageGroup) -> Key {
    (group.namespace().unwrap_or_default(), group.name_any())
}

/// What the archive in a pod answered.
#[derive(Clone, Debug)]
pub struct Said {
    pub(super) pod: String,
    pub(super) answer: Answer,
}

#[derive(Clone, Debug)]
pub(super) enum Answer {
    Ships,
    /// Why the bucket can't be used.
    Unreachable(String),
    /// Why there is no answer.
    Silent(String),
}

/// When it was last written down what the archives of each group said, and since when those are silent that did not answer.
#[derive(Debug, Default)]
pub struct Archives(Mutex<HashMap<Key, Asked>>);

#[derive(Debug, Default)]
struct Asked {
    at: Option<Timestamp>,
    /// Of the spec under which they were asked.
    generation: Option<i64>,
    silent_since: BTreeMap<String, Timestamp>,
}

impl Archives {
    /// Whether it is time to ask: after a while, and at once when the spec changed, or what they said was not written down.
    fn is_due(&self, group: &StorageGroup, now: Timestamp) -> bool {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = groups.entry(key(group)).or_default();
        let is_changed = asked.generation != group.metadata.generation;
        is_changed || asked.at.is_none_or(|at| now.duration_since(at) >= ASK_PERIOD)
    }

    /// What the archives said at this time is in the group's status.
    pub fn written(&self, group: &StorageGroup, at: Timestamp) {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = groups.entry(key(group)).or_default();
        (asked.at, asked.generation) = (Some(at), group.metadata.generation);
    }

    /// The pods whose archives have been silent for too long by now.
    pub(super) fn overdue(&self, group: &Key, said: &[Said], now: Timestamp) -> BTreeSet<String> {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = groups.entry(group.clone()).or_default();
        let silent = said.iter().filter(|said| matches!(said.answer, Answer::Silent(_)));
        let since = |said: &Said| asked.silent_since.get(&said.pod).copied().unwrap_or(now);
        asked.silent_since = silent.map(|said| (said.pod.clone(), since(said))).collect();
        let overdue = asked.silent_since.iter().filter(|(_, since)| now.duration_since(**since) >= SILENCE_MAX);
        overdue.map(|(pod, _)| pod.clone()).collect()
    }

    pub(super) fn forget(&self, group: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(group);
    }

    /// Forgets, and gives, the groups that are not among those there are.
    pub fn forget_others(&self, present: &BTreeSet<Key>) -> Vec<Key> {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        groups.extract_if(|group, _| !present.contains(group)).map(|(group, _)| group).collect()
    }
}

/// Asks the archives of the group's pods, if it is time to.
pub async fn ask(ctx: &Context, group: &StorageGroup, expected: &[ExpectedNode], pods: &[Pod]) -> Option<Vec<Said>> {
    let runs = |node: &&ExpectedNode| pods.iter().any(|pod| pod.name_any() == node.pod_name && runs_archive(pod));
    let running: Vec<_> = expected.iter().filter(runs).collect();
    if group.spec.archive.is_none() || running.is_empty() || !ctx.group_archives.is_due(group, ctx.now()) {
        return None;
    }
    let asked = running.into_iter().map(|node| async {
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, ctx.reports.archive(&node.target, &ArchiveCall::Report));
        let answer = match answer.await {
            Ok(Ok(ArchiveAnswer::Report(report))) => report.unreachable.map_or(Answer::Ships, Answer::Unreachable),
            Ok(Ok(ArchiveAnswer::Refused { message, .. })) => Answer::Unreachable(message),
            Ok(Ok(_)) => Answer::Silent("it answered something else than what it was asked".to_owned()),
            Ok(Err(failed)) => Answer::Silent(error::chain(&failed)),
            Err(_) => Answer::Silent(format!("it did not answer within {} s", ANSWER_TIMEOUT.as_secs())),
        };
        Said { pod: node.pod_name.clone(), answer }
    });
    Some(join_all(asked).await)
}

/// A pod from before the group had an archive has none.
fn runs_archive(pod: &Pod) -> bool {
    let containers = pod.spec.as_ref().and_then(|spec| spec.init_containers.as_ref());
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    phase == Some("Running") && containers.is_some_and(|all| all.iter().any(|c| c.name == build::archive::CONTAINER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::fixture;

    fn group(generation: i64) -> StorageGroup {
        let mut group = StorageGroup::new("default", fixture::spec());
        group.metadata.generation = Some(generation);
        group
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn archives_are_asked_every_ten_seconds_and_at_once_when_the_spec_changed() {
        let archives = Archives::default();
        assert!(archives.is_due(&group(1), at(0)));
        archives.written(&group(1), at(0));
        assert!(!archives.is_due(&group(1), at(9)));
        assert!(archives.is_due(&group(2), at(9)));
        archives.written(&group(2), at(9));
        assert!(!archives.is_due(&group(2), at(18)));
        assert!(archives.is_due(&group(2), at(19)));
    }

    #[test]
    fn archives_are_asked_again_at_once_while_what_they_said_is_not_written_down() {
        let archives = Archives::default();
        assert!(archives.is_due(&group(1), at(0)) && archives.is_due(&group(1), at(0)));
        archives.written(&group(1), at(0));
        assert!(archives.is_due(&group(1), at(10)) && archives.is_due(&group(1), at(10)));
    }

    #[test]
    fn an_archive_is_overdue_when_it_never_answered_for_thirty_seconds() {
        let (archives, group) = (Archives::default(), key(&group(1)));
        let said = |answer: Answer| vec![Said { pod: "pod".to_owned(), answer }];
        let silent = || said(Answer::Silent("gone".to_owned()));
        assert!(archives.overdue(&group, &silent(), at(0)).is_empty());
        assert!(archives.overdue(&group, &silent(), at(29)).is_empty());
        assert!(archives.overdue(&group, &silent(), at(30)).contains("pod"));
        assert!(archives.overdue(&group, &said(Answer::Ships), at(40)).is_empty());
        assert!(archives.overdue(&group, &silent(), at(50)).is_empty());
    }

    #[test]
    fn a_group_that_is_gone_is_forgotten() {
        let archives = Archives::default();
        archives.written(&group(1), at(0));
        assert!(archives.forget_others(&[key(&group(1))].into()).is_empty());
        assert_eq!(archives.forget_others(&BTreeSet::new()), [key(&group(1))]);
        assert!(archives.is_due(&group(1), at(1)));
    }
}
