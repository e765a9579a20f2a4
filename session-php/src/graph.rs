//! Values as PHP has them in memory: variables, some of them shared, and objects that have an
//! identity. Kept in flat lists, so that nothing recurses however deep they nest.

use std::{collections::HashSet, mem};

use bytes::Bytes;

use crate::key::{KeyRef, integer_of};

/// A stretch of the graph's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Span {
    pub(crate) fn range(self) -> std::ops::Range<usize> {
        let start = self.start as usize;
        start..start + self.len as usize
    }
}

/// A stretch of the graph's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Items {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Items {
    pub(crate) fn range(self) -> std::ops::Range<usize> {
        let start = self.start as usize;
        start..start + self.len as usize
    }
}

/// A key as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Int(i64),
    Str(Span),
}

/// A place in an array or object, or one that stands for itself: what PHP calls a slot is one of
/// these. Several that have the same node are one PHP reference.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) node: NodeId,
}

impl Entry {
    pub(crate) const EMPTY: Self = Self { key: Key::Int(0), node: NodeId(0) };
}

/// What stands in a place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Span),
    Array(Items),
    Object(ObjectId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(pub(crate) u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ObjectId(pub(crate) u32);

/// What has an identity: the same object may stand in several places.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Object {
    /// Properties, or what `__serialize` returned.
    Plain { class: Span, items: Items },
    /// What `Serializable::serialize` returned.
    Custom { class: Span, payload: Span },
    /// `Class:Case`.
    Enum { name: Span },
}

/// Variables, objects, and the bytes of their strings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    /// Strings are stretches of what was read, or of `extra`, which follows it.
    text: Bytes,
    extra: Vec<u8>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) objects: Vec<Object>,
    /// Whether any two places have the same node.
    pub(crate) has_references: bool,
}

pub(crate) fn index(length: usize) -> u32 {
    // Everything in a graph is bounded by its text, which is.
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Graph {
    pub(crate) fn of_text(text: Bytes) -> Self {
        Self { text, nodes: vec![Node::Null], ..Self::default() }
    }

    #[inline]
    pub(crate) fn bytes(&self, span: Span) -> &[u8] {
        let (start, len) = (span.start as usize, span.len as usize);
        let (bytes, start): (&[u8], usize) = match start.checked_sub(self.text.len()) {
            None => (&self.text, start),
            Some(start) => (&self.extra, start),
        };
        bytes.get(start..start + len).unwrap_or_default()
    }

    /// So many bytes from the beginning of a stretch on, if that was read and there are as many.
    #[inline(always)]
    pub(crate) fn window<const N: usize>(&self, span: Span) -> Option<&[u8; N]> {
        self.text.get(span.start as usize..)?.first_chunk()
    }

    /// Keeps bytes that are not in what was read.
    pub(crate) fn keep(&mut self, bytes: &[u8]) -> Span {
        let start = index(self.size());
        self.extra.extend_from_slice(bytes);
        Span { start, len: index(bytes.len()) }
    }

    #[inline]
    pub(crate) fn node(&self, id: NodeId) -> Node {
        self.nodes.get(id.0 as usize).copied().unwrap_or(Node::Null)
    }

    pub(crate) fn object(&self, id: ObjectId) -> Option<Object> {
        self.objects.get(id.0 as usize).copied()
    }

    #[inline]
    pub(crate) fn items(&self, items: Items) -> &[Entry] {
        self.entries.get(items.range()).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn key(&self, key: Key) -> KeyRef<'_> {
        match key {
            Key::Int(number) => KeyRef::Int(number),
            Key::Str(span) => KeyRef::Str(self.bytes(span)),
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, node: Node) -> NodeId {
        let id = NodeId(index(self.nodes.len()));
        self.nodes.push(node);
        id
    }

    pub(crate) fn push_object(&mut self, object: Object) -> ObjectId {
        let id = ObjectId(index(self.objects.len()));
        self.objects.push(object);
        id
    }

    /// Puts a node into a place.
    #[inline]
    pub(crate) fn place(&mut self, place: u32, node: NodeId) {
        if let Some(entry) = self.entries.get_mut(place as usize) {
            entry.node = node;
        }
    }

    /// Puts a node into a place, and into all that are one variable with it.
    pub(crate) fn replace(&mut self, place: u32, node: NodeId) {
        let known = self.entries.get(place as usize).map(|entry| entry.node);
        if self.has_references {
            for entry in self.entries.iter_mut().filter(|entry| Some(entry.node) == known) {
                entry.node = node;
            }
        }
        self.place(place, node);
    }

    /// How many bytes it has.
    pub(crate) fn size(&self) -> usize {
        self.text.len() + self.extra.len()
    }

    /// A place of its own, outside of every array.
    pub(crate) fn lone_place(&mut self) -> u32 {
        let place = index(self.entries.len());
        self.entries.push(Entry::EMPTY);
        place
    }

    /// Consecutive places, for entries to come.
    #[inline]
    pub(crate) fn reserve(&mut self, count: usize) -> u32 {
        let start = index(self.entries.len());
        self.entries.resize(self.entries.len() + count, Entry::EMPTY);
        start
    }

    /// The places in which each node stands, counted over all that can be reached from `roots`.
    pub(crate) fn uses(&self, roots: impl Iterator<Item = NodeId>) -> Vec<u32> {
        let mut uses = vec![0_u32; self.nodes.len()];
        let mut objects = vec![false; self.objects.len()];
        let mut arrays = HashSet::new();
        let mut ahead: Vec<NodeId> = roots.collect();
        while let Some(id) = ahead.pop() {
            let Some(count) = uses.get_mut(id.0 as usize) else { continue };
            *count += 1;
            if *count == 1 {
                let items = match self.node(id) {
                    // Copies of an array have the same items; empty arrays begin where the next does.
                    Node::Array(items) if items.len > 0 && arrays.insert(items.start) => items,
                    Node::Object(id) => self.first_items(id, &mut objects),
                    _ => Items::default(),
                };
                ahead.extend(self.items(items).iter().map(|entry| entry.node));
            }
        }
        uses
    }

    /// The items of an object, when they are asked for the first time.
    fn first_items(&self, id: ObjectId, asked: &mut [bool]) -> Items {
        let first = asked.get_mut(id.0 as usize).is_some_and(|it| !mem::replace(it, true));
        match self.object(id) {
            Some(Object::Plain { items, .. }) if first => items,
            _ => Items::default(),
        }
    }
}

/// Whether two keys name the same place. An object's `5` and `"5"` do, as an array's would.
pub(crate) fn same_key(left: KeyRef<'_>, right: KeyRef<'_>) -> bool {
    match (left, right) {
        (KeyRef::Str(left), KeyRef::Str(right)) => left == right,
        (KeyRef::Int(left), KeyRef::Int(right)) => left == right,
        (KeyRef::Int(number), KeyRef::Str(text)) | (KeyRef::Str(text), KeyRef::Int(number)) => {
            integer_of(text) == Some(number)
        }
    }
}
