//! TransactWriteItems over its partitions: one request where there is one, else prepared in all but the primary, which decides.

use super::{
    ATTEMPTS_MAX, Addressed, Coordinator, Identity, PAUSE, Part, Told, Written, canceled, conflict_reason, mismatch,
    parts, reason_of,
};
use crate::errors;
use cairn_model::{CancellationReason, ErrorKind, ServiceError, ids::RequestId, time::Timestamp};
use cairn_replication::{
    operation::{PartitionOutcome, PartitionRequest, WriteAction, WriteOutcome},
    transaction::{
        MetLock, TransactAction, TransactOutcome, TransactRequest, TransactStep, TransactWrite, TransactionId,
    },
};
use futures::future::join_all;

/// How often a primary is asked about a decision that is under way.
const PREVENTED_MAX: u32 = 20;

type WritePart<'t> = Part<'t, TransactAction>;
type Answer = Result<PartitionOutcome, ServiceError>;

/// How one attempt ended.
enum Attempt {
    Done(Written),
    Failed(ServiceError),
    /// Nothing was done, and there is a reason to think that the next attempt fares better.
    Again(ServiceError),
}

/// What stands in the way of a transaction, in what its partitions answered.
#[derive(Default)]
struct Obstacles {
    reasons: Vec<Option<CancellationReason>>,
    met: Vec<MetLock>,
    replayed: Option<TransactionId>,
    /// Under the same token something is under way, or was asked for otherwise; or a partition did not answer as it should.
    error: Option<ServiceError>,
    /// The error is about something that will have passed in a moment.
    passes: bool,
}

