//! Variables in one graph, written as PHP writes them.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    SerializeHandler,
    names::{Known, Names, Piece},
    texts::Texts,
};
use crate::{
    Error, ErrorKind, Limits, Precision, Result, Value,
    graph::{Graph, Items, Key, Node, NodeId},
    text::{Builder, Scanner, Writer},
};

/// Offsets into the graph's bytes have 32 bits.
const MOST_BYTES: usize = 1 << 31;

/// Each variable's name, and its place in the graph.
#[derive(Debug, Clone)]
pub(super) struct Graphed {
    graph: Arc<Graph>,
    source: Bytes,
    names: Vec<Piece>,
    /// As many as names.
    places: Vec<u32>,
}

impl Graphed {
    /// Reads what a serialiser wrote; with room for as many values as are known to be there.
    pub(super) fn read(
        handler: SerializeHandler,
        source: &Bytes,
        limits: Limits,
        values: usize,
    ) -> Result<Self> {
        let mut graph = Graph::of_text(source.clone());
        #[cfg(feature = "igbinary")]
        if handler == SerializeHandler::Igbinary {
            return Self::read_binary(graph, source, limits, crate::igbinary::read);
        }
        #[cfg(feature = "msgpack")]
        if handler == SerializeHandler::Msgpack {
            return Self::read_binary(graph, source, limits, crate::msgpack::read);
        }
        let mut scanner = Scanner::new(source, limits)?;
        let mut builder = Builder::new(&mut graph);
        builder.expect(values);
        if handler == SerializeHandler::PhpSerialize {
            builder.begin();
            let place = builder.place();
            if !source.is_empty() {
                scanner.build(&mut builder)?;
            }
            let root = builder.node_at(place);
            return Self::of_array(graph, source, root);
        }
        let (mut known, mut places) = (Known::default(), Vec::new());
        while let Some(name) = handler.next_name(&mut scanner)? {
            builder.begin();
            let place = builder.place();
            scanner.build(&mut builder)?;
            let (number, is_new) = known.number(source, name);
            if is_new {
                places.push(place);
            } else if let Some(known) = places.get_mut(number) {
                *known = place;
            }
        }
        let (names, source) = (known.names, source.clone());
        Ok(Self { graph: Arc::new(graph), source, names, places })
    }

    /// Reads variables whose texts in `source` are known, and refer to nothing.
    pub(super) fn read_texts(source: &Bytes, texts: &Texts, limits: Limits) -> Result<Self> {
        let mut graph = Graph::of_text(source.clone());
        let mut scanner = Scanner::new(source, limits)?;
        let mut builder = Builder::new(&mut graph);
        builder.without_slots();
        let names = texts.pieces().to_vec();
        builder.expect(texts.values() + names.len());
        let mut places = Vec::with_capacity(names.len());
        for start in texts.starts() {
            scanner.go_to(start);
            builder.begin();
            places.push(builder.place());
            scanner.build(&mut builder)?;
        }
        Ok(Self { graph: Arc::new(graph), source: source.clone(), names, places })
    }

