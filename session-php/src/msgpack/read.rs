//! Reads it, without recursion.

use std::borrow::Cow;

use super::{
    ARRAY, BINARY, FALSE, FLOAT_32, FLOAT_64, MAP, MARK_OF_OBJECT_AGAIN, MARK_OF_REFERENCE,
    NEGATIVE, NIL, ONLY_PHP, SHORT_ARRAY, SHORT_MAP, SHORT_STRING, SIGNED, STRING, TRUE, UNSIGNED,
};
use crate::{
    Error, ErrorKind, Limits, Result,
    text::{Builder, Event, ScannedKey, Sink as _, Slot, Text, is_class_name},
};

/// Reads a session to where the builder stands. What is behind it is refused.
pub(crate) fn read<'i>(
    builder: &mut Builder<'_, 'i>,
    input: &'i [u8],
    limits: Limits,
) -> Result<()> {
    limits.check_length(input.len())?;
    let mut reader = Reader {
        input,
        at: 0,
        limits,
        containers: Vec::new(),
        open: Vec::new(),
        owed: 0,
        slots: 0,
        values: 0,
    };
    reader.session(builder)?;
    if reader.at < input.len() {
        return Err(reader.error("something behind the session"));
    }
    Ok(())
}

/// An array or object whose elements are being read.
struct Open {
    wanted: usize,
    /// The next key of an array, which are not written.
    next: Option<i64>,
}

struct Reader<'i> {
    input: &'i [u8],
    at: usize,
    limits: Limits,
    /// The slot of each array and object, and of each object again.
    containers: Vec<u64>,
    open: Vec<Open>,
    /// How many bytes the elements take at least that are still to come.
    owed: usize,
    slots: u64,
    values: usize,
}

impl<'i> Reader<'i> {
    /// The array of variables, whose first pair is a mark if there are any.
    fn session(&mut self, builder: &mut Builder<'_, 'i>) -> Result<()> {
        let tag = self.byte()?;
        let event = match tag {
            SHORT_MAP..SHORT_ARRAY | MAP..NEGATIVE => {
                let count = self.count(tag, SHORT_MAP, MAP)?;
                let marked = self.rest().starts_with(&[NIL, MARK_OF_REFERENCE]);
                self.at += if marked { 2 } else { 0 };
                self.container(count.saturating_sub(usize::from(marked)), None)?
            }
            tag if is_array(tag) => self.list(tag)?,
            _ => return Err(self.error("not an array")),
        };
        self.emit(builder, event, 0)?;
        loop {
            let Some(open) = self.open.last_mut() else { return Ok(()) };
            if open.wanted == 0 {
                self.open.pop();
                builder.close();
                continue;
            }
            open.wanted -= 1;
            if let Some(key) = &mut open.next {
                builder.key(ScannedKey::Int(*key));
                *key += 1;
                self.owed -= 1;
            } else {
                self.owed -= 2;
                let key = self.key()?;
                builder.key(key);
            }
            self.one(builder)?;
        }
    }

    fn one(&mut self, builder: &mut Builder<'_, 'i>) -> Result<()> {
        let start = self.at;
        self.values += 1;
        if self.values > self.limits.values {
            return Err(Error::at(ErrorKind::TooLarge, "too many values", start));
        }
        let tag = self.byte()?;
        let event = match tag {
            SHORT_MAP..SHORT_ARRAY | MAP..NEGATIVE => self.map(tag)?,
            tag if is_array(tag) => self.list(tag)?,
            NIL => Event::Null,
            FALSE | TRUE => Event::Bool(tag == TRUE),
            FLOAT_32 => {
                let bits = u32::try_from(self.big_endian(4)?).unwrap_or_default();
                Event::Double(f32::from_bits(bits).into())
            }
            FLOAT_64 => Event::Double(f64::from_bits(self.big_endian(8)?)),
            tag if is_string(tag) => Event::Str(self.string(tag)?),
            tag if is_int(tag) => Event::Int(self.int(tag)?),
            _ => return Err(self.error("not what msgpack writes")),
        };
        self.emit(builder, event, start)
    }

    fn emit(
        &mut self,
        builder: &mut Builder<'_, 'i>,
        event: Event<'i>,
        start: usize,
    ) -> Result<()> {
        self.slots += 1;
        if matches!(event, Event::Array { .. } | Event::Object { .. } | Event::Same(_)) {
            self.containers.push(self.slots);
        }
        builder.value(event).map_err(|(kind, detail)| Error::at(kind, detail, start))
    }

