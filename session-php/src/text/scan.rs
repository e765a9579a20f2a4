//! Reads the grammar of `unserialize`, without recursion and without building anything.

use std::borrow::Cow;

use super::{
    alike::Alike,
    number::{float_length, signed, unsigned},
};
use crate::{Error, ErrorKind, Limits, Result};

/// The shortest element: `i:0;N;`. A count that promises more of them than can follow is refused at
/// once, so that nothing is reserved on its word.
const SHORTEST_ELEMENT: usize = 6;

/// Bytes of the input, and where they are; or what escapes in them stand for.
#[derive(Debug)]
pub(crate) struct Text<'i> {
    pub(crate) start: usize,
    pub(crate) bytes: Cow<'i, [u8]>,
}

/// One value, or the beginning of one that has entries.
#[derive(Debug)]
pub(crate) enum Event<'i> {
    Null,
    Bool(bool),
    Int(i64),
    /// Its text.
    Float(&'i [u8]),
    Str(Text<'i>),
    Array {
        count: usize,
    },
    Object {
        class: Text<'i>,
        count: usize,
    },
    Custom {
        class: Text<'i>,
        payload: Text<'i>,
    },
    Enum {
        name: Text<'i>,
    },
    #[cfg(any(feature = "igbinary", feature = "msgpack"))]
    Double(f64),
    /// What stands in this slot, again, but as a variable of its own.
    #[cfg(feature = "igbinary")]
    Copy(Slot),
    /// `r:`, the same object as in this slot.
    Same(Slot),
    /// `R:`, the same variable as in this slot.
    Reference(Slot),
}

impl Event<'_> {
    /// How many elements follow, and whether they are those of an object.
    #[inline(always)]
    pub(super) const fn opened(&self) -> Option<(usize, bool)> {
        match self {
            Self::Array { count } => Some((*count, false)),
            Self::Object { count, .. } => Some((*count, true)),
            _ => None,
        }
    }
}

/// The number of a slot, and where its digits are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) number: u64,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A key as it stands in the input.
#[derive(Debug)]
pub(crate) enum ScannedKey<'i> {
    Int(i64),
    Str(Text<'i>),
}

/// What is told of what is read. Errors get the place of what was told of.
pub(crate) trait Sink<'i> {
    /// A value, for the last key.
    fn value(&mut self, event: Event<'i>) -> Result<(), (ErrorKind, &'static str)>;
    /// The next entry of the innermost array or object.
    fn key(&mut self, key: ScannedKey<'i>);
    /// The innermost array or object is whole.
    fn close(&mut self);
}

/// A reader of one value after another.
#[derive(Debug)]
pub(crate) struct Scanner<'i> {
    pub(super) input: &'i [u8],
    pub(super) at: usize,
    limits: Limits,
    /// How many elements each open array or object still wants.
    pub(super) open: Vec<usize>,
    /// How many bytes they need for that, at least; all but the innermost while values are built.
    pub(super) owed: usize,
    pub(super) values: usize,
    pub(super) alike: Alike,
}

impl<'i> Scanner<'i> {
    pub(crate) fn new(input: &'i [u8], limits: Limits) -> Result<Self> {
        limits.check_length(input.len())?;
        Ok(Self { input, at: 0, limits, open: Vec::new(), owed: 0, values: 0, alike: Alike::new() })
    }

    /// Where it stands.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    #[inline(always)]
    pub(crate) fn rest(&self) -> &'i [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    /// How many values were read.
    pub(crate) fn values(&self) -> usize {
        self.values
    }

    /// How many arrays and objects it is in.
    pub(crate) fn levels(&self) -> usize {
        self.open.len()
    }

    /// Goes on from there.
    pub(crate) fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    /// Goes on by so many bytes.
    pub(crate) fn skip(&mut self, length: usize) {
        self.at += length;
    }

    /// Reads the beginning of an array, whose entries are for the caller to read.
    pub(crate) fn enter(&mut self) -> Result<()> {
        self.values += 1;
        let count = self.event()?.opened().map_or(0, |(count, _)| count);
        self.promise(count, false)?;
        self.owed += need(count);
        self.open.push(count);
        Ok(())
    }

