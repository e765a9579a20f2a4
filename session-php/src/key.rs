//! Keys of arrays.

/// A key of a PHP array, or the name of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "PHP has these two, and its arrays depend on it")]
pub enum KeyRef<'a> {
    /// A number.
    Int(i64),
    /// A string that is not a number.
    Str(&'a [u8]),
}

impl<'a> KeyRef<'a> {
    /// The key under which PHP stores `$array[$name]`: what looks like a number becomes one.
    ///
    /// ```
    /// # use session_php::KeyRef;
    /// assert_eq!(KeyRef::of(b"5"), KeyRef::Int(5));
    /// assert_eq!(KeyRef::of(b"05"), KeyRef::Str(b"05"));
    /// ```
    #[must_use]
    pub fn of(name: &'a [u8]) -> Self {
        integer_of(name).map_or(Self::Str(name), Self::Int)
    }
}

/// The number that PHP makes of a key: decimal digits as PHP itself would write them.
pub(crate) fn integer_of(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let (first, negative) = (*digits.first()?, digits.len() < text.len());
    if !first.is_ascii_digit() || digits.len() > 19 || (first == b'0' && text.len() > 1) {
        return None;
    }
    digits.iter().try_fold(0_i64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
        let number = number.checked_mul(10)?;
        if negative { number.checked_sub(digit) } else { number.checked_add(digit) }
    })
}

/// A bit for a name, so that most names that differ have different ones.
#[inline(always)]
pub(crate) fn mark(name: &[u8]) -> u64 {
    let byte = |at: usize| u64::from(name.get(at).copied().unwrap_or_default());
    let (first, middle, last) = (byte(0), byte(name.len() / 2), byte(name.len().saturating_sub(1)));
    1 << ((first + 17 * middle + 5 * last + 11 * (name.len() as u64)) % 64)
}

/// The [`mark`] of a name that does not begin as a number does; of others 0.
#[inline(always)]
pub(crate) fn word_mark(name: &[u8]) -> u64 {
    if matches!(name.first(), Some(b'-' | b'0'..=b'9')) { 0 } else { mark(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_numbers_are_numbers() {
        for (text, number) in [
            ("0", 0),
            ("5", 5),
            ("-5", -5),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(integer_of(text.as_bytes()), Some(number), "{text}");
        }
        for text in
            ["", "-", "-0", "05", "+5", " 1", "1.5", "9223372036854775808", "-9223372036854775809"]
        {
            assert_eq!(integer_of(text.as_bytes()), None, "{text}");
        }
    }
}
