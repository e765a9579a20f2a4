//! Builds a graph from what is read.

use std::{borrow::Cow, collections::HashMap};

use super::{
    alike::StringKey,
    number::float_value,
    scan::{Event, ScannedKey, Sink, Slot, Text},
};
use crate::{
    ErrorKind,
    graph::{Graph, Items, Key, Node, NodeId, Object, ObjectId, Span, index, same_key},
    key::{KeyRef, integer_of, mark},
};

type Refusal = (ErrorKind, &'static str);

/// Up to so many entries, looking at all of them is quicker than a table.
const FEW: u32 = 16;

/// Builds values one after the other, which may refer to each other.
#[derive(Debug)]
pub(crate) struct Builder<'g, 'i> {
    graph: &'g mut Graph,
    /// What is to be added to a place in the input to have it in the graph's bytes.
    base: u32,
    /// The place of each slot; of none where nothing refers to them.
    slots: Vec<u32>,
    has_slots: bool,
    /// Where the next value goes.
    place: u32,
    open: Vec<Open<'i>>,
    enums: HashMap<Vec<u8>, ObjectId>,
}

/// An array or object that is being read.
#[derive(Debug)]
struct Open<'i> {
    of: Of,
    items: Items,
    /// The largest integer key.
    last: i64,
    /// The bits of keys that are strings.
    marks: u64,
    /// The places of keys, once there are more than a [`FEW`].
    seen: Option<HashMap<SeenKey<'i>, u32>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Array(NodeId),
    Object(ObjectId),
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum SeenKey<'i> {
    Int(i64),
    Str(Cow<'i, [u8]>),
}

impl<'g, 'i> Builder<'g, 'i> {
    /// Builds from the graph's own text.
    pub(crate) fn new(graph: &'g mut Graph) -> Self {
        Self::with_base(graph, 0)
    }

    /// Builds from a text that the graph has at `base`.
    pub(crate) fn with_base(graph: &'g mut Graph, base: u32) -> Self {
        let names = graph.objects.iter().zip(0..).filter_map(|(object, number)| match object {
            Object::Enum { name } => Some((graph.bytes(*name).to_vec(), ObjectId(number))),
            _ => None,
        });
        let enums = names.collect();
        let (slots, open) = (Vec::new(), Vec::new());
        Self { graph, base, slots, has_slots: true, place: 0, open, enums }
    }

    /// The next value stands alone.
    pub(crate) fn begin(&mut self) {
        self.place = self.graph.lone_place();
    }

    /// The node of the value that stands alone.
    pub(crate) fn node_at(&self, place: u32) -> NodeId {
        self.graph.entries.get(place as usize).map_or(NodeId(0), |entry| entry.node)
    }

    /// Where the value that stands alone is.
    pub(crate) fn place(&self) -> u32 {
        self.place
    }

    #[inline]
    fn span(&mut self, text: &Text<'_>) -> Span {
        match &text.bytes {
            Cow::Borrowed(bytes) => {
                Span { start: self.base + index(text.start), len: index(bytes.len()) }
            }
            Cow::Owned(bytes) => self.graph.keep(bytes),
        }
    }

    #[inline]
    fn put(&mut self, node: Node) -> NodeId {
        let id = self.graph.push(node);
        self.graph.place(self.place, id);
        id
    }

    #[inline]
    fn open(&mut self, of: Of, count: usize) {
        let items = Items { start: self.graph.reserve(count), len: 0 };
        self.open.push(Open { of, items, last: i64::MIN, marks: 0, seen: None });
        self.close_items(of, items);
    }

    #[inline]
    fn close_items(&mut self, of: Of, closed: Items) {
        match of {
            Of::Array(id) => {
                if let Some(node) = self.graph.nodes.get_mut(id.0 as usize) {
                    *node = Node::Array(closed);
                }
            }
            Of::Object(id) => {
                if let Some(Object::Plain { items, .. }) = self.graph.objects.get_mut(id.0 as usize)
                {
                    *items = closed;
                }
            }
        }
    }

    fn object(&mut self, object: Object) -> ObjectId {
        let id = self.graph.push_object(object);
        self.put(Node::Object(id));
        id
    }

    /// A case of an enum is one object, however often it is written out.
    fn enum_case(&mut self, name: &Text<'_>) {
        if let Some(id) = self.enums.get(&*name.bytes) {
            self.put(Node::Object(*id));
        } else {
            let span = self.span(name);
            let id = self.object(Object::Enum { name: span });
            self.enums.insert(name.bytes.to_vec(), id);
        }
    }

    /// What stands in a slot that may be referred to from here.
    fn target(&self, slot: Slot) -> Result<NodeId, Refusal> {
        let place = usize::try_from(slot.number).ok().and_then(|number| number.checked_sub(1));
        let place = place.and_then(|number| self.slots.get(number));
        let place = place.ok_or((ErrorKind::Reference, "a reference to nothing"))?;
        if *place == self.place {
            return Err((ErrorKind::Reference, "a reference to itself"));
        }
        Ok(self.node_at(*place))
    }

    /// How long the string in a slot is.
    #[cfg(feature = "igbinary")]
    pub(crate) fn string_length(&self, slot: Slot) -> usize {
        match self.target(slot).map(|node| self.graph.node(node)) {
            Ok(Node::Str(span)) => span.len as usize,
            _ => 0,
        }
    }

    /// The place of a key that is there already.
    #[inline]
    fn find(&mut self, key: &SeenKey<'i>) -> Option<u32> {
        let open = self.open.last_mut()?;
        let items = open.items;
        if let SeenKey::Int(number) = key
            && open.seen.is_none()
            && (items.len == 0 || *number > open.last)
            && matches!(open.of, Of::Array(_))
        {
            return None;
        }
        let graph = &*self.graph;
        if items.len <= FEW {
            let wanted = key.as_ref();
            let entries = graph.items(items).iter();
            let found = entries.zip(0..).find(|(entry, _)| same_key(graph.key(entry.key), wanted));
            return found.map(|(_, number)| items.start + number);
        }
        let seen = open.seen.get_or_insert_with(|| {
            let entries = graph.items(items).iter().zip(items.start..);
            let known = entries.map(|(entry, place)| (SeenKey::owned(graph.key(entry.key)), place));
            known.collect()
        });
        seen.get(key).copied()
    }

    #[inline]
    fn add(&mut self, stored: Key, key: SeenKey<'i>) -> u32 {
        let Some(open) = self.open.last_mut() else { return self.place };
        let place = open.items.start + open.items.len;
        open.items.len += 1;
        match &key {
            SeenKey::Int(number) => open.last = open.last.max(*number),
            SeenKey::Str(text) => open.marks |= mark(text),
        }
        if let Some(seen) = &mut open.seen {
            seen.insert(key, place);
        }
        if let Some(entry) = self.graph.entries.get_mut(place as usize) {
            entry.key = stored;
        }
        let (of, items) = (open.of, open.items);
        self.close_items(of, items);
        place
    }
}

/// What is common, and can be told of in fewer words.
impl<'i> Builder<'_, 'i> {
    /// Makes room for so many values.
    pub(crate) fn expect(&mut self, values: usize) {
        self.graph.nodes.reserve(values);
        self.graph.entries.reserve(values);
    }

    /// In what is read nothing refers to anything.
    pub(crate) fn without_slots(&mut self) {
        self.has_slots = false;
    }

    #[inline(always)]
    fn take_slot(&mut self) {
        if self.has_slots {
            self.slots.push(self.place);
        }
    }

    #[inline(always)]
    pub(super) fn plain(&mut self, node: Node) {
        self.take_slot();
        self.put(node);
    }

    #[inline(always)]
    pub(super) fn plain_string(&mut self, start: usize, end: usize) {
        self.plain(Node::Str(Span { start: self.base + index(start), len: index(end - start) }));
    }

    #[inline(always)]
    pub(super) fn plain_array(&mut self, count: usize) {
        self.take_slot();
        let id = self.put(Node::Array(Items::default()));
        self.open(Of::Array(id), count);
    }

    #[inline(always)]
    pub(super) fn plain_key(&mut self, key: StringKey, input: &'i [u8]) {
        let StringKey { start, end, mark } = key;
        if let Some(open) = self.open.last_mut()
            && mark != 0
            && open.items.len < FEW
            && open.marks & mark == 0
        {
            open.marks |= mark;
            self.place = open.items.start + open.items.len;
            open.items.len += 1;
            if let Some(entry) = self.graph.entries.get_mut(self.place as usize) {
                let start = self.base + index(start);
                entry.key = Key::Str(Span { start, len: index(end - key.start) });
            }
        } else {
            let bytes = Cow::Borrowed(input.get(start..end).unwrap_or_default());
            self.key(ScannedKey::Str(Text { start, bytes }));
        }
    }

    #[inline(always)]
    pub(super) fn plain_number(&mut self, number: i64) {
        if let Some(open) = self.open.last_mut()
            && number > open.last
            && open.seen.is_none()
            && matches!(open.of, Of::Array(_))
        {
            open.last = number;
            self.place = open.items.start + open.items.len;
            open.items.len += 1;
            if let Some(entry) = self.graph.entries.get_mut(self.place as usize) {
                entry.key = Key::Int(number);
            }
        } else {
            self.key(ScannedKey::Int(number));
        }
    }
}