    /// Reads the next key of the innermost array or object, or its end.
    #[inline(always)]
    pub(crate) fn next_key(&mut self) -> Result<Option<ScannedKey<'i>>> {
        match self.open.last_mut() {
            Some(wanted) if *wanted > 0 => {
                *wanted -= 1;
                self.owed -= SHORTEST_ELEMENT;
                self.key().map(Some)
            }
            _ => {
                self.expect(b'}')?;
                self.open.pop();
                self.owed = self.owed.saturating_sub(1);
                Ok(None)
            }
        }
    }

    /// Reads a value up to its elements.
    #[inline(always)]
    pub(super) fn event(&mut self) -> Result<Event<'i>> {
        Ok(match self.peek(0) {
            Some(b'N') => self.word(b"N;", Event::Null)?,
            Some(b'b') if self.peek(2) == Some(b'1') => self.word(b"b:1;", Event::Bool(true))?,
            Some(b'b') => self.word(b"b:0;", Event::Bool(false))?,
            Some(b'i') => Event::Int(self.int()?),
            Some(b'd') => Event::Float(self.float()?),
            Some(b's') => Event::Str(self.string()?),
            Some(b'S') => Event::Str(self.escaped()?),
            Some(b'a') => self.array()?,
            Some(b'O') => self.object()?,
            Some(b'C') => self.custom()?,
            Some(b'E') => self.enumeration()?,
            Some(b'r') => Event::Same(self.slot()?),
            Some(b'R') => Event::Reference(self.slot()?),
            _ => return Err(self.syntax()),
        })
    }

    #[inline(always)]
    pub(super) fn check_values(&self) -> Result<()> {
        if self.values > self.limits.values {
            return Err(Error::at(ErrorKind::TooLarge, "too many values", self.at));
        }
        Ok(())
    }

    /// An empty array is no level, an empty object is.
    #[inline(always)]
    pub(super) fn check_depth(&self, count: usize, object: bool) -> Result<()> {
        if (count > 0 || object) && self.open.len() >= self.limits.depth {
            return Err(Error::at(ErrorKind::TooDeep, "nested too deep", self.at));
        }
        Ok(())
    }

    #[inline(always)]
    pub(super) fn key(&mut self) -> Result<ScannedKey<'i>> {
        match self.peek(0) {
            Some(b'i') => Ok(ScannedKey::Int(self.int()?)),
            Some(b's') => Ok(ScannedKey::Str(self.string()?)),
            Some(b'S') => Ok(ScannedKey::Str(self.escaped()?)),
            _ => Err(self.syntax()),
        }
    }

    /// An array or object begins, of which so many elements are to follow.
    #[inline(always)]
    pub(super) fn promise(&mut self, count: usize, object: bool) -> Result<()> {
        self.check_depth(count, object)?;
        if need(count) > self.rest().len().saturating_sub(self.owed) {
            return Err(self.error("more elements than can follow"));
        }
        Ok(())
    }

    #[inline(always)]
    fn int(&mut self) -> Result<i64> {
        self.tag(b':')?;
        let read = signed(self.rest());
        if read.digits == 0 {
            return Err(self.syntax());
        }
        self.at += read.length;
        self.expect(b';')?;
        Ok(read.number)
    }

    fn float(&mut self) -> Result<&'i [u8]> {
        self.tag(b':')?;
        let length = float_length(self.rest()).ok_or_else(|| self.syntax())?;
        let text = self.take(length)?;
        self.expect(b';')?;
        Ok(text)
    }

    #[inline(always)]
    fn string(&mut self) -> Result<Text<'i>> {
        let text = self.quoted()?;
        self.expect(b';')?;
        Ok(text)
    }

    /// A letter, a length, and as many bytes in quotes.
    #[inline(always)]
    fn quoted(&mut self) -> Result<Text<'i>> {
        let length = self.length(b'"')?;
        let start = self.at;
        let bytes = Cow::Borrowed(self.take(length)?);
        self.expect(b'"')?;
        Ok(Text { start, bytes })
    }

    /// A string in which `\hh` stands for a byte.
    fn escaped(&mut self) -> Result<Text<'i>> {
        let length = self.length(b'"')?;
        let start = self.at;
        if length > self.rest().len() {
            return Err(self.syntax());
        }
        let mut bytes = Vec::with_capacity(length);
        for _ in 0..length {
            let byte = self.peek(0).ok_or_else(|| self.syntax())?;
            self.at += 1;
            bytes.push(if byte == b'\\' { self.hexadecimal()? } else { byte });
        }
        self.expect(b'"')?;
        self.expect(b';')?;
        Ok(Text { start, bytes: Cow::Owned(bytes) })
    }

    fn hexadecimal(&mut self) -> Result<u8> {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let pair = digit(self.peek(0)).zip(digit(self.peek(1)));
        let byte = pair.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        let byte = byte.ok_or_else(|| self.syntax())?;
        self.at += 2;
        Ok(byte)
    }

    #[inline(always)]
    fn array(&mut self) -> Result<Event<'i>> {
        self.tag(b':')?;
        // PHP reads it as a signed number, which is why it does not wrap.
        let read = signed(self.rest());
        if read.digits == 0 || read.length > read.digits {
            return Err(self.syntax());
        }
        self.at += read.length;
        self.expect(b':')?;
        self.expect(b'{')?;
        Ok(Event::Array { count: self.count(read.number)? })
    }

    fn object(&mut self) -> Result<Event<'i>> {
        let class = self.class()?;
        let count = self.signed_length()?;
        self.expect(b'{')?;
        Ok(Event::Object { class, count: self.count(count)? })
    }

    fn custom(&mut self) -> Result<Event<'i>> {
        let class = self.class()?;
        let length = self.signed_length()?;
        self.expect(b'{')?;
        let start = self.at;
        let bytes = Cow::Borrowed(self.take(self.count(length)?)?);
        self.expect(b'}')?;
        Ok(Event::Custom { class, payload: Text { start, bytes } })
    }

    fn enumeration(&mut self) -> Result<Event<'i>> {
        let name = self.string()?;
        let colon = name.bytes.iter().position(|byte| *byte == b':');
        let class = colon.and_then(|colon| name.bytes.get(..colon)).unwrap_or_default();
        let case = colon.is_some_and(|colon| colon + 1 < name.bytes.len());
        if !case || !is_class_name(class) {
            return Err(Error::at(ErrorKind::Syntax, "not the case of an enum", name.start));
        }
        Ok(Event::Enum { name })
    }

    fn class(&mut self) -> Result<Text<'i>> {
        let class = self.quoted()?;
        self.expect(b':')?;
        if !is_class_name(&class.bytes) {
            return Err(Error::at(ErrorKind::Syntax, "not the name of a class", class.start));
        }
        Ok(class)
    }

    /// A count of which PHP wants no digits, behind a class name.
    fn signed_length(&mut self) -> Result<i64> {
        let read = signed(self.rest());
        self.at += read.length;
        self.expect(b':')?;
        Ok(read.number)
    }

    #[inline(always)]
    fn count(&self, number: i64) -> Result<usize> {
        usize::try_from(number).ok().ok_or_else(|| self.error("a count below zero"))
    }

    fn slot(&mut self) -> Result<Slot> {
        self.tag(b':')?;
        let start = self.at;
        let (number, length) = unsigned(self.rest());
        if length == 0 {
            return Err(self.syntax());
        }
        self.at += length;
        self.expect(b';')?;
        Ok(Slot { number, start, end: start + length })
    }

    /// The letter of a value, its length, and the bracket behind.
    #[inline(always)]
    fn length(&mut self, bracket: u8) -> Result<usize> {
        self.tag(b':')?;
        let (number, length) = unsigned(self.rest());
        if length == 0 {
            return Err(self.syntax());
        }
        self.at += length;
        self.expect(b':')?;
        self.expect(bracket)?;
        usize::try_from(number).ok().ok_or_else(|| self.syntax())
    }

    /// The letter of a value and what follows it.
    #[inline(always)]
    fn tag(&mut self, colon: u8) -> Result<()> {
        self.at += 1;
        self.expect(colon)
    }

    #[inline(always)]
    fn word(&mut self, word: &[u8], event: Event<'i>) -> Result<Event<'i>> {
        if !self.rest().starts_with(word) {
            return Err(self.syntax());
        }
        self.at += word.len();
        Ok(event)
    }

    #[inline(always)]
    fn take(&mut self, length: usize) -> Result<&'i [u8]> {
        let bytes = self.rest().get(..length).ok_or_else(|| self.error("longer than the input"))?;
        self.at += length;
        Ok(bytes)
    }

    #[inline(always)]
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.input.get(self.at + ahead).copied()
    }

    #[inline(always)]
    pub(super) fn expect(&mut self, byte: u8) -> Result<()> {
        if self.peek(0) != Some(byte) {
            return Err(self.syntax());
        }
        self.at += 1;
        Ok(())
    }

    #[cold]
    pub(super) fn syntax(&self) -> Error {
        let ended = self.at >= self.input.len();
        self.error(if ended { "the input ends within a value" } else { "not what PHP writes" })
    }

    #[cold]
    pub(crate) fn error(&self, detail: &'static str) -> Error {
        Error::at(ErrorKind::Syntax, detail, self.at.min(self.input.len()))
    }
}

/// How many bytes so many elements and the end behind them take, at least.
#[inline(always)]
pub(super) const fn need(count: usize) -> usize {
    count.saturating_mul(SHORTEST_ELEMENT).saturating_add(1)
}

pub(crate) fn is_class_name(name: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'\\' | 0x80..);
    !name.is_empty() && name.first() != Some(&b'\\') && name.iter().all(allowed)
}
