//! Who makes an export: attempts, numbered from one. An attempt is begun by creating its object, which one alone can; as
//! long as its maker lives, it overwrites the object now and then. Who has seen no sign of life for a while begins the next.
//!
//! The last of them is no attempt: whoever has an outcome writes it into the place of the attempt after its own. So of two
//! that make one export without knowing of each other, either the outcome stands, and nobody begins to delete the files that
//! it is about, or the next attempt does, and nothing is made of the outcome.

use super::record::ExportRecords;
use crate::{ArchiveError, Bucket, document};
use cairn_model::export::ExportRecord;
use object_store::{ObjectMeta, path::Path};
use serde::{Deserialize, Serialize};

const END: &str = ".attempt.json";

/// What tells one sign of life from the next.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(String);

impl Mark {
    /// The number of an attempt and its mark, from what its object's name ends in.
    pub(super) fn of_attempt(end: &str, object: &ObjectMeta) -> Option<(u32, Self)> {
        let number = format!(".{end}").strip_suffix(END)?.strip_prefix('.')?.parse().ok()?;
        let tag = object.e_tag.as_deref().unwrap_or_default();
        Some((number, Self(format!("{tag} {}", object.last_modified.timestamp_millis()))))
    }
}

/// Who makes an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Maker {
    /// No two that run at the same time have the same.
    pub name: String,
    /// Another one each time it is started.
    pub instance: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignOfLife {
    maker: Maker,
    count: u64,
    /// Why it was given up: the next may begin at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    given_up: Option<String>,
}

/// What an object of an attempt holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "place", rename_all = "camelCase")]
enum Place {
    SignOfLife(SignOfLife),
    /// What the attempt before it came to.
    Outcome(Box<ExportRecord>),
}

/// What is known of an attempt without waiting for a sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// It came to nothing.
    GivenUp {
        reason: String,
        /// Who asks was at it.
        by_us: bool,
    },
    /// It is none: this is how the export ended, which may not have been noted yet.
    Outcome(Box<ExportRecord>),
}

/// An attempt of one's own.
#[derive(Clone, Debug)]
pub struct Attempt {
    bucket: Bucket,
    path: Path,
    next: Path,
    /// From one.
    pub number: u32,
    sign: SignOfLife,
}

fn name(number: u32) -> String {
    format!("{number:06}{END}")
}

impl ExportRecords {
    /// Begins an attempt; none where somebody else did.
    pub async fn attempt(&self, export_id: &str, number: u32, maker: &Maker) -> Result<Option<Attempt>, ArchiveError> {
        let (path, next) = (self.open_object(export_id, &name(number)), self.open_object(export_id, &name(number + 1)));
        let sign = SignOfLife { maker: maker.clone(), count: 0, given_up: None };
        match self.bucket.create(&path, document::encode(&path, &Place::SignOfLife(sign.clone()))?).await {
            Ok(()) => Ok(Some(Attempt { bucket: self.bucket.clone(), path, next, number, sign })),
            Err(ArchiveError::Exists { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Its outcome, or that it is over: it was given up, or its maker is the one who asks before it was started anew.
    pub async fn end_of_attempt(
        &self,
        export_id: &str,
        number: u32,
        maker: &Maker,
    ) -> Result<Option<AttemptEnd>, ArchiveError> {
        let read = document::read::<Place>(&self.bucket, &self.open_object(export_id, &name(number))).await;
        let sign = match document::pass_over(read)? {
            None => return Ok(None),
            Some(Place::Outcome(record)) => return Ok(Some(AttemptEnd::Outcome(record))),
            Some(Place::SignOfLife(sign)) => sign,
        };
        let by_us = sign.maker == *maker;
        Ok(match sign.given_up {
            Some(reason) => Some(AttemptEnd::GivenUp { reason, by_us }),
            None if sign.maker.name == maker.name && !by_us => {
                Some(AttemptEnd::GivenUp { reason: format!("{} was started anew", maker.name), by_us })
            }
            None => None,
        })
    }
}

impl Attempt {
    /// Gives a sign of life; false where somebody has begun the next attempt, or the outcome of this one stands.
    pub async fn renew(&mut self) -> Result<bool, ArchiveError> {
        self.sign.count += 1;
        let sign = Place::SignOfLife(self.sign.clone());
        self.bucket.overwrite(&self.path, document::encode(&self.path, &sign)?).await?;
        match self.bucket.head(&self.next).await {
            Ok(_) => Ok(false),
            Err(ArchiveError::NotFound { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Lets the next begin at once.
    pub async fn give_up(mut self, reason: String) -> Result<(), ArchiveError> {
        self.sign.given_up = Some(reason);
        self.renew().await.map(drop)
    }

    /// Lets this be how the export ended; false where somebody has begun the next attempt. It is then to be noted, by whoever
    /// comes across it.
    pub async fn conclude(&self, outcome: &ExportRecord) -> Result<bool, ArchiveError> {
        match self
            .bucket
            .create(&self.next, document::encode(&self.next, &Place::Outcome(Box::new(outcome.clone())))?)
            .await
        {
            Ok(()) => Ok(true),
            Err(ArchiveError::Exists { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
