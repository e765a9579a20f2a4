//! Reads it, without recursion.

use std::borrow::Cow;

use super::{
    ARRAY, ARRAY_AGAIN, CUSTOM, EMPTY_STRING, ENUM, FALSE, FLOAT, INT_8, INT_64, NULL, OBJECT,
    OBJECT_AGAIN, OBJECT_OF_CLASS_AGAIN, REFERENCE, STRING, STRING_AGAIN, TRUE,
};
use crate::{
    Error, ErrorKind, Limits, Result,
    text::{Builder, Event, ScannedKey, Sink as _, Slot, Text, is_class_name},
};

/// Reads a value to where the builder stands. What is behind it is ignored, as by PHP.
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
        strings: Vec::new(),
        numbered: Vec::new(),
        open: Vec::new(),
        owed: 0,
        repeated: 0,
        slots: 0,
        values: 0,
    };
    if !matches!(reader.take(4)?, [0, 0, 0, 1 | 2]) {
        return Err(Error::at(ErrorKind::Syntax, "not igbinary", 0));
    }
    reader.value(builder)
}

fn is_int(tag: u8) -> bool {
    matches!(tag, INT_8..FLOAT) || tag & 0xfe == INT_64
}

fn is_string(tag: u8) -> bool {
    matches!(tag, EMPTY_STRING..ARRAY)
}

struct Reader<'i> {
    input: &'i [u8],
    at: usize,
    limits: Limits,
    /// Where each string is.
    strings: Vec<(usize, usize)>,
    /// The slot of each array, object and shared variable.
    numbered: Vec<u64>,
    /// How many elements each open array or object still wants, and all of them together: each
    /// takes a byte at least.
    open: Vec<usize>,
    owed: usize,
    /// How many bytes stand for themselves nowhere: of strings that were there before.
    repeated: usize,
    slots: u64,
    values: usize,
}

impl<'i> Reader<'i> {
    fn value(&mut self, builder: &mut Builder<'_, 'i>) -> Result<()> {
        loop {
            self.one(builder)?;
            loop {
                let Some(wanted) = self.open.last_mut() else { return Ok(()) };
                if *wanted == 0 {
                    self.open.pop();
                    builder.close();
                    continue;
                }
                *wanted -= 1;
                self.owed -= 1;
                if let Some(key) = self.key()? {
                    builder.key(key);
                    break;
                }
            }
        }
    }

    fn one(&mut self, builder: &mut Builder<'_, 'i>) -> Result<()> {
        let start = self.at;
        self.values += 1;
        if self.values > self.limits.values {
            return Err(Error::at(ErrorKind::TooLarge, "too many values", start));
        }
        let mut tag = self.byte()?;
        let shared = tag == REFERENCE;
        if shared {
            tag = self.byte()?;
        }
        let event = match tag {
            ARRAY_AGAIN..FALSE => self.again(tag - ARRAY_AGAIN, shared, Event::Copy)?,
            OBJECT_AGAIN..REFERENCE => self.again(tag - OBJECT_AGAIN, shared, Event::Same)?,
            ARRAY..OBJECT => {
                let count = self.number(tag - ARRAY)?;
                self.open(count)?;
                Event::Array { count }
            }
            OBJECT..CUSTOM => self.object(tag)?,
            _ => self.scalar(tag)?,
        };
        if let Event::Copy(slot) = event {
            self.repeat(builder.string_length(slot))?;
        }
        let again = matches!(event, Event::Reference(_));
        self.slots += u64::from(!again);
        let scalar = !matches!(tag, ARRAY_AGAIN..FALSE | OBJECT_AGAIN..REFERENCE | ARRAY..CUSTOM);
        if matches!(tag, ARRAY..CUSTOM) || (shared && scalar) {
            self.numbered.push(self.slots);
        }
        builder.value(event).map_err(|(kind, detail)| Error::at(kind, detail, start))
    }

