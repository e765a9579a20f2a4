//! Common tokens, eight bytes at a time. What is not found here is for the scanner to read, or to
//! refuse.

/// Eight bytes from `at` on, the first of them lowest; unless the input ends before.
#[inline(always)]
pub(super) fn word(input: &[u8], at: usize) -> Option<u64> {
    let bytes = input.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

/// Each byte of a text, the first of them lowest.
const fn packed(text: [u8; 8]) -> u64 {
    u64::from_le_bytes(text)
}

const fn repeated(byte: u8) -> u64 {
    packed([byte; 8])
}

/// The digit that is so many bytes on; more than nine if it is none.
#[inline(always)]
const fn digit(word: u64, place: u32) -> u64 {
    ((word >> (8 * place)) & 0xff).wrapping_sub(b'0' as u64)
}

/// The length in a head of `x:1:y` or `x:12:y`, and that of the head.
#[inline(always)]
fn length(word: u64, tag: u8, bracket: u8) -> Option<(usize, usize)> {
    let one = packed([tag, b':', 0, b':', bracket, 0, 0, 0]);
    let two = packed([tag, b':', 0, 0, b':', bracket, 0, 0]);
    let first = digit(word, 2);
    let (number, head) = if word & packed([255, 255, 0, 255, 255, 0, 0, 0]) == one && first <= 9 {
        (first, 5)
    } else {
        let second = digit(word, 3);
        let is_two = word & packed([255, 255, 0, 0, 255, 255, 0, 0]) == two;
        if !is_two || first > 9 || second > 9 {
            return None;
        }
        (first * 10 + second, 6)
    };
    usize::try_from(number).ok().map(|number| (number, head))
}

/// The first byte of a string of up to 99 bytes, and that behind its last.
#[inline(always)]
pub(super) fn string(input: &[u8], at: usize, word: u64) -> Option<(usize, usize)> {
    let (length, head) = length(word, b's', b'"')?;
    let start = at + head;
    let end = start + length;
    (input.get(end..)?.first_chunk() == Some(b"\";")).then_some((start, end))
}

/// How many of the bytes are digits before the first that is none.
#[inline(always)]
const fn digits(word: u64) -> u32 {
    let values = word ^ repeated(b'0');
    // Only the lowest byte that is no digit has to be right: sums carry into those above it.
    let others = (values.wrapping_add(repeated(0x76)) | values) & repeated(0x80);
    others.trailing_zeros() / 8
}

/// How many digits there are from `at` on, up to sixteen.
#[inline(always)]
fn run(input: &[u8], at: usize) -> Option<usize> {
    let length = match digits(word(input, at)?) {
        8 => 8 + digits(word(input, at + 8)?),
        length => length,
    };
    usize::try_from(length).ok()
}

/// The end of `i:7;`, of up to sixteen digits without a sign.
#[inline(always)]
pub(super) fn int_end(input: &[u8], at: usize) -> Option<usize> {
    let length = run(input, at + 2)?;
    let end = at + 2 + length;
    let is_one = length > 0 && input.get(at + 1) == Some(&b':') && input.get(end) == Some(&b';');
    is_one.then_some(end + 1)
}

/// The end of `d:7;` or `d:7.25;`.
#[inline(always)]
pub(super) fn float_end(input: &[u8], at: usize) -> Option<usize> {
    let mut length = run(input, at + 2)?;
    if length == 0 || input.get(at + 1) != Some(&b':') {
        return None;
    }
    if input.get(at + 2 + length) == Some(&b'.') {
        length += 1 + run(input, at + 3 + length)?;
    }
    let end = at + 2 + length;
    (input.get(end) == Some(&b';')).then_some(end + 1)
}

/// The number that up to eight digits are, and how many they are.
#[inline(always)]
fn number(input: &[u8], at: usize) -> Option<(u32, usize)> {
    let word = word(input, at)?;
    let length = digits(word);
    if length == 0 {
        return None;
    }
    // Digits before them are zeros; then pairs, then fours, then all are added up.
    let digits = (word ^ repeated(b'0')) << (64 - 8 * length);
    let pairs = (digits.wrapping_mul(2561) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(6_553_601) >> 16) & 0x0000_ffff_0000_ffff;
    let all = fours.wrapping_mul(42_949_672_960_001) >> 32;
    Some((u32::try_from(all).ok()?, usize::try_from(length).ok()?))
}

/// The value of `i:7;`, of up to sixteen digits without a sign, and its end.
#[inline(always)]
pub(super) fn int(input: &[u8], at: usize) -> Option<(i64, usize)> {
    let (high, mut length) = number(input, at + 2)?;
    let mut value = i64::from(high);
    if length == 8
        && let Some((low, more)) = number(input, at + 10)
    {
        value = value * POWERS.get(more).copied()? + i64::from(low);
        length += more;
    }
    let end = at + 2 + length;
    let is_one = input.get(at + 1) == Some(&b':') && input.get(end) == Some(&b';');
    is_one.then_some((value, end + 1))
}

const POWERS: [i64; 9] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The value of `d:7;` or `d:7.25;` of so few digits that it is exact, and its end.
#[inline(always)]
pub(super) fn float(input: &[u8], at: usize) -> Option<(f64, usize)> {
    let (whole, mut length) = number(input, at + 2)?;
    let mut value = f64::from(whole);
    if input.get(at + 2 + length) == Some(&b'.') {
        let (fraction, digits) = number(input, at + 3 + length)?;
        if length + digits > 15 {
            return None;
        }
        // Both numbers are whole and below 2^53, so that there is one rounding, as it should be.
        let power = f64::from(u32::try_from(*POWERS.get(digits)?).ok()?);
        value = (value * power + f64::from(fraction)) / power;
        length += 1 + digits;
    }
    let end = at + 2 + length;
    let is_one = input.get(at + 1) == Some(&b':') && input.get(end) == Some(&b';');
    is_one.then_some((value, end + 1))
}

/// The end of a value that has no entries.
#[inline(always)]
pub(super) fn plain_end(input: &[u8], at: usize) -> Option<usize> {
    let word = word(input, at)?;
    match word.to_le_bytes() {
        [b's', ..] => string(input, at, word).map(|(_, end)| end + 2),
        [b'i', ..] => int_end(input, at),
        [b'N', b';', ..] => Some(at + 2),
        [b'b', b':', b'0' | b'1', b';', ..] => Some(at + 4),
        [b'd', ..] => float_end(input, at),
        _ => None,
    }
}

/// What keys and arrays were like in other arrays. Those that stand beside each other look alike,
/// and to take what is known is faster than to read it, since what comes next can be read at the
/// same time.
#[derive(Debug)]
pub(super) struct Alike {
    /// The beginning of a key, where its text begins, and where it ends.
    keys: [(u64, usize, usize); 16],
    /// The beginning of an array, how many elements it has, and where the first of them is.
    arrays: [(u64, usize, usize); 4],
}

impl Alike {
    /// Nothing is known: no key and no array begins with zeros.
    pub(super) const fn new() -> Self {
        Self { keys: [(0, 0, 0); 16], arrays: [(0, 0, 0); 4] }
    }

    /// The text of a key that is a string of up to 99 bytes; it stands so many before the last of an
    /// array, so many levels deep.
    #[inline(always)]
    pub(super) fn key(
        &mut self,
        input: &[u8],
        at: usize,
        depth: usize,
        left: usize,
    ) -> Option<(usize, usize)> {
        let word = word(input, at)?;
        let known = self.keys.get_mut((depth * 5 + left) % 16)?;
        let (start, end) = (at + known.1, at + known.2);
        if word == known.0 && input.get(end..)?.first_chunk() == Some(b"\";") {
            return Some((start, end));
        }
        let (start, end) = string(input, at, word)?;
        *known = (word, start - at, end - at);
        Some((start, end))
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

/// A key that is a number without a sign, and its end. Such numbers have as many digits as those
/// before them, so that to look at one digit after the other is the fastest.
#[inline(always)]
pub(super) fn key_int(input: &[u8], at: usize) -> Option<(i64, usize)> {
    if input.get(at..at + 2)? != b"i:" {
        return None;
    }
    let (mut end, mut value) = (at + 2, 0);
    loop {
        let digit = input.get(end)?.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value * 10 + i64::from(digit);
        end += 1;
        if end > at + 18 {
            return None;
        }
    }
    (end > at + 2 && input.get(end) == Some(&b';')).then_some((value, end + 1))
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;
    use crate::text::number::{float_length, float_value, signed, unsigned};

    /// What follows `x:` is at the end of the text, as the longer ways read it.
    fn ends(text: &[u8], length: usize, end: usize) -> bool {
        length > 0 && text.get(2 + length) == Some(&b';') && end == length + 3
    }

    #[test]
    fn what_is_found_at_once_is_what_is_read_byte_by_byte() {
        let mut rng = Rng::with_seed(8);
        let mut found = [0; 4];
        for _ in 0..60_000 {
            let length = rng.usize(1..20);
            let number =
                (0..length).map(|_| *rng.choice(b"0123456789012345678901234567890.;").unwrap());
            let body: Vec<u8> = number.collect();
            let text = |tag: &[u8]| [tag, &body, b";sixteen bytes more"].concat();
            let int_text = text(b"i:");
            if let Some((value, end)) = int(&int_text, 0) {
                let read = signed(&int_text[2..]);
                assert!(value == read.number && ends(&int_text, read.digits, end));
                assert!(int_end(&int_text, 0) == Some(end));
                assert!(key_int(&int_text, 0) == Some((value, end)));
                found[0] += 1;
            }
            let float_text = text(b"d:");
            if let Some((value, end)) = float(&float_text, 0) {
                let length = float_length(&float_text[2..]).unwrap();
                let exact = float_value(&float_text[2..2 + length]);
                assert!(value.to_bits() == exact.to_bits() && ends(&float_text, length, end));
                found[1] += 1;
            }
            if let Some(end) = float_end(&float_text, 0) {
                assert!(ends(&float_text, float_length(&float_text[2..]).unwrap(), end));
                found[2] += 1;
            }
            let quoted =
                format!("s:{length:0width$}:\"{:x<length$}\";", "", width = rng.usize(1..4));
            let quoted = quoted.as_bytes();
            if let Some((start, end)) = word(quoted, 0).and_then(|word| string(quoted, 0, word)) {
                let digits = unsigned(&quoted[2..]).1;
                assert_eq!((start, end), (digits + 4, digits + 4 + length));
                found[3] += 1;
            }
        }
        assert!(found.iter().all(|count| *count > 100), "{found:?}");
    }
}
