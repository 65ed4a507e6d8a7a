//! Signing keys, derived once a day for each access key.

use super::authorization::Scope;
use crate::AccessKey;
use aws_lc_rs::hmac;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

/// Access keys in use at once, beyond which the cache starts over.
const CACHED_KEYS_MAX: usize = 4_096;

/// Derived keys by access key id: one of each, so that a new day or a changed secret takes the old one's place.
#[derive(Default)]
pub(super) struct SigningKeys(RwLock<HashMap<String, Arc<Derived>>>);

pub(super) struct Derived {
    date: String,
    access_key: Arc<AccessKey>,
    pub(super) key: hmac::Key,
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKeys")
    }
}

impl SigningKeys {
    /// The scope's region, service and terminator have been checked to be the only ones there are.
    pub(super) fn get(&self, key_id: &str, access_key: &Arc<AccessKey>, scope: &Scope<'_>) -> Arc<Derived> {
        if let Some(derived) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(key_id)
            && derived.date == scope.date
            && same(&derived.access_key, access_key)
        {
            return derived.clone();
        }
        let key = derive(&access_key.secret, scope);
        let derived = Arc::new(Derived { date: scope.date.to_owned(), access_key: access_key.clone(), key });
        let mut cache = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHED_KEYS_MAX && !cache.contains_key(key_id) {
            cache.clear();
        }
        cache.insert(key_id.to_owned(), derived.clone());
        derived
    }
}

fn same(one: &Arc<AccessKey>, other: &Arc<AccessKey>) -> bool {
    Arc::ptr_eq(one, other) || one.secret == other.secret
}

fn derive(secret: &str, scope: &Scope<'_>) -> hmac::Key {
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{secret}").as_bytes());
    for element in [scope.date, scope.region, scope.service, scope.terminator] {
        key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, element.as_bytes()).as_ref());
    }
    key
}
