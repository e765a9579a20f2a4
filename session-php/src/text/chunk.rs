//! Common tokens, eight bytes at a time. What is not found here is for the scanner to read, or to
//! refuse.

/// Eight bytes from `at` on, the first of them lowest; unless the input ends before.
#[inline(always)]
pub(super) fn word(input: &[u8], at: usize) -> Option<u64> {
    let bytes = input.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

/// Eight bytes, and the eight behind them, as [`word`] has them.
#[inline(always)]
pub(super) fn words(input: &[u8], at: usize) -> Option<(u64, u64)> {
    let both: &[u8; 16] = input.get(at..)?.first_chunk()?;
    Some((u64::from_le_bytes(*both.first_chunk()?), u64::from_le_bytes(*both.last_chunk()?)))
}

/// Each byte of a text, the first of them lowest.
const fn packed(text: [u8; 8]) -> u64 {
    u64::from_le_bytes(text)
}

const fn repeated(byte: u8) -> u64 {
    packed([byte; 8])
}

/// The lowest byte, the lowest two, and so on.
const ONE: u64 = 0xff;
const TWO: u64 = 0xffff;

/// The byte that is so many on.
#[inline(always)]
const fn byte(word: u64, place: u32) -> u64 {
    (word >> (8 * place)) & ONE
}

/// The digit that is so many bytes on; more than nine if it is none.
#[inline(always)]
const fn digit(word: u64, place: u32) -> u64 {
    byte(word, place).wrapping_sub(b'0' as u64)
}

const fn begin(letter: u8) -> u64 {
    packed([letter, b':', 0, 0, 0, 0, 0, 0])
}

/// What `b:0;` and `b:1;` have in common.
const EITHER_BOOL: u64 = packed([255, 255, 254, 255, 0, 0, 0, 0]);
const SEMICOLON: u64 = b';' as u64;
const POINT: u64 = b'.' as u64;

/// Whether a string begins.
#[inline(always)]
pub(super) const fn is_string(word: u64) -> bool {
    word & ONE == b's' as u64
}

/// Whether an array begins.
#[inline(always)]
pub(super) const fn is_array(word: u64) -> bool {
    word & ONE == b'a' as u64
}

/// Whether it is `N;`.
#[inline(always)]
pub(super) const fn is_null(word: u64) -> bool {
    word & TWO == packed(*b"N;\0\0\0\0\0\0")
}

/// The value of `b:0;` or `b:1;`.
#[inline(always)]
pub(super) const fn bool(word: u64) -> Option<bool> {
    // The two differ in one bit.
    let is_one = word & EITHER_BOOL == packed(*b"b:0;\0\0\0\0");
    if is_one { Some(byte(word, 2) == b'1' as u64) } else { None }
}

/// The length in a head of `x:1:y` or `x:12:y`, and that of the head.
#[inline(always)]
pub(super) fn length(word: u64, tag: u8, bracket: u8) -> Option<(usize, usize)> {
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
    is_string_end(input, end).then_some((start, end))
}

/// Whether a string ends there.
#[inline(always)]
fn is_string_end(input: &[u8], at: usize) -> bool {
    input.get(at..).and_then(<[u8]>::first_chunk) == Some(b"\";")
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

/// The end of `i:7;`, of up to sixteen digits without a sign, that begins with a word.
#[inline(always)]
pub(super) fn int_end(input: &[u8], at: usize, word: u64) -> Option<usize> {
    if word & TWO != begin(b'i') {
        return None;
    }
    let text = word >> 16;
    let mut length = usize::try_from(digits(text)).ok()?;
    if length == 6 {
        length = run(input, at + 2)?;
        return (input.get(at + 2 + length) == Some(&b';')).then_some(at + 3 + length);
    }
    (length > 0 && byte(text, digits(text)) == SEMICOLON).then_some(at + 3 + length)
}

/// Where the array begins in an element of a list, `i:7;a:`.
#[inline(always)]
pub(super) fn array_in_list(input: &[u8], at: usize) -> Option<usize> {
    let array = int_end(input, at, word(input, at)?)?;
    (input.get(array) == Some(&b'a')).then_some(array)
}

/// The end of `d:7;` or `d:7.25;` that begins with a word.
#[inline(always)]
pub(super) fn float_end(input: &[u8], at: usize, word: u64) -> Option<usize> {
    if word & TWO != begin(b'd') {
        return None;
    }
    if let Some((_, _, length)) = few_digits(self::word(input, at + 2)?) {
        return Some(at + 3 + length);
    }
    let mut length = run(input, at + 2)?;
    if length == 0 {
        return None;
    }
    if input.get(at + 2 + length) == Some(&b'.') {
        length += 1 + run(input, at + 3 + length)?;
    }
    let end = at + 2 + length;
    (input.get(end) == Some(&b';')).then_some(end + 1)
}

/// The digits before and behind the point of `7.25;`, and how long its text is, if the word has it
/// all.
#[inline(always)]
fn few_digits(word: u64) -> Option<(u32, u32, usize)> {
    let whole = digits(word);
    if !(1..=6).contains(&whole) {
        return None;
    }
    let mut length = whole;
    let mut fraction = 0;
    if byte(word, whole) == POINT {
        fraction = digits(word >> (8 * (whole + 1)));
        length += 1 + fraction;
        if fraction == 0 || length > 7 {
            return None;
        }
    }
    (byte(word, length) == SEMICOLON).then_some((whole, fraction, usize::try_from(length).ok()?))
}

/// The number that the first digits of a word are, of which there are one to eight.
#[inline(always)]
fn value(word: u64, digits: u32) -> u32 {
    // Digits before them are zeros; then pairs, then fours, then all are added up.
    let digits = (word ^ repeated(b'0')) << (64 - 8 * digits);
    let pairs = (digits.wrapping_mul(2561) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(6_553_601) >> 16) & 0x0000_ffff_0000_ffff;
    let all = fours.wrapping_mul(42_949_672_960_001) >> 32;
    u32::try_from(all).unwrap_or_default()
}

/// The number that up to eight digits are, and how many they are.
#[inline(always)]
fn number(input: &[u8], at: usize) -> Option<(u32, usize)> {
    let word = word(input, at)?;
    let length = digits(word);
    if length == 0 {
        return None;
    }
    Some((value(word, length), usize::try_from(length).ok()?))
}

/// The value of `i:7;`, of up to sixteen digits without a sign, that begins with a word; and its
/// end.
#[inline(always)]
pub(super) fn int(input: &[u8], at: usize, word: u64) -> Option<(i64, usize)> {
    if word & TWO != begin(b'i') {
        return None;
    }
    let text = word >> 16;
    let length = digits(text);
    if length < 6 {
        let is_one = length > 0 && byte(text, length) == SEMICOLON;
        let end = at + 3 + usize::try_from(length).ok()?;
        return is_one.then(|| (i64::from(value(text, length)), end));
    }
    let (high, mut length) = number(input, at + 2)?;
    let mut value = i64::from(high);
    if length == 8
        && let Some((low, more)) = number(input, at + 10)
    {
        value = value * POWERS.get(more).copied()? + i64::from(low);
        length += more;
    }
    let end = at + 2 + length;
    (input.get(end) == Some(&b';')).then_some((value, end + 1))
}

const POWERS: [i64; 9] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
const FLOAT_POWERS: [f64; 9] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8];

/// The value of `d:7;` or `d:7.25;` of so few digits that it is exact, that begins with a word; and
/// its end.
#[inline(always)]
pub(super) fn float(input: &[u8], at: usize, word: u64) -> Option<(f64, usize)> {
    if word & TWO != begin(b'd') {
        return None;
    }
    let text = self::word(input, at + 2)?;
    // Numbers before and behind the point are whole, and below 2^53 as one, so that there is one
    // rounding, as it should be.
    let join = |whole: u32, fraction: u32, digits: usize| {
        let power = FLOAT_POWERS.get(digits)?;
        Some((f64::from(whole) * power + f64::from(fraction)) / power)
    };
    if let Some((whole, fraction, length)) = few_digits(text) {
        let end = at + 3 + length;
        if fraction == 0 {
            return Some((f64::from(value(text, whole)), end));
        }
        let behind = value(text >> (8 * (whole + 1)), fraction);
        return join(value(text, whole), behind, usize::try_from(fraction).ok()?)
            .map(|value| (value, end));
    }
    let (whole, mut length) = number(input, at + 2)?;
    let mut value = f64::from(whole);
    if input.get(at + 2 + length) == Some(&b'.') {
        let (fraction, digits) = number(input, at + 3 + length)?;
        if length + digits > 15 {
            return None;
        }
        value = join(whole, fraction, digits)?;
        length += 1 + digits;
    }
    let end = at + 2 + length;
    (input.get(end) == Some(&b';')).then_some((value, end + 1))
}

/// The head of a string, `N;` or `b:1;`: values that begin so are of one length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beginning {
    /// Its bytes, and which of a word are its own.
    bytes: u64,
    own: u64,
    /// How long the value is.
    length: usize,
}