    #[cfg(any(feature = "igbinary", feature = "msgpack"))]
    fn read_binary(
        mut graph: Graph,
        source: &Bytes,
        limits: Limits,
        read: for<'i> fn(&mut Builder<'_, 'i>, &'i [u8], Limits) -> Result<()>,
    ) -> Result<Self> {
        let mut builder = Builder::new(&mut graph);
        builder.begin();
        let place = builder.place();
        if !source.is_empty() {
            read(&mut builder, source, limits)?;
        }
        let root = builder.node_at(place);
        match graph.node(root) {
            Node::Array(_) | Node::Null => Self::of_array(graph, source, root),
            _ => Err(Error::at(ErrorKind::Syntax, "not an array", 0)),
        }
    }

    /// The variables of an array.
    fn of_array(graph: Graph, source: &Bytes, root: NodeId) -> Result<Self> {
        let refuse = |detail| Err(Error::new(ErrorKind::Unsupported, detail));
        let items = match graph.node(root) {
            Node::Null => Items::default(),
            Node::Array(items) => items,
            _ => return refuse("not an array, which PHP does not save again"),
        };
        if graph.has_references && graph.entries.iter().filter(|it| it.node == root).count() > 1 {
            return refuse("a session that contains itself, which PHP does not save again");
        }
        let name = |key| match key {
            Key::Int(number) => Piece::number(number),
            Key::Str(span) if span.range().end <= source.len() => Piece::Read(span),
            Key::Str(span) => Piece::own(Bytes::copy_from_slice(graph.bytes(span))),
        };
        let names = graph.items(items).iter().map(|entry| name(entry.key)).collect();
        let places = (items.start..items.start + items.len).collect();
        Ok(Self { graph: Arc::new(graph), source: source.clone(), names, places })
    }

    pub(super) fn names(&self) -> Names<'_> {
        Names::new(&self.source, &self.names)
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        self.names().position(|known| known == name)
    }

    fn node_at(&self, place: u32) -> NodeId {
        self.graph.entries.get(place as usize).map_or(NodeId(0), |entry| entry.node)
    }

    pub(super) fn value(&self, name: &[u8]) -> Option<Value> {
        let place = *self.places.get(self.position(name)?)?;
        Some(Value { graph: Arc::clone(&self.graph), root: self.node_at(place) })
    }

    /// The text of a variable on its own. What it takes to write it is spent.
    pub(super) fn lone_text(&self, number: usize, work: &mut usize) -> Result<Bytes> {
        let root = self.places.get(number).map_or(NodeId(0), |place| self.node_at(*place));
        let text = Value { graph: Arc::clone(&self.graph), root }.serialize()?;
        let spent = self.graph.nodes.len() + self.graph.objects.len() + text.len();
        let detail = "too many variables refer to each other";
        *work = work.checked_sub(spent).ok_or(Error::new(ErrorKind::Unsupported, detail))?;
        Ok(text)
    }

    /// Assigns as PHP does: all that are one variable by reference change.
    pub(super) fn assign(&mut self, name: &[u8], text: &[u8], limits: Limits) -> Result<()> {
        let position = self.position(name);
        let graph = Arc::make_mut(&mut self.graph);
        if graph.size() + text.len() > MOST_BYTES {
            return Err(Error::new(ErrorKind::TooLarge, "too much was assigned"));
        }
        let base = graph.keep(text).start;
        let mut builder = Builder::with_base(graph, base);
        builder.begin();
        let place = builder.place();
        Scanner::new(text, limits)?.build(&mut builder)?;
        let node = builder.node_at(place);
        match position.and_then(|position| self.places.get(position)) {
            Some(known) => graph.replace(*known, node),
            None => {
                self.names.push(Piece::own(Bytes::copy_from_slice(name)));
                self.places.push(place);
            }
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &[u8]) {
        if let Some(position) = self.position(name) {
            self.names.remove(position);
            self.places.remove(position);
        }
    }

    pub(super) fn write(&self, handler: SerializeHandler, limits: Limits) -> Result<Vec<u8>> {
        let roots = self.places.iter().map(|place| self.node_at(*place));
        let longest = limits.bytes;
        #[cfg(feature = "igbinary")]
        if handler == SerializeHandler::Igbinary {
            let count = self.names.len();
            let mut writer = crate::igbinary::Writer::new(&self.graph, roots, count, longest);
            for (name, place) in self.names().zip(&self.places) {
                writer.variable(name, self.node_at(*place))?;
            }
            return Ok(writer.out);
        }
        #[cfg(feature = "msgpack")]
        if handler == SerializeHandler::Msgpack {
            let count = self.names.len();
            let mut writer = crate::msgpack::Writer::new(&self.graph, roots, count, longest);
            for (name, place) in self.names().zip(&self.places) {
                writer.variable(name, self.node_at(*place))?;
            }
            return Ok(writer.out);
        }
        let mut writer = Writer::new(&self.graph, roots, Precision::Shortest, longest);
        handler.write_head(&mut writer.out, self.names.len());
        (0..handler.slots_ahead()).for_each(|_| writer.take_slot());
        for (name, place) in self.names().zip(&self.places) {
            handler.write_name(&mut writer.out, name);
            writer.value(self.node_at(*place))?;
        }
        handler.write_end(&mut writer.out);
        Ok(writer.out)
    }
}
