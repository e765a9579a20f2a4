//! Floats as PHP writes them.

use std::io::Write as _;

use super::write::digits;

/// PHP's setting `serialize_precision`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Precision {
    /// `-1`, the default since PHP 7.1: as few digits as read the same number again.
    #[default]
    Shortest,
    /// `17`, the default before.
    Seventeen,
}

/// Appends a float: decimal if the point is near the digits, else with an exponent.
pub(crate) fn write_float(out: &mut Vec<u8>, value: f64, precision: Precision) {
    if value.is_nan() {
        out.extend_from_slice(b"NAN");
        return;
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    if value.is_infinite() {
        out.extend_from_slice(b"INF");
    } else if value == 0.0 {
        out.push(b'0');
    } else {
        if precision == Precision::Shortest
            && (write_few(out, value.abs()) || write_short(out, value.abs()))
        {
            return;
        }
        let text = match precision {
            Precision::Shortest => shortest(value.abs()),
            Precision::Seventeen => format!("{:.16e}", value.abs()),
        };
        lay_out(out, &text);
    }
}

/// With fewer digits, no two decimals are equally near to a float.
const CLOSE: usize = 15;

/// Appends a float of few digits, at most four of them behind the point; whether it is one.
fn write_few(out: &mut Vec<u8>, value: f64) -> bool {
    // In sums with it there is no room behind the point, and the number is in the lowest bits.
    const ROUND: f64 = 4_503_599_627_370_496.0;
    const LOWEST: u64 = (1 << 52) - 1;
    for (power, decimals) in [1.0, 1e1, 1e2, 1e3, 1e4].into_iter().zip(0..) {
        let scaled = value * power;
        if scaled >= 1e14 {
            return false;
        }
        let sum = scaled + ROUND;
        // Both are exact, so this is the float next to the decimal; and of so few digits, no two
        // decimals are next to the same float.
        if (sum - ROUND) / power == value {
            let (digits, length) = digits(sum.to_bits() & LOWEST, decimals);
            out.extend_from_slice(digits.get(..length).unwrap_or_default());
            return true;
        }
    }
    false
}

/// Appends a float of few digits with the point near them, for which Rust and PHP have the same
/// text; whether it is one.
fn write_short(out: &mut Vec<u8>, value: f64) -> bool {
    if !(1e-4..1e15).contains(&value) {
        return false;
    }
    let start = out.len();
    // Writing to memory does not fail.
    _ = write!(out, "{value}");
    let short = out.len() - start < CLOSE;
    if !short {
        out.truncate(start);
    }
    short
}

/// The fewest digits that read as the same number; of two equally near, those with an even end.
fn shortest(value: f64) -> String {
    let text = format!("{value:e}");
    let digits = text.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
    if digits >= CLOSE {
        let rounded = format!("{value:.*e}", digits - 1);
        if rounded.parse() == Ok(value) {
            return rounded;
        }
    }
    text
}

/// Appends `d.ddde±x` in PHP's layout.
fn lay_out(out: &mut Vec<u8>, text: &str) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    let digits = digits.get(..digits.len() - zeros).unwrap_or_default();
    // The value is 0.ddd times ten to this power.
    let point = exponent.parse::<i32>().unwrap_or_default() + 1;
    if !(-3..=17).contains(&point) {
        let (first, rest) = digits.split_at_checked(1).unwrap_or_default();
        out.extend_from_slice(first);
        out.push(b'.');
        out.extend_from_slice(if rest.is_empty() { b"0" } else { rest });
        // Writing to memory does not fail.
        _ = write!(out, "E{:+}", point - 1);
    } else if point <= 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + point.unsigned_abs() as usize, b'0');
        out.extend_from_slice(digits);
    } else {
        let whole = point.unsigned_abs() as usize;
        match digits.split_at_checked(whole).filter(|(_, rest)| !rest.is_empty()) {
            Some((digits, rest)) => {
                out.extend_from_slice(digits);
                out.push(b'.');
                out.extend_from_slice(rest);
            }
            None => {
                out.extend_from_slice(digits);
                out.resize(out.len() + whole - digits.len(), b'0');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: f64, precision: Precision) -> String {
        let mut out = Vec::new();
        write_float(&mut out, value, precision);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_layout_is_phps() {
        for (value, text) in [
            (1.0, "1"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (1e16, "10000000000000000"),
            (1e17, "1.0E+17"),
            (0.0001, "0.0001"),
            (0.00001, "1.0E-5"),
            (123_456_789_012_345_678.0, "1.2345678901234568E+17"),
            (5e-324, "5.0E-324"),
            (f64::MAX, "1.7976931348623157E+308"),
            (f64::NEG_INFINITY, "-INF"),
            (1_700_000_000.123_456, "1700000000.123456"),
            (7_310_569_175_748_297.0 / 4.0, "1827642293937074.2"),
            (355_083_519_114_833.0 / 16.0, "22192719944677.062"),
        ] {
            assert_eq!(written(value, Precision::Shortest), text);
        }
    }

    #[test]
    fn few_digits_are_found_as_by_the_long_way() {
        let mut rng = fastrand::Rng::with_seed(8);
        let mut few = 0;
        for _ in 0..100_000 {
            let whole = rng.u64(1..1_000_000_000_000_000) >> rng.u32(0..50);
            let mut value = whole as f64 / 10_f64.powi(rng.i32(0..6));
            if rng.u8(0..8) == 0 {
                value = if rng.bool() { value.next_up() } else { value.next_down() };
            }
            let mut out = Vec::new();
            if value > 0.0 && write_few(&mut out, value) {
                few += 1;
                let mut slow = Vec::new();
                lay_out(&mut slow, &shortest(value));
                assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(slow).unwrap());
            }
        }
        assert!(few > 10_000, "{few}");
    }

    #[test]
    fn the_old_precision_is_written_too() {
        assert_eq!(written(0.1, Precision::Seventeen), "0.10000000000000001");
        assert_eq!(written(0.5, Precision::Seventeen), "0.5");
    }
}
