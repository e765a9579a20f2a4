//! Writes it as the extension does.

use std::collections::HashMap;

use super::{
    ARRAY, FALSE, FLOAT_64, MAP, MARK_OF_OBJECT_AGAIN, MARK_OF_REFERENCE, NEGATIVE, NIL, ONLY_PHP,
    SHORT_ARRAY, SHORT_MAP, SHORT_STRING, SIGNED, STRING, TRUE, UNSIGNED,
};
use crate::{
    Error, ErrorKind, KeyRef, Result,
    graph::{Entry, Graph, Items, Node, NodeId, Object, ObjectId},
};

/// Writes an array of variables.
pub(crate) struct Writer<'g> {
    graph: &'g Graph,
    /// How many places each node has; empty where no two have the same.
    uses: Vec<u32>,
    objects: HashMap<ObjectId, u64>,
    /// How many arrays and objects there are so far, with objects that come again.
    containers: u64,
    longest: usize,
    pub(crate) out: Vec<u8>,
}

/// The elements of an array or object that are still to be written.
struct Ahead<'g> {
    entries: &'g [Entry],
    keys: bool,
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
        let (objects, out) = (HashMap::new(), Vec::new());
        let mut writer = Self { graph, uses, objects, containers: 1, longest, out };
        if count == 0 {
            writer.out.push(SHORT_ARRAY);
        } else {
            // PHP has the array itself as a reference.
            writer.count(SHORT_MAP, MAP, count + 1);
            writer.out.extend_from_slice(&[NIL, MARK_OF_REFERENCE]);
        }
        writer
    }

    /// Writes a variable.
    pub(crate) fn variable(&mut self, name: &'g [u8], root: NodeId) -> Result<()> {
        self.key(KeyRef::of(name));
        let graph = self.graph;
        let mut ahead: Vec<Ahead<'g>> = Vec::new();
        let mut next = Some(root);
        while let Some(id) = next.take() {
            if let Some((items, keys)) = self.one(id)? {
                ahead.push(Ahead { entries: graph.items(items), keys });
            }
            if self.out.len() > self.longest {
                return Err(Error::new(ErrorKind::TooLarge, "too long when written out"));
            }
            while let Some(Ahead { entries, keys }) = ahead.last_mut() {
                if let Some((entry, rest)) = entries.split_first() {
                    *entries = rest;
                    if *keys {
                        self.key(graph.key(entry.key));
                    }
                    next = Some(entry.node);
                    break;
                }
                ahead.pop();
            }
        }
        Ok(())
    }

    /// Writes a node, up to its items.
    fn one(&mut self, id: NodeId) -> Result<Option<(Items, bool)>> {
        let node = self.graph.node(id);
        let shared = self.uses.get(id.0 as usize).is_some_and(|uses| *uses > 1);
        match node {
            Node::Null => self.out.push(NIL),
            Node::Bool(value) => self.out.push(if value { TRUE } else { FALSE }),
            Node::Int(value) => self.int(value),
            Node::Float(value) => {
                self.out.push(FLOAT_64);
                self.out.extend_from_slice(&value.to_bits().to_be_bytes());
            }
            Node::Str(span) => self.string(self.graph.bytes(span)),
            Node::Array(_) | Node::Object(_) if shared => {
                return Err(Error::new(ErrorKind::Unsupported, ONLY_PHP));
            }
            Node::Array(items) => return Ok(Some(self.array(items))),
            Node::Object(id) => return self.object(id),
        }
        Ok(None)
    }

    fn array(&mut self, items: Items) -> (Items, bool) {
        self.containers += 1;
        let mut entries = (0_i64..).zip(self.graph.items(items));
        let is_list = entries.all(|(at, entry)| self.graph.key(entry.key) == KeyRef::Int(at));
        if is_list {
            self.count(SHORT_ARRAY, ARRAY, items.len as usize);
        } else {
            self.count(SHORT_MAP, MAP, items.len as usize);
        }
        (items, !is_list)
    }

    fn object(&mut self, id: ObjectId) -> Result<Option<(Items, bool)>> {
        self.containers += 1;
        if let Some(number) = self.objects.get(&id).copied() {
            self.count(SHORT_MAP, MAP, 2);
            self.out.extend_from_slice(&[NIL, MARK_OF_OBJECT_AGAIN, 0]);
            self.unsigned(number);
            return Ok(None);
        }
        self.objects.insert(id, self.containers);
        match self.graph.object(id) {
            Some(Object::Plain { class, items }) => {
                self.count(SHORT_MAP, MAP, items.len as usize + 1);
                self.out.push(NIL);
                self.string(self.graph.bytes(class));
                Ok(Some((items, true)))
            }
            _ => Err(Error::new(ErrorKind::Unsupported, ONLY_PHP)),
        }
    }

    fn key(&mut self, key: KeyRef<'g>) {
        match key {
            KeyRef::Int(number) => self.int(number),
            KeyRef::Str(text) => self.string(text),
        }
    }

    fn int(&mut self, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.unsigned(value),
            Err(_) if value >= -32 => {
                self.out.push(NEGATIVE | (value & 0x1f).to_le_bytes()[0]);
            }
            Err(_) => {
                let bytes = value.to_be_bytes();
                let (place, width) = match value {
                    -0x80.. => (0, 1),
                    -0x8000.. => (1, 2),
                    -0x8000_0000.. => (2, 4),
                    _ => (3, 8),
                };
                self.out.push(SIGNED + place);
                self.out.extend_from_slice(bytes.get(8 - width..).unwrap_or_default());
            }
        }
    }

    fn unsigned(&mut self, value: u64) {
        match value {
            0..0x80 => self.out.push(value.to_le_bytes()[0]),
            0x80..=0xff => self.long(UNSIGNED, value, 1),
            0x100..=0xffff => self.long(UNSIGNED + 1, value, 2),
            0x1_0000..=0xffff_ffff => self.long(UNSIGNED + 2, value, 4),
            _ => self.long(UNSIGNED + 3, value, 8),
        }
    }

    fn string(&mut self, bytes: &[u8]) {
        let length = bytes.len() as u64;
        match length {
            0..32 => self.out.push(SHORT_STRING | length.to_le_bytes()[0]),
            32..=0xff => self.long(STRING, length, 1),
            0x100..=0xffff => self.long(STRING + 1, length, 2),
            _ => self.long(STRING + 2, length, 4),
        }
        self.out.extend_from_slice(bytes);
    }

    fn count(&mut self, short: u8, long: u8, count: usize) {
        let count = count as u64;
        match count {
            0..16 => self.out.push(short | count.to_le_bytes()[0]),
            16..=0xffff => self.long(long, count, 2),
            _ => self.long(long + 1, count, 4),
        }
    }

    fn long(&mut self, tag: u8, number: u64, width: usize) {
        self.out.push(tag);
        let bytes = number.to_be_bytes();
        self.out.extend_from_slice(bytes.get(8 - width..).unwrap_or_default());
    }
}
