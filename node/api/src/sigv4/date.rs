//! When a request was signed, and whether that is near enough to now.

use super::{authorization::Form, incomplete, invalid};
use cairn_model::ServiceError;
use hyper::{HeaderMap, header::DATE};
use jiff::{Timestamp, civil::DateTime, fmt::rfc2822, tz::TimeZone};

const SKEW_S_MAX: u32 = 15 * 60;
const BASIC_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// A date in ISO-8601's basic format, `20150830T123600Z`.
#[derive(Debug)]
pub(super) struct SignedDate {
    text: String,
    millis: i64,
}

impl SignedDate {
    /// From the query string where the signature is there; else from `X-Amz-Date`, else from `Date`, which may have its
    /// usual HTTP form too.
    pub(super) fn of(form: &Form, headers: &HeaderMap) -> Result<Self, ServiceError> {
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim());
        let (text, moment) = match (form, header("x-amz-date")) {
            (Form::Query { date, .. }, _) => (date.as_str(), parse_basic(date)),
            (Form::Header, Some(text)) => (text, parse_basic(text)),
            (Form::Header, None) => {
                let text = header(DATE.as_str()).unwrap_or_default();
                let http = || rfc2822::parse(text).ok().map(|zoned| zoned.timestamp());
                (text, parse_basic(text).or_else(http))
            }
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

    /// That the signature is of now, give or take 15 minutes; one that says for how long it is good is good for that long.
    pub(super) fn check(&self, form: &Form, now_ms: u64) -> Result<(), ServiceError> {
        let good_for_s = match form {
            Form::Query { expires_s: Some(expires_s), .. } => *expires_s,
            _ => SKEW_S_MAX,
        };
        let now = i64::try_from(now_ms).unwrap_or(i64::MAX / 2);
        let (earliest, latest) = (now - i64::from(good_for_s) * 1_000, now + i64::from(SKEW_S_MAX) * 1_000);
        if self.millis < earliest {
            let span =
                if good_for_s % 60 == 0 { format!("{} min.", good_for_s / 60) } else { format!("{good_for_s} sec.") };
            let (bound, now) = (moment_text(earliest), moment_text(now));
            return Err(invalid(format!(
                "Signature expired: {} is now earlier than {bound} ({now} - {span})",
                self.text
            )));
        }
        if self.millis > latest {
            let (bound, now) = (moment_text(latest), moment_text(now));
            return Err(invalid(format!(
                "Signature not yet current: {} is still later than {bound} ({now} + {} min.)",
                self.text,
                SKEW_S_MAX / 60
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
