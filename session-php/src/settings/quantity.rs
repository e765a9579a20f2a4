//! How PHP reads booleans and numbers of settings.

/// `zend_ini_parse_bool`: words for yes, otherwise a C program's idea of a number.
pub(super) fn boolean(text: &str) -> bool {
    let is = |word| text.eq_ignore_ascii_case(word);
    is("true") || is("yes") || is("on") || low_32_bits(leading_int(text).0) != 0
}

/// `atoi` keeps the low half.
fn low_32_bits(number: i64) -> i64 {
    number & 0xffff_ffff
}

/// `strtol` with base 10: the number in front, saturating, and what is behind it.
pub(super) fn leading_int(text: &str) -> (i64, &str) {
    let start = text.trim_start_matches(is_space);
    let unsigned = start.strip_prefix(['+', '-']).unwrap_or(start);
    let digits = count(unsigned, |byte| byte.is_ascii_digit());
    if digits == 0 {
        return (0, text);
    }
    let (digits, rest) = unsigned.split_at(digits);
    let number = digits.bytes().fold(0_i128, |sum, digit| push(sum, 10, i128::from(digit - b'0')));
    let number = if start.starts_with('-') { -number } else { number };
    let clamped = number.clamp(i64::MIN.into(), i64::MAX.into());
    (i64::try_from(clamped).unwrap_or_default(), rest)
}

/// A number that may stand for kilo, mega or giga, and what PHP has against it: it takes what it can.
pub(super) fn quantity(text: &str) -> (i64, Option<String>) {
    let ours = text.trim_end_matches(is_space);
    let unsigned = ours.trim_start_matches(is_space);
    if unsigned.is_empty() {
        return (0, None);
    }
    let negative = unsigned.starts_with('-');
    let digits = unsigned.strip_prefix(['+', '-']).unwrap_or(unsigned);
    match base_of(digits) {
        Err(Flaw::NoDigits) => {
            (0, Some(invalid(text, ": no valid leading digits, interpreting as \"0\"")))
        }
        Err(Flaw::NoDigitsBehindPrefix) => {
            (0, Some(invalid(text, ": no digits after base prefix, interpreting as \"0\"")))
        }
        Err(Flaw::Prefix(letter)) => (
            0,
            Some(format!(
                "Invalid prefix \"0{letter}\", interpreting as \"0\" for backwards compatibility"
            )),
        ),
        Ok(None) => (0, None),
        Ok(Some((base, digits))) => evaluate(text, ours, negative, base, digits),
    }
}

enum Flaw {
    NoDigits,
    NoDigitsBehindPrefix,
    Prefix(char),
}

/// The base and the digits; nothing for a plain `0`.
fn base_of(text: &str) -> Result<Option<(u32, &str)>, Flaw> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some('0'), None) => Ok(None),
        (Some('0'), Some('0'..='9')) => Ok(Some((8, text))),
        (Some('0'), Some('g' | 'G' | 'm' | 'M' | 'k' | 'K')) => Ok(Some((10, text))),
        (Some('0'), Some(letter)) => {
            let base = match letter {
                'x' | 'X' => 16,
                'o' | 'O' => 8,
                'b' | 'B' => 2,
                other => return Err(Flaw::Prefix(other)),
            };
            let digits = characters.as_str();
            let nested = ["0x", "0X", "0o", "0O", "0b", "0B"];
            let starts = |first: char| !is_space(first) && first != '+' && first != '-';
            match digits.chars().next() {
                Some(first) if starts(first) && !nested.iter().any(|it| digits.starts_with(it)) => {
                    Ok(Some((base, digits)))
                }
                _ => Err(Flaw::NoDigitsBehindPrefix),
            }
        }
        (Some('1'..='9'), _) => Ok(Some((10, text))),
        _ => Err(Flaw::NoDigits),
    }
}

fn evaluate(
    text: &str,
    ours: &str,
    negative: bool,
    base: u32,
    digits: &str,
) -> (i64, Option<String>) {
    let length = count(digits, |byte| char::from(byte).is_digit(base));
    if length == 0 {
        return (0, Some(invalid(text, ": no valid leading digits, interpreting as \"0\"")));
    }
    let (number, behind) = digits.split_at(length);
    let values = number.chars().filter_map(|digit| digit.to_digit(base));
    let number = values.fold(0_i128, |sum, digit| push(sum, base.into(), digit.into()));
    let (value, mut overflow) = signed(number, negative);
    let suffix = behind.trim_start_matches(is_space);
    let interpreted = ours.strip_suffix(suffix).unwrap_or(ours);
    let Some(last) = suffix.chars().last() else {
        return (value, overflow.then(|| invalid(text, OUT_OF_RANGE)));
    };
    let Some(shift) = shift_of(last) else {
        let last_byte = suffix.as_bytes().last_chunk::<1>().copied().unwrap_or_default();
        let detail = format!(
            ": unknown multiplier \"{}\", interpreting as \"{}\"",
            escaped(last_byte),
            escaped(interpreted)
        );
        return (value, Some(invalid(text, &detail)));
    };
    overflow |= value.checked_mul(1 << shift).is_none();
    let value = value.wrapping_mul(1 << shift);
    if suffix.len() > 1 {
        let detail = format!(", interpreting as \"{}{last}\"", escaped(interpreted));
        return (value, Some(invalid(text, &detail)));
    }
    (value, overflow.then(|| invalid(text, OUT_OF_RANGE)))
}

const OUT_OF_RANGE: &str = ": value is out of range, using overflow result";

/// As a signed number of 64 bits, and whether it is another one.
fn signed(number: i128, negative: bool) -> (i64, bool) {
    const TOP: i128 = i64::MAX as i128 + 1;
    let wrapped =
        |number: i128| i64::from_ne_bytes(u64::try_from(number).unwrap_or(u64::MAX).to_ne_bytes());
    match (negative, number) {
        (true, TOP) => (i64::MIN, false),
        (_, TOP..) => (wrapped(number), true),
        (true, _) => (-wrapped(number), false),
        (false, _) => (wrapped(number), false),
    }
}

const fn shift_of(suffix: char) -> Option<u32> {
    match suffix {
        'g' | 'G' => Some(30),
        'm' | 'M' => Some(20),
        'k' | 'K' => Some(10),
        _ => None,
    }
}

fn invalid(text: &str, detail: &str) -> String {
    format!("Invalid quantity \"{}\"{detail} for backwards compatibility", escaped(text))
}

/// Control characters, backslashes and high bytes as PHP shows them.
fn escaped(text: impl AsRef<[u8]>) -> String {
    let mut out = String::new();
    for byte in text.as_ref().iter().copied() {
        match byte {
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x0c => out.push_str("\\f"),
            0x0b => out.push_str("\\v"),
            b'\\' => out.push_str("\\\\"),
            0x1b => out.push_str("\\e"),
            32..=126 => out.push(char::from(byte)),
            other => out.push_str(&format!("\\x{other:02X}")),
        }
    }
    out
}

fn push(sum: i128, base: i128, digit: i128) -> i128 {
    // Far beyond what counts, and far from the end.
    (sum * base + digit).min(1 << 100)
}

fn count(text: &str, is: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| is(*byte)).count()
}

const fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}
