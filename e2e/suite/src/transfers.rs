//! Clients that move amounts between the accounts of two tables in transactions, and remember what they were told.
//!
//! A transfer also appends its number to a list at each account, so that the history tells whether all of it was serializable.

use crate::{
    client::{Answer, Dynamo, now},
    load::Progress,
};
use anyhow::{Context, Result, bail, ensure};
use cairn_history::{Key, Operation};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

/// Every other account is in the second; the tables' key is the string `Id`.
pub(crate) const TABLES: [&str; 2] = ["savings", "checking"];
const ACCOUNTS: usize = 16;
/// At each account in the beginning, so that some transfers are more than there is.
const BALANCE: i64 = 100;
const AMOUNT_MAX: u32 = 60;
const MOVERS: usize = 6;
const VIEWERS: usize = 2;
const READERS: usize = 2;
/// Of so many transfers one is asked for again once it is done, and one is asked for twice at once.
const AGAIN_EVERY: u32 = 4;
const TWICE_EVERY: u32 = 5;
const PAUSE: Duration = Duration::from_millis(60);
const PATIENCE: Duration = Duration::from_secs(60);
/// Why a transaction is cancelled that meets another on the same item.
const CONFLICT: &str = "TransactionConflict";
/// Until an item that a transaction left locked is found to be free again.
const UNLOCKED_WITHIN: Duration = Duration::from_secs(20);

/// Transfers under way.
#[derive(Debug)]
pub(crate) struct Transfers {
    shared: Arc<Shared>,
    tasks: JoinSet<Result<()>>,
}

#[derive(Debug)]
struct Shared {
    client: Dynamo,
    began: Instant,
    stop: AtomicBool,
    next: AtomicU32,
    history: Mutex<Vec<Operation>>,
    done: Progress,
    views: Progress,
    too_much: AtomicU64,
    conflicts: AtomicU64,
}

/// What the clients were told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) transfers: u64,
    pub(crate) views: u64,
    /// Refused by their condition.
    pub(crate) too_much: u64,
    pub(crate) conflicts: u64,
    pub(crate) longest_pause: Duration,
    /// From the end of the last transfer until each item was found free.
    pub(crate) unlocked: Duration,
}

/// One account as it was read.
struct Account {
    balance: i64,
    transfers: Vec<u32>,
}

impl Account {
    fn of(item: &Value) -> Result<Self> {
        let parsed = || {
            let numbers = item["Transfers"]["L"].as_array()?;
            let transfers = numbers.iter().map(|number| number["N"].as_str()?.parse().ok()).collect::<Option<_>>()?;
            Some(Self { balance: item["Balance"]["N"].as_str()?.parse().ok()?, transfers })
        };
        parsed().with_context(|| format!("no account: {item}"))
    }
}

fn table(key: Key) -> &'static str {
    TABLES[key % TABLES.len()]
}

fn id(key: Key) -> Value {
    json!({"Id": {"S": format!("account-{key}")}})
}

/// Whether a transaction was cancelled for that reason.
fn is_cancelled(answer: &Answer, reason: &str) -> bool {
    let reasons = answer.body["CancellationReasons"].as_array();
    answer.exception() == "TransactionCanceledException"
        && reasons.is_some_and(|reasons| reasons.iter().any(|told| told["Code"] == reason))
}

impl Transfers {
    /// The tables are there, and empty.
    pub(crate) async fn start(client: &Dynamo) -> Result<Self> {
        for key in 0..ACCOUNTS {
            let mut item = id(key);
            item["Balance"] = json!({"N": BALANCE.to_string()});
            item["Transfers"] = json!({"L": []});
            client.insist("PutItem", &json!({"TableName": table(key), "Item": item}), PATIENCE).await?.ok()?;
        }
        let shared = Arc::new(Shared {
            client: client.clone(),
            began: now(),
            stop: AtomicBool::new(false),
            next: AtomicU32::new(1),
            history: Mutex::default(),
            done: Progress::new(),
            views: Progress::new(),
            too_much: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
        });
        let mut tasks = JoinSet::new();
        for _ in 0..MOVERS {
            tasks.spawn(shared.clone().transfer());
        }
        for _ in 0..VIEWERS {
            tasks.spawn(shared.clone().view());
        }
        for _ in 0..READERS {
            tasks.spawn(shared.clone().read());
        }
        Ok(Self { shared, tasks })
    }

    pub(crate) fn done(&self) -> u64 {
        self.shared.done.count.load(Ordering::Relaxed)
    }