impl Coordinator<'_> {
    /// All of the actions or none, no two of which are on one item.
    pub(crate) async fn write(
        &self,
        actions: &[Addressed<TransactAction>],
        identity: Identity,
    ) -> Result<Written, ServiceError> {
        let parts = parts(actions);
        let mut attempt = 1;
        loop {
            match self.attempt(&parts, actions.len(), identity).await {
                Attempt::Done(written) => return Ok(written),
                Attempt::Again(_) if attempt < ATTEMPTS_MAX => attempt += 1,
                Attempt::Failed(error) | Attempt::Again(error) => return Err(error),
            }
        }
    }

    async fn attempt(&self, parts: &[WritePart<'_>], count: usize, identity: Identity) -> Attempt {
        let Identity { idempotency, request_id, is_retry } = identity;
        let Some((primary, others)) = parts.split_first() else { return Attempt::Failed(errors::internal()) };
        let is_whole = others.is_empty();
        // One partition answers all attempts of one request alike; of several each attempt is another transaction.
        let unique_id = if is_whole { request_id.0 } else { self.environment.unique_id() };
        let id = TransactionId(unique_id);
        let participants = if is_whole { Vec::new() } else { parts.iter().map(Part::participant).collect() };
        let begun_ms = self.environment.wall_ms();
        let write = |part: &WritePart<'_>| {
            let (actions, participants) = (part.what.clone(), participants.clone());
            TransactWrite { idempotency, actions, participants, begun_ms }
        };
        let ask = |part, step| {
            let mut request = self.asked(id, step);
            if is_whole {
                request.request_id = request_id;
            }
            self.ask_part(part, request)
        };
        let prepared = join_all(others.iter().map(|other| ask(other, TransactStep::Prepare(write(other))))).await;
        let (mut answers, times): (Vec<Answer>, Vec<Timestamp>) = prepared.into_iter().map(timed).unzip();
        let prepared_at = times.into_iter().max().unwrap_or_default();
        let decides = prepared_bytes(others, &answers).filter(|_| !is_whole);
        let step = match decides {
            Some(prepared_bytes) => {
                let finished = self.finished.take(primary.table.definition.table_id);
                TransactStep::DecideAfter { write: write(primary), prepared_bytes, finished, prepared_at }
            }
            // Where others stand in the way, what of the primary does is told as well.
            None => TransactStep::Write(write(primary)),
        };
        let (first, decided_at) = timed(ask(primary, step).await);
        if let Ok(PartitionOutcome::Transact(TransactOutcome::Committed(outcomes))) = first {
            return self.finish((id, decided_at), outcomes, parts, count, false).await;
        }
        // Where nobody took the message, nobody will; else it may come once more, and nothing was done only from when the primary
        // says so.
        let is_unheard = first.as_ref().is_err_and(|error| error.kind == ErrorKind::ServiceUnavailable);
        if decides.is_some() && !is_unheard {
            match self.prevent(primary, id).await {
                Ok(Told { outcome: TransactOutcome::Aborted, .. }) => {}
                Ok(Told { outcome: TransactOutcome::Committed(outcomes), at }) => {
                    return self.finish((id, at), outcomes, parts, count, false).await;
                }
                answer => {
                    tracing::warn!(?answer, "failed to learn whether a transaction is committed");
                    return Attempt::Failed(errors::transaction_unknown());
                }
            }
        }
        answers.insert(0, first);
        if !is_whole {
            self.abort(id, parts, |at| may_be_prepared(&answers[at]) && (at > 0 || decides.is_none())).await;
        }
        self.overcome(obstacles(parts, answers, count), parts, count, is_retry).await
    }

    /// Whether the primary has committed it; if not it never will. A decision that is under way is waited for, a little.
    async fn prevent(&self, primary: &WritePart<'_>, id: TransactionId) -> Result<Told, ServiceError> {
        let mut tries = 1;
        loop {
            match self.tell(primary, id, TransactStep::Resolve { age_ms_min: 0 }).await {
                Ok(Told { outcome: TransactOutcome::Pending, .. }) if tries < PREVENTED_MAX => tries += 1,
                answer => return answer,
            }
            self.environment.sleep(PAUSE).await;
        }
    }

    /// The primary has committed; a client is told so only when whatever it reads next shows it.
    async fn finish(
        &self,
        (id, decided_at): (TransactionId, Timestamp),
        first: Vec<WriteOutcome>,
        parts: &[WritePart<'_>],
        count: usize,
        replayed: bool,
    ) -> Attempt {
        let commit = TransactStep::CommitDecided { decided_at };
        let others = parts.iter().skip(1).map(|part| self.tell(part, id, commit.clone()));
        let mut outcomes = vec![first];
        for answer in join_all(others).await {
            match answer {
                Ok(Told { outcome: TransactOutcome::Committed(of_part), .. }) => outcomes.push(of_part),
                answer => {
                    tracing::warn!(?answer, "a transaction is committed, and not applied everywhere yet");
                    return Attempt::Failed(errors::transaction_unknown());
                }
            }
        }
        if let Some(primary) = parts.first().filter(|_| parts.len() > 1) {
            self.finished.note(primary.table.definition.table_id, id);
        }
        match ordered(parts, outcomes, count) {
            Ok(outcomes) => Attempt::Done(Written { outcomes, replayed }),
            Err(error) => Attempt::Failed(error),
        }
    }

    /// Nobody but this coordinator would commit it: in what order the partitions hear of it doesn't matter, nor who doesn't.
    async fn abort(&self, id: TransactionId, parts: &[WritePart<'_>], concerns: impl Fn(usize) -> bool) {
        let concerned = parts.iter().enumerate().filter(|(at, _)| concerns(*at));
        let told =
            join_all(concerned.map(|(_, part)| self.tell(part, id, TransactStep::Abort { age_ms_min: 0 }))).await;
        for error in told.into_iter().filter_map(Result::err) {
            tracing::debug!(%error, "failed to abort a transaction: whoever meets it will");
        }
    }

    async fn overcome(&self, obstacles: Obstacles, parts: &[WritePart<'_>], count: usize, is_retry: bool) -> Attempt {
        if let Some(id) = obstacles.replayed {
            return self.replay(id, parts, count).await;
        }
        let resolved = !obstacles.met.is_empty() && self.resolve(&obstacles.met).await;
        let error = match obstacles.error {
            Some(error) => error,
            None if is_retry && !obstacles.met.is_empty() => errors::transaction_unknown(),
            None => canceled(obstacles.reasons),
        };
        if obstacles.passes {
            self.environment.sleep(PAUSE).await;
        }
        if resolved || obstacles.passes { Attempt::Again(error) } else { Attempt::Failed(error) }
    }

    /// It was committed before; the coordinator of then may not have told all partitions.
    async fn replay(&self, id: TransactionId, parts: &[WritePart<'_>], count: usize) -> Attempt {
        let Some(primary) = parts.first() else { return Attempt::Failed(errors::internal()) };
        match self.tell(primary, id, TransactStep::CommitDecided { decided_at: Timestamp(0) }).await {
            Ok(Told { outcome: TransactOutcome::Committed(first), at }) => {
                self.finish((id, at), first, parts, count, true).await
            }
            Ok(_) => Attempt::Failed(errors::transaction_in_progress()),
            Err(error) => Attempt::Failed(error),
        }
    }

    async fn ask_part(&self, part: &WritePart<'_>, request: TransactRequest) -> Answer {
        self.ask(part.table, &part.key, PartitionRequest::Transact(request)).await
    }

    async fn tell(&self, part: &WritePart<'_>, id: TransactionId, step: TransactStep) -> Result<Told, ServiceError> {
        self.step(part.table, &part.key, self.asked(id, step)).await
    }

    fn asked(&self, transaction: TransactionId, step: TransactStep) -> TransactRequest {
        TransactRequest { request_id: RequestId(self.environment.unique_id()), transaction, step }
    }
}

/// An answer without its time, and that; 0 where it has none.
fn timed(answer: Answer) -> (Answer, Timestamp) {
    match answer {
        Ok(PartitionOutcome::Transact(outcome)) => {
            let Told { outcome, at } = Told::of(outcome);
            (Ok(PartitionOutcome::Transact(outcome)), at)
        }
        answer => (answer, Timestamp(0)),
    }
}

/// How many bytes are prepared, if all are: of what is written, for what is deleted or only looked at does not count.
fn prepared_bytes(parts: &[WritePart<'_>], answers: &[Answer]) -> Option<u64> {
    let writes = |action: &TransactAction| matches!(action, TransactAction::Write(write) if !matches!(write.action, WriteAction::Delete));
    parts.iter().zip(answers).try_fold(0, |sum, (part, answer)| match answer {
        Ok(PartitionOutcome::Transact(TransactOutcome::Prepared(outcomes))) => {
            let written = part.what.iter().zip(outcomes).filter(|(action, _)| writes(action));
            Some(sum + written.map(|(_, outcome)| u64::from(outcome.size_after)).sum::<u64>())
        }
        _ => None,
    })
}

/// Whether a partition that answered so may have items locked.
fn may_be_prepared(answer: &Answer) -> bool {
    matches!(answer, Err(_) | Ok(PartitionOutcome::Transact(TransactOutcome::Prepared(_) | TransactOutcome::Pending)))
}

fn obstacles(parts: &[WritePart<'_>], answers: Vec<Answer>, count: usize) -> Obstacles {
    let mut obstacles = Obstacles { reasons: vec![None; count], ..Obstacles::default() };
    for (part, answer) in parts.iter().zip(answers) {
        let outcome = match answer {
            Ok(PartitionOutcome::Locked(met)) => {
                part.ordinals_of(&met).for_each(|at| obstacles.reasons[at] = Some(conflict_reason()));
                obstacles.met.extend(met);
                continue;
            }
            Ok(PartitionOutcome::Transact(outcome)) => outcome,
            Ok(_) => {
                obstacles.fail(mismatch());
                continue;
            }
            // The table's throughput is exceeded.
            Err(error) if !error.throttling_reasons.is_empty() => {
                part.ordinals.iter().for_each(|at| obstacles.reasons[*at] = Some(reason_of(error.clone())));
                continue;
            }
            // Of several partitions none has written anything, nor will.
            Err(error) if error.kind == ErrorKind::InternalServerError && parts.len() > 1 => {
                obstacles.fail(errors::transaction_aborted());
                continue;
            }
            Err(error) => {
                obstacles.fail(error);
                continue;
            }
        };
        match outcome {
            TransactOutcome::Prepared(_)
            | TransactOutcome::Committed(_)
            | TransactOutcome::PreparedAt { .. }
            | TransactOutcome::CommittedAt { .. } => {}
            TransactOutcome::Cancelled(reasons) => {
                for (at, reason) in part.ordinals.iter().zip(reasons) {
                    obstacles.reasons[*at] = reason.map(reason_of);
                }
            }
            TransactOutcome::Replayed { transaction, .. } => obstacles.replayed = Some(transaction),
            TransactOutcome::InProgress(met) => {
                obstacles.met.push(met);
                obstacles.fail(errors::transaction_in_progress());
            }
            TransactOutcome::Pending => {
                obstacles.passes = true;
                obstacles.fail(errors::transaction_in_progress());
            }
            TransactOutcome::ParameterMismatch => obstacles.error = Some(errors::transaction_parameter_mismatch()),
            TransactOutcome::Aborted => {
                obstacles.passes = true;
                obstacles.fail(errors::transaction_aborted());
            }
        }
    }
    obstacles
}

impl Obstacles {
    /// The first counts.
    fn fail(&mut self, error: ServiceError) {
        self.error.get_or_insert(error);
    }
}

/// The partitions' outcomes in the order of the request.
fn ordered(
    parts: &[WritePart<'_>],
    outcomes: Vec<Vec<WriteOutcome>>,
    count: usize,
) -> Result<Vec<WriteOutcome>, ServiceError> {
    let mut all = vec![None; count];
    for (part, outcomes) in parts.iter().zip(outcomes) {
        if part.ordinals.len() != outcomes.len() {
            return Err(mismatch());
        }
        part.ordinals.iter().zip(outcomes).for_each(|(at, outcome)| all[*at] = Some(outcome));
    }
    all.into_iter().collect::<Option<_>>().ok_or_else(mismatch)
}
