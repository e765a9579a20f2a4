//! Writes a graph as `serialize` does.

use std::io::Write as _;

use super::float::{Precision, write_float};
use crate::{
    Error, ErrorKind, Result,
    graph::{Entry, Graph, Items, Key, Node, NodeId, Object, ObjectId, Span},
};

/// Writes values one after the other, which may share variables and objects.
#[derive(Debug)]
pub(crate) struct Writer<'g> {
    graph: &'g Graph,
    precision: Precision,
    /// How many places each node has; empty where no two have the same.
    uses: Vec<u32>,
    /// The slot in which a shared variable, or an object, was written; 0 where it was not.
    variables: Vec<u32>,
    objects: Vec<u32>,
    slots: u32,
    longest: usize,
    pub(crate) out: Vec<u8>,
}

impl<'g> Writer<'g> {
    /// A writer of values that can be reached from `roots`; it refuses to write more than `longest`
    /// bytes.
    pub(crate) fn new(
        graph: &'g Graph,
        roots: impl Iterator<Item = NodeId>,
        precision: Precision,
        longest: usize,
    ) -> Self {
        let uses = if graph.has_references { graph.uses(roots) } else { Vec::new() };
        let variables = vec![0; uses.len()];
        let objects = vec![0; graph.objects.len()];
        Self {
            graph,
            precision,
            uses,
            variables,
            objects,
            slots: 0,
            longest,
            out: Vec::with_capacity(graph.size().min(longest) + WINDOW),
        }
    }

    /// The next value is in an array that has been opened by hand.
    pub(crate) fn take_slot(&mut self) {
        self.slots += 1;
    }

    /// Writes one whole value.
    pub(crate) fn value(&mut self, root: NodeId) -> Result<()> {
        let graph = self.graph;
        let mut ahead: Vec<&'g [Entry]> = Vec::new();
        let mut next = Some(root);
        while let Some(id) = next.take() {
            if let Some(items) = self.one(id) {
                ahead.push(graph.items(items));
            }
            if self.out.len() > self.longest {
                return Err(Error::new(ErrorKind::TooLarge, "too long when written out"));
            }
            while let Some(entries) = ahead.last_mut() {
                if let Some((entry, rest)) = entries.split_first() {
                    *entries = rest;
                    self.key(entry.key);
                    next = Some(entry.node);
                    break;
                }
                self.out.push(b'}');
                ahead.pop();
            }
        }
        Ok(())
    }

    /// Writes a node, up to its items.
    #[inline(always)]
    fn one(&mut self, id: NodeId) -> Option<Items> {
        let node = self.graph.node(id);
        if self.refer_back(id, node) {
            return None;
        }
        match node {
            Node::Null => self.text(b"N;"),
            Node::Bool(value) => self.text(if value { b"b:1;" } else { b"b:0;" }),
            Node::Int(value) => write_int(&mut self.out, *b"i:", value),
            Node::Float(value) => {
                self.text(b"d:");
                write_float(&mut self.out, value, self.precision);
                self.text(b";");
            }
            Node::Str(span) => self.plain_string(span),
            Node::Array(items) => {
                write_head(&mut self.out, b'a', items.len as usize, b'{');
                return Some(items);
            }
            Node::Object(id) => return self.object(id),
        }
        None
    }

    /// Takes a slot; or writes which one the variable or the object has already.
    #[inline(always)]
    fn refer_back(&mut self, id: NodeId, node: Node) -> bool {
        let shared = self.uses.get(id.0 as usize).is_some_and(|uses| *uses > 1);
        let known = match node {
            // To PHP, a variable that holds an object is the object.
            Node::Object(object) => self.objects.get_mut(object.0 as usize),
            _ if shared => self.variables.get_mut(id.0 as usize),
            _ => None,
        };
        let Some(known) = known else {
            self.slots += 1;
            return false;
        };
        if *known == 0 {
            self.slots += 1;
            *known = self.slots;
            return false;
        }
        let slot = i64::from(*known);
        self.slots += u32::from(!shared);
        write_int(&mut self.out, if shared { *b"R:" } else { *b"r:" }, slot);
        true
    }

    fn object(&mut self, id: ObjectId) -> Option<Items> {
        match self.graph.object(id)? {
            Object::Plain { class, items } => {
                self.string(b"O:", class, b"\"");
                write_length(&mut self.out, b":", items.len as usize);
                self.text(b":{");
                return Some(items);
            }
            Object::Custom { class, payload } => {
                self.string(b"C:", class, b"\"");
                write_length(&mut self.out, b":", payload.len as usize);
                self.text(b":{");
                self.text(self.graph.bytes(payload));
                self.text(b"}");
            }
            Object::Enum { name } => self.string(b"E:", name, b"\";"),
        }
        None
    }

