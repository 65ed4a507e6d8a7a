//! Time To Live: when an item expires, and which expired items are deleted.

use crate::{
    AttributeValue,
    codec::{CodecError, EncodedItem},
    number::Number,
};
use std::ops::Range;

/// What expired longer ago than this stays (developer guide, "Using time to live in DynamoDB").
pub const PAST_SECONDS_MAX: u64 = 5 * 365 * 24 * 3_600;

/// When an item with this value of its Time To Live attribute expires, in whole seconds since the Unix epoch; none where it
/// never does.
pub fn expiry_seconds(value: &AttributeValue) -> Option<u64> {
    match value {
        AttributeValue::N(number) => whole_part(number),
        _ => None,
    }
}

/// When a stored item expires by this attribute, which is a top-level one.
pub fn expiry_of(item: &EncodedItem, attribute_name: &str) -> Result<Option<u64>, CodecError> {
    Ok(item.get(attribute_name)?.as_ref().and_then(expiry_seconds))
}

/// The expiries that are due for deletion now: before this second, and not too long ago.
pub fn due(now_ms: u64) -> Range<u64> {
    // A second that has begun is before now, unless it has only just.
    let end = now_ms.div_ceil(1_000);
    end.saturating_sub(PAST_SECONDS_MAX)..end
}

fn whole_part(number: &Number) -> Option<u64> {
    let (negative, exponent, coefficient) = number.parts();
    let power = 10_u128.checked_pow(u32::from(exponent.unsigned_abs()));
    let whole = match (exponent < 0, power) {
        (false, Some(power)) => coefficient.checked_mul(power)?,
        (false, None) if coefficient > 0 => return None,
        (true, Some(power)) => coefficient / power,
        // Less than 1.
        (_, None) => 0,
    };
    if negative && whole > 0 { None } else { u64::try_from(whole).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Item;

    fn expiry(number: &str) -> Option<u64> {
        expiry_seconds(&AttributeValue::N(Number::parse(number).unwrap()))
    }

    #[test]
    fn an_item_expires_at_the_whole_seconds_of_a_number() {
        assert_eq!(expiry("1700000000"), Some(1_700_000_000));
        assert_eq!(expiry("1.7e9"), Some(1_700_000_000));
        assert_eq!(expiry("1700000000.999"), Some(1_700_000_000));
        assert_eq!(expiry("1e-130"), Some(0));
        assert_eq!(expiry("-0.5"), Some(0));
        assert_eq!(expiry("18446744073709551615"), Some(u64::MAX));
    }

    #[test]
    fn what_is_no_time_never_expires() {
        for number in ["-1", "18446744073709551616", "1e125", "-1e125"] {
            assert_eq!(expiry(number), None, "{number}");
        }
        assert_eq!(expiry_seconds(&AttributeValue::S("1700000000".into())), None);
        assert_eq!(expiry_seconds(&AttributeValue::Null), None);
    }

    #[test]
    fn only_a_top_level_attribute_counts() {
        let number = AttributeValue::N(Number::parse("7").unwrap());
        let inner = Item::from([("at".to_owned(), number.clone())]);
        let nested = EncodedItem::encode(&Item::from([("map".to_owned(), AttributeValue::M(inner))]));
        assert_eq!(expiry_of(&nested, "at"), Ok(None));
        assert_eq!(expiry_of(&nested, "map"), Ok(None));
        let item = EncodedItem::encode(&Item::from([("at".to_owned(), number)]));
        assert_eq!(expiry_of(&item, "at"), Ok(Some(7)));
    }

    #[test]
    fn what_expired_is_due_for_five_years() {
        let now_s = 1_700_000_000;
        let due_now = due(now_s * 1_000);
        assert_eq!(due_now, now_s - PAST_SECONDS_MAX..now_s);
        assert!(!due_now.contains(&now_s), "it is not before now");
        assert!(due(now_s * 1_000 + 1).contains(&now_s));
        assert_eq!(due(5_000), 0..5);
    }
}