    /// Waits until so many more transfers are done.
    pub(crate) async fn proceed(&self, more: u64) -> Result<()> {
        let (goal, deadline) = (self.done() + more, now() + Duration::from_secs(180));
        while self.done() < goal {
            ensure!(now() < deadline, "only {} of {goal} transfers were done in 3 minutes", self.done());
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Ends them, and checks all of the history and what is left.
    pub(crate) async fn end(mut self) -> Result<Outcome> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let longest_pause = self.shared.done.longest_pause();
        while let Some(task) = self.tasks.join_next().await {
            task??;
        }
        let shared = &self.shared;
        let unlocked = shared.write_each().await?;
        let lists = shared.look().await?;
        let lists: BTreeMap<Key, Vec<u32>> = lists.into_iter().enumerate().collect();
        let history = std::mem::take(&mut *shared.history.lock().unwrap_or_else(PoisonError::into_inner));
        if let Err(wrong) = cairn_history::check(&history, &lists) {
            bail!("{wrong}");
        }
        Ok(Outcome {
            transfers: self.done(),
            views: shared.views.count.load(Ordering::Relaxed),
            too_much: shared.too_much.load(Ordering::Relaxed),
            conflicts: shared.conflicts.load(Ordering::Relaxed),
            longest_pause,
            unlocked,
        })
    }
}

impl Shared {
    fn micros(&self) -> u64 {
        u64::try_from((now() - self.began).as_micros()).unwrap_or(u64::MAX)
    }

    fn number(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn note(&self, operation: Operation) {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).push(operation);
    }

