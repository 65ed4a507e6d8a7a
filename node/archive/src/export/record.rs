//! What is known of an account's exports, in the archive's bucket. Nothing of it is overwritten but the sign of life of who
//! makes one ([`super::attempt`]): how an export ended counts once, whoever says so first.

use super::attempt::Mark;
use crate::{ArchiveError, Bucket, document, layout, retention::DAY_MS};
use cairn_model::{arn::is_backup_id, export::ExportRecord};
use futures::{StreamExt, stream};
use md5::{Digest, Md5};
use object_store::path::Path;
use std::collections::BTreeMap;

/// For as long, exports are told of.
pub const EXPORTS_KEPT_MS: u64 = 90 * DAY_MS;
const READS_AT_ONCE: usize = 8;
/// For as long, a client token stands for its first request.
const TOKEN_MS: u64 = 8 * 3_600 * 1_000;
/// Requests under one token that come at the same time.
const TOKEN_TRIES_MAX: usize = 16;
/// What the names of objects end in, behind the export's id.
const BEGUN: &str = "json";
const ENDED: &str = "ended.json";

/// The records of an account's exports.
#[derive(Clone, Debug)]
pub struct ExportRecords {
    pub(super) bucket: Bucket,
    pub(super) folder: Path,
    tokens: Path,
}

/// What a listing shows of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundExport {
    begun: bool,
    ended: bool,
    /// The last attempt to make it, and its sign of life.
    pub attempt: Option<(u32, Mark)>,
}

impl FoundExport {
    /// Whether it is still to be made, or being made.
    pub fn is_open(&self) -> bool {
        self.begun && !self.ended
    }
}

impl ExportRecords {
    pub fn new(bucket: Bucket, cluster: &str, account: &str) -> Self {
        let folder = layout::account(cluster, account).join("exports");
        let tokens = layout::account(cluster, account).join("export-tokens");
        Self { bucket, folder, tokens }
    }

    pub(super) fn object(&self, export_id: &str, end: &str) -> Path {
        self.folder.clone().join(format!("{export_id}.{end}"))
    }

    /// Notes an export that is to be made; fails with [`ArchiveError::Exists`] where another has its id.
    pub async fn begin(&self, record: &ExportRecord) -> Result<(), ArchiveError> {
        let path = self.object(&record.export_id, BEGUN);
        self.bucket.create(&path, document::encode(&path, record)?).await
    }

    /// Notes how an export ended, unless that is noted already.
    pub async fn end(&self, record: &ExportRecord) -> Result<(), ArchiveError> {
        let path = self.object(&record.export_id, ENDED);
        match self.bucket.create(&path, document::encode(&path, record)?).await {
            Err(ArchiveError::Exists { .. }) => Ok(()),
            created => created,
        }
    }

    /// [`ArchiveError::NotFound`] where there is none.
    pub async fn get(&self, export_id: &str) -> Result<ExportRecord, ArchiveError> {
        match document::read(&self.bucket, &self.object(export_id, ENDED)).await {
            Err(ArchiveError::NotFound { .. }) => document::read(&self.bucket, &self.object(export_id, BEGUN)).await,
            read => read,
        }
    }

    /// The exports that began at this time or later, in milliseconds since the Unix epoch, by id.
    pub async fn find(&self, from_ms: u64) -> Result<BTreeMap<String, FoundExport>, ArchiveError> {
        // Before every id of that time, which goes on with a hyphen.
        let after = self.folder.clone().join(format!("{from_ms:014}"));
        let mut found: BTreeMap<String, FoundExport> = BTreeMap::new();
        for object in self.bucket.list(&self.folder, Some(&after)).await? {
            let Some((id, end)) = self.named(&object.location) else { continue };
            let export = found.entry(id.to_owned()).or_default();
            match end {
                BEGUN => export.begun = true,
                ENDED => export.ended = true,
                _ => export.attempt = export.attempt.take().max(Mark::of_attempt(end, &object)),
            }
        }
        Ok(found)
    }

