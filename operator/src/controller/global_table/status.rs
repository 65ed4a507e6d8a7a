//! What a GlobalTable's status says of all its regions together, and what has happened since the one before.

use super::{
    numbers,
    standing::{self, Standing, Trouble},
};
use cairn_crds::{
    GlobalTableReplicaStatus, GlobalTableResourceStatus,
    condition::{self, Progress},
};
use cairn_model::region::ReplicaStatus;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::events::EventType;

/// Whether the clocks of the regions agree. Where they do not, writes still reach everywhere: it says nothing of Ready.
pub const CLOCKS_AGREE: &str = "ClocksAgree";
const REGIONS_BYTES_MAX: usize = 1_024;

/// Something to tell of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    pub type_: EventType,
    pub reason: String,
    pub note: String,
}

/// Fills in how the regions stand.
pub fn fill(status: &mut GlobalTableResourceStatus, standings: &[Standing], generation: Option<i64>, now: Timestamp) {
    status.replicas = standings.iter().map(|standing| standing.status.clone()).collect();
    let glance = standings.iter().map(|standing| glance(&standing.status, standing.trouble.as_ref()));
    let glance = glance.collect::<Vec<_>>().join(", ");
    status.regions = (!glance.is_empty()).then(|| condition::bounded(&glance, REGIONS_BYTES_MAX).to_owned());
    let replicas = || status.replicas.iter();
    status.latency = replicas().filter_map(|replica| replica.latency_milliseconds).max().map(numbers::duration);
    status.pending_records = replicas().filter_map(|replica| replica.pending_records).reduce(i64::saturating_add);
    status.last_success = replicas().filter_map(|replica| replica.last_success.clone()).min_by_key(|time| time.0);
    let skews: Vec<_> = standings
        .iter()
        .filter_map(|standing| Some(format!("{}: {}", standing.status.region_name, standing.skew.as_ref()?)))
        .collect();
    let (reason, message) = if skews.is_empty() { ("Agree", String::new()) } else { ("ClockSkew", skews.join("; ")) };
    let now = Time(now);
    condition::set(&mut status.conditions, CLOCKS_AGREE, skews.is_empty(), reason, &message, generation, &now);
}

/// Of a table that is none, or not this resource's, nothing is said of regions.
pub fn clear(status: &mut GlobalTableResourceStatus) {
    let (table_name, conditions) = (status.table_name.take(), std::mem::take(&mut status.conditions));
    *status = GlobalTableResourceStatus { table_name, conditions, ..GlobalTableResourceStatus::default() };
    status.conditions.retain(|condition| condition.type_ != CLOCKS_AGREE);
}

/// How far the regions are together: what needs a person counts before what passes. `others` is what concerns none of them alone.
pub fn progress(others: &[Trouble], standings: &[Standing]) -> Progress {
    let of_regions = standings.iter().filter_map(|standing| {
        standing.trouble.as_ref().map(|trouble| (standing.status.region_name.as_str(), trouble))
    });
    let troubles: Vec<_> = others.iter().map(|trouble| ("", trouble)).chain(of_regions).collect();
    let Some((_, first)) = troubles.iter().min_by_key(|(_, trouble)| trouble.is_passing) else {
        return Progress::Ready;
    };
    let told = |(region, trouble): &(&str, &Trouble)| match *region {
        "" => trouble.message.clone(),
        region => format!("{region}: {}", trouble.message),
    };
    let message = troubles.iter().map(told).collect::<Vec<_>>().join("; ");
    if first.is_passing {
        Progress::reconciling(first.reason, message)
    } else {
        Progress::stalled(first.reason, message)
    }
}

/// What has happened to regions between two statuses.
pub fn news(before: &[GlobalTableReplicaStatus], standings: &[Standing]) -> Vec<News> {
    let mut news = Vec::new();
    for Standing { status, trouble, .. } in standings {
        let region = &status.region_name;
        let before = before.iter().find(|before| before.region_name == *region);
        let status_before = before.and_then(standing::status_of);
        let took_part = matches!(status_before, Some(ReplicaStatus::Active | ReplicaStatus::ReplicationNotAuthorized));
        if !took_part && standing::status_of(status) == Some(ReplicaStatus::Active) {
            let note = format!("{region}: all that it held is here, and what it writes follows");
            news.push(News { type_: EventType::Normal, reason: "RegionJoined".to_owned(), note });
        }
        let reason_before = before.and_then(standing::reason_in);
        match trouble {
            Some(trouble) if reason_before != Some(trouble.reason) => {
                let type_ = if is_on_its_way(trouble) { EventType::Normal } else { EventType::Warning };
                let note = format!("{region}: {}", trouble.message);
                news.push(News { type_, reason: trouble.reason.to_owned(), note });
            }
            None if took_part && reason_before.is_some() => {
                let note = format!("{region}: it replicates again");
                news.push(News { type_: EventType::Normal, reason: "RegionRecovered".to_owned(), note });
            }
            _ => {}
        }
    }
    let is_gone =
        |before: &&GlobalTableReplicaStatus| standings.iter().all(|now| now.status.region_name != before.region_name);
    for before in before.iter().filter(is_gone) {
        let note = format!("{}: it is no region of this table any more", before.region_name);
        news.push(News { type_: EventType::Normal, reason: "RegionLeft".to_owned(), note });
    }
    news
}

