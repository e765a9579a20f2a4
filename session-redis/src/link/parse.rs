//! Replies, taken from the bytes as they come. It does no I/O, and nothing that a server sends makes
//! it panic, loop, or hold more than in proportion to what has come.
//!
//! Both versions of the protocol, which do not contradict each other:
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

use bytes::{Buf, BytesMut};
use memchr::memchr;

use super::reply::{ErrorReply, Value};

/// The longest line: a server's are shorter, and a line without an end is none.
const LINE_LIMIT: usize = 64 * 1_024;
/// How deep arrays are in one another at most: those of scripts and clusters need four.
const DEPTH: usize = 8;
/// The largest reply in bytes: a server takes no larger value, if nobody has told it to.
const LARGEST: usize = 512 * 1_024 * 1_024 + LINE_LIMIT;
/// So many parts of an array have their places before they come.
const PLACES: usize = 64;

/// What came is no reply: all that follows cannot be trusted either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Garbage;

/// Takes replies apart. Between calls it keeps what has come of one.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    open: Vec<Frame>,
    /// Bytes of the reply that has begun.
    size: usize,
}

/// Parts that are still coming.
#[derive(Debug)]
struct Frame {
    kind: Kind,
    left: usize,
    parts: Vec<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Array,
    Push,
    /// Said about the reply that follows. Nobody has asked for it.
    Attribute,
}

enum Token {
    Whole(Value),
    /// What begins and ends there, and the kind that its line tells.
    Blob(u8, usize, usize),
    Parts(Kind, usize),
}

impl Parser {
    /// Takes the next reply out of `buffer`, or as much of it as is there. Bytes in the reply are
    /// part of the buffer: who keeps them copies them.
    pub(crate) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Value>, Garbage> {
        while let Some((token, length)) = token(buffer, LARGEST - self.size)? {
            self.size += length;
            let whole = match token {
                Token::Blob(kind, begin, end) => {
                    let mut blob = buffer.split_to(length).freeze();
                    blob.truncate(end);
                    blob.advance(begin);
                    let error = || Value::Error(ErrorReply::new(text(&blob)));
                    self.add(if kind == b'!' { error() } else { Value::BulkString(blob) })
                }
                Token::Whole(value) => {
                    buffer.advance(length);
                    self.add(value)
                }
                Token::Parts(kind, count) => {
                    buffer.advance(length);
                    self.open(kind, count)?
                }
            };
            if whole.is_some() {
                self.size = 0;
                return Ok(whole);
            }
        }
        Ok(None)
    }

    /// Begins what has so many parts, and is whole if that is none.
    fn open(&mut self, kind: Kind, left: usize) -> Result<Option<Value>, Garbage> {
        if left == 0 {
            return Ok(kind.of(Vec::new()).and_then(|value| self.add(value)));
        }
        if self.open.len() >= DEPTH || kind == Kind::Push && !self.open.is_empty() {
            return Err(Garbage);
        }
        self.open.push(Frame { kind, left, parts: Vec::with_capacity(left.min(PLACES)) });
        Ok(None)
    }

    /// The reply that is whole with this.
    fn add(&mut self, value: Value) -> Option<Value> {
        let mut whole = Some(value);
        while let Some(value) = whole.take() {
            let Some(frame) = self.open.last_mut() else { return Some(value) };
            frame.parts.push(value);
            frame.left -= 1;
            if frame.left == 0 {
                whole = self.open.pop().and_then(|frame| frame.kind.of(frame.parts));
            }
        }
        None
    }
}

impl Kind {
    fn of(self, parts: Vec<Value>) -> Option<Value> {
        match self {
            Self::Array => Some(Value::Array(parts)),
            Self::Push => Some(Value::Push(parts)),
            Self::Attribute => None,
        }
    }
}

/// What the bytes begin with, and its length. `limit`: of the length.
fn token(bytes: &[u8], limit: usize) -> Result<Option<(Token, usize)>, Garbage> {
    let Some(line) = line(bytes)? else { return Ok(None) };
    let length = line.len() + CRLF.len();
    if length > limit {
        return Err(Garbage);
    }
    let (kind, rest) = line.split_first().ok_or(Garbage)?;
    let value = match kind {
        b'$' | b'=' | b'!' if rest != NONE => return blob(*kind, bytes, length, limit),
        b'*' | b'~' if rest != NONE => return parts(Kind::Array, rest, 1, length),
        b'%' => return parts(Kind::Array, rest, 2, length),
        b'>' => return parts(Kind::Push, rest, 1, length),
        b'|' => return parts(Kind::Attribute, rest, 2, length),
        b'$' | b'*' | b'_' => Value::Nil,
        b'+' if rest == b"OK" => Value::Okay,
        b'+' | b',' | b'(' => Value::SimpleString(text(rest)),
        b'-' => Value::Error(ErrorReply::new(text(rest))),
        b':' => Value::Int(integer(rest)?),
        b'#' => Value::Int((rest == b"t").into()),
        _ => return Err(Garbage),
    };
    Ok(Some((Token::Whole(value), length)))
}

const CRLF: &[u8] = b"\r\n";
/// The length of what is not there.
const NONE: &[u8] = b"-1";

/// The first line without its end.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, Garbage> {
    let head = bytes.get(..LINE_LIMIT).unwrap_or(bytes);
    match memchr(b'\n', head) {
        Some(end) => {
            let line = head.get(..end).and_then(|line| line.strip_suffix(b"\r"));
            line.map(Some).ok_or(Garbage)
        }
        None if head.len() < LINE_LIMIT => Ok(None),
        None => Err(Garbage),
    }
}

/// What follows on a line of `header` bytes that tells its length.
fn blob(
    kind: u8,
    bytes: &[u8],
    header: usize,
    limit: usize,
) -> Result<Option<(Token, usize)>, Garbage> {
    let told = bytes.get(1..header - CRLF.len()).ok_or(Garbage)?;
    let end = header.checked_add(count(told)?).ok_or(Garbage)?;
    let length = end.checked_add(CRLF.len()).filter(|length| *length <= limit).ok_or(Garbage)?;
    match bytes.get(end..length) {
        Some(CRLF) => {}
        Some(_) => return Err(Garbage),
        None => return Ok(None),
    }
    // Three letters and a colon tell the form of a text.
    let begin = if kind == b'=' { header + 4 } else { header };
    if begin > end {
        return Err(Garbage);
    }
    Ok(Some((Token::Blob(kind, begin, end), length)))
}

fn parts(
    kind: Kind,
    told: &[u8],
    each: usize,
    length: usize,
) -> Result<Option<(Token, usize)>, Garbage> {
    let count = count(told)?.checked_mul(each).ok_or(Garbage)?;
    Ok(Some((Token::Parts(kind, count), length)))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn count(digits: &[u8]) -> Result<usize, Garbage> {
    usize::try_from(integer(digits)?).map_err(|_negative| Garbage)
}

fn integer(text: &[u8]) -> Result<i64, Garbage> {
    let (sign, digits) = match text.split_first() {
        Some((b'-', digits)) => (-1, digits),
        Some((b'+', digits)) => (1, digits),
        _ => (1, text),
    };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0') * sign);
    let add = |number: i64, byte: &u8| number.checked_mul(10)?.checked_add(digit(*byte)?);
    let number = digits.iter().try_fold(0, add).filter(|_| !digits.is_empty());
    number.ok_or(Garbage)
}

#[cfg(test)]
mod tests;