impl Beginning {
    /// That of no value.
    pub(super) const NONE: Self = Self { bytes: 1, own: 0, length: 0 };

    /// The end of a value without entries that begins with a word. It is sooner found if it begins
    /// so; otherwise this becomes its beginning.
    #[inline(always)]
    pub(super) fn plain_end(&mut self, input: &[u8], at: usize, word: u64) -> Option<usize> {
        if word & self.own == self.bytes {
            let end = at + self.length;
            let is_whole = !is_string(word) || is_string_end(input, end - 2);
            return is_whole.then_some(end);
        }
        let (own, length) = if is_string(word) {
            let (length, head) = length(word, b's', b'"')?;
            if !is_string_end(input, at + head + length) {
                return None;
            }
            (u64::MAX >> (64 - 8 * head), head + length + 2)
        } else if is_null(word) {
            (TWO, 2)
        } else if bool(word).is_some() {
            (EITHER_BOOL, 4)
        } else {
            return number_end(input, at, word);
        };
        *self = Self { bytes: word & own, own, length };
        Some(at + length)
    }
}

/// The end of a number that begins with a word.
#[inline(always)]
fn number_end(input: &[u8], at: usize, word: u64) -> Option<usize> {
    match int_end(input, at, word) {
        None => float_end(input, at, word),
        end => end,
    }
}

/// The end of a value without entries that begins with a word.
#[inline(always)]
pub(super) fn plain_end(input: &[u8], at: usize, word: u64) -> Option<usize> {
    if is_string(word) {
        string(input, at, word).map(|(_, end)| end + 2)
    } else if is_null(word) {
        Some(at + 2)
    } else if bool(word).is_some() {
        Some(at + 4)
    } else {
        number_end(input, at, word)
    }
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
            let (int_text, float_text) = (text(b"i:"), text(b"d:"));
            let [int_word, float_word] =
                [&int_text, &float_text].map(|text| word(text, 0).unwrap());
            if let Some((value, end)) = int(&int_text, 0, int_word) {
                let read = signed(&int_text[2..]);
                assert!(value == read.number && ends(&int_text, read.digits, end));
                assert!(int_end(&int_text, 0, int_word) == Some(end));
                found[0] += 1;
            }
            if let Some((value, end)) = float(&float_text, 0, float_word) {
                let length = float_length(&float_text[2..]).unwrap();
                let exact = float_value(&float_text[2..2 + length]);
                assert!(value.to_bits() == exact.to_bits() && ends(&float_text, length, end));
                found[1] += 1;
            }
            if let Some(end) = float_end(&float_text, 0, float_word) {
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