    #[inline(always)]
    fn key(&mut self, key: Key) {
        match key {
            Key::Int(number) => write_int(&mut self.out, *b"i:", number),
            Key::Str(span) => self.plain_string(span),
        }
    }

    #[inline(always)]
    fn plain_string(&mut self, span: Span) {
        let length = span.len as usize;
        match self.graph.window::<WINDOW>(span) {
            Some(window) if length <= WINDOW => {
                write_head(&mut self.out, b's', length, b'"');
                write_first(&mut self.out, window, length);
                self.text(b"\";");
            }
            _ => write_string(&mut self.out, self.graph.bytes(span)),
        }
    }

    #[inline(always)]
    fn string(&mut self, tag: &[u8], span: Span, end: &[u8]) {
        write_quoted(&mut self.out, tag, self.graph.bytes(span), end);
    }

    #[inline(always)]
    fn text(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }
}

/// As many bytes are copied at once, since to copy a known number of them is the fastest.
const WINDOW: usize = 32;

/// Appends the first bytes of a window.
#[inline(always)]
fn write_first<const N: usize>(out: &mut Vec<u8>, window: &[u8; N], length: usize) {
    let end = out.len() + length;
    out.extend_from_slice(window);
    out.truncate(end);
}

/// Appends a string as a value.
#[inline(always)]
pub(crate) fn write_string(out: &mut Vec<u8>, bytes: &[u8]) {
    write_head(out, b's', bytes.len(), b'"');
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\";");
}

/// Appends the beginning of `s:7:"` or `a:7:{`.
#[inline(always)]
pub(crate) fn write_head(out: &mut Vec<u8>, tag: u8, length: usize, bracket: u8) {
    match u8::try_from(length) {
        Ok(length @ 0..=9) => out.extend_from_slice(&[tag, b':', b'0' + length, b':', bracket]),
        Ok(length @ 10..=99) => {
            let (tens, ones) = (b'0' + length / 10, b'0' + length % 10);
            out.extend_from_slice(&[tag, b':', tens, ones, b':', bracket]);
        }
        _ => {
            write_length(out, &[tag, b':'], length);
            out.extend_from_slice(&[b':', bracket]);
        }
    }
}

/// Appends `tag`, the length, and the bytes in quotes.
fn write_quoted(out: &mut Vec<u8>, tag: &[u8], bytes: &[u8], end: &[u8]) {
    write_length(out, tag, bytes.len());
    out.extend_from_slice(b":\"");
    out.extend_from_slice(bytes);
    out.extend_from_slice(end);
}

/// Appends `tag`, a number and a semicolon.
#[inline(always)]
pub(crate) fn write_int(out: &mut Vec<u8>, tag: [u8; 2], number: i64) {
    let [letter, colon] = tag;
    match u64::try_from(number) {
        Ok(0..=9) => {
            let digit = b'0' + u8::try_from(number).unwrap_or_default();
            out.extend_from_slice(&[letter, colon, digit, b';']);
        }
        Ok(number) => {
            let (digits, length) = digits(number, 0);
            out.extend_from_slice(&tag);
            write_first(out, &digits, length);
            out.push(b';');
        }
        // Writing to memory does not fail.
        Err(_) => _ = write!(out, "{letter}:{number};", letter = char::from(letter)),
    }
}

/// Appends `tag` and a number.
pub(crate) fn write_length(out: &mut Vec<u8>, tag: &[u8], number: usize) {
    let (digits, length) = digits(number as u64, 0);
    out.extend_from_slice(tag);
    write_first(out, &digits, length);
}

/// A number's digits, with a point before the last `decimals` of them unless these are none; and
/// how long that is.
#[inline(always)]
pub(super) fn digits(mut number: u64, decimals: u32) -> ([u8; 24], usize) {
    let count = number.checked_ilog10().unwrap_or_default().max(decimals) + 1;
    let length = (count + u32::from(decimals > 0)) as usize;
    let mut text = [0; 24];
    let places = text.get_mut(..length).unwrap_or_default().iter_mut().rev();
    for (behind, place) in places.enumerate() {
        if behind == decimals as usize && decimals > 0 {
            *place = b'.';
        } else {
            *place = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
    }
    (text, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are() {
        let mut rng = fastrand::Rng::with_seed(8);
        let drawn = (0..20_000).map(|_| rng.i64(..) >> rng.u32(0..64));
        for number in drawn.chain([0, 9, 10, 99, 100, i64::MIN, i64::MAX]) {
            let mut out = Vec::new();
            write_int(&mut out, *b"i:", number);
            assert_eq!(String::from_utf8(out).unwrap(), format!("i:{number};"));
        }
        for length in 0..2000 {
            let mut out = Vec::new();
            write_head(&mut out, b'a', length, b'{');
            assert_eq!(String::from_utf8(out).unwrap(), format!("a:{length}:{{"));
        }
    }
}
