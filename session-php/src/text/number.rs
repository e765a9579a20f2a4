//! Numbers as PHP's parser takes them.

/// Reads `[0-9]+`; beyond 64 bits it wraps, as PHP's does. The number, and how many digits.
#[inline(always)]
pub(super) fn unsigned(text: &[u8]) -> (u64, usize) {
    let mut number = 0_u64;
    let mut length = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        length += 1;
    }
    (number, length)
}

/// A signed number, and how its text goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signed {
    /// Out of range, it is the nearest that is in range.
    pub(super) number: i64,
    /// How many digits, after the sign.
    pub(super) digits: usize,
    /// How many bytes.
    pub(super) length: usize,
}

/// Reads `[+-]?[0-9]*`.
#[inline(always)]
pub(super) fn signed(text: &[u8]) -> Signed {
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let negative = text.first() == Some(&b'-');
    let (magnitude, digits) = unsigned(text.get(sign..).unwrap_or_default());
    let length = sign + digits;
    // With more than 19 digits the magnitude may have wrapped around.
    let significant = if digits <= 19 { digits } else { significant(text, sign, length) };
    let limit = i64::MAX.unsigned_abs() + u64::from(negative);
    let number = match (significant > 19 || magnitude > limit, negative) {
        (true, true) => i64::MIN,
        (true, false) => i64::MAX,
        (false, true) => 0_i64.wrapping_sub_unsigned(magnitude),
        (false, false) => 0_i64.wrapping_add_unsigned(magnitude),
    };
    Signed { number, digits, length }
}

fn significant(text: &[u8], start: usize, end: usize) -> usize {
    let digits = text.get(start..end).unwrap_or_default();
    digits.len() - digits.iter().take_while(|digit| **digit == b'0').count()
}

/// The length of a float's text: `INF`, `NAN`, or decimal with an optional exponent.
pub(super) fn float_length(text: &[u8]) -> Option<usize> {
    for word in [&b"NAN"[..], b"INF", b"-INF"] {
        if text.starts_with(word) {
            return Some(word.len());
        }
    }
    let digits = |at: usize| unsigned(text.get(at..).unwrap_or_default()).1;
    let sign = |at: usize| usize::from(matches!(text.get(at), Some(b'+' | b'-')));
    let mut at = sign(0);
    let whole = digits(at);
    at += whole;
    let mut fraction = 0;
    if text.get(at) == Some(&b'.') {
        fraction = digits(at + 1);
        at += 1 + fraction;
    }
    if whole + fraction == 0 {
        return None;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let start = at + 1 + sign(at + 1);
        let exponent = digits(start);
        if exponent == 0 {
            return None;
        }
        at = start + exponent;
    }
    Some(at)
}

/// The value of a text that [`float_length`] took.
pub(super) fn float_value(text: &[u8]) -> f64 {
    match text {
        b"NAN" => f64::NAN,
        b"INF" => f64::INFINITY,
        b"-INF" => f64::NEG_INFINITY,
        _ => str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_clamped_as_in_php() {
        for (text, number) in [
            ("0", 0),
            ("-0", 0),
            ("+5", 5),
            ("007", 7),
            ("9223372036854775808", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("-9223372036854775809", i64::MIN),
            ("18446744073709551617", i64::MAX),
            ("99999999999999999999999", i64::MAX),
            ("-000000000000000000000000000001", -1),
        ] {
            let read = signed(text.as_bytes());
            assert_eq!((read.number, read.length), (number, text.len()), "{text}");
        }
        assert_eq!(signed(b"-;"), Signed { number: 0, digits: 0, length: 1 });
    }

    #[test]
    fn floats_have_an_end() {
        for text in ["5", ".5", "5.", "1e3", "+1.5", "-1.E-5", "INF", "-INF", "NAN"] {
            assert_eq!(float_length(format!("{text};").as_bytes()), Some(text.len()), "{text}");
        }
        for text in ["", ".", "-", "1e", "1e+", "-.e5", "e5"] {
            assert_eq!(float_length(text.as_bytes()), None, "{text}");
        }
    }
}
