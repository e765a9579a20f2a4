//! Variables as their texts, which go back as they came.

use std::{borrow::Cow, collections::HashMap};

use bytes::Bytes;

use super::{SerializeHandler, names};
use crate::{
    Error, ErrorKind, Limits, Result,
    graph::index,
    text::{Outline, ScannedKey, Scanner, Token, write_length},
};

/// Each variable's name and text.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    names: Vec<Bytes>,
    /// As many as names.
    texts: Vec<Text>,
    next: u32,
    /// Whether a text refers to a variable that is not there.
    open: bool,
}

/// The text of a value.
#[derive(Debug, Clone)]
struct Text {
    /// Stays when others go.
    id: u32,
    text: Bytes,
    slots: u32,
    references: Vec<Reference>,
    has_enums: bool,
}

/// A number in the text that names a slot.
#[derive(Debug, Clone, Copy)]
struct Reference {
    start: u32,
    end: u32,
    /// Whose slot it is, and which of that variable's, counted from 0.
    variable: u32,
    slot: u32,
}

/// A value as it was found.
struct Found {
    id: u32,
    start: usize,
    end: usize,
    first_slot: u32,
    slots: u32,
    tokens: std::ops::Range<usize>,
    has_enums: bool,
}

impl Texts {
    /// Reads what a serialiser wrote, without what references lead to.
    pub(super) fn read(handler: SerializeHandler, source: &Bytes, limits: Limits) -> Result<Self> {
        let mut scanner = Scanner::new(source, limits)?;
        let mut reader = Reader::default();
        if handler == SerializeHandler::PhpSerialize {
            reader.array(&mut scanner, source)?;
        } else {
            while let Some(name) = handler.next_name(&mut scanner, source)? {
                reader.variable(&mut scanner, name)?;
            }
        }
        Ok(reader.finish(source))
    }

    pub(super) fn names(&self) -> &[Bytes] {
        &self.names
    }

    pub(super) fn has_references(&self) -> bool {
        self.open || self.texts.iter().any(|text| !text.references.is_empty())
    }

    /// Whether all references lead to variables that are there.
    pub(super) fn is_closed(&self) -> bool {
        !self.open
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        self.names.iter().position(|found| found == name)
    }

    fn text(&self, name: &[u8]) -> Option<&Text> {
        self.texts.get(self.position(name)?)
    }

    /// The text of a variable, unless there are references in it.
    pub(super) fn lone_text(&self, name: &[u8]) -> Option<Option<Bytes>> {
        self.text(name).map(|text| text.references.is_empty().then(|| text.text.clone()))
    }

    /// Whether other variables refer to this one.
    pub(super) fn is_used(&self, name: &[u8]) -> bool {
        let Some(id) = self.text(name).map(|text| text.id) else { return false };
        let others = self.texts.iter().filter(|text| text.id != id);
        others.flat_map(|text| &text.references).any(|reference| reference.variable == id)
    }

    /// Sets a variable; unless that may change others, or take from them what they refer to.
    /// Whether it did.
    pub(super) fn assign(&mut self, name: &[u8], text: &Bytes, limits: Limits) -> Result<bool> {
        let mut outline = Outline::default();
        Scanner::new(text, limits)?.value(&mut outline)?;
        let position = self.position(name);
        if self.is_shared(name) || (outline.enums > 0 && self.others_have_enums(position)) {
            return Ok(false);
        }
        let (id, slots, has_enums) = (self.next, outline.slots, outline.enums > 0);
        let references = outline.tokens.iter().map(|token| Reference {
            start: token.start,
            end: token.end,
            variable: id,
            slot: token.slot - 1,
        });
        let references = references.collect();
        let text = Text { id, text: text.clone(), slots, references, has_enums };
        self.next += 1;
        match position.and_then(|position| self.texts.get_mut(position)) {
            Some(place) => *place = text,
            None => {
                self.names.push(Bytes::copy_from_slice(name));
                self.texts.push(text);
            }
        }
        Ok(true)
    }

    /// Whether an assignment to the variable may change others, or take from them what they refer
    /// to.
    fn is_shared(&self, name: &[u8]) -> bool {
        self.text(name).is_some_and(|text| text.text.starts_with(b"R:")) || self.is_used(name)
    }

    /// A case that is written out in one variable is the same object in another.
    fn others_have_enums(&self, position: Option<usize>) -> bool {
        let mut others = self.texts.iter().enumerate().filter(|(at, _)| Some(*at) != position);
        others.any(|(_, text)| text.has_enums)
    }

    /// Removes a variable to which no other refers.
    pub(super) fn remove(&mut self, name: &[u8]) {
        if let Some(position) = self.position(name) {
            self.names.remove(position);
            self.texts.remove(position);
        }
    }

