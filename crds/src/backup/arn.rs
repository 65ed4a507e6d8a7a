//! The name of a backup as clients see it: `arn:aws:dynamodb:REGION:ACCOUNT:table/TABLE/backup/ID`.

use crate::table::definition::table_arn;
use std::{fmt, str::FromStr};

/// A backup's ARN, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupArn {
    pub region: String,
    pub account: String,
    pub table_name: String,
    /// As [`super::Backup::backup_id`] makes it.
    pub backup_id: String,
}

/// A text that is not the ARN of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ARN of a backup has the form arn:aws:dynamodb:REGION:ACCOUNT:table/TABLE/backup/ID")]
pub struct InvalidBackupArn;

impl fmt::Display for BackupArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table_arn = table_arn(&self.region, &self.account, &self.table_name);
        write!(f, "{table_arn}/backup/{}", self.backup_id)
    }
}

impl FromStr for BackupArn {
    type Err = InvalidBackupArn;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or(InvalidBackupArn)
    }
}

fn parse(text: &str) -> Option<BackupArn> {
    let mut parts = text.strip_prefix("arn:aws:dynamodb:")?.splitn(3, ':');
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let (table_name, rest) = resource.strip_prefix("table/")?.split_once('/')?;
    let backup_id = rest.strip_prefix("backup/").filter(|id| is_backup_id(id))?;
    // These become parts of paths in the bucket.
    let is_plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_table = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if !is_plain(region) || !is_plain(account) || !(3..=255).contains(&table_name.len()) || !is_table(table_name) {
        return None;
    }
    Some(BackupArn {
        region: region.to_owned(),
        account: account.to_owned(),
        table_name: table_name.to_owned(),
        backup_id: backup_id.to_owned(),
    })
}

/// Fourteen digits and eight hexadecimal ones.
fn is_backup_id(text: &str) -> bool {
    text.split_once('-').is_some_and(|(time, random)| {
        time.len() == 14
            && time.bytes().all(|b| b.is_ascii_digit())
            && random.len() == 8
            && random.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:dynamodb:east:game:table/users/backup/01700000000000-abcdef12";

    #[test]
    fn an_arn_is_read_as_it_is_written() {
        let arn: BackupArn = ARN.parse().unwrap();
        assert_eq!((arn.region.as_str(), arn.account.as_str()), ("east", "game"));
        assert_eq!((arn.table_name.as_str(), arn.backup_id.as_str()), ("users", "01700000000000-abcdef12"));
        assert_eq!(arn.to_string(), ARN);
    }

    #[test]
    fn what_is_no_arn_of_a_backup_is_refused() {
        for (part, other) in [
            ("arn:aws", "arn:gcp"),
            ("east", ""),
            ("game", "../game"),
            ("users", "us"),
            ("users", "u/s"),
            ("backup", "export"),
            ("01700000000000", "1700000000000"),
            ("abcdef12", "ABCDEF12"),
        ] {
            let text = ARN.replacen(part, other, 1);
            assert_eq!(text.parse::<BackupArn>(), Err(InvalidBackupArn), "{text}");
        }
    }
}
