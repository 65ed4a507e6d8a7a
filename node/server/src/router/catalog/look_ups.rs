//! Look-ups of tables at the API server: each counts for all who asked before it began, and neither a name, nor an account, nor all of
//! them ask for many.

use crate::environment::SystemEnvironment;
use cairn_api::Environment;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

/// Between the beginnings of two look-ups of one name: who comes meanwhile waits.
const INTERVAL: Duration = Duration::from_millis(100);
/// For so long an API server that let a look-up wait in vain is not asked for that name again.
const SILENCE: Duration = Duration::from_secs(1);
/// Look-ups that begin in a second: of an account, and of all.
const OF_ACCOUNT_MAX: usize = 25;
const MAX: usize = 200;
const SECOND: Duration = Duration::from_secs(1);

/// How a look-up ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LookUp {
    /// The table is another than was known, or is no more.
    News,
    Same,
    /// The API server had another answer. The next may be better.
    Failed,
    /// It had none in time.
    Unanswered,
}

#[derive(Debug, Default)]
pub(super) struct LookUps {
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    /// By account and table name.
    names: HashMap<(String, String), Arc<Name>>,
    /// The accounts whose look-ups began, and when; in a second.
    begun: VecDeque<(Duration, String)>,
}

/// The last look-up of a name that came to its end; locked while another is under way. Times are the monotonic clock's.
type Name = tokio::sync::Mutex<Option<Last>>;

#[derive(Debug)]
struct Last {
    began: Duration,
    ended: Duration,
    outcome: LookUp,
}

impl LookUps {
    /// Whether a look-up that began after this call brought news; no where there would be too many.
    pub(super) async fn once(&self, account: &str, name: &str, look_up: impl Future<Output = LookUp> + Send) -> bool {
        let asked = now();
        let Some(of_name) = self.of_name(account, name) else { return false };
        let mut last = of_name.lock().await;
        if let Some(last) = &*last {
            if last.began >= asked {
                return last.outcome == LookUp::News;
            }
            if last.outcome == LookUp::Unanswered && now().saturating_sub(last.ended) < SILENCE {
                return false;
            }
            tokio::time::sleep((last.began + INTERVAL).saturating_sub(now())).await;
        }
        let Some(began) = self.begin(account) else { return false };
        let outcome = look_up.await;
        *last = Some(Last { began, ended: now(), outcome });
        outcome == LookUp::News
    }

    fn of_name(&self, account: &str, name: &str) -> Option<Arc<Name>> {
        let mut recent = self.recent.lock();
        let key = (account.to_owned(), name.to_owned());
        if let Some(of_name) = recent.names.get(&key) {
            return Some(of_name.clone());
        }
        recent.forget(now());
        let of_name = recent.has_room(account).then(Arc::<Name>::default)?;
        recent.names.insert(key, of_name.clone());
        Some(of_name)
    }

    /// Counts one that begins, now, unless there are too many.
    fn begin(&self, account: &str) -> Option<Duration> {
        let (mut recent, now) = (self.recent.lock(), now());
        recent.forget(now);
        recent.has_room(account).then(|| {
            recent.begun.push_back((now, account.to_owned()));
            now
        })
    }
}

impl Recent {
    fn has_room(&self, account: &str) -> bool {
        let of_account = self.begun.iter().filter(|(_, of)| of == account).count();
        of_account < OF_ACCOUNT_MAX && self.begun.len() < MAX
    }

    /// Forgets what counts no more.
    fn forget(&mut self, now: Duration) {
        while self.begun.pop_front_if(|(began, _)| now.saturating_sub(*began) >= SECOND).is_some() {}
        // Whoever asks for a name or waits for it has it too.
        self.names.retain(|_, of_name| {
            let last = of_name.try_lock();
            let is_over = |last: &Last| now.saturating_sub(last.ended) >= SILENCE;
            Arc::strong_count(of_name) > 1 || last.is_ok_and(|last| last.as_ref().is_some_and(|last| !is_over(last)))
        });
    }
}

fn now() -> Duration {
    SystemEnvironment.monotonic()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::{join, join_all};
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct ApiServer {
        look_ups: LookUps,
        asked: AtomicUsize,
    }

    impl ApiServer {
        async fn look_up(&self, account: &str, name: &str, takes: Duration, outcome: LookUp) -> bool {
            let look_up = async {
                self.asked.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(takes).await;
                outcome
            };
            self.look_ups.once(account, name, look_up).await
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::Relaxed)
        }
    }

    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn those_who_asked_before_a_look_up_began_share_it() {
        let server = ApiServer::default();
        let began = now();
        let answers = join_all((0..50).map(|_| server.look_up("game", "users", SHORT, LookUp::News))).await;
        assert!(answers.iter().all(|is_news| *is_news));
        assert_eq!(server.asked(), 2, "the first, and one for those who came while it was under way");
        assert!(now() - began >= INTERVAL, "one after the other");
    }

    #[tokio::test]
    async fn a_look_up_that_began_before_does_not_count() {
        let server = ApiServer::default();
        assert!(!server.look_up("game", "users", SHORT, LookUp::Same).await);
        assert!(server.look_up("game", "users", SHORT, LookUp::News).await);
    }

    #[tokio::test]
    async fn one_that_failed_is_not_remembered() {
        let server = ApiServer::default();
        assert!(!server.look_up("game", "users", SHORT, LookUp::Failed).await);
        assert!(server.look_up("game", "users", SHORT, LookUp::News).await);
    }

    #[tokio::test]
    async fn an_api_server_that_is_silent_is_not_waited_for_again_and_again() {
        let server = ApiServer::default();
        assert!(!server.look_up("game", "users", SHORT, LookUp::Unanswered).await);
        assert!(!server.look_up("game", "users", SHORT, LookUp::News).await);
        assert_eq!(server.asked(), 1);
        tokio::time::sleep(SILENCE).await;
        assert!(server.look_up("game", "users", SHORT, LookUp::News).await);
    }

    #[tokio::test]
    async fn one_that_its_request_gave_up_leaves_the_name_to_others() {
        let server = ApiServer::default();
        let given_up = server.look_up("game", "users", Duration::from_secs(60), LookUp::News);
        let (given_up, other) =
            join(tokio::time::timeout(SHORT, given_up), server.look_up("game", "users", SHORT, LookUp::News)).await;
        assert!(given_up.is_err() && other);
    }

    #[tokio::test]
    async fn an_account_asks_for_few_tables_in_a_second_and_leaves_room_for_others() {
        let server = &ApiServer::default();
        let of = |account: &'static str| {
            let names = (0..100).map(|n| format!("t-{n}"));
            join_all(names.map(|name| async move { server.look_up(account, &name, SHORT, LookUp::News).await }))
        };
        let answers = of("game").await;
        assert_eq!((server.asked(), answers.iter().filter(|is_news| **is_news).count()), (25, 25));
        of("other").await;
        assert_eq!(server.asked(), 50);
        tokio::time::sleep(SECOND).await;
        of("game").await;
        assert_eq!(server.asked(), 75);
        assert!(server.look_ups.recent.lock().names.len() <= 50, "what is over is forgotten");
    }
}
