//! What is read again and again.

use super::chunk::{
    Beginning, int_end, is_array, is_string, length, plain_end, string, word, words,
};
use crate::{graph::index, key::word_mark};

/// What elements and arrays were like in other arrays. Those that stand beside each other look
/// alike, and to take what is known is faster than to read it, since what comes next can be read at
/// the same time.
#[derive(Debug)]
pub(super) struct Alike {
    elements: [AlikeElement; 16],
    /// The beginning of an array, how many elements it has, and where the first of them is.
    arrays: [(u64, usize, usize); 4],
}

/// How far elements were read over.
#[derive(Debug)]
pub(super) struct Passed {
    pub(super) at: usize,
    /// How many more the array wants.
    pub(super) left: usize,
    /// Whether it is at the value of one whose key was read.
    pub(super) at_value: bool,
}

/// An element that was read, whose key has at most sixteen bytes with all that is around it.
#[derive(Debug, Clone, Copy)]
struct AlikeElement {
    /// The first eight bytes of the key, and those behind them that are its own.
    first: u64,
    second: u64,
    own: u64,
    /// Where its text begins and ends, from its beginning on.
    start: u32,
    end: u32,
    /// As [`StringKey`] has it.
    mark: u64,
    value: Beginning,
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
        let value = Beginning::NONE;
        let element =
            AlikeElement { first: 0, second: 0, own: 0, start: 0, end: 0, mark: 0, value };
        Self { elements: [element; 16], arrays: [(0, 0, 0); 4] }
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
        let known = self.elements.get_mut(place(depth, left))?;
        if words.is_some_and(|words| known.is_key(words)) {
            let (start, end) = (at + known.start as usize, at + known.end as usize);
            return Some(StringKey { start, end, mark: known.mark });
        }
        known.learn_key(input, at)
    }

    /// Reads over elements without entries, up to the key or the value that is for the scanner to
    /// read, or to the end of an array that still wants so many.
    #[inline(always)]
    pub(super) fn pass(
        &mut self,
        input: &[u8],
        mut at: usize,
        depth: usize,
        mut left: usize,
    ) -> Passed {
        while left > 0
            && let Some(words) = words(input, at)
            && let Some(known) = self.elements.get_mut(place(depth, left - 1))
        {
            let is_known = known.is_key(words);
            let value = if is_known {
                Some(at + known.end as usize + 2)
            } else if is_string(words.0) {
                known.learn_key(input, at).map(|key| key.end + 2)
            } else {
                int_end(input, at, words.0)
            };
            let Some(value) = value else { break };
            (at, left) = (value, left - 1);
            let end = word(input, at).and_then(|word| {
                if is_known {
                    known.value.plain_end(input, at, word)
                } else {
                    plain_end(input, at, word)
                }
            });
            let Some(end) = end else { return Passed { at, left, at_value: true } };
            at = end;
        }
        Passed { at, left, at_value: false }
    }

    /// How many elements an array of up to 99 has that begins with a word, and where the first of them
    /// is.
    #[inline(always)]
    pub(super) fn array(&mut self, at: usize, word: u64, depth: usize) -> Option<(usize, usize)> {
        if !is_array(word) {
            return None;
        }
        let known = self.arrays.get_mut(depth % 4)?;
        if word == known.0 {
            return Some((known.1, at + known.2));
        }
        let (count, head) = length(word, b'a', b'{')?;
        *known = (word, count, head);
        Some((count, at + head))
    }
}

impl AlikeElement {
    /// Whether these are the bytes of its key.
    #[inline(always)]
    fn is_key(&self, (first, second): (u64, u64)) -> bool {
        first == self.first && second & self.own == self.second
    }

    /// Reads a key, which is the one that is known from now on.
    #[inline(always)]
    fn learn_key(&mut self, input: &[u8], at: usize) -> Option<StringKey> {
        let (start, end) = string(input, at, word(input, at)?)?;
        let mark = word_mark(input.get(start..end)?);
        // From the quotes behind it back to the sixteenth byte.
        if let Some(more) = (at + 14).checked_sub(end)
            && let Some((first, second)) = words(input, at)
        {
            let own = if more < 8 { u64::MAX >> (8 * more) } else { 0 };
            let (second, value) = (second & own, Beginning::NONE);
            *self = Self {
                first,
                second,
                own,
                start: index(start - at),
                end: index(end - at),
                mark,
                value,
            };
        }
        Some(StringKey { start, end, mark })
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
                let known = &alike.elements[place(1, 1)];
                assert_eq!(known.is_key(words(&input, at).unwrap()), text.len() < 10);
            }
        }
    }
}
