//! What values look like from outside, without their contents.

use std::mem;

use super::{
    chunk,
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
        let (mut at, mut plain, mut depth) = (self.at, 0, self.open.len());
        while depth > floor {
            if wanted == 0 {
                self.at = at;
                self.expect(b'}')?;
                at += 1;
                depth -= 1;
                wanted = self.open.pop().unwrap_or_default();
                continue;
            }
            if let Some(array) = chunk::array_in_list(input, at) {
                (at, wanted) = (array, wanted - 1);
            } else {
                let passed = self.alike.pass(input, at, depth, wanted);
                plain += wanted - passed.left - usize::from(passed.at_value);
                (at, wanted) = (passed.at, passed.left);
                if !passed.at_value {
                    if wanted == 0 {
                        continue;
                    }
                    wanted -= 1;
                    self.at = at;
                    self.key()?;
                    at = self.at;
                }
            }
            let word = chunk::word(input, at);
            let array = word.and_then(|word| self.alike.array(at, word, depth));
            if let Some((count, first)) = array {
                at = first;
                plain += 1;
                self.deeper(outline, &mut wanted, count, false)?;
                depth += 1;
            } else {
                self.at = at;
                self.add_plain(outline, mem::take(&mut plain));
                self.element(outline, &mut wanted)?;
                (at, depth) = (self.at, self.open.len());
            }
        }
        self.at = at;
        self.add_plain(outline, plain);
        self.check_values()
    }

    /// Counts values that take a slot each.
    fn add_plain(&mut self, outline: &mut Outline, plain: usize) {
        outline.slots += index(plain);
        self.values += plain;
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

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;
    use crate::Limits;

    /// What is known of a value that was read over.
    type Seen = Result<(usize, usize, u32, usize), String>;

    fn seen(text: &[u8], read: impl FnOnce(&mut Scanner<'_>, &mut Outline) -> Result<()>) -> Seen {
        let mut scanner = Scanner::new(text, Limits::new()).unwrap();
        let mut outline = Outline::default();
        read(&mut scanner, &mut outline).map_err(|error| error.to_string())?;
        Ok((scanner.at, scanner.values, outline.slots, outline.depth))
    }

    /// Element by element, with nothing that is known of others.
    fn slowly(scanner: &mut Scanner<'_>, outline: &mut Outline) -> Result<()> {
        let mut wanted = 0;
        scanner.element(outline, &mut wanted)?;
        while scanner.levels() > 0 {
            if wanted == 0 {
                scanner.expect(b'}')?;
                wanted = scanner.open.pop().unwrap_or_default();
            } else {
                wanted -= 1;
                scanner.key()?;
                scanner.element(outline, &mut wanted)?;
            }
        }
        Ok(())
    }

    fn string(rng: &mut Rng, most: usize) -> String {
        let length = rng.usize(..=most);
        format!("s:{length}:\"{}\";", "x".repeat(length))
    }

    fn value(rng: &mut Rng, kind: u8) -> String {
        match kind {
            0 => "N;".to_owned(),
            1 => format!("b:{};", rng.u8(..2)),
            2 => format!("i:{};", rng.i64(..) >> rng.u32(..64)),
            3 => format!("d:{};", f64::from(rng.u32(..)) / 64.0),
            4 => string(rng, 9),
            5 => string(rng, 120),
            6 => format!("a:1:{{i:0;{}}}", string(rng, 9)),
            _ => format!("O:3:\"Foo\":1:{{s:1:\"a\";{}}}", string(rng, 9)),
        }
    }

    /// A list of arrays that look alike, more or less.
    fn records(rng: &mut Rng) -> String {
        let fields: Vec<(String, u8)> =
            (0..rng.usize(1..20)).map(|_| (string(rng, 14), rng.u8(..8))).collect();
        let mut text = format!("a:{0}:{{", rng.usize(1..8));
        let count = text[2..3].parse().unwrap();
        for number in 0..count {
            let head = format!("i:{number};a:{}:{{", fields.len());
            text += &head;
            for (key, kind) in &fields {
                let kind = if rng.u8(..8) == 0 { rng.u8(..8) } else { *kind };
                let key = if rng.u8(..8) == 0 { &string(rng, 14) } else { key };
                text = text + key + &value(rng, kind);
            }
            text.push('}');
        }
        text + "}"
    }

    #[test]
    fn what_is_like_others_is_read_as_if_it_stood_alone() {
        let mut rng = Rng::with_seed(8);
        let mut found = [0; 2];
        for case in 0..8_000 {
            let mut text = records(&mut rng).into_bytes();
            if case % 2 == 0 {
                let at = rng.usize(..text.len());
                text[at] = *rng.choice(b"019:;{}\"abdsiNx").unwrap();
            }
            let quickly = seen(&text, |scanner, outline| scanner.outline(outline));
            found[usize::from(quickly.is_ok())] += 1;
            assert_eq!(quickly, seen(&text, slowly), "{}", String::from_utf8_lossy(&text));
        }
        assert!(found.iter().all(|count| *count > 1_000), "{found:?}");
    }
}
