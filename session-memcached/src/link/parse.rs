//! Replies, taken from the bytes as they come. It does no I/O, and nothing that a server sends makes
//! it panic, loop, or hold more than the largest reply.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;

/// The longest line: a server's are shorter, and an answer without an end is none.
const LINE_LIMIT: usize = 2_048;
/// The most lines of statistics.
const STATISTICS_LIMIT: usize = 1_024;

/// What the server said of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Done; with the item's new number, where it was told.
    Done(Option<u64>),
    /// The item, and its number.
    Value(Bytes, u64),
    /// The item, its number, and how long it still lives. In reply to [`Command::Life`] without
    /// the first two.
    ///
    /// [`Command::Life`]: super::Command::Life
    #[cfg(feature = "php")]
    Living(Bytes, u64, session_core::Ttl),
    /// There is no such item.
    Absent,
    /// The item is there already, or none is to be added to.
    NotStored,
    /// The item has another number by now.
    Changed,
    /// Names and values.
    Statistics(Vec<(String, String)>),
    /// The server's version.
    Version(String),
    /// The value is too large, or there is no memory for it.
    NoRoom,
    /// The command was refused.
    Refused(Refusal),
}

/// Why a command was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The command is not known.
    Unknown,
    /// Nobody has logged in, or with a wrong password.
    Unauthenticated,
    /// The server could not do it.
    ByServer,
    /// The server did not like it.
    ByClient,
}

/// In which form a reply comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One line, with this opaque token.
    Meta(u32),
    /// One line of the older protocol.
    Line,
    /// Any number of values up to `END`, of which there is one at most.
    Get,
    /// Statistics up to `END`.
    Statistics,
}

/// What came is no reply to what was asked: all that follows cannot be trusted either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Garbage;

/// Takes the next reply out of `buffer`, or nothing while it is incomplete. `limit`: the largest value.
pub(crate) fn next(
    buffer: &mut BytesMut,
    form: Form,
    limit: usize,
) -> Result<Option<Reply>, Garbage> {
    match form {
        Form::Statistics => statistics(buffer),
        _ => one(buffer, form, limit),
    }
}

fn one(buffer: &mut BytesMut, form: Form, limit: usize) -> Result<Option<Reply>, Garbage> {
    let Some((line, header)) = line(buffer)? else { return Ok(None) };
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let word = words.next().ok_or(Garbage)?;
    let (length, flags, tail) = match (form, word) {
        (Form::Meta(opaque), b"VA") => {
            let length = words.next().and_then(decimal).ok_or(Garbage)?;
            (length, Flags::read(words, opaque)?, 0)
        }
        (Form::Get, b"VALUE") => {
            let mut numbers = words.skip(2).map(decimal);
            let length = numbers.next().flatten().ok_or(Garbage)?;
            let number = Some(numbers.next().flatten().ok_or(Garbage)?);
            let flags = Flags {
                number,
                #[cfg(feature = "php")]
                life: None,
            };
            (length, flags, END.len())
        }
        (_, word) => {
            let reply = match (refusal(line), form) {
                (Some(refused), _) => refused,
                (None, Form::Meta(opaque)) => meta_line(word, &Flags::read(words, opaque)?)?,
                (None, form) => classic_line(form, word, words.next())?,
            };
            buffer.advance(header);
            return Ok(Some(reply));
        }
    };
    let length = usize::try_from(length).ok().filter(|length| *length <= limit).ok_or(Garbage)?;
    let value = value(buffer, header, length, tail)?;
    Ok(value.map(|value| flags.with(value)))
}

const END: &[u8] = b"END\r\n";

/// The value of `length` that follows a header, and `tail` more bytes that say that there are no
/// others.
fn value(
    buffer: &mut BytesMut,
    header: usize,
    length: usize,
    tail: usize,
) -> Result<Option<Bytes>, Garbage> {
    let whole = header + length + CRLF.len() + tail;
    if buffer.len() < whole {
        buffer.reserve(whole - buffer.len());
        return Ok(None);
    }
    let (value, rest) = buffer
        .get(header..whole)
        .and_then(|reply| reply.split_at_checked(length))
        .ok_or(Garbage)?;
    if rest.strip_prefix(CRLF).is_none_or(|rest| tail != 0 && rest != END) {
        return Err(Garbage);
    }
    // A copy, so that who keeps a value does not keep the others that came with it.
    let value = Bytes::copy_from_slice(value);
    buffer.advance(whole);
    Ok(Some(value))
}

const CRLF: &[u8] = b"\r\n";

/// The first line without its end, and how many bytes it takes with it.
fn line(buffer: &[u8]) -> Result<Option<(&[u8], usize)>, Garbage> {
    let head = buffer.get(..LINE_LIMIT).unwrap_or(buffer);
    match memchr(b'\n', head) {
        Some(end) => {
            let line = head.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(Garbage)?;
            Ok(Some((line, end + 1)))
        }
        None if head.len() < LINE_LIMIT => Ok(None),
        None => Err(Garbage),
    }
}

