//! What is known of an account's exports, in the archive's bucket. Nothing of it is overwritten but the sign of life of who
//! makes one ([`super::attempt`]): how an export ended counts once, whoever says so first. What is still to be made lies in a
//! folder of its own, so that to look for it does not take longer the more was ever exported.

use super::attempt::Mark;
use crate::{ArchiveError, Bucket, document, layout, retention::DAY_MS};
use cairn_model::{arn::is_backup_id, export::ExportRecord};
use futures::{StreamExt, stream};
use md5::{Digest, Md5};
use object_store::path::Path;
use std::collections::{BTreeMap, BTreeSet};

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
    open: Path,
    tokens: Path,
}

/// The last attempt to make an export, and its sign of life; none before the first.
pub type LastAttempt = Option<(u32, Mark)>;

impl ExportRecords {
    pub fn new(bucket: Bucket, cluster: &str, account: &str) -> Self {
        let account = layout::account(cluster, account);
        let [folder, open, tokens] =
            ["exports", "exports-open", "export-tokens"].map(|name| account.clone().join(name));
        Self { bucket, folder, open, tokens }
    }

    fn object(&self, export_id: &str, end: &str) -> Path {
        self.folder.clone().join(format!("{export_id}.{end}"))
    }

    pub(super) fn open_object(&self, export_id: &str, end: &str) -> Path {
        self.open.clone().join(format!("{export_id}.{end}"))
    }

    /// Notes an export that is to be made; fails with [`ArchiveError::Exists`] where another has its id.
    pub async fn begin(&self, record: &ExportRecord) -> Result<(), ArchiveError> {
        // First where it is looked for: an export that is told of is made.
        let open = self.open_object(&record.export_id, BEGUN);
        match self.bucket.create(&open, document::encode(&open, record)?).await {
            Ok(()) | Err(ArchiveError::Exists { .. }) => {}
            Err(error) => return Err(error),
        }
        let path = self.object(&record.export_id, BEGUN);
        self.bucket.create(&path, document::encode(&path, record)?).await
    }

    /// An export that was open. If who asked for it came no further than that, it is told of from now on; none where all that
    /// was known of it went.
    pub async fn begun(&self, export_id: &str) -> Result<Option<ExportRecord>, ArchiveError> {
        match self.get(export_id).await {
            Err(ArchiveError::NotFound { .. }) => {}
            got => return got.map(Some),
        }
        let record: ExportRecord = match document::read(&self.bucket, &self.open_object(export_id, BEGUN)).await {
            Err(ArchiveError::NotFound { .. }) => return Ok(None),
            read => read?,
        };
        match self.begin(&record).await {
            Ok(()) | Err(ArchiveError::Exists { .. }) => Ok(Some(record)),
            Err(error) => Err(error),
        }
    }

    /// Notes how an export ended, unless that is noted already; it is not open any more.
    pub async fn end(&self, record: &ExportRecord) -> Result<(), ArchiveError> {
        let path = self.object(&record.export_id, ENDED);
        match self.bucket.create(&path, document::encode(&path, record)?).await {
            Ok(()) | Err(ArchiveError::Exists { .. }) => self.close(&record.export_id).await,
            Err(error) => Err(error),
        }
    }

    /// Takes an export that ended from those that are open.
    pub async fn close(&self, export_id: &str) -> Result<(), ArchiveError> {
        let before = self.open.clone().join(export_id);
        for object in self.bucket.list(&self.open, Some(&before)).await? {
            match named(&self.open, &object.location) {
                Some((id, _)) if id == export_id => self.bucket.delete(&object.location).await?,
                _ => break,
            }
        }
        Ok(())
    }

    /// [`ArchiveError::NotFound`] where there is none.
    pub async fn get(&self, export_id: &str) -> Result<ExportRecord, ArchiveError> {
        match document::read(&self.bucket, &self.object(export_id, ENDED)).await {
            Err(ArchiveError::NotFound { .. }) => document::read(&self.bucket, &self.object(export_id, BEGUN)).await,
            read => read,
        }
    }

    /// The exports that are to be made or being made, by id; some of them may have ended just now.
    pub async fn open(&self) -> Result<BTreeMap<String, LastAttempt>, ArchiveError> {
        let mut found: BTreeMap<String, (bool, LastAttempt)> = BTreeMap::new();
        for object in self.bucket.list(&self.open, None).await? {
            let Some((id, end)) = named(&self.open, &object.location) else { continue };
            let (begun, last) = found.entry(id.to_owned()).or_default();
            match end {
                BEGUN => *begun = true,
                _ => *last = last.take().max(Mark::of_attempt(end, &object)),
            }
        }
        // What is left of others is a sign of life that came late.
        Ok(found.into_iter().filter(|(_, (begun, _))| *begun).map(|(id, (_, last))| (id, last)).collect())
    }

    /// The ids of those that began at this time or later, in milliseconds since the Unix epoch.
    async fn ids(&self, from_ms: u64) -> Result<BTreeSet<String>, ArchiveError> {
        // Before every id of that time, which goes on with a hyphen.
        let after = self.folder.clone().join(format!("{from_ms:014}"));
        let objects = self.bucket.list(&self.folder, Some(&after)).await?;
        Ok(objects
            .iter()
            .filter_map(|object| named(&self.folder, &object.location))
            .map(|(id, _)| id.to_owned())
            .collect())
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
        let ids =
            self.ids(from_ms).await?.into_iter().rev().filter(|id| before.is_none_or(|before| id.as_str() < before));
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
        for folder in [&self.open, &self.folder] {
            for object in self.bucket.list(folder, None).await? {
                let is_named = named(folder, &object.location).is_some();
                if is_named && layout::number(&object.location).is_some_and(|began_ms| began_ms < before_ms) {
                    self.bucket.delete(&object.location).await?;
                }
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

/// The export that an object of a folder belongs to, and what its name ends in; none of what else lies there.
fn named<'a>(folder: &Path, object: &'a Path) -> Option<(&'a str, &'a str)> {
    let below = object.as_ref().strip_prefix(folder.as_ref())?.strip_prefix('/')?;
    below.split_once('.').filter(|(id, end)| is_backup_id(id) && !end.contains('/'))
}
