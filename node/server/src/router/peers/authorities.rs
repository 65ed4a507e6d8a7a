//! Whom the tables' definitions let in: by the authority of their certificates at the door, and then, call by call, by the
//! one that the very table has for the caller's region.

use super::any_of::{AnyOf, Bundle, key_ids};
use crate::{
    environment::wall_ms,
    regions::message::RegionRefusal,
    router::routes::{KnownTable, Routes},
    tls::{Shown, roots_of},
};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::{
    RootCertStore,
    pki_types::UnixTime,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

#[derive(Debug)]
pub(super) struct Authorities {
    routes: Arc<ArcSwap<Routes>>,
    known: Mutex<Known>,
}

/// As of one map of the fleet.
#[derive(Debug, Default)]
struct Known {
    of: Option<Arc<Routes>>,
    pems: BTreeSet<String>,
    /// Of those that can be read.
    each: HashMap<String, Arc<dyn ClientCertVerifier>>,
    /// Lets in whoever has a certificate of any of them.
    door: Arc<AnyOf>,
}

impl Authorities {
    pub(super) fn new(routes: Arc<ArcSwap<Routes>>) -> Self {
        Self { routes, known: Mutex::default() }
    }

    /// For the handshake.
    pub(super) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        self.with_known(self.routes.load_full(), |known| known.door.clone())
    }

    /// The table, if it lists the caller. To one that no table of the account knows, nothing is told of any.
    pub(super) fn authorise(&self, caller: &Shown, account: &str, name: &str) -> Result<KnownTable, RegionRefusal> {
        let routes = self.routes.load_full();
        let identity = &caller.identity;
        let of_account: Vec<&KnownTable> =
            routes.tables().filter(|table| table.definition.account == account).collect();
        let mut cas: BTreeSet<&str> = of_account.iter().filter_map(|table| ca_of(table, &identity.region)).collect();
        cas.retain(|ca| self.is_of(&routes, caller, ca));
        if identity.namespace != account || cas.is_empty() {
            return Err(RegionRefusal::Untrusted);
        }
        let named = of_account.into_iter().filter(|table| table.definition.table_name == name);
        // One that is made anew may be there beside the one before it.
        let table = named.max_by_key(|table| table.definition.creation_time_ms).ok_or(RegionRefusal::TableMissing)?;
        match ca_of(table, &identity.region) {
            None => Err(RegionRefusal::NotListed),
            Some(ca) if !cas.contains(ca) => Err(RegionRefusal::Untrusted),
            Some(_) => Ok(table.clone()),
        }
    }

    /// Whether the caller's certificate is of this authority now.
    fn is_of(&self, routes: &Arc<Routes>, caller: &Shown, ca: &str) -> bool {
        let verifier = self.with_known(routes.clone(), |known| known.each.get(ca).cloned());
        let (Some(verifier), Some((own, others))) = (verifier, caller.chain.split_first()) else { return false };
        let now = UnixTime::since_unix_epoch(Duration::from_millis(wall_ms()));
        verifier.verify_client_cert(own, others, now).is_ok()
    }

    fn with_known<T>(&self, routes: Arc<Routes>, take: impl FnOnce(&Known) -> T) -> T {
        let mut known = self.known.lock();
        if known.of.as_ref().is_none_or(|of| !Arc::ptr_eq(of, &routes)) {
            known.renew(routes);
        }
        take(&known)
    }
}

/// The authority of a region's certificates, if the table lists the region.
fn ca_of<'a>(table: &'a KnownTable, region: &str) -> Option<&'a str> {
    let replicas = table.definition.replicas.as_ref()?;
    let peer = replicas.peers.get(region).filter(|_| region != replicas.region && replicas.members.contains(region));
    peer.map(|peer| peer.ca.as_str())
}

impl Known {
    fn renew(&mut self, routes: Arc<Routes>) {
        let replicas = routes.tables().filter_map(|table| table.definition.replicas.as_ref());
        let pems: BTreeSet<String> =
            replicas.flat_map(|replicas| replicas.peers.values().map(|peer| peer.ca.clone())).collect();
        if pems != self.pems {
            *self = Self::of(pems);
        }
        self.of = Some(routes);
    }

    fn of(pems: BTreeSet<String>) -> Self {
        let mut door = AnyOf::default();
        let mut each = HashMap::new();
        for pem in &pems {
            match roots_of(pem).and_then(|roots| Ok((key_ids(pem), verifier_of(roots)?))) {
                Ok((key_ids, verifier)) => {
                    door.0.push(Bundle { key_ids, verifier: verifier.clone() });
                    each.insert(pem.clone(), verifier);
                }
                // The storage nodes that are to use it tell it too, where it is seen.
                Err(why) => tracing::warn!(why, "the authority of a peer can't be read; it lets nobody in"),
            }
        }
        Self { of: None, pems, each, door: Arc::new(door) }
    }
}

fn verifier_of(roots: RootCertStore) -> Result<Arc<dyn ClientCertVerifier>, String> {
    // Who is let in is nobody's business who is not.
    let builder = WebPkiClientVerifier::builder(Arc::new(roots)).clear_root_hint_subjects();
    builder.build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
