//! What an input led to, in as few words as tell whether it showed something new.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

/// How many kinds are told apart.
const KINDS_MAX: usize = 1 << 16;
/// Of a text, what counts.
const TEXT_CHARS_MAX: usize = 400;

/// The kinds of outcomes that were seen.
#[derive(Debug, Default)]
pub(crate) struct Kinds(BTreeSet<u64>);

impl Kinds {
    /// Whether this is the first of its kind: figures and quoted text aside, for they are the input's.
    pub(crate) fn is_new(&mut self, outcome: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        let mut quoted = false;
        for character in outcome.chars().take(TEXT_CHARS_MAX) {
            quoted ^= character == '"';
            if !quoted && !character.is_ascii_digit() {
                character.hash(&mut hasher);
            }
        }
        self.0.len() < KINDS_MAX && self.0.insert(hasher.finish())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_quoted_text_make_no_new_kind() {
        let mut kinds = Kinds::default();
        assert!(kinds.is_new("Syntax error; token: \"a\", near: \"b c\""));
        assert!(!kinds.is_new("Syntax error; token: \"17\", near: \"\""));
        assert!(kinds.is_new("Invalid operator"));
        assert_eq!(kinds.count(), 2);
    }
}