/// Whether it only says how far a region is.
fn is_on_its_way(trouble: &Trouble) -> bool {
    ["Joining", "Connecting", "Copying"].contains(&trouble.reason)
}

/// As `north CREATING 40%`, or `west ACTIVE (Unreachable)`.
fn glance(replica: &GlobalTableReplicaStatus, trouble: Option<&Trouble>) -> String {
    let mut text = format!("{} {}", replica.region_name, replica.replica_status);
    if let Some(percent) = &replica.replica_status_percent_progress {
        text += &format!(" {percent}%");
    }
    match trouble.filter(|trouble| !is_on_its_way(trouble)) {
        Some(trouble) => format!("{text} ({})", trouble.reason),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(reason: &'static str, is_passing: bool) -> Trouble {
        Trouble { reason, message: format!("{reason} is told"), is_passing }
    }

    fn standing(region: &str, replica_status: &str, trouble: Option<Trouble>) -> Standing {
        let status = GlobalTableReplicaStatus {
            region_name: region.into(),
            replica_status: replica_status.into(),
            replica_status_description: trouble.as_ref().map(|t| format!("{}: {}", t.reason, t.message)),
            latency_milliseconds: Some(i64::try_from(region.len()).unwrap() * 100),
            pending_records: Some(5),
            ..GlobalTableReplicaStatus::default()
        };
        Standing { status, trouble, skew: None }
    }

    fn of(standings: &[Standing]) -> GlobalTableResourceStatus {
        let mut status = GlobalTableResourceStatus::default();
        fill(&mut status, standings, Some(1), Timestamp::UNIX_EPOCH);
        status
    }

    #[test]
    fn all_regions_are_told_at_a_glance() {
        let mut copying = standing("north", "CREATING", Some(trouble("Copying", true)));
        copying.status.replica_status_percent_progress = Some("40".into());
        let status = of(&[standing("west", "ACTIVE", None), copying]);
        assert_eq!(status.regions.as_deref(), Some("west ACTIVE, north CREATING 40%"));
        assert_eq!((status.latency.as_deref(), status.pending_records), (Some("500ms"), Some(10)));
        let away = of(&[standing("west", "ACTIVE", Some(trouble("Unreachable", true)))]);
        assert_eq!(away.regions.as_deref(), Some("west ACTIVE (Unreachable)"));
        assert_eq!(of(&[]).regions, None);
    }

    #[test]
    fn what_needs_a_person_counts_before_what_passes() {
        let away = standing("west", "ACTIVE", Some(trouble("Unreachable", true)));
        assert!(matches!(progress(&[], std::slice::from_ref(&away)), Progress::Reconciling { .. }));
        let flawed = standing("north", "CREATING", Some(trouble("PeerMissing", false)));
        let stalled = progress(&[], &[away, flawed]);
        let expected = "west: Unreachable is told; north: PeerMissing is told";
        assert_eq!(stalled, Progress::stalled("PeerMissing", expected));
        assert_eq!(progress(&[], &[standing("west", "ACTIVE", None)]), Progress::Ready);
        let others = [trouble("OwnRegion", false)];
        assert_eq!(progress(&others, &[]), Progress::stalled("OwnRegion", "OwnRegion is told"));
    }

    #[test]
    fn skewed_clocks_are_told_and_ready_stays() {
        let skewed = Standing { skew: Some("it is 2 min ahead".into()), ..standing("west", "ACTIVE", None) };
        let status = of(std::slice::from_ref(&skewed));
        let clocks = &status.conditions[0];
        assert_eq!((clocks.status.as_str(), clocks.reason.as_str()), ("False", "ClockSkew"));
        assert_eq!(clocks.message, "west: it is 2 min ahead");
        assert_eq!(progress(&[], &[skewed]), Progress::Ready);
    }

    #[test]
    fn what_happens_to_a_region_is_told_once() {
        let reasons = |before: &[Standing], now: &[Standing]| {
            let before: Vec<_> = before.iter().map(|standing| standing.status.clone()).collect();
            news(&before, now).into_iter().map(|news| news.reason).collect::<Vec<_>>()
        };
        let (creating, active) =
            (standing("west", "CREATING", Some(trouble("Copying", true))), standing("west", "ACTIVE", None));
        let away = standing("west", "ACTIVE", Some(trouble("Unreachable", true)));
        let one = std::slice::from_ref;
        assert_eq!(reasons(&[], one(&creating)), ["Copying"]);
        assert_eq!(reasons(one(&creating), one(&active)), ["RegionJoined"]);
        assert_eq!(reasons(one(&active), one(&away)), ["Unreachable"]);
        assert_eq!(reasons(one(&away), one(&away)), [""; 0]);
        assert_eq!(reasons(one(&away), one(&active)), ["RegionRecovered"]);
        assert_eq!(reasons(one(&active), &[]), ["RegionLeft"]);
    }
}
