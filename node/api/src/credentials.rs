//! Access keys, and who is asked for them.

use std::{fmt, sync::Arc};

/// A secret and the account it opens. `Debug` doesn't show the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    pub account: String,
    pub secret: String,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("account", &self.account).finish_non_exhaustive()
    }
}

/// Who knows the access keys. Asked once a request: from memory, without waiting.
pub trait Credentials: Send + Sync {
    fn access_key(&self, id: &str) -> Option<Arc<AccessKey>>;
}

/// How requests are authenticated.
#[derive(Clone)]
pub enum Authentication {
    /// Signatures are verified against these keys.
    Verify(Arc<dyn Credentials>),
    /// Whoever signs anything is let in, as this account; the signature is not looked at.
    AcceptAny { account: String },
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verify(_) => f.write_str("Verify"),
            Self::AcceptAny { account } => f.debug_struct("AcceptAny").field("account", account).finish(),
        }
    }
}
