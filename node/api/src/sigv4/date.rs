//! When a request was signed, and whether that is near enough to now.

use super::{incomplete, invalid};
use cairn_model::ServiceError;
use hyper::{HeaderMap, header::DATE};
use jiff::{Timestamp, civil::DateTime, fmt::rfc2822, tz::TimeZone};

const SKEW_MS_MAX: i64 = 15 * 60 * 1_000;
const BASIC_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// A date in ISO-8601's basic format, `20150830T123600Z`.
#[derive(Debug)]
pub(super) struct SignedDate {
    text: String,
    millis: i64,
}

impl SignedDate {
    /// From `X-Amz-Date`, else from `Date`, which may have its usual HTTP form too.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, ServiceError> {
        let value = headers.get("x-amz-date").or_else(|| headers.get(DATE));
        let text = value.and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
        let moment = if headers.contains_key("x-amz-date") {
            parse_basic(text)
        } else {
            parse_basic(text).or_else(|| rfc2822::parse(text).ok().map(|zoned| zoned.timestamp()))
        };
        match moment {
            Some(moment) => Ok(Self { text: basic(moment), millis: moment.as_millisecond() }),
            None => Err(incomplete(format!(
                "Date must be in ISO-8601 'basic format'. Got '{text}'. See http://en.wikipedia.org/wiki/ISO_8601"
            ))),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// `YYYYMMDD`.
    pub(super) fn day(&self) -> &str {
        self.text.get(..8).unwrap_or_default()
    }

    pub(super) fn check_skew(&self, now_ms: u64) -> Result<(), ServiceError> {
        let now = i64::try_from(now_ms).unwrap_or(i64::MAX / 2);
        let texts = |bound: i64| (moment_text(bound), moment_text(now));
        if self.millis < now - SKEW_MS_MAX {
            let (bound, now) = texts(now - SKEW_MS_MAX);
            return Err(invalid(format!(
                "Signature expired: {} is now earlier than {bound} ({now} - 15 min.)",
                self.text
            )));
        }
        if self.millis > now + SKEW_MS_MAX {
            let (bound, now) = texts(now + SKEW_MS_MAX);
            return Err(invalid(format!(
                "Signature not yet current: {} is still later than {bound} ({now} + 15 min.)",
                self.text
            )));
        }
        Ok(())
    }
}

/// Strictly sixteen characters: the general parser would let spaces through.
fn parse_basic(text: &str) -> Option<Timestamp> {
    let digits = |range| -> Option<i16> {
        let part: &str = text.get(range)?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?
    };
    if text.len() != 16 || text.get(8..9) != Some("T") || text.get(15..) != Some("Z") {
        return None;
    }
    let [month, day, hour, minute, second] = [(4, 6), (6, 8), (9, 11), (11, 13), (13, 15)].map(|(a, b)| digits(a..b));
    let narrow = |part: Option<i16>| part.and_then(|value| i8::try_from(value).ok());
    let datetime =
        DateTime::new(digits(0..4)?, narrow(month)?, narrow(day)?, narrow(hour)?, narrow(minute)?, narrow(second)?, 0)
            .ok()?;
    TimeZone::UTC.to_timestamp(datetime).ok()
}

fn moment_text(millis: i64) -> String {
    Timestamp::from_millisecond(millis).map(basic).unwrap_or_default()
}

fn basic(moment: Timestamp) -> String {
    moment.strftime(BASIC_FORMAT).to_string()
}
