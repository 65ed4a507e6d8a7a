//! Bytes that came in pieces and are taken in others: copied only where what is taken lies in more than one.

use bytes::Bytes;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(crate) struct Rope {
    /// None is empty.
    pieces: VecDeque<Bytes>,
    bytes: usize,
}

impl Rope {
    pub(crate) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.bytes += piece.len();
            self.pieces.push_back(piece);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The first bytes, if there are as many.
    pub(crate) fn peek<const N: usize>(&self) -> Option<[u8; N]> {
        let mut peeked = [0; N];
        let mut filled = 0;
        for piece in &self.pieces {
            let part = &piece[..piece.len().min(N - filled)];
            peeked[filled..filled + part.len()].copy_from_slice(part);
            filled += part.len();
        }
        (filled == N).then_some(peeked)
    }

    /// Takes the first bytes off, if there are as many.
    pub(crate) fn take(&mut self, bytes: usize) -> Option<Bytes> {
        if bytes > self.bytes {
            return None;
        }
        self.bytes -= bytes;
        let first = self.pieces.front().map_or(0, Bytes::len);
        let taken = if bytes <= first { self.cut(bytes) } else { self.gather(bytes) };
        Some(taken)
    }

    /// Takes bytes off the first piece, which has as many.
    fn cut(&mut self, bytes: usize) -> Bytes {
        match self.pieces.front_mut() {
            Some(piece) if bytes < piece.len() => piece.split_to(bytes),
            _ => self.pieces.pop_front().unwrap_or_default(),
        }
    }

    fn gather(&mut self, bytes: usize) -> Bytes {
        let mut gathered = Vec::with_capacity(bytes);
        while gathered.len() < bytes
            && let Some(piece) = self.pieces.front()
        {
            let part = self.cut(piece.len().min(bytes - gathered.len()));
            gathered.extend_from_slice(&part);
        }
        gathered.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_is_taken_in_pieces_of_any_size() {
        let text = b"what was pushed is taken in pieces of any size";
        for pushed in 1..=text.len() {
            for taken in 1..=text.len() {
                let mut rope = Rope::default();
                text.chunks(pushed).for_each(|piece| rope.push(Bytes::from_static(piece)));
                let mut out = Vec::new();
                while !rope.is_empty() {
                    assert_eq!(
                        rope.peek::<4>().map(|first| first.to_vec()),
                        text.get(out.len()..out.len() + 4).map(<[u8]>::to_vec)
                    );
                    let bytes = taken.min(text.len() - out.len());
                    out.extend_from_slice(&rope.take(bytes).unwrap());
                }
                assert_eq!((out.as_slice(), rope.take(1)), (&text[..], None));
            }
        }
    }

    #[test]
    fn what_lies_in_one_piece_is_not_copied() {
        let piece = Bytes::from(vec![7; 100]);
        let mut rope = Rope::default();
        rope.push(piece.clone());
        rope.take(10).unwrap();
        assert_eq!(rope.take(50).unwrap().as_ptr(), piece[10..].as_ptr());
    }
}
