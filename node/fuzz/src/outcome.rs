//! What an input led to, in as few words as tell whether it showed something new.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

/// How many kinds are told apart.
const KINDS_MAX: usize = 1 << 16;
/// Of an outcome, what counts.
const WORDS_MAX: usize = 200;

/// The kinds of outcomes that were seen.
#[derive(Debug, Default)]
pub(crate) struct Kinds(BTreeSet<u64>);

impl Kinds {
    /// Whether this is the first of its kind: by which word follows which. Figures and quoted text are the input's.
    pub(crate) fn is_new(&mut self, outcome: &str) -> bool {
        let unquoted = outcome.split('"').step_by(2);
        let words =
            unquoted.flat_map(|part| part.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty()));
        let words: Vec<&str> = words.take(WORDS_MAX).collect();
        let mut hasher = DefaultHasher::new();
        (words.first(), words.windows(2).collect::<BTreeSet<_>>()).hash(&mut hasher);
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