fn refusal(line: &[u8]) -> Option<Reply> {
    let starts = |text: &[u8]| line.starts_with(text);
    let reply = match line.first() {
        Some(b'E') if line == b"ERROR" => Reply::Refused(Refusal::Unknown),
        Some(b'S') if starts(b"SERVER_ERROR object too large") => Reply::NoRoom,
        Some(b'S') if starts(b"SERVER_ERROR out of memory storing") => Reply::NoRoom,
        Some(b'S') if starts(b"SERVER_ERROR") => Reply::Refused(Refusal::ByServer),
        Some(b'C') if starts(b"CLIENT_ERROR unauthenticated") => {
            Reply::Refused(Refusal::Unauthenticated)
        }
        Some(b'C') if starts(b"CLIENT_ERROR authentication failure") => {
            Reply::Refused(Refusal::Unauthenticated)
        }
        Some(b'C') if starts(b"CLIENT_ERROR") => Reply::Refused(Refusal::ByClient),
        _ => return None,
    };
    Some(reply)
}

/// What the flags of a line tell of the item.
#[derive(Default)]
struct Flags {
    number: Option<u64>,
    #[cfg(feature = "php")]
    life: Option<session_core::Ttl>,
}

impl Flags {
    /// The flags of a line, which must have the right opaque token.
    fn read<'a>(words: impl Iterator<Item = &'a [u8]>, opaque: u32) -> Result<Self, Garbage> {
        let (mut flags, mut ours) = (Self::default(), false);
        for word in words {
            match word.split_first() {
                Some((b'c', digits)) => flags.number = Some(decimal(digits).ok_or(Garbage)?),
                Some((b'O', digits)) => ours = decimal(digits) == Some(u64::from(opaque)),
                #[cfg(feature = "php")]
                Some((b't', digits)) => flags.life = Some(life(digits).ok_or(Garbage)?),
                _ => {}
            }
        }
        if ours { Ok(flags) } else { Err(Garbage) }
    }

    fn with(&self, value: Bytes) -> Reply {
        let number = self.number.unwrap_or_default();
        #[cfg(feature = "php")]
        if let Some(life) = self.life {
            return Reply::Living(value, number, life);
        }
        Reply::Value(value, number)
    }

    fn done(&self) -> Reply {
        #[cfg(feature = "php")]
        if self.life.is_some() {
            return self.with(Bytes::new());
        }
        Reply::Done(self.number)
    }
}

/// A life in whole seconds, of which the last one has begun.
#[cfg(feature = "php")]
fn life(digits: &[u8]) -> Option<session_core::Ttl> {
    if digits == b"-1" {
        return Some(session_core::Ttl::NEVER);
    }
    Some(std::time::Duration::from_secs(decimal(digits)?.max(1)).into())
}

fn meta_line(word: &[u8], flags: &Flags) -> Result<Reply, Garbage> {
    Ok(match word {
        b"HD" => flags.done(),
        b"EN" | b"NF" => Reply::Absent,
        b"NS" => Reply::NotStored,
        b"EX" => Reply::Changed,
        _ => return Err(Garbage),
    })
}

fn classic_line(form: Form, word: &[u8], next: Option<&[u8]>) -> Result<Reply, Garbage> {
    Ok(match (form, word) {
        (Form::Get, b"END") => Reply::Absent,
        (Form::Line, b"STORED" | b"DELETED" | b"OK") => Reply::Done(None),
        (Form::Line, b"NOT_STORED") => Reply::NotStored,
        (Form::Line, b"EXISTS") => Reply::Changed,
        (Form::Line, b"NOT_FOUND") => Reply::Absent,
        (Form::Line, b"VERSION") => {
            let version = next.and_then(|word| str::from_utf8(word).ok());
            Reply::Version(version.unwrap_or_default().to_owned())
        }
        _ => return Err(Garbage),
    })
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let (first, rest) = digits.split_first()?;
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    rest.iter()
        .try_fold(digit(first)?, |number, byte| number.checked_mul(10)?.checked_add(digit(byte)?))
}

fn statistics(buffer: &mut BytesMut) -> Result<Option<Reply>, Garbage> {
    let (mut all, mut at) = (Vec::new(), 0);
    while let Some((line, length)) = line(buffer.get(at..).unwrap_or_default())? {
        at += length;
        if let Some(refused) = refusal(line).filter(|_| all.is_empty()) {
            buffer.advance(at);
            return Ok(Some(refused));
        }
        if line == b"END" {
            buffer.advance(at);
            return Ok(Some(Reply::Statistics(all)));
        }
        let text = line.strip_prefix(b"STAT ").and_then(|text| str::from_utf8(text).ok());
        let (name, value) = text.ok_or(Garbage)?.split_once(' ').ok_or(Garbage)?;
        all.push((name.to_owned(), value.to_owned()));
        if all.len() > STATISTICS_LIMIT {
            return Err(Garbage);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