    fn list(&mut self, tag: u8) -> Result<Event<'i>> {
        let count = self.count(tag, SHORT_ARRAY, ARRAY)?;
        self.container(count, Some(0))
    }

    /// An array, or what a nil as its first key makes of it.
    fn map(&mut self, tag: u8) -> Result<Event<'i>> {
        let count = self.count(tag, SHORT_MAP, MAP)?;
        if count == 0 || self.rest().first() != Some(&NIL) {
            return self.container(count, None);
        }
        self.at += 1;
        let mark = self.byte()?;
        if is_string(mark) {
            let class = self.string(mark)?;
            if !is_class_name(&class.bytes) {
                return Err(self.error("not the name of a class"));
            }
            if count > 1 && self.rest().first() == Some(&NIL) {
                return Err(Error::at(ErrorKind::Unsupported, ONLY_PHP, self.at));
            }
            self.container(count - 1, None)?;
            return Ok(Event::Object { class, count: count - 1 });
        }
        if mark != MARK_OF_OBJECT_AGAIN || count != 2 {
            return Err(Error::at(ErrorKind::Unsupported, ONLY_PHP, self.at));
        }
        if self.byte()? != 0 {
            return Err(self.error("an object again without its number"));
        }
        let tag = self.byte()?;
        let number = if is_int(tag) { usize::try_from(self.int(tag)?).ok() } else { None };
        let slot = number.and_then(|number| self.containers.get(number.checked_sub(1)?));
        let number = *slot.ok_or_else(|| self.error("a reference to nothing"))?;
        Ok(Event::Same(Slot { number, start: self.at, end: self.at }))
    }

    fn container(&mut self, count: usize, next: Option<i64>) -> Result<Event<'i>> {
        if self.open.len() >= self.limits.depth {
            return Err(Error::at(ErrorKind::TooDeep, "nested too deep", self.at));
        }
        let least = count.saturating_mul(if next.is_some() { 1 } else { 2 });
        if least > self.rest().len().saturating_sub(self.owed) {
            return Err(self.error("more elements than can follow"));
        }
        self.owed += least;
        self.open.push(Open { wanted: count, next });
        Ok(Event::Array { count })
    }

    fn key(&mut self) -> Result<ScannedKey<'i>> {
        let tag = self.byte()?;
        if is_string(tag) {
            Ok(ScannedKey::Str(self.string(tag)?))
        } else if is_int(tag) {
            Ok(ScannedKey::Int(self.int(tag)?))
        } else {
            Err(self.error("not a key"))
        }
    }

    fn int(&mut self, tag: u8) -> Result<i64> {
        let number = match tag {
            ..SHORT_MAP => Some(i64::from(tag)),
            NEGATIVE.. => Some(i64::from(tag) - 256),
            UNSIGNED..SIGNED => i64::try_from(self.big_endian(1 << (tag - UNSIGNED))?).ok(),
            _ => {
                let width = 1 << (tag - SIGNED);
                let number = self.big_endian(width)?;
                let spare = 64 - 8 * u32::try_from(width).unwrap_or(8);
                Some((number << spare).cast_signed() >> spare)
            }
        };
        number.ok_or_else(|| self.error("a number beyond 64 bits"))
    }

    fn string(&mut self, tag: u8) -> Result<Text<'i>> {
        let length = match tag {
            SHORT_STRING..NIL => u64::from(tag - SHORT_STRING),
            BINARY.. if tag < FLOAT_32 => self.big_endian(1 << (tag - BINARY))?,
            _ => self.big_endian(1 << (tag - STRING))?,
        };
        let start = self.at;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        Ok(Text { start, bytes: Cow::Borrowed(self.take(length)?) })
    }

    fn count(&mut self, tag: u8, short: u8, long: u8) -> Result<usize> {
        if tag < long {
            return Ok(usize::from(tag - short));
        }
        let count = self.big_endian(2 << (tag - long))?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn big_endian(&mut self, width: usize) -> Result<u64> {
        let bytes = self.take(width)?;
        Ok(bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    fn take(&mut self, length: usize) -> Result<&'i [u8]> {
        let bytes = self.rest().get(..length);
        let bytes = bytes.ok_or_else(|| self.error("the input ends within a value"))?;
        self.at += length;
        Ok(bytes)
    }

    fn rest(&self) -> &'i [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    fn error(&self, detail: &'static str) -> Error {
        Error::at(ErrorKind::Syntax, detail, self.at)
    }
}

fn is_array(tag: u8) -> bool {
    matches!(tag, SHORT_ARRAY..SHORT_STRING | ARRAY..MAP)
}

fn is_string(tag: u8) -> bool {
    matches!(tag, SHORT_STRING..NIL | STRING..ARRAY | BINARY..=0xc6)
}

fn is_int(tag: u8) -> bool {
    matches!(tag, ..SHORT_MAP | UNSIGNED..=0xd3 | NEGATIVE..)
}