impl SeenKey<'_> {
    /// By what a key is known: numbers in strings are numbers.
    fn owned(key: KeyRef<'_>) -> Self {
        match key {
            KeyRef::Int(number) => Self::Int(number),
            KeyRef::Str(text) => {
                integer_of(text).map_or_else(|| Self::Str(Cow::Owned(text.to_vec())), Self::Int)
            }
        }
    }

    fn as_ref(&self) -> KeyRef<'_> {
        match self {
            Self::Int(number) => KeyRef::Int(*number),
            Self::Str(text) => KeyRef::Str(text),
        }
    }
}

impl<'i> Sink<'i> for Builder<'_, 'i> {
    #[inline]
    fn value(&mut self, event: Event<'i>) -> Result<(), Refusal> {
        if !matches!(event, Event::Reference(_)) {
            self.take_slot();
        }
        match event {
            Event::Null => _ = self.put(Node::Null),
            Event::Bool(value) => _ = self.put(Node::Bool(value)),
            Event::Int(value) => _ = self.put(Node::Int(value)),
            Event::Float(text) => _ = self.put(Node::Float(float_value(text))),
            #[cfg(any(feature = "igbinary", feature = "msgpack"))]
            Event::Double(value) => _ = self.put(Node::Float(value)),
            #[cfg(feature = "igbinary")]
            Event::Copy(slot) => {
                let node = self.graph.node(self.target(slot)?);
                self.put(node);
            }
            Event::Str(text) => {
                let span = self.span(&text);
                self.put(Node::Str(span));
            }
            Event::Array { count } => {
                let id = self.put(Node::Array(Items::default()));
                self.open(Of::Array(id), count);
            }
            Event::Object { class, count } => {
                let class = self.span(&class);
                let id = self.object(Object::Plain { class, items: Items::default() });
                self.open(Of::Object(id), count);
            }
            Event::Custom { class, payload } => {
                let (class, payload) = (self.span(&class), self.span(&payload));
                self.object(Object::Custom { class, payload });
            }
            Event::Enum { name } => self.enum_case(&name),
            Event::Same(slot) => match self.graph.node(self.target(slot)?) {
                Node::Object(id) => _ = self.put(Node::Object(id)),
                _ => return Err((ErrorKind::Reference, "not an object")),
            },
            Event::Reference(slot) => {
                let node = self.target(slot)?;
                self.graph.has_references = true;
                self.graph.place(self.place, node);
            }
        }
        Ok(())
    }

    #[inline]
    fn key(&mut self, key: ScannedKey<'i>) {
        let in_array = self.open.last().is_some_and(|open| matches!(open.of, Of::Array(_)));
        let (stored, known) = match key {
            ScannedKey::Int(number) => (Key::Int(number), SeenKey::Int(number)),
            ScannedKey::Str(text) => match integer_of(&text.bytes) {
                Some(number) if in_array => (Key::Int(number), SeenKey::Int(number)),
                Some(number) => (Key::Str(self.span(&text)), SeenKey::Int(number)),
                None => (Key::Str(self.span(&text)), SeenKey::Str(text.bytes)),
            },
        };
        self.place = match self.find(&known) {
            Some(place) => {
                // What stood there is gone, but slots still lead to the place.
                self.graph.place(place, NodeId(0));
                place
            }
            None => self.add(stored, known),
        };
    }

    #[inline]
    fn close(&mut self) {
        if let Some(closed) = self.open.pop() {
            self.close_items(closed.of, closed.items);
        }
    }
}
