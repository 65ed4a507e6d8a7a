//! Tags of a table, and DynamoDB's rules for their keys and values (developer guide, tagging restrictions).

use crate::limits;
use regex::Regex;
use std::{collections::BTreeMap, sync::LazyLock};

/// Values by key. Both are case-sensitive, and a value may be empty.
pub type Tags = BTreeMap<String, String>;

/// Letters, digits and spaces of any script, and a few signs.
const PATTERN: &str = r"^[\p{L}\p{Z}\p{N}_.:/=+@-]*$";
const RESERVED_PREFIX: &str = "aws:";

/// Whether the text can be a tag's key.
pub fn is_key(text: &str) -> bool {
    !text.is_empty() && has_form(text, limits::TAG_KEY_CHARS_MAX)
}

/// Whether the text can be a tag's value.
pub fn is_value(text: &str) -> bool {
    has_form(text, limits::TAG_VALUE_CHARS_MAX)
}

/// Whether the key is one that only AWS itself gives.
pub fn is_reserved(key: &str) -> bool {
    key.get(..RESERVED_PREFIX.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(RESERVED_PREFIX))
}

fn has_form(text: &str, chars_max: usize) -> bool {
    static ALLOWED: LazyLock<Result<Regex, regex::Error>> = LazyLock::new(|| Regex::new(PATTERN));
    text.chars().count() <= chars_max && ALLOWED.as_ref().is_ok_and(|allowed| allowed.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_any_script_and_the_signs_of_the_guide_are_allowed() {
        for text in ["a+b-c=d.e_f:g/h@i", " leading", "ключ", "café", "表", "no\u{a0}break\u{3000}", "Ⅷ"] {
            assert!(is_key(text) && is_value(text), "{text}");
        }
        for text in ["#", "100%", "a,b", "it's", "(x)", "a&b", "a*b", "<a>", "~a", "🔑", "tab\t", "end\n", "हिन्दी"]
        {
            assert!(!is_key(text) && !is_value(text), "{text}");
        }
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        assert!(is_key(&"ж".repeat(128)) && !is_key(&"k".repeat(129)) && !is_key(""));
        assert!(is_value(&"ж".repeat(256)) && !is_value(&"v".repeat(257)) && is_value(""));
    }

    #[test]
    fn the_prefix_of_aws_is_reserved_in_whatever_case() {
        assert!(is_reserved("aws:x") && is_reserved("AWS:x") && is_reserved("aws:"));
        assert!(!is_reserved("myaws:x") && !is_reserved("aws") && !is_reserved("жжж"));
    }
}
