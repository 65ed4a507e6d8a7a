//! Inputs out of other inputs: the same seed makes the same ones of the same corpus.

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use std::{collections::BTreeSet, ops::Range};

/// How many inputs are remembered besides the corpus.
const POOL_MAX: usize = 4_096;
const TOKEN_BYTES_MAX: usize = 32;
const REPEATS_MAX: usize = 1 << 14;

const NUMBERS: [&str; 14] = [
    "0",
    "-0",
    "1",
    "-1",
    "255",
    "65536",
    "2147483648",
    "-2147483649",
    "4294967296",
    "18446744073709551616",
    "1e400",
    "-1E-131",
    "9.9999999999999999999999999999999999999E125",
    "0.000000000000000000000000000000000000000000000001",
];
/// What nests.
const PAIRS: [(&str, &str); 9] = [
    ("(", ")"),
    ("[", "]"),
    ("{", "}"),
    ("<<", ">>"),
    ("\"", "\""),
    ("'", "'"),
    ("NOT ", ""),
    ("{\"M\":{\"a\":", "}}"),
    ("{\"L\":[", "]}"),
];
const BYTES: [u8; 16] = *b"\0\x01\x7f\x80\xc0\xff\n \"'\\#:?.,";

/// A source of inputs.
#[derive(Debug)]
pub(crate) struct Mutator {
    random: StdRng,
    length_max: usize,
    /// What new inputs are made of: the corpus, and inputs that showed something new.
    pool: Vec<Vec<u8>>,
    seeds: usize,
    tokens: Vec<Vec<u8>>,
}

impl Mutator {
    pub(crate) fn new(seed: u64, inputs: Vec<Vec<u8>>, length_max: usize) -> Self {
        let mut tokens: BTreeSet<Vec<u8>> = NUMBERS.iter().map(|number| number.as_bytes().to_vec()).collect();
        tokens.extend(inputs.iter().flat_map(|input| words(input).into_iter().map(|word| input[word].to_vec())));
        let seeds = inputs.len();
        let tokens = tokens.into_iter().collect();
        Self { random: StdRng::seed_from_u64(seed), length_max, pool: inputs, seeds, tokens }
    }

    /// Remembers an input that showed something new; others of its kind make room for it.
    pub(crate) fn remember(&mut self, input: &[u8]) {
        if self.pool.len() < self.seeds + POOL_MAX {
            self.pool.push(input.to_vec());
        } else {
            let place = self.random.random_range(self.seeds..self.pool.len());
            self.pool[place] = input.to_vec();
        }
    }

    pub(crate) fn next(&mut self) -> Vec<u8> {
        // Long inputs are slow, and mutations make them longer: of two the shorter.
        let (mut input, other) = (self.any_of_pool(), self.any_of_pool());
        if other.len() < input.len() {
            input = other;
        }
        // Mostly a few changes, now and then many.
        while input.len() <= self.length_max {
            self.change(&mut input);
            if self.random.random_ratio(2, 5) {
                break;
            }
        }
        input.truncate(self.length_max);
        input
    }

    fn any_of_pool(&mut self) -> Vec<u8> {
        self.pool.choose(&mut self.random).cloned().unwrap_or_default()
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        match self.random.random_range(0..14) {
            0 => self.at_byte(input, |random, byte| *byte ^= 1 << random.random_range(0..8)),
            1 => self.at_byte(input, |random, byte| *byte = *BYTES.choose(random).unwrap_or(&0)),
            2 => self
                .at_byte(input, |random, byte| *byte = byte.wrapping_add(random.random_range(1..=16)).wrapping_sub(8)),
            3 => drop(input.drain(self.range(input))),
            4 => {
                let copy = input[self.range(input)].to_vec();
                self.insert(input, &copy);
            }
            5 => self.repeat(input),
            6 | 7 => {
                let other = self.any_of_pool();
                let part = other[self.range(&other)].to_vec();
                self.insert(input, &part);
            }
            8 => {
                let other = self.any_of_pool();
                input.truncate(self.random.random_range(0..=input.len()));
                input.extend_from_slice(&other[self.random.random_range(0..=other.len())..]);
            }
            9 | 10 => {
                let token = self.token();
                self.insert(input, &token);
            }
            11 | 12 => {
                let token = self.token();
                if let Some(word) = words(input).choose(&mut self.random) {
                    input.splice(word.clone(), token);
                }
            }
            _ => self.nest(input),
        }
    }

