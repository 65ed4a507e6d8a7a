//! The names of tables and backups as clients see them: `arn:aws:dynamodb:REGION:ACCOUNT:table/NAME`, and for a backup
//! `/backup/ID` after it, for an export `/export/ID`, for an import `/import/ID`, for a stream `/stream/LABEL`.

use crate::stream;
use std::fmt;

/// A table's ARN, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableArn<'a> {
    pub region: &'a str,
    pub account: &'a str,
    pub table_name: &'a str,
}

impl<'a> TableArn<'a> {
    /// `None` for a text that is not one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (arn, rest) = Self::split(text)?;
        rest.is_none().then_some(arn)
    }

    /// The table, and what is behind its name.
    fn split(text: &'a str) -> Option<(Self, Option<&'a str>)> {
        let mut parts = text.strip_prefix("arn:aws:dynamodb:")?.splitn(3, ':');
        let (region, account) = (parts.next()?, parts.next()?);
        let resource = parts.next()?.strip_prefix("table/")?;
        let (table_name, rest) =
            resource.split_once('/').map_or((resource, None), |(table_name, rest)| (table_name, Some(rest)));
        let whole = ![region, account, table_name].contains(&"");
        whole.then_some((Self { region, account, table_name }, rest))
    }

    /// Whether no part has a character that means something elsewhere.
    fn is_plain(&self) -> bool {
        let is_name = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let is_table = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        is_name(self.region)
            && is_name(self.account)
            && TABLE_NAME_LENGTH.contains(&self.table_name.len())
            && is_table(self.table_name)
    }
}

impl fmt::Display for TableArn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:aws:dynamodb:{}:{}:table/{}", self.region, self.account, self.table_name)
    }
}

/// A backup's ARN, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupArn<'a> {
    /// The table the backup was made of.
    pub table: TableArn<'a>,
    /// As [`backup_id`] makes it.
    pub backup_id: &'a str,
}

impl<'a> BackupArn<'a> {
    /// `None` for a text that is not one. All parts are checked: they become parts of paths in a bucket.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (table, rest) = TableArn::split(text)?;
        let backup_id = rest?.strip_prefix("backup/")?;
        (table.is_plain() && is_backup_id(backup_id)).then_some(Self { table, backup_id })
    }

    /// When the backup was asked for; milliseconds since the Unix epoch.
    pub fn creation_time_ms(self) -> u64 {
        let time = self.backup_id.split_once('-').map_or(self.backup_id, |(time, _)| time);
        time.parse().unwrap_or_default()
    }
}

impl fmt::Display for BackupArn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/backup/{}", self.table, self.backup_id)
    }
}

/// An export's ARN, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportArn<'a> {
    /// The table that was exported.
    pub table: TableArn<'a>,
    /// Of the form that [`backup_id`] makes.
    pub export_id: &'a str,
}

impl<'a> ExportArn<'a> {
    /// `None` for a text that is not one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (table, rest) = TableArn::split(text)?;
        let export_id = rest?.strip_prefix("export/")?;
        is_backup_id(export_id).then_some(Self { table, export_id })
    }
}

impl fmt::Display for ExportArn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/export/{}", self.table, self.export_id)
    }
}

/// An import's ARN, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportArn<'a> {
    /// The table that was made.
    pub table: TableArn<'a>,
    /// Of the form that [`backup_id`] makes.
    pub import_id: &'a str,
}

impl<'a> ImportArn<'a> {
    /// `None` for a text that is not one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (table, rest) = TableArn::split(text)?;
        let import_id = rest?.strip_prefix("import/")?;
        is_backup_id(import_id).then_some(Self { table, import_id })
    }
}

impl fmt::Display for ImportArn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/import/{}", self.table, self.import_id)
    }
}

/// A stream's ARN, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamArn<'a> {
    /// The table whose changes are in the stream.
    pub table: TableArn<'a>,
    /// When it was enabled, in milliseconds since the Unix epoch: its label.
    pub enabled_at_ms: u64,
}

impl<'a> StreamArn<'a> {
    /// `None` for a text that is not one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (table, rest) = TableArn::split(text)?;
        let enabled_at_ms = stream::enabled_at_ms(rest?.strip_prefix("stream/")?)?;
        Some(Self { table, enabled_at_ms })
    }
}

