//! When tables were looked up last: a name is asked for once in a while, however many requests name it, and no account asks for many.

use crate::environment::SystemEnvironment;
use cairn_api::Environment;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::OnceCell;

/// How long the outcome of a look-up counts.
const COUNTS: Duration = Duration::from_secs(1);
/// Look-ups that count at once: of an account, and of all.
const OF_ACCOUNT_MAX: usize = 10;
const MAX: usize = 200;

#[derive(Debug, Default)]
pub(super) struct LookUps {
    /// By account and table name.
    recent: Mutex<HashMap<(String, String), LookUp>>,
}

#[derive(Debug)]
struct LookUp {
    /// By the monotonic clock.
    began: Duration,
    outcome: Arc<OnceCell<bool>>,
}

impl LookUps {
    /// The outcome of the look-up; of the last one of this name if that counts still, and no where there were too many.
    pub(super) async fn once(&self, account: &str, name: &str, look_up: impl Future<Output = bool> + Send) -> bool {
        match self.place(account, name) {
            Some(outcome) => *outcome.get_or_init(|| look_up).await,
            None => false,
        }
    }

    fn place(&self, account: &str, name: &str) -> Option<Arc<OnceCell<bool>>> {
        let now = SystemEnvironment.monotonic();
        let mut recent = self.recent.lock();
        recent.retain(|_, look_up| now.saturating_sub(look_up.began) < COUNTS);
        let key = (account.to_owned(), name.to_owned());
        if let Some(look_up) = recent.get(&key) {
            return Some(look_up.outcome.clone());
        }
        let of_account = recent.keys().filter(|(of, _)| of == account).count();
        if of_account >= OF_ACCOUNT_MAX || recent.len() >= MAX {
            return None;
        }
        let outcome = Arc::default();
        recent.insert(key, LookUp { began: now, outcome: Arc::clone(&outcome) });
        Some(outcome)
    }
}
