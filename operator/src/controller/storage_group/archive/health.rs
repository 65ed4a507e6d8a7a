//! How a group's archives are, from what each of them said.

use super::{
    Finding, HEALTHY,
    asking::{Answer, Said},
};
use crate::build;
use std::collections::BTreeMap;

/// How many pods, and how many texts, a message has.
const TOLD_MAX: usize = 5;
const TEXT_CHARACTERS_MAX: usize = 500;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Shipping,
    /// Which pods' archives can't use the bucket, and why.
    Unreachable(String),
    /// Which pods' archives do not answer.
    Silent(String),
}

impl Health {
    /// None while it is not known: where no archive answered, or one has been silent, but not for long enough to be told.
    pub(super) fn of(said: &[Said], is_told: impl Fn(&str) -> bool) -> Option<Self> {
        let mut unreachable = BTreeMap::<&str, Vec<&str>>::new();
        let mut silent = BTreeMap::<&str, Vec<&str>>::new();
        let (mut some_ship, mut some_wait) = (false, false);
        for Said { pod, answer } in said {
            match answer {
                Answer::Ships => some_ship = true,
                Answer::Unreachable(text) => unreachable.entry(text).or_default().push(pod),
                Answer::Silent(text) if is_told(pod) => silent.entry(text).or_default().push(pod),
                Answer::Silent(_) => some_wait = true,
            }
        }
        if !unreachable.is_empty() {
            let told = told(&unreachable, |pods, text| format!("{pods}: {text}{}", setting(text)));
            return Some(Self::Unreachable(told));
        }
        if !silent.is_empty() {
            let told = told(&silent, |pods, text| format!("{pods}: {text}"));
            let container = build::archive::CONTAINER;
            return Some(Self::Silent(format!(
                "no archive answers in {told} (see the log of the container {container})"
            )));
        }
        (some_ship && !some_wait).then_some(Self::Shipping)
    }

    pub(super) fn finding(self) -> Finding {
        let is_well = self == Self::Shipping;
        let (reason, message) = match self {
            Self::Shipping => ("Shipping", "the archives reach the bucket".to_owned()),
            Self::Unreachable(message) => ("ArchiveUnreachable", message),
            Self::Silent(message) => ("ArchiveSilent", message),
        };
        Finding { type_: HEALTHY, is_true: is_well, is_well, reason, message }
    }
}

/// The texts, each with the pods that it comes from.
fn told(texts: &BTreeMap<&str, Vec<&str>>, say: impl Fn(&str, &str) -> String) -> String {
    let say = |(text, pods): (&&str, &Vec<&str>)| {
        let mut names = pods.iter().take(TOLD_MAX).copied().collect::<Vec<_>>().join(", ");
        if let more @ 1.. = pods.len().saturating_sub(TOLD_MAX) {
            names = format!("{names} and {more} more");
        }
        say(&names, &text.chars().take(TEXT_CHARACTERS_MAX).collect::<String>())
    };
    texts.iter().take(TOLD_MAX).map(say).collect::<Vec<_>>().join("; ")
}

/// The field of the spec that a text is about. An archive names what it was given: `failed to open the archive: ca_file: …`.
fn setting(text: &str) -> String {
    if text.contains("spec.archive") {
        return String::new();
    }
    let given = text.split_once("the archive: ").and_then(|(_, rest)| rest.split_once(':'));
    let field = match given.map(|(given, _)| given) {
        Some("url") => ".url",
        Some("endpoint") => ".endpoint",
        Some("region") => ".region",
        Some("path_style") => ".pathStyle",
        Some("ca_file") => ".ca",
        Some("access_key_id" | "secret_access_key") => ".credentialsSecret",
        _ => "",
    };
    format!(" (see spec.archive{field})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said<const N: usize>(answers: [Answer; N]) -> Vec<Said> {
        let pods = (0..N).map(|number| format!("pod-{number}"));
        pods.zip(answers).map(|(pod, answer)| Said { pod, answer }).collect()
    }

    fn silent() -> Answer {
        Answer::Silent("failed to connect".to_owned())
    }

    fn unreachable(field: &str) -> Answer {
        Answer::Unreachable(format!("failed to open the archive: {field}: it does not work"))
    }

    #[test]
    fn archives_that_all_reach_the_bucket_are_healthy() {
        let health = Health::of(&said([Answer::Ships, Answer::Ships]), |_| true);
        assert_eq!(health, Some(Health::Shipping));
    }

    #[test]
    fn one_that_can_not_use_the_bucket_is_told_with_the_setting() {
        let said = said([Answer::Ships, unreachable("access_key_id"), silent()]);
        let finding = Health::of(&said, |_| true).unwrap().finding();
        assert_eq!((finding.is_true, finding.reason), (false, "ArchiveUnreachable"));
        assert!(finding.message.starts_with("pod-1: failed to open"), "{}", finding.message);
        assert!(finding.message.ends_with("(see spec.archive.credentialsSecret)"), "{}", finding.message);
    }

    #[test]
    fn each_setting_of_an_archive_has_its_field() {
        for (given, field) in [("ca_file", "ca"), ("endpoint", "endpoint"), ("path_style", "pathStyle"), ("url", "url")]
        {
            let Answer::Unreachable(text) = unreachable(given) else { continue };
            assert_eq!(setting(&text), format!(" (see spec.archive.{field})"));
        }
        assert_eq!(setting("the disk is full"), " (see spec.archive)");
        assert_eq!(setting("spec.archive.ca names no certificate"), "");
    }

    #[test]
    fn many_pods_with_one_trouble_are_one_text() {
        let said = said(std::array::from_fn::<_, 8, _>(|_| unreachable("endpoint")));
        let Some(Health::Unreachable(message)) = Health::of(&said, |_| true) else { panic!() };
        assert_eq!(message.matches("it does not work").count(), 1);
        assert!(message.contains("pod-4 and 3 more"), "{message}");
    }

    #[test]
    fn one_that_is_silent_is_told_only_when_it_has_been_for_long() {
        let said = said([Answer::Ships, silent()]);
        assert_eq!(Health::of(&said, |_| false), None);
        let finding = Health::of(&said, |_| true).unwrap().finding();
        assert_eq!((finding.is_true, finding.reason), (false, "ArchiveSilent"));
        assert!(finding.message.contains("pod-1: failed to connect"), "{}", finding.message);
    }

    #[test]
    fn nothing_is_said_of_archives_that_do_not_run_yet() {
        assert_eq!(Health::of(&[], |_| true), None);
    }
}
