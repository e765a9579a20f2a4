//! Variables as their texts, which go back as they came.

use std::{borrow::Cow, collections::HashMap, mem};

use bytes::Bytes;

use super::{
    SerializeHandler,
    graphed::Graphed,
    names::{Known, Names, Piece},
};
use crate::{
    Error, ErrorKind, Limits, Result,
    graph::index,
    text::{Outline, ScannedKey, Scanner, write_length},
    value::too_deep,
};

/// Each variable's name and text.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    source: Bytes,
    names: Vec<Piece>,
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
    text: Piece,
    /// The slot that it took when it was read.
    first_slot: u32,
    slots: u32,
    /// How many values it has, and how deep they nest.
    values: u32,
    depth: u32,
    has_enums: bool,
    references: Option<Box<[Reference]>>,
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

/// Most sessions have no more variables.
const USUAL: usize = 8;

impl Texts {
    /// Reads what a serialiser wrote, without what references lead to.
    pub(super) fn read(handler: SerializeHandler, source: &Bytes, limits: Limits) -> Result<Self> {
        let mut scanner = Scanner::new(source, limits)?;
        let mut reader = Reader { source, ..Reader::default() };
        reader.texts.reserve(USUAL);
        reader.known.names.reserve(USUAL);
        if handler == SerializeHandler::PhpSerialize {
            reader.array(&mut scanner)?;
        } else {
            while let Some(name) = handler.next_name(&mut scanner)? {
                reader.variable(&mut scanner, name)?;
            }
        }
        Ok(reader.finish(source))
    }

    pub(super) fn names(&self) -> Names<'_> {
        Names::new(&self.source, &self.names)
    }

    pub(super) fn has_references(&self) -> bool {
        self.open || self.texts.iter().any(|text| text.references.is_some())
    }

    /// Whether all references lead to variables that are there.
    pub(super) fn is_closed(&self) -> bool {
        !self.open
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.names
    }

    /// Where in what was read each text begins, as long as nothing is changed.
    pub(super) fn starts(&self) -> impl Iterator<Item = usize> {
        self.texts.iter().filter_map(|text| match &text.text {
            Piece::Read(span) => Some(span.start as usize),
            Piece::Own(_) => None,
        })
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        self.names().position(|found| found == name)
    }

    fn text(&self, name: &[u8]) -> Option<&Text> {
        self.texts.get(self.position(name)?)
    }

    /// The text of a variable, unless there are references in it.
    pub(super) fn lone_text(&self, name: &[u8]) -> Option<Option<Bytes>> {
        let text = self.text(name)?;
        Some(text.references.is_none().then(|| text.text.shared(&self.source)))
    }

    /// Names and texts that stand alone; of a graph where they refer to each other.
    pub(super) fn lone<'g>(
        &self,
        graph: impl Fn() -> Result<&'g Graphed>,
        work: usize,
    ) -> Result<Vec<(Bytes, Bytes)>> {
        let mut left = work;
        let mut all = Vec::with_capacity(self.texts.len());
        for (number, (name, text)) in self.names.iter().zip(&self.texts).enumerate() {
            let text = if text.references.is_none() {
                text.text.shared(&self.source)
            } else {
                graph()?.lone_text(number, &mut left)?
            };
            all.push((name.shared(&self.source), text));
        }
        Ok(all)
    }

    /// How many values there are.
    pub(super) fn values(&self) -> usize {
        self.texts.iter().map(|text| text.values as usize).sum()
    }

    /// Whether what they are written as can be read within limits, in so many more levels.
    pub(super) fn fit(&self, limits: Limits, levels: usize) -> Result<()> {
        let depth = self.texts.iter().map(|text| text.depth as usize).max().unwrap_or_default();
        if self.values() + levels > limits.values {
            return Err(Error::new(ErrorKind::TooLarge, "too many values"));
        }
        if depth + levels > limits.depth {
            return Err(too_deep());
        }
        Ok(())
    }

    /// Whether other variables refer to this one.
    pub(super) fn is_used(&self, name: &[u8]) -> bool {
        let Some(id) = self.text(name).map(|text| text.id) else { return false };
        let others = self.texts.iter().filter(|text| text.id != id);
        others.flat_map(Text::references).any(|reference| reference.variable == id)
    }

    /// Sets a variable; unless that may change others, or take from them what they refer to.
    /// Whether it did.
    pub(super) fn assign(&mut self, name: &[u8], text: &Bytes, limits: Limits) -> Result<bool> {
        let mut outline = Outline::default();
        let mut scanner = Scanner::new(text, limits)?;
        scanner.outline(&mut outline)?;
        let position = self.position(name);
        if self.is_shared(name) || (outline.enums > 0 && self.others_have_enums(position)) {
            return Ok(false);
        }
        let id = self.next;
        let references = outline.tokens.iter().map(|token| Reference {
            start: token.start,
            end: token.end,
            variable: id,
            slot: token.slot - 1,
        });
        let references: Box<[Reference]> = references.collect();
        let text = Text {
            id,
            text: Piece::own(text.clone()),
            first_slot: 0,
            slots: outline.slots,
            values: index(scanner.values()),
            depth: index(outline.depth),
            has_enums: outline.enums > 0,
            references: (!references.is_empty()).then_some(references),
        };
        self.next += 1;
        match position.and_then(|position| self.texts.get_mut(position)) {
            Some(place) => *place = text,
            None => {
                self.names.push(Piece::own(Bytes::copy_from_slice(name)));
                self.texts.push(text);
            }
        }
        Ok(true)
    }

    /// Whether an assignment to the variable may change others, or take from them what they refer
    /// to.
    fn is_shared(&self, name: &[u8]) -> bool {
        let starts_shared = |text: &Text| text.text.bytes(&self.source).starts_with(b"R:");
        self.text(name).is_some_and(starts_shared) || self.is_used(name)
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
        let mut length = 24;
        for (name, text) in self.names().zip(&self.texts) {
            length += name.len() + 24 + text.text.bytes(&self.source).len();
        }
        let mut out = Vec::with_capacity(length);
        let first_slots =
            if self.has_references() { self.first_slots(handler) } else { HashMap::new() };
        handler.write_head(&mut out, self.names.len());
        for (name, text) in self.names().zip(&self.texts) {
            handler.write_name(&mut out, name);
            text.write(&mut out, &self.source, &first_slots);
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
    fn references(&self) -> &[Reference] {
        self.references.as_deref().unwrap_or_default()
    }

    fn write(&self, out: &mut Vec<u8>, source: &[u8], first_slots: &HashMap<u32, u32>) {
        let (text, mut done) = (self.text.bytes(source), 0);
        for Reference { start, end, variable, slot } in self.references() {
            let before = text.get(done..*start as usize).unwrap_or_default();
            let first = first_slots.get(variable).copied().unwrap_or_default();
            write_length(out, before, (first + slot) as usize);
            done = *end as usize;
        }
        out.extend_from_slice(text.get(done..).unwrap_or_default());
    }
}

/// Reads variables one after the other.
#[derive(Default)]
struct Reader<'i> {
    source: &'i [u8],
    outline: Outline,
    known: Known<'i>,
    texts: Vec<Text>,
    next: u32,
    /// Whether a variable was overwritten by a later one of the same name.
    lost: bool,
}