    /// The export that an object of the folder belongs to, and what its name ends in; none of what else lies there.
    fn named<'a>(&self, path: &'a Path) -> Option<(&'a str, &'a str)> {
        let below = path.as_ref().strip_prefix(self.folder.as_ref())?.strip_prefix('/')?;
        below.split_once('.').filter(|(id, end)| is_backup_id(id) && !end.contains('/'))
    }

    /// How many that began at this time or later are still to be made, or being made.
    pub async fn count_open(&self, from_ms: u64) -> Result<usize, ArchiveError> {
        Ok(self.find(from_ms).await?.values().filter(|export| export.is_open()).count())
    }

    /// In descending order of their ids, the first `limit` that began at this time or later, have an id below `before` and
    /// are `wanted`; and whether there are more.
    pub async fn page(
        &self,
        from_ms: u64,
        before: Option<&str>,
        limit: usize,
        wanted: impl Fn(&ExportRecord) -> bool,
    ) -> Result<(Vec<ExportRecord>, bool), ArchiveError> {
        let found = self.find(from_ms).await?;
        let ids = found.into_keys().rev().filter(|id| before.is_none_or(|before| id.as_str() < before));
        let read = |id: String| async move { document::pass_over(self.get(&id).await) };
        let mut read = std::pin::pin!(stream::iter(ids).map(read).buffered(READS_AT_ONCE));
        let mut page = Vec::new();
        while let Some(record) = read.next().await {
            let Some(record) = record?.filter(&wanted) else { continue };
            if page.len() == limit {
                return Ok((page, true));
            }
            page.push(record);
        }
        Ok((page, false))
    }

    /// Deletes what is known of exports that began too long ago to be told of; what they wrote stays.
    pub(crate) async fn sweep(&self, now_ms: u64) -> Result<(), ArchiveError> {
        let before_ms = now_ms.saturating_sub(EXPORTS_KEPT_MS);
        for object in self.bucket.list(&self.folder, None).await? {
            let is_named = self.named(&object.location).is_some();
            if is_named && layout::number(&object.location).is_some_and(|began_ms| began_ms < before_ms) {
                self.bucket.delete(&object.location).await?;
            }
        }
        for object in self.bucket.list(&self.tokens, None).await? {
            let written_ms = u64::try_from(object.last_modified.timestamp_millis()).unwrap_or(0);
            if written_ms < before_ms {
                self.bucket.delete(&object.location).await?;
            }
        }
        Ok(())
    }

    /// What a client token stands for at this time, as it began; milliseconds since the Unix epoch.
    pub async fn under_token(&self, token: &str, now_ms: u64) -> Result<Option<ExportRecord>, ArchiveError> {
        let last = self.last_use(token).await?.map(|(_, record)| record);
        Ok(last.filter(|record| record.start_time_ms + TOKEN_MS > now_ms))
    }

    /// Makes the record's client token, if it has one, stand for it; gives what it stands for then.
    pub async fn take_token(&self, record: &ExportRecord) -> Result<ExportRecord, ArchiveError> {
        let Some(token) = &record.client_token else { return Ok(record.clone()) };
        let folder = self.token_folder(token);
        for _ in 0..TOKEN_TRIES_MAX {
            let number = match self.last_use(token).await? {
                Some((_, last)) if last.start_time_ms + TOKEN_MS > record.start_time_ms => return Ok(last),
                Some((number, _)) => number + 1,
                None => 1,
            };
            let path = folder.clone().join(format!("{number:08}.json"));
            match self.bucket.create(&path, document::encode(&path, record)?).await {
                // Somebody was faster.
                Err(ArchiveError::Exists { .. }) => {}
                created => return created.map(|()| record.clone()),
            }
        }
        Err(ArchiveError::Exists { object: folder.to_string() })
    }

    async fn last_use(&self, token: &str) -> Result<Option<(u64, ExportRecord)>, ArchiveError> {
        let uses = self.bucket.list(&self.token_folder(token), None).await?;
        let Some(last) = uses.into_iter().next_back() else { return Ok(None) };
        let Some(number) = layout::number(&last.location) else { return Ok(None) };
        match document::read(&self.bucket, &last.location).await {
            Ok(record) => Ok(Some((number, record))),
            // Forgotten just now.
            Err(ArchiveError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Tokens are any text.
    fn token_folder(&self, token: &str) -> Path {
        let name: String = Md5::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        self.tokens.clone().join(name)
    }
}
