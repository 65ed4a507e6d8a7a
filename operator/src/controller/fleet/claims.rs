//! Access keys: which labelled Secrets make one, and whose an id is. The first namespace to claim an id keeps it.

use crate::build::fleet_secret::AccessKey;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use std::{collections::BTreeMap, sync::Arc};

const ID: &str = "accessKeyId";
const SECRET: &str = "secretAccessKey";
/// As the API reference of IAM has it: 16 to 128 word characters.
const ID_LENGTH: std::ops::RangeInclusive<usize> = 16..=128;
const SECRET_LENGTH_MAX: usize = 1024;

/// The access keys there are, and the Secrets that make none, with what to change.
#[derive(Debug, Default)]
pub struct Claims {
    pub keys: Vec<AccessKey>,
    pub refused: Vec<(Arc<Secret>, String)>,
}

/// Decides among all labelled Secrets. `held` is what the routers have: the account that has an id there keeps it, as long as it claims it.
pub fn settle(secrets: &[Arc<Secret>], held: &[AccessKey]) -> Claims {
    let mut claims = Claims::default();
    let mut by_id: BTreeMap<String, Vec<(AccessKey, &Arc<Secret>)>> = BTreeMap::new();
    for secret in secrets {
        match access_key(secret) {
            Ok(key) => by_id.entry(key.access_key_id.clone()).or_default().push((key, secret)),
            Err(problem) => claims.refused.push((Arc::clone(secret), problem)),
        }
    }
    for (id, mut claimants) in by_id {
        let holder = held.iter().find(|key| key.access_key_id == id).map(|key| key.account.as_str());
        claimants.sort_by_cached_key(|(key, secret)| {
            let since = secret.creation_timestamp().map(|time| time.0);
            (holder != Some(key.account.as_str()), since, key.account.clone(), secret.name_any())
        });
        let mut claimants = claimants.into_iter();
        let Some((key, _)) = claimants.next() else { continue };
        // Whose it is stays untold: another account is none of theirs.
        let problem = format!("the access key id {id} is claimed already: choose another");
        claims.refused.extend(claimants.map(|(_, secret)| (Arc::clone(secret), problem.clone())));
        claims.keys.push(key);
    }
    claims
}

fn access_key(secret: &Secret) -> Result<AccessKey, String> {
    let data = secret.data.as_ref();
    if let Some(unknown) = data.iter().flat_map(|data| data.keys()).find(|key| *key != ID && *key != SECRET) {
        return Err(if unknown == "policy" {
            "this version of Cairn does not understand `policy`: a key that must not do everything is not let in"
                .to_owned()
        } else {
            format!("`{unknown}` is not understood: a Secret with an access key has {ID} and {SECRET} and nothing else")
        });
    }
    let text = |key: &str| {
        let bytes = data.and_then(|data| data.get(key)).ok_or_else(|| format!("`{key}` is missing"))?;
        String::from_utf8(bytes.0.clone()).map_err(|_| format!("`{key}` is not text"))
    };
    let (id, secret_key) = (text(ID)?, text(SECRET)?);
    if !ID_LENGTH.contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(format!("`{ID}` must have 16 to 128 letters and digits"));
    }
    if secret_key.is_empty() || secret_key.len() > SECRET_LENGTH_MAX || secret_key.trim() != secret_key {
        return Err(format!("`{SECRET}` must have 1 to {SECRET_LENGTH_MAX} characters and no space around them"));
    }
    Ok(AccessKey { access_key_id: id, secret_access_key: secret_key, account: secret.namespace().unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KEY: &str = "AKIAGAME0000EXAMPLE1";

    fn secret(namespace: &str, created: &str, data: &[(&str, &str)]) -> Arc<Secret> {
        let mut secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": "key", "namespace": namespace, "creationTimestamp": created},
        }))
        .unwrap();
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), k8s_openapi::ByteString((*value).into())));
        secret.data = Some(data.collect());
        Arc::new(secret)
    }

    fn good(namespace: &str, created: &str) -> Arc<Secret> {
        secret(namespace, created, &[(ID, KEY), (SECRET, "s3cr3t")])
    }

    #[test]
    fn the_first_namespace_to_claim_an_id_has_it() {
        let claims = settle(&[good("late", "2026-01-02T00:00:00Z"), good("early", "2026-01-01T00:00:00Z")], &[]);
        assert_eq!(claims.keys.len(), 1);
        assert_eq!(claims.keys[0].account, "early");
        assert_eq!(claims.refused[0].0.namespace().as_deref(), Some("late"));
        assert!(!claims.refused[0].1.contains("early"));
    }

    #[test]
    fn the_namespace_that_has_an_id_keeps_it_until_it_gives_it_up() {
        let held = AccessKey { access_key_id: KEY.into(), secret_access_key: "s".into(), account: "late".into() };
        let (early, late) = (good("early", "2026-01-01T00:00:00Z"), good("late", "2026-01-02T00:00:00Z"));
        let claims = settle(&[Arc::clone(&early), late], std::slice::from_ref(&held));
        assert_eq!(claims.keys[0].account, "late");
        assert_eq!(settle(&[early], &[held]).keys[0].account, "early");
    }

    #[test]
    fn a_key_with_something_not_understood_is_refused() {
        for (data, told) in [
            (vec![(ID, KEY), (SECRET, "s"), ("policy", "{}")], "policy"),
            (vec![(ID, KEY), (SECRET, "s"), ("sessionToken", "x")], "sessionToken"),
            (vec![(ID, KEY)], SECRET),
            (vec![(ID, "short"), (SECRET, "s")], ID),
            (vec![(ID, KEY), (SECRET, "s\n")], SECRET),
        ] {
            let claims = settle(&[secret("game", "2026-01-01T00:00:00Z", &data)], &[]);
            assert!(claims.keys.is_empty());
            assert!(claims.refused[0].1.contains(told), "{:?}", claims.refused[0].1);
        }
    }
}