    /// Something that was there before: as one variable with it, or not.
    fn again(
        &mut self,
        width: u8,
        shared: bool,
        other: fn(Slot) -> Event<'i>,
    ) -> Result<Event<'i>> {
        let number = self.number(width)?;
        let slot =
            *self.numbered.get(number).ok_or_else(|| self.error("a reference to nothing"))?;
        let slot = Slot { number: slot, start: self.at, end: self.at };
        Ok(if shared { Event::Reference(slot) } else { other(slot) })
    }

    fn scalar(&mut self, tag: u8) -> Result<Event<'i>> {
        Ok(match tag {
            NULL => Event::Null,
            FALSE | TRUE => Event::Bool(tag == TRUE),
            FLOAT => Event::Double(f64::from_bits(self.big_endian(8)?)),
            tag if is_int(tag) => Event::Int(self.int(tag)?),
            tag if is_string(tag) => Event::Str(self.string(tag)?),
            _ => return Err(self.error("not what igbinary writes")),
        })
    }

    fn key(&mut self) -> Result<Option<ScannedKey<'i>>> {
        let tag = self.byte()?;
        Ok(match tag {
            // A property with a type that was never given a value.
            NULL => None,
            tag if is_int(tag) => Some(ScannedKey::Int(self.int(tag)?)),
            tag if is_string(tag) => Some(ScannedKey::Str(self.string(tag)?)),
            _ => return Err(self.error("not a key")),
        })
    }

    fn int(&mut self, tag: u8) -> Result<i64> {
        let width = match tag {
            INT_64.. => 8,
            _ => 1 << ((tag - INT_8) / 2),
        };
        let magnitude = self.big_endian(width)?;
        let number = if tag % 2 == 1 {
            0_i64.checked_sub_unsigned(magnitude)
        } else {
            i64::try_from(magnitude).ok()
        };
        number.ok_or_else(|| self.error("a number beyond 64 bits"))
    }

    fn string(&mut self, tag: u8) -> Result<Text<'i>> {
        let (start, end) = match tag {
            EMPTY_STRING => (self.at, self.at),
            STRING_AGAIN..STRING => {
                let number = self.number(tag - STRING_AGAIN)?;
                let (start, end) = *self
                    .strings
                    .get(number)
                    .ok_or_else(|| self.error("a string that was not there"))?;
                self.repeat(end - start)?;
                (start, end)
            }
            _ => self.new_string(tag - STRING)?,
        };
        let bytes = self.input.get(start..end).unwrap_or_default();
        Ok(Text { start, bytes: Cow::Borrowed(bytes) })
    }

    /// What is read costs as much as if it were written out.
    fn repeat(&mut self, length: usize) -> Result<()> {
        self.repeated += length;
        if self.repeated > self.limits.bytes.min(1 << 30) {
            return Err(Error::at(ErrorKind::TooLarge, "strings repeated too often", self.at));
        }
        Ok(())
    }

    fn new_string(&mut self, width: u8) -> Result<(usize, usize)> {
        let length = self.number(width)?;
        let start = self.at;
        self.take(length)?;
        self.strings.push((start, self.at));
        Ok((start, self.at))
    }

    fn object(&mut self, tag: u8) -> Result<Event<'i>> {
        let class = match tag {
            OBJECT..OBJECT_OF_CLASS_AGAIN => self.string(tag - OBJECT + STRING)?,
            _ => self.string(tag - OBJECT_OF_CLASS_AGAIN + STRING_AGAIN)?,
        };
        if !is_class_name(&class.bytes) {
            return Err(self.error("not the name of a class"));
        }
        match self.byte()? {
            tag @ ARRAY..OBJECT => {
                let count = self.number(tag - ARRAY)?;
                self.open(count)?;
                Ok(Event::Object { class, count })
            }
            tag @ CUSTOM..INT_64 => {
                let length = self.number(tag - CUSTOM)?;
                let start = self.at;
                let bytes = Cow::Borrowed(self.take(length)?);
                Ok(Event::Custom { class, payload: Text { start, bytes } })
            }
            ENUM => {
                let tag = self.byte()?;
                if !matches!(tag, STRING_AGAIN..ARRAY) {
                    return Err(self.error("not the case of an enum"));
                }
                let case = self.string(tag)?;
                if case.bytes.is_empty() {
                    return Err(self.error("a case of an enum without a name"));
                }
                let name = [&*class.bytes, b":", &*case.bytes].concat();
                Ok(Event::Enum { name: Text { start: class.start, bytes: Cow::Owned(name) } })
            }
            _ => Err(self.error("an object without contents")),
        }
    }

    fn open(&mut self, count: usize) -> Result<()> {
        if self.open.len() >= self.limits.depth {
            return Err(Error::at(ErrorKind::TooDeep, "nested too deep", self.at));
        }
        if count > (self.input.len() - self.at).saturating_sub(self.owed) {
            return Err(self.error("more elements than can follow"));
        }
        self.owed += count;
        self.open.push(count);
        Ok(())
    }

    /// A number of 8, 16 or 32 bits, by its place among three tags.
    fn number(&mut self, width: u8) -> Result<usize> {
        let number = self.big_endian(1 << width)?;
        usize::try_from(number).ok().ok_or_else(|| self.error("a number beyond 64 bits"))
    }

    fn big_endian(&mut self, width: usize) -> Result<u64> {
        let bytes = self.take(width)?;
        Ok(bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    fn take(&mut self, length: usize) -> Result<&'i [u8]> {
        let bytes = self.input.get(self.at..).and_then(|rest| rest.get(..length));
        let bytes = bytes.ok_or_else(|| self.error("the input ends within a value"))?;
        self.at += length;
        Ok(bytes)
    }

    fn error(&self, detail: &'static str) -> Error {
        Error::at(ErrorKind::Syntax, detail, self.at)
    }
}