impl fmt::Display for StreamArn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/stream/{}", self.table, stream::label(self.enabled_at_ms))
    }
}

const TABLE_NAME_LENGTH: std::ops::RangeInclusive<usize> = 3..=255;
const TIME_DIGITS: usize = 14;
const RANDOM_DIGITS: usize = 8;

/// The id of a backup: the time it was asked for, in milliseconds since the Unix epoch, and something random. Ids in
/// ascending order are backups in the order of their times.
pub fn backup_id(creation_time_ms: u64, random: u32) -> String {
    format!("{creation_time_ms:0TIME_DIGITS$}-{random:0RANDOM_DIGITS$x}")
}

/// Whether the text has the form that [`backup_id`] makes.
pub fn is_backup_id(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.split_once('-').is_some_and(|(time, random)| {
        time.len() == TIME_DIGITS
            && time.bytes().all(|byte| byte.is_ascii_digit())
            && random.len() == RANDOM_DIGITS
            && random.bytes().all(is_hex)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_are_read_as_they_are_written() {
        let table = TableArn { region: "east", account: "game", table_name: "users" };
        assert_eq!(table.to_string(), "arn:aws:dynamodb:east:game:table/users");
        assert_eq!(TableArn::parse(&table.to_string()), Some(table));
        let id = backup_id(1_550_000_000_000, 0xab_cdef12);
        assert_eq!(id, "01550000000000-abcdef12");
        let backup = BackupArn { table, backup_id: &id };
        assert_eq!(backup.to_string(), "arn:aws:dynamodb:east:game:table/users/backup/01550000000000-abcdef12");
        assert_eq!(BackupArn::parse(&backup.to_string()), Some(backup));
        assert_eq!(backup.creation_time_ms(), 1_550_000_000_000);
        let export = ExportArn { table, export_id: &id };
        assert_eq!(export.to_string(), "arn:aws:dynamodb:east:game:table/users/export/01550000000000-abcdef12");
        assert_eq!(ExportArn::parse(&export.to_string()), Some(export));
        let import = ImportArn { table, import_id: &id };
        assert_eq!(import.to_string(), "arn:aws:dynamodb:east:game:table/users/import/01550000000000-abcdef12");
        assert_eq!(ImportArn::parse(&import.to_string()), Some(import));
        assert_eq!(ImportArn::parse(&export.to_string()), None);
        let stream = StreamArn { table, enabled_at_ms: 1_431_379_293_291 };
        assert_eq!(stream.to_string(), "arn:aws:dynamodb:east:game:table/users/stream/2015-05-11T21:21:33.291");
        assert_eq!(
            (StreamArn::parse(&stream.to_string()), StreamArn::parse(&export.to_string())),
            (Some(stream), None)
        );
        assert_eq!((BackupArn::parse(&export.to_string()), ExportArn::parse(&backup.to_string())), (None, None));
    }

    #[test]
    fn what_is_not_an_arn_is_not_read_as_one() {
        for text in [
            "users",
            "arn:aws:dynamodb:east:game:table/",
            "arn:aws:dynamodb:east::table/users",
            "arn:aws:dynamodb:east:game:index/users",
            "arn:aws:s3:east:game:table/users",
            "arn:aws:dynamodb:east:game:table/users/backup/01550000000000-abcdef12",
        ] {
            assert_eq!(TableArn::parse(text), None, "{text}");
        }
        for text in [
            "arn:aws:dynamodb:east:game:table/users",
            "arn:aws:dynamodb:east:game:table/users/stream/01550000000000-abcdef12",
            "arn:aws:dynamodb:east:game:table/users/backup/1550000000000-abcdef12",
            "arn:aws:dynamodb:east:game:table/users/backup/01550000000000-ABCDEF12",
            "arn:aws:dynamodb:east:game:table/users/backup/../../0155000000-abcdef12",
            "arn:aws:dynamodb:..:game:table/users/backup/01550000000000-abcdef12",
            "arn:aws:dynamodb:east:../game:table/users/backup/01550000000000-abcdef12",
            "arn:aws:dynamodb:east:game:table/us/backup/01550000000000-abcdef12",
            "arn:aws:dynamodb:east:game:table/u%2Fs/backup/01550000000000-abcdef12",
        ] {
            assert_eq!(BackupArn::parse(text), None, "{text}");
        }
    }
}
