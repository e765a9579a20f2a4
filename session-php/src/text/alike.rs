//! What is read again and again.

use super::chunk::{length, string, word, words};
use crate::key::word_mark;

/// What keys and arrays were like in other arrays. Those that stand beside each other look alike,
/// and to take what is known is faster than to read it, since what comes next can be read at the
/// same time.
#[derive(Debug)]
pub(super) struct Alike {
    keys: [AlikeKey; 16],
    /// The beginning of an array, how many elements it has, and where the first of them is.
    arrays: [(u64, usize, usize); 4],
}

/// A key that was read, of at most sixteen bytes with all that is around it.
#[derive(Debug, Clone, Copy)]
struct AlikeKey {
    /// Its first eight bytes, and those behind them that are its own.
    first: u64,
    second: u64,
    own: u64,
    /// As [`StringKey`] has them, where it begins at 0.
    found: StringKey,
}

/// A key that is a string.
#[derive(Debug, Clone, Copy)]
pub(super) struct StringKey {
    /// Where its text begins and ends.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Its bit; none if it may stand for a number.
    pub(super) mark: u64,
}

impl Alike {
    /// Nothing is known: no key and no array begins with zeros.
    pub(super) const fn new() -> Self {
        let found = StringKey { start: 0, end: 0, mark: 0 };
        let key = AlikeKey { first: 0, second: 0, own: 0, found };
        Self { keys: [key; 16], arrays: [(0, 0, 0); 4] }
    }

    /// A key that is a string of up to 99 bytes; it stands so many before the last of an array, so
    /// many levels deep.
    #[inline(always)]
    pub(super) fn key(
        &mut self,
        input: &[u8],
        at: usize,
        depth: usize,
        left: usize,
    ) -> Option<StringKey> {
        let words = words(input, at);
        let known = self.keys.get_mut(place(depth, left))?;
        if let Some(StringKey { start, end, mark }) = words.and_then(|words| known.found_in(words))
        {
            return Some(StringKey { start: at + start, end: at + end, mark });
        }
        let (start, end) = string(input, at, word(input, at)?)?;
        let mark = word_mark(input.get(start..end)?);
        // From the quotes behind it back to the sixteenth byte.
        if let Some(more) = (at + 14).checked_sub(end)
            && let Some((first, second)) = words
        {
            let own = if more < 8 { u64::MAX >> (8 * more) } else { 0 };
            let found = StringKey { start: start - at, end: end - at, mark };
            *known = AlikeKey { first, second: second & own, own, found };
        }
        Some(StringKey { start, end, mark })
    }

    /// Where a key ends that was read before at such a place, from its beginning on.
    #[inline(always)]
    pub(super) fn known_end(&self, words: (u64, u64), depth: usize, left: usize) -> Option<usize> {
        self.keys.get(place(depth, left))?.found_in(words).map(|key| key.end)
    }

    /// How many elements an array of up to 99 has, and where the first of them is.
    #[inline(always)]
    pub(super) fn array(
        &mut self,
        input: &[u8],
        at: usize,
        depth: usize,
    ) -> Option<(usize, usize)> {
        let word = word(input, at)?;
        let known = self.arrays.get_mut(depth % 4)?;
        if word == known.0 {
            return Some((known.1, at + known.2));
        }
        let (count, head) = length(word, b'a', b'{')?;
        *known = (word, count, head);
        Some((count, at + head))
    }
}

impl AlikeKey {
    /// The key, if these are its bytes.
    #[inline(always)]
    fn found_in(&self, (first, second): (u64, u64)) -> Option<StringKey> {
        (first == self.first && second & self.own == self.second).then_some(self.found)
    }
}

/// Where a key is remembered.
#[inline(always)]
const fn place(depth: usize, left: usize) -> usize {
    depth.wrapping_mul(5).wrapping_add(left) % 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_all_of_its_bytes() {
        let mut alike = Alike::new();
        for text in
            ["a", "abc", "prices", "priced", "price9", "ten_bytes", "ten_byteS", "a_longer_key"]
        {
            let token = format!("s:{}:\"{text}\";i:11111111111;", text.len());
            for at in [0, 7] {
                let input = [&b"1234567"[..at], token.as_bytes()].concat();
                for _ in 0..2 {
                    let key = alike.key(&input, at, 1, 1).unwrap();
                    assert_eq!(input.get(key.start..key.end), Some(text.as_bytes()));
                    assert_eq!(key.mark, word_mark(text.as_bytes()));
                }
                let end = words(&input, at).and_then(|words| alike.known_end(words, 1, 1));
                assert_eq!(end.map(|end| end + 2), (text.len() < 10).then_some(7 + text.len()));
            }
        }
    }
}
