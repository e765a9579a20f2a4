//! What values look like from outside, without their contents.

use std::mem;

use super::{
    chunk::{self, Alike},
    scan::{Event, ScannedKey, Scanner, Sink},
};
use crate::{Error, ErrorKind, Result, graph::index};

/// How many slots values take, and where they refer to slots.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    /// Slots so far, over all values that were read.
    pub(crate) slots: u32,
    pub(crate) tokens: Vec<Token>,
    /// How many cases of enums were written out.
    pub(crate) enums: u32,
    /// How many levels there are in the deepest place.
    pub(crate) depth: usize,
}

/// The number in `r:` or `R:`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    /// Where its digits are.
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// The slot that it names.
    pub(crate) slot: u32,
}

impl<'i> Sink<'i> for Outline {
    #[inline(always)]
    fn value(&mut self, event: Event<'i>) -> Result<(), (ErrorKind, &'static str)> {
        let reference = matches!(event, Event::Reference(_));
        self.slots += u32::from(!reference);
        self.enums += u32::from(matches!(event, Event::Enum { .. }));
        if let Event::Same(slot) | Event::Reference(slot) = event {
            let missing = (ErrorKind::Reference, "a reference to nothing");
            let number = u32::try_from(slot.number).ok().ok_or(missing)?;
            if number == 0 || number > self.slots {
                return Err(missing);
            }
            let (start, end) = (index(slot.start), index(slot.end));
            self.tokens.push(Token { start, end, slot: number });
        }
        Ok(())
    }

    #[inline(always)]
    fn key(&mut self, _: ScannedKey<'i>) {}

    fn close(&mut self) {}
}

impl Scanner<'_> {
    /// Reads over one whole value.
    pub(crate) fn outline(&mut self, outline: &mut Outline) -> Result<()> {
        let (input, floor) = (self.input, self.open.len());
        // How many elements the innermost array or object still wants; the value itself is in none.
        let mut wanted = 0;
        self.element(outline, &mut wanted)?;
        let (mut at, mut plain, mut alike) = (self.at, 0, Alike::new());
        while self.open.len() > floor {
            if wanted == 0 {
                self.at = at;
                self.expect(b'}')?;
                at = self.at;
                wanted = self.open.pop().unwrap_or_default();
                continue;
            }
            wanted -= 1;
            if let Some((_, end)) = alike.key(input, at, self.open.len(), wanted) {
                at = end + 2;
            } else if let Some((_, end)) = chunk::key_int(input, at) {
                at = end;
            } else {
                self.at = at;
                self.key()?;
                at = self.at;
            }
            if let Some(end) = chunk::plain_end(input, at) {
                at = end;
                plain += 1;
            } else if let Some((count, first)) = alike.array(input, at, self.open.len()) {
                at = first;
                plain += 1;
                self.deeper(outline, &mut wanted, count, false)?;
            } else {
                self.at = at;
                outline.slots += plain;
                self.values += plain as usize;
                plain = 0;
                self.element(outline, &mut wanted)?;
                at = self.at;
            }
        }
        self.at = at;
        outline.slots += plain;
        self.values += plain as usize;
        self.check_values()
    }

    /// Reads over a value up to its elements: from there on, they are those that are wanted.
    fn element(&mut self, outline: &mut Outline, wanted: &mut usize) -> Result<()> {
        self.values += 1;
        self.check_values()?;
        let (start, event) = (self.at, self.event()?);
        let opened = event.opened();
        outline.value(event).map_err(|(kind, detail)| Error::at(kind, detail, start))?;
        opened.map_or(Ok(()), |(count, object)| self.deeper(outline, wanted, count, object))
    }

    #[inline(always)]
    fn deeper(
        &mut self,
        outline: &mut Outline,
        wanted: &mut usize,
        count: usize,
        object: bool,
    ) -> Result<()> {
        self.check_depth(count, object)?;
        self.open.push(mem::replace(wanted, count));
        if count > 0 || object {
            outline.depth = outline.depth.max(self.open.len());
        }
        Ok(())
    }
}