    /// Writes them, with references by the numbers that slots have now.
    pub(super) fn write(&self, handler: SerializeHandler) -> Vec<u8> {
        let length = self.names.iter().map(|name| name.len() + 24).sum::<usize>();
        let length = length + self.texts.iter().map(|text| text.text.len()).sum::<usize>();
        let mut out = Vec::with_capacity(length + 24);
        let first_slots =
            if self.has_references() { self.first_slots(handler) } else { HashMap::new() };
        handler.write_head(&mut out, self.names.len());
        for (name, text) in self.names.iter().zip(&self.texts) {
            handler.write_name(&mut out, name);
            text.write(&mut out, &first_slots);
        }
        handler.write_end(&mut out);
        out
    }

    fn first_slots(&self, handler: SerializeHandler) -> HashMap<u32, u32> {
        let mut next = handler.slots_ahead() + 1;
        let numbered = self.texts.iter().map(|text| {
            let first = next;
            next += text.slots;
            (text.id, first)
        });
        numbered.collect()
    }
}

impl Text {
    fn write(&self, out: &mut Vec<u8>, first_slots: &HashMap<u32, u32>) {
        let mut done = 0;
        for Reference { start, end, variable, slot } in &self.references {
            let before = self.text.get(done..*start as usize).unwrap_or_default();
            let first = first_slots.get(variable).copied().unwrap_or_default();
            write_length(out, before, (first + slot) as usize);
            done = *end as usize;
        }
        out.extend_from_slice(self.text.get(done..).unwrap_or_default());
    }
}

/// Reads variables one after the other.
#[derive(Default)]
struct Reader {
    outline: Outline,
    names: Vec<Bytes>,
    found: Vec<Found>,
    numbers: HashMap<Bytes, usize>,
    /// What was overwritten by a later variable of the same name.
    lost: Vec<Found>,
    next: u32,
}

impl Reader {
    fn array<'i>(&mut self, scanner: &mut Scanner<'i>, source: &'i Bytes) -> Result<()> {
        match scanner.rest() {
            [] => return Ok(()),
            [b'a', ..] => scanner.enter(&mut self.outline)?,
            [first, ..] => {
                scanner.value(&mut self.outline)?;
                let detail = "not an array, which PHP does not save again";
                let refusal = Error::new(ErrorKind::Unsupported, detail);
                return if *first == b'N' { Ok(()) } else { Err(refusal) };
            }
        }
        while let Some(key) = scanner.next_key()? {
            let name = match key {
                ScannedKey::Int(number) => names::of_number(number),
                ScannedKey::Str(text) => match text.bytes {
                    Cow::Borrowed(bytes) => source.slice(text.start..text.start + bytes.len()),
                    Cow::Owned(bytes) => bytes.into(),
                },
            };
            self.variable(scanner, name)?;
        }
        Ok(())
    }

    fn variable(&mut self, scanner: &mut Scanner<'_>, name: Bytes) -> Result<()> {
        let Outline { slots, enums, .. } = self.outline;
        let (start, tokens) = (scanner.at(), self.outline.tokens.len());
        scanner.value(&mut self.outline)?;
        let found = Found {
            id: self.next,
            start,
            end: scanner.at(),
            first_slot: slots + 1,
            slots: self.outline.slots - slots,
            tokens: tokens..self.outline.tokens.len(),
            has_enums: self.outline.enums > enums,
        };
        self.next += 1;
        let known = self.numbers.get(&name).and_then(|number| self.found.get_mut(*number));
        if let Some(known) = known {
            self.lost.push(std::mem::replace(known, found));
        } else {
            self.numbers.insert(name.clone(), self.found.len());
            self.names.push(name);
            self.found.push(found);
        }
        Ok(())
    }

    fn finish(self, source: &Bytes) -> Texts {
        let Self { outline, names, found, numbers, lost, next } = self;
        drop(numbers);
        // PHP's slots lead to places, and an overwritten variable's to whatever is there now.
        // The slot before all variables is that of the array they are in.
        let first = found.iter().map(|found| found.first_slot).min().unwrap_or_default();
        let open = outline.tokens.iter().any(|token| !lost.is_empty() || token.slot < first);
        let mut owners: Vec<&Found> = found.iter().collect();
        owners.sort_by_key(|found| (found.first_slot, found.id));
        let texts = found.iter().map(|found| Text {
            id: found.id,
            text: source.slice(found.start..found.end),
            slots: found.slots,
            references: references(&outline.tokens, found, &owners),
            has_enums: found.has_enums,
        });
        Texts { texts: texts.collect(), names, next, open }
    }
}

fn references(tokens: &[Token], found: &Found, owners: &[&Found]) -> Vec<Reference> {
    let tokens = tokens.get(found.tokens.clone()).unwrap_or_default();
    let offset = index(found.start);
    let reference = |token: &Token| {
        // An `R:` alone takes no slot; of owners with the same first slot the last one has it.
        let after = owners.partition_point(|owner| owner.first_slot <= token.slot);
        let owner = owners.get(after.checked_sub(1)?)?;
        Some(Reference {
            start: token.start - offset,
            end: token.end - offset,
            variable: owner.id,
            slot: token.slot - owner.first_slot,
        })
    };
    tokens.iter().filter_map(reference).collect()
}
