//! Leader election by a Lease: one operator acts at a time.
//!
//! As client-go does it: a lease is taken when its record has not changed for its whole duration on our own clock, so
//! that clocks need not agree; and the holder ends itself when it can't renew in time.

use crate::error::{Error, Result, While};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use std::time::Duration;

const LEASE_DURATION: Duration = Duration::from_secs(15);
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// One contender for the lease.
#[derive(Clone, Debug)]
pub struct Contender {
    api: Api<Lease>,
    name: String,
    identity: String,
}

impl Contender {
    /// The identity must be one process's own: a pod's name with something random behind it.
    pub fn new(client: Client, namespace: &str, name: String, identity: String) -> Self {
        Self { api: Api::namespaced(client, namespace), name, identity }
    }

    /// Waits until the lease is ours.
    pub async fn acquire(&self) {
        let mut seen: Option<(Option<String>, Timestamp)> = None;
        loop {
            match self.try_acquire(&mut seen).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::warn!(error = %crate::error::chain(&error), "failed to take the lease"),
            }
            tokio::time::sleep(RETRY_PERIOD).await;
        }
    }

    /// Renews the lease until that fails for too long; ends with the error that it is lost.
    pub async fn hold(&self) -> Error {
        let lost = || Error::LeaseLost { lease: self.name.clone() };
        loop {
            tokio::time::sleep(RETRY_PERIOD).await;
            let renewed = tokio::time::timeout(RENEW_DEADLINE, async {
                loop {
                    match self.renew().await {
                        Ok(held) => return held,
                        Err(error) => tracing::warn!(error = %crate::error::chain(&error), "failed to renew the lease"),
                    }
                    tokio::time::sleep(RETRY_PERIOD).await;
                }
            });
            if !renewed.await.unwrap_or(false) {
                return lost();
            }
        }
    }

    /// Gives the lease up, so that the next operator need not wait for its end.
    pub async fn release(&self) -> Result<()> {
        let mut lease = self.get().await?;
        if self.holds(&lease) {
            let spec = lease.spec.get_or_insert_default();
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            self.replace(&lease).await?;
        }
        Ok(())
    }

    async fn try_acquire(&self, seen: &mut Option<(Option<String>, Timestamp)>) -> Result<bool> {
        let now = Timestamp::now();
        let mut lease = match self.get().await {
            Ok(lease) => lease,
            Err(error) if error.is_not_found() => {
                let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
                let lease = Lease { metadata, spec: Some(self.record(None, now)) };
                self.api
                    .create(&PostParams::default(), &lease)
                    .await
                    .while_doing(|| format!("create the lease {}", self.name))?;
                return Ok(true);
            }
            Err(error) => return Err(error),
        };
        let version = lease.metadata.resource_version.clone();
        match seen {
            Some((last, _)) if *last == version => {}
            _ => *seen = Some((version, now)),
        }
        let spec = lease.spec.clone().unwrap_or_default();
        let is_free = spec.holder_identity.as_deref().is_none_or(str::is_empty);
        let duration = spec.lease_duration_seconds.map_or(15, i64::from);
        let is_over =
            seen.as_ref().is_some_and(|(_, since)| now.duration_since(*since) > SignedDuration::from_secs(duration));
        if !is_free && !is_over && !self.holds(&lease) {
            return Ok(false);
        }
        lease.spec = Some(self.record(Some(&spec), now));
        match self.replace(&lease).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn renew(&self) -> Result<bool> {
        let mut lease = self.get().await?;
        if !self.holds(&lease) {
            return Ok(false);
        }
        let spec = lease.spec.get_or_insert_default();
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        self.replace(&lease).await?;
        Ok(true)
    }

    fn record(&self, previous: Option<&LeaseSpec>, now: Timestamp) -> LeaseSpec {
        let transitions = previous.and_then(|spec| spec.lease_transitions).map_or(0, |count| count + 1);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
            acquire_time: Some(MicroTime(now)),
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }

    fn holds(&self, lease: &Lease) -> bool {
        lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_ref()) == Some(&self.identity)
    }

    async fn get(&self) -> Result<Lease> {
        self.api.get(&self.name).await.while_doing(|| format!("read the lease {}", self.name))
    }

    async fn replace(&self, lease: &Lease) -> Result<()> {
        let replaced = self.api.replace(&self.name, &PostParams::default(), lease).await;
        replaced.while_doing(|| format!("write the lease {}", self.name)).map(drop)
    }
}