    async fn transfer(self: Arc<Self>) -> Result<()> {
        while !self.is_over() {
            let number = self.number();
            let (request, appends) = request(number);
            let began = self.micros();
            let mut answers = Vec::new();
            if number.is_multiple_of(TWICE_EVERY) {
                let (one, other) = tokio::join!(self.settled(&request), self.settled(&request));
                answers.extend([one?, other?]);
            } else {
                answers.push(self.settled(&request).await?);
            }
            let done = answers.iter().any(|answer| answer.status == 200);
            let ended = Some(self.micros());
            self.note(Operation {
                number,
                began,
                ended,
                done: Some(done),
                appends: appends.to_vec(),
                saw: Vec::new(),
                in_real_time: true,
            });
            if done {
                self.done.success();
            } else if answers.iter().any(|answer| is_cancelled(answer, "ConditionalCheckFailed")) {
                self.too_much.fetch_add(1, Ordering::Relaxed);
            } else {
                self.conflicts.fetch_add(1, Ordering::Relaxed);
            }
            if done && number.is_multiple_of(AGAIN_EVERY) {
                let again = self.settled(&request).await?;
                ensure!(again.status == 200, "transfer {number} was done, and asked for again is answered {again:?}");
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Asks until it is told that the transfer is done or was cancelled.
    async fn settled(&self, request: &Value) -> Result<Answer> {
        let deadline = now() + PATIENCE;
        loop {
            let answer = self.client.insist("TransactWriteItems", request, PATIENCE).await?;
            match answer.exception() {
                "" => return Ok(answer),
                "TransactionInProgressException" if now() < deadline => sleep(PAUSE).await,
                _ if is_cancelled(&answer, "ConditionalCheckFailed") || is_cancelled(&answer, CONFLICT) => {
                    return Ok(answer);
                }
                _ => bail!("a transfer is answered {answer:?}"),
            }
        }
    }

    /// Views of all accounts at once: what they hold together never changes.
    async fn view(self: Arc<Self>) -> Result<()> {
        while !self.is_over() {
            let began = self.micros();
            let lists = self.look().await?;
            let saw = lists.into_iter().enumerate().map(|(key, list)| (key, list.len(), Some(list))).collect();
            self.note(self.reading(began, saw, true));
            self.views.success();
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Reads of one account on its own: what a transaction that is being committed is about to replace may still be seen.
    async fn read(self: Arc<Self>) -> Result<()> {
        for key in (0..ACCOUNTS).cycle() {
            if self.is_over() {
                break;
            }
            let began = self.micros();
            let request = json!({"TableName": table(key), "Key": id(key), "ConsistentRead": true});
            let answer = self.client.insist("GetItem", &request, PATIENCE).await?.ok()?;
            let list = Account::of(&answer["Item"])?.transfers;
            self.note(self.reading(began, vec![(key, list.len(), Some(list))], false));
            sleep(PAUSE).await;
        }
        Ok(())
    }

    fn reading(&self, began: u64, saw: Vec<(Key, usize, Option<Vec<u32>>)>, in_real_time: bool) -> Operation {
        Operation {
            number: self.number(),
            began,
            ended: Some(self.micros()),
            done: Some(true),
            appends: Vec::new(),
            saw,
            in_real_time,
        }
    }

    /// The transfers at each account.
    async fn look(&self) -> Result<Vec<Vec<u32>>> {
        let gets: Vec<Value> =
            (0..ACCOUNTS).map(|key| json!({"Get": {"TableName": table(key), "Key": id(key)}})).collect();
        let request = json!({"TransactItems": gets});
        let deadline = now() + PATIENCE;
        let answer = loop {
            let answer = self.client.insist("TransactGetItems", &request, PATIENCE).await?;
            if !is_cancelled(&answer, CONFLICT) || now() > deadline {
                break answer.ok()?;
            }
            sleep(Duration::from_millis(5)).await;
        };
        let responses = answer["Responses"].as_array().context("no responses")?;
        let accounts: Vec<Account> =
            responses.iter().map(|response| Account::of(&response["Item"])).collect::<Result<_>>()?;
        let sum: i64 = accounts.iter().map(|account| account.balance).sum();
        ensure!(
            accounts.len() == ACCOUNTS && sum == BALANCE * ACCOUNTS as i64,
            "{} accounts hold {sum} together: {answer}",
            accounts.len()
        );
        ensure!(accounts.iter().all(|account| account.balance >= 0), "an account is overdrawn: {answer}");
        Ok(accounts.into_iter().map(|account| account.transfers).collect())
    }

    /// Writes each item on its own: an error names one that is locked for good. How long it took.
    async fn write_each(&self) -> Result<Duration> {
        let start = now();
        for key in 0..ACCOUNTS {
            let request = json!({
                "TableName": table(key), "Key": id(key), "UpdateExpression": "SET Closed = :closed",
                "ExpressionAttributeValues": {":closed": {"BOOL": true}},
            });
            loop {
                let answer = self.client.insist("UpdateItem", &request, PATIENCE).await?;
                if answer.exception() != "TransactionConflictException" {
                    answer.ok()?;
                    break;
                }
                ensure!(start.elapsed() < UNLOCKED_WITHIN, "account-{key} of {} stays locked: {answer:?}", table(key));
                sleep(PAUSE).await;
            }
        }
        Ok(start.elapsed())
    }
}

/// A transfer, and the accounts that it changes. A third one is only looked at.
fn request(number: u32) -> (Value, [Key; 2]) {
    // Spread by a multiplication (Knuth), so that no two movers meet at the same accounts for long.
    let spread = number.wrapping_mul(2_654_435_761);
    let at = |shift: u32, of: usize| (spread >> shift) as usize % of;
    let from = at(4, ACCOUNTS);
    let to = (from + 1 + at(12, ACCOUNTS - 1)) % ACCOUNTS;
    let third = (0..ACCOUNTS).map(|step| (to + 1 + step) % ACCOUNTS).find(|key| *key != from).unwrap_or_default();
    let amount = 1 + at(20, AMOUNT_MAX as usize);
    let values = json!({":amount": {"N": amount.to_string()}, ":number": {"L": [{"N": number.to_string()}]}});
    let update = |key: Key, sign: &str| {
        json!({
            "TableName": table(key), "Key": id(key), "ExpressionAttributeValues": values,
            "UpdateExpression": format!("SET Balance = Balance {sign} :amount, Transfers = list_append(Transfers, :number)"),
        })
    };
    let mut taken = update(from, "-");
    taken["ConditionExpression"] = json!("Balance >= :amount");
    let looked_at = json!({"TableName": table(third), "Key": id(third), "ConditionExpression": "attribute_exists(Id)"});
    let request = json!({
        "ClientRequestToken": format!("transfer-{number}"),
        "TransactItems": [{"Update": taken}, {"Update": update(to, "+")}, {"ConditionCheck": looked_at}],
    });
    (request, [from, to])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn transfers_are_between_different_accounts_of_which_all_take_part() {
        let mut met = BTreeSet::new();
        let mut crossing = 0;
        for number in 1..500 {
            let (request, [from, to]) = request(number);
            let third = request["TransactItems"][2]["ConditionCheck"]["Key"].clone();
            assert!(from != to && third != id(from) && third != id(to), "{request}");
            met.extend([from, to]);
            crossing += u32::from(table(from) != table(to));
        }
        assert!(met.len() == ACCOUNTS && crossing > 150, "{met:?}, {crossing} of 500 cross");
    }
}
