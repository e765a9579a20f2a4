//! Writes it as the extension does.

use std::collections::HashMap;

use super::{
    ARRAY, ARRAY_AGAIN, CUSTOM, EMPTY_STRING, ENUM, FALSE, FLOAT, HEADER, INT_8, INT_16, INT_32,
    INT_64, NULL, OBJECT, OBJECT_AGAIN, OBJECT_OF_CLASS_AGAIN, REFERENCE, STRING, STRING_AGAIN,
    TRUE,
};
use crate::{
    Error, ErrorKind, KeyRef, Result,
    graph::{Entry, Graph, Items, Node, NodeId, Object, ObjectId},
    value::split_case,
};

/// Writes an array of variables.
pub(crate) struct Writer<'g> {
    graph: &'g Graph,
    /// How many places each node has; empty where no two have the same.
    uses: Vec<u32>,
    strings: HashMap<&'g [u8], usize>,
    variables: HashMap<NodeId, usize>,
    objects: HashMap<ObjectId, usize>,
    arrays: HashMap<u32, usize>,
    numbers: usize,
    longest: usize,
    pub(crate) out: Vec<u8>,
}

impl<'g> Writer<'g> {
    /// Begins an array of so many variables.
    pub(crate) fn new(
        graph: &'g Graph,
        roots: impl Iterator<Item = NodeId>,
        count: usize,
        longest: usize,
    ) -> Self {
        let uses = if graph.has_references { graph.uses(roots) } else { Vec::new() };
        let mut writer = Self {
            graph,
            uses,
            strings: HashMap::new(),
            variables: HashMap::new(),
            objects: HashMap::new(),
            arrays: HashMap::new(),
            // The array itself has 0.
            numbers: 1,
            longest,
            out: HEADER.to_vec(),
        };
        writer.tag(ARRAY, count);
        writer
    }

    /// Writes a variable.
    pub(crate) fn variable(&mut self, name: &'g [u8], root: NodeId) -> Result<()> {
        self.key(KeyRef::of(name));
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
                    self.key(graph.key(entry.key));
                    next = Some(entry.node);
                    break;
                }
                ahead.pop();
            }
        }
        Ok(())
    }

    /// Writes a node, up to its items.
    fn one(&mut self, id: NodeId) -> Option<Items> {
        let node = self.graph.node(id);
        let shared = self.uses.get(id.0 as usize).is_some_and(|uses| *uses > 1);
        if shared {
            self.out.push(REFERENCE);
        }
        if shared && !matches!(node, Node::Object(_)) {
            if let Some(number) = self.variables.get(&id).copied() {
                self.tag(ARRAY_AGAIN, number);
                return None;
            }
            self.variables.insert(id, self.numbers);
            self.numbers += 1;
        }
        match node {
            Node::Null => self.out.push(NULL),
            Node::Bool(value) => self.out.push(if value { TRUE } else { FALSE }),
            Node::Int(value) => self.int(value),
            Node::Float(value) => {
                self.out.push(FLOAT);
                self.out.extend_from_slice(&value.to_bits().to_be_bytes());
            }
            Node::Str(span) => self.string(STRING, STRING_AGAIN, self.graph.bytes(span)),
            Node::Array(items) => return self.array(items, shared),
            Node::Object(id) => return self.object(id),
        }
        None
    }

    /// An array that PHP has once in memory, since nobody has changed a copy of it, is written once.
    fn array(&mut self, items: Items, shared: bool) -> Option<Items> {
        if !shared {
            // PHP has all empty arrays once in memory.
            let identity = if items.len > 0 { items.start } else { u32::MAX };
            if let Some(number) = self.arrays.get(&identity).copied() {
                self.tag(ARRAY_AGAIN, number);
                return None;
            }
            self.arrays.insert(identity, self.numbers);
            self.numbers += 1;
        }
        self.tag(ARRAY, items.len as usize);
        Some(items)
    }

    fn object(&mut self, id: ObjectId) -> Option<Items> {
        if let Some(number) = self.objects.get(&id).copied() {
            self.tag(OBJECT_AGAIN, number);
            return None;
        }
        self.objects.insert(id, self.numbers);
        self.numbers += 1;
        let graph = self.graph;
        match graph.object(id)? {
            Object::Plain { class, items } => {
                self.string(OBJECT, OBJECT_OF_CLASS_AGAIN, graph.bytes(class));
                self.tag(ARRAY, items.len as usize);
                return Some(items);
            }
            Object::Custom { class, payload } => {
                self.string(OBJECT, OBJECT_OF_CLASS_AGAIN, graph.bytes(class));
                self.tag(CUSTOM, payload.len as usize);
                self.out.extend_from_slice(graph.bytes(payload));
            }
            Object::Enum { name } => {
                let (class, case) = split_case(graph.bytes(name));
                self.string(OBJECT, OBJECT_OF_CLASS_AGAIN, class);
                self.out.push(ENUM);
                self.string(STRING, STRING_AGAIN, case);
            }
        }
        None
    }

    fn key(&mut self, key: KeyRef<'g>) {
        match key {
            KeyRef::Int(number) => self.int(number),
            KeyRef::Str(text) => self.string(STRING, STRING_AGAIN, text),
        }
    }

    fn int(&mut self, value: i64) {
        let magnitude = value.unsigned_abs();
        let (tag, width) = match magnitude {
            0..=0xff => (INT_8, 1),
            0x100..=0xffff => (INT_16, 2),
            0x1_0000..=0xffff_ffff => (INT_32, 4),
            _ => (INT_64, 8),
        };
        self.out.push(tag + u8::from(value < 0));
        self.big_endian(magnitude, width);
    }

    /// A string, or which of those before it is.
    fn string(&mut self, new: u8, again: u8, bytes: &'g [u8]) {
        if bytes.is_empty() {
            self.out.push(EMPTY_STRING);
        } else if let Some(number) = self.strings.get(bytes).copied() {
            self.tag(again, number);
        } else {
            self.strings.insert(bytes, self.strings.len());
            self.tag(new, bytes.len());
            self.out.extend_from_slice(bytes);
        }
    }

    /// One of three tags, and a number of 8, 16 or 32 bits.
    fn tag(&mut self, first: u8, number: usize) {
        let (place, width) = match number {
            0..=0xff => (0, 1),
            0x100..=0xffff => (1, 2),
            _ => (2, 4),
        };
        self.out.push(first + place);
        self.big_endian(number as u64, width);
    }

    fn big_endian(&mut self, number: u64, width: usize) {
        let bytes = number.to_be_bytes();
        self.out.extend_from_slice(bytes.get(bytes.len() - width..).unwrap_or_default());
    }
}
