//! What a value looks like from outside, without its contents.

use super::scan::{Event, ScannedKey, Sink};
use crate::{ErrorKind, graph::index};

/// How many slots values take, and where they refer to slots.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    /// Slots so far, over all values that were read.
    pub(crate) slots: u32,
    pub(crate) tokens: Vec<Token>,
    /// How many cases of enums were written out.
    pub(crate) enums: u32,
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
