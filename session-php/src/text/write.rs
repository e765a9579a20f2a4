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
            out: Vec::with_capacity(graph.size().min(longest)),
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
            Node::Int(value) => write_int(&mut self.out, b"i:", value),
            Node::Float(value) => {
                self.text(b"d:");
                write_float(&mut self.out, value, self.precision);
                self.text(b";");
            }
            Node::Str(span) => self.string(b"s:", span, b"\";"),
            Node::Array(items) => {
                write_length(&mut self.out, b"a:", items.len as usize);
                self.text(b":{");
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
        write_int(&mut self.out, if shared { b"R:" } else { b"r:" }, slot);
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
            Key::Int(number) => write_int(&mut self.out, b"i:", number),
            Key::Str(span) => self.string(b"s:", span, b"\";"),
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

/// Appends `tag`, the length, and the bytes in quotes.
#[inline(always)]
pub(crate) fn write_quoted(out: &mut Vec<u8>, tag: &[u8], bytes: &[u8], end: &[u8]) {
    write_length(out, tag, bytes.len());
    out.extend_from_slice(b":\"");
    out.extend_from_slice(bytes);
    out.extend_from_slice(end);
}

/// Appends `tag`, a number and a semicolon.
#[inline(always)]
pub(crate) fn write_int(out: &mut Vec<u8>, tag: &[u8], number: i64) {
    out.extend_from_slice(tag);
    match usize::try_from(number) {
        Ok(number) => write_digits(out, number),
        // Writing to memory does not fail.
        Err(_) => _ = write!(out, "{number}"),
    }
    out.push(b';');
}

/// Appends `tag` and a number.
#[inline(always)]
pub(crate) fn write_length(out: &mut Vec<u8>, tag: &[u8], number: usize) {
    out.extend_from_slice(tag);
    write_digits(out, number);
}

#[inline(always)]
fn write_digits(out: &mut Vec<u8>, mut number: usize) {
    // Most lengths and keys.
    if let Ok(digit @ 0..=9) = u8::try_from(number) {
        out.push(b'0' + digit);
        return;
    }
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    for place in digits.iter_mut().rev() {
        *place = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}