    fn at_byte(&mut self, input: &mut [u8], change: impl FnOnce(&mut StdRng, &mut u8)) {
        if !input.is_empty() {
            let at = self.random.random_range(0..input.len());
            change(&mut self.random, &mut input[at]);
        }
    }

    /// Any range of the input; short ones mostly.
    fn range(&mut self, input: &[u8]) -> Range<usize> {
        let start = self.random.random_range(0..=input.len());
        let longest = if self.random.random_bool(0.8) { 24 } else { input.len() };
        start..start + self.random.random_range(0..=longest.min(input.len() - start))
    }

    fn insert(&mut self, input: &mut Vec<u8>, part: &[u8]) {
        let at = self.random.random_range(0..=input.len());
        input.splice(at..at, part.iter().copied());
    }

    fn token(&mut self) -> Vec<u8> {
        self.tokens.choose(&mut self.random).cloned().unwrap_or_default()
    }

    /// A few times mostly, as often as there is room now and then.
    fn times(&mut self, length: usize) -> usize {
        let room = (self.length_max / length.max(1)).clamp(1, REPEATS_MAX);
        let most = if self.random.random_bool(0.8) { room.min(40) } else { room };
        self.random.random_range(1..=most)
    }

    fn repeat(&mut self, input: &mut Vec<u8>) {
        let range = self.range(input);
        let part = input[range.clone()].to_vec();
        let times = self.times(part.len());
        input.splice(range, part.repeat(times));
    }

    /// Puts brackets of one kind around a part of it, many deep.
    fn nest(&mut self, input: &mut Vec<u8>) {
        let range = self.range(input);
        let (open, close) = *PAIRS.choose(&mut self.random).unwrap_or(&PAIRS[0]);
        let times = self.times(open.len() + close.len());
        input.splice(range.end..range.end, close.repeat(times).bytes());
        input.splice(range.start..range.start, open.repeat(times).bytes());
    }
}

/// Where words and signs are.
fn words(input: &[u8]) -> Vec<Range<usize>> {
    let kind = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'#' | b':' | b'-' | b'/' | 0x80.. => 1,
        b' ' | b'\t' | b'\n' | b'\r' => 0,
        sign => 1 + u16::from(sign),
    };
    let mut found = Vec::new();
    let mut start = 0;
    while start < input.len() {
        let length = input[start..].iter().take_while(|byte| kind(**byte) == kind(input[start])).count();
        if kind(input[start]) != 0 && length <= TOKEN_BYTES_MAX {
            found.push(start..start + length);
        }
        start += length;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(seed: u64) -> Vec<Vec<u8>> {
        let mut mutator = Mutator::new(seed, vec![b"SET a = b".to_vec(), b"a.b[0] < :v".to_vec()], 200);
        (0..2_000).map(|_| mutator.next()).collect()
    }

    #[test]
    fn one_seed_makes_the_same_inputs_again_and_another_others() {
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
    }

    #[test]
    fn inputs_are_many_and_none_is_too_long() {
        let inputs = inputs(3);
        assert!(inputs.iter().all(|input| input.len() <= 200));
        assert!(inputs.iter().collect::<BTreeSet<_>>().len() > 1_000);
        assert!(inputs.iter().any(|input| input.starts_with(b"((((")));
    }

    #[test]
    fn words_and_signs_are_told_apart() {
        let text = b"a1 <> :v(x)";
        let found: Vec<&[u8]> = words(text).into_iter().map(|word| &text[word]).collect();
        assert_eq!(found, [b"a1".as_slice(), b"<", b">", b":v", b"(", b"x", b")"]);
    }
}