impl<'i> Reader<'i> {
    fn array(&mut self, scanner: &mut Scanner<'i>) -> Result<()> {
        match scanner.rest() {
            [] => return Ok(()),
            [b'a', ..] => {
                scanner.enter()?;
                self.outline.slots += 1;
            }
            [first, ..] => {
                scanner.outline(&mut self.outline)?;
                let detail = "not an array, which PHP does not save again";
                let refusal = Error::new(ErrorKind::Unsupported, detail);
                return if *first == b'N' { Ok(()) } else { Err(refusal) };
            }
        }
        while let Some(key) = scanner.next_key()? {
            let name = match key {
                ScannedKey::Int(number) => Piece::number(number),
                ScannedKey::Str(text) => match text.bytes {
                    Cow::Borrowed(bytes) => Piece::read(text.start, text.start + bytes.len()),
                    Cow::Owned(bytes) => Piece::own(bytes),
                },
            };
            self.variable(scanner, name)?;
        }
        Ok(())
    }

    fn variable(&mut self, scanner: &mut Scanner<'i>, name: Piece) -> Result<()> {
        let Outline { slots, enums, .. } = self.outline;
        let (start, values) = (scanner.at(), scanner.values());
        self.outline.depth = 0;
        let levels = scanner.levels();
        scanner.outline(&mut self.outline)?;
        let text = Text {
            id: self.next,
            text: Piece::read(start, scanner.at()),
            first_slot: slots + 1,
            slots: self.outline.slots - slots,
            values: index(scanner.values() - values),
            depth: index(self.outline.depth.saturating_sub(levels)),
            has_enums: self.outline.enums > enums,
            references: None,
        };
        self.next += 1;
        let (number, is_new) = self.known.number(self.source, name);
        if is_new {
            self.texts.push(text);
        } else if let Some(known) = self.texts.get_mut(number) {
            *known = text;
            self.lost = true;
        }
        Ok(())
    }

    fn finish(mut self, source: &Bytes) -> Texts {
        // PHP's slots lead to places, and an overwritten variable's to whatever is there now.
        // The slot before all variables is that of the array they are in.
        let mut open = false;
        let tokens = &self.outline.tokens;
        if !tokens.is_empty() {
            let first = self.texts.iter().map(|text| text.first_slot).min().unwrap_or_default();
            open = tokens.iter().any(|token| self.lost || token.slot < first);
            self.find_references();
        }
        let names = mem::take(&mut self.known.names);
        Texts { source: source.clone(), names, texts: self.texts, next: self.next, open }
    }

    fn find_references(&mut self) {
        let mut owners: Vec<(u32, u32)> =
            self.texts.iter().map(|text| (text.first_slot, text.id)).collect();
        owners.sort_unstable();
        let tokens = &self.outline.tokens;
        for text in &mut self.texts {
            let Piece::Read(span) = &text.text else { continue };
            let start = tokens.partition_point(|token| token.start < span.start);
            let end = tokens.partition_point(|token| token.start < span.start + span.len);
            let references =
                tokens.get(start..end).unwrap_or_default().iter().filter_map(|token| {
                    // An `R:` alone takes no slot; of owners with the same first slot the last one has it.
                    let after = owners.partition_point(|(first, _)| *first <= token.slot);
                    let (first_slot, variable) = *owners.get(after.checked_sub(1)?)?;
                    let (start, end) = (token.start - span.start, token.end - span.start);
                    Some(Reference { start, end, variable, slot: token.slot - first_slot })
                });
            let references: Box<[Reference]> = references.collect();
            text.references = (!references.is_empty()).then_some(references);
        }
    }
}
