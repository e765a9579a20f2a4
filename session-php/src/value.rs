//! A PHP value, whole.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::{
    Error, ErrorKind, KeyRef, Limits, Precision, Result, de,
    graph::{Entry, Graph, Items, Node, NodeId, Object, ObjectId, same_key},
    ser,
    text::{Builder, Scanner, Writer},
};

/// A PHP value with all that belongs to it, as `unserialize` would make it, but without a class
/// being loaded: which variables are one (`R:`), which objects are the same (`r:`), the names of
/// classes and properties as they stand. Cheap to clone; deep values need no stack.
///
/// [`view`](Self::view) looks into it.
#[derive(Clone)]
pub struct Value {
    pub(crate) graph: Arc<Graph>,
    pub(crate) root: NodeId,
}

impl Value {
    /// Reads what `serialize` wrote, and nothing behind it.
    ///
    /// # Errors
    /// [`Syntax`](ErrorKind::Syntax) and [`Reference`](ErrorKind::Reference) where PHP's
    /// `unserialize` fails, [`TooDeep`](ErrorKind::TooDeep) and [`TooLarge`](ErrorKind::TooLarge)
    /// beyond the [default limits](Limits::new).
    pub fn parse(text: impl Into<Bytes>) -> Result<Self> {
        Self::parse_within(text, Limits::new())
    }

    /// As [`parse`](Self::parse), within limits.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_within(text: impl Into<Bytes>, limits: Limits) -> Result<Self> {
        let text = text.into();
        let mut graph = Graph::of_text(text.clone());
        let mut scanner = Scanner::new(&text, limits)?;
        let mut builder = Builder::new(&mut graph);
        builder.begin();
        let place = builder.place();
        scanner.build(&mut builder)?;
        if !scanner.rest().is_empty() {
            return Err(scanner.error("more behind the value"));
        }
        let root = builder.node_at(place);
        Ok(Self { graph: Arc::new(graph), root })
    }

    /// Makes a value of anything that serde can serialize. Structs and maps become arrays.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) where PHP has nothing like it: numbers beyond 64 bits,
    /// keys that are neither strings nor integers. [`TooDeep`](ErrorKind::TooDeep) beyond 128 levels,
    /// [`TooLarge`](ErrorKind::TooLarge) beyond the [default limits](Limits::new).
    pub fn from_serde<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self> {
        Self::parse(ser::to_vec(value)?)
    }

    /// What is in it.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View { graph: &self.graph, node: self.root }
    }

    /// Makes a `T` of it.
    ///
    /// # Errors
    /// As [`View::to`].
    pub fn to<T: DeserializeOwned>(&self) -> Result<T> {
        self.view().to()
    }

    /// Writes it as `serialize` does.
    ///
    /// # Errors
    /// [`TooLarge`](ErrorKind::TooLarge) when it would be longer than 1 GiB; or longer than 16 MiB
    /// and 64 times what was read, since arrays that `igbinary` has once may multiply.
    pub fn serialize(&self) -> Result<Bytes> {
        self.serialize_with(Precision::Shortest)
    }

    /// As [`serialize`](Self::serialize), with a `serialize_precision` of your own.
    ///
    /// # Errors
    /// As [`serialize`](Self::serialize).
    pub fn serialize_with(&self, precision: Precision) -> Result<Bytes> {
        let roots = std::iter::once(self.root);
        let longest = self.graph.size().saturating_mul(64).clamp(16 << 20, 1 << 30);
        let mut writer = Writer::new(&self.graph, roots, precision, longest);
        writer.value(self.root)?;
        Ok(writer.out.into())
    }
}

/// Values may be secrets.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").finish_non_exhaustive()
    }
}

/// A look at one value inside of a [`Value`].
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) node: NodeId,
}

/// Values may be secrets.
impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
    }
}

/// What a value is.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_enums, reason = "these are the types of PHP that can be serialized")]
pub enum Kind<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string, which in PHP is bytes.
    String(&'a [u8]),
    /// An array.
    Array(Entries<'a>),
    /// An object, or the case of an enum.
    Object(ObjectView<'a>),
}

impl<'a> View<'a> {
    /// What it is.
    #[must_use]
    pub fn kind(self) -> Kind<'a> {
        match self.graph.node(self.node) {
            Node::Null => Kind::Null,
            Node::Bool(value) => Kind::Bool(value),
            Node::Int(value) => Kind::Int(value),
            Node::Float(value) => Kind::Float(value),
            Node::Str(span) => Kind::String(self.graph.bytes(span)),
            Node::Array(items) => Kind::Array(self.entries(items)),
            Node::Object(id) => Kind::Object(ObjectView { graph: self.graph, id }),
        }
    }

    /// The string that it is.
    #[must_use]
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        match self.kind() {
            Kind::String(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The string that it is, if that is UTF-8.
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        self.as_bytes().and_then(|bytes| str::from_utf8(bytes).ok())
    }

    /// The integer that it is.
    #[must_use]
    pub fn as_int(self) -> Option<i64> {
        match self.kind() {
            Kind::Int(value) => Some(value),
            _ => None,
        }
    }

    /// `$array[$key]`, or a public property.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Self> {
        let entries = match self.kind() {
            Kind::Array(entries) => entries,
            Kind::Object(object) => object.entries(),
            _ => return None,
        };
        entries.get(key.as_bytes())
    }

    /// Makes a `T` of it. Arrays with the keys 0, 1, 2 … are lists, other arrays and objects are
    /// maps or structs; of an object's properties the plain names count, whatever their visibility;
    /// the case of an enum is its name.
    ///
    /// # Errors
    /// [`Type`](ErrorKind::Type) when it is something else, [`TooDeep`](ErrorKind::TooDeep) beyond
    /// 128 levels, so also when it contains itself, and [`TooLarge`](ErrorKind::TooLarge) when what
    /// is shared makes it more than a million values, or its strings four times as long as all that
    /// was read and longer than 64 MiB.
    pub fn to<T: serde::Deserialize<'a>>(self) -> Result<T> {
        T::deserialize(de::Deserializer::new(self, &de::Budget::new(self.graph.size())))
    }

    fn entries(self, items: Items) -> Entries<'a> {
        Entries { graph: self.graph, entries: self.graph.items(items) }
    }
}

/// The entries of an array, or the properties of an object, in their order.
#[derive(Clone, Copy)]
pub struct Entries<'a> {
    graph: &'a Graph,
    entries: &'a [Entry],
}

/// Names and values may be secrets.
impl fmt::Debug for Entries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").field("len", &self.entries.len()).finish_non_exhaustive()
    }
}

impl<'a> Entries<'a> {
    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the keys are 0, 1, 2 … in this order.
    #[must_use]
    pub fn is_list(self) -> bool {
        self.keys().zip(0..).all(|(key, number)| key == KeyRef::Int(number))
    }

    /// The keys.
    pub fn keys(self) -> impl ExactSizeIterator<Item = KeyRef<'a>> {
        let graph = self.graph;
        self.entries.iter().map(move |entry| graph.key(entry.key))
    }

    /// Keys and values.
    pub fn iter(self) -> impl ExactSizeIterator<Item = (KeyRef<'a>, View<'a>)> {
        let graph = self.graph;
        let view = move |entry: &Entry| View { graph, node: entry.node };
        self.entries.iter().map(move |entry| (graph.key(entry.key), view(entry)))
    }

    /// The value of a key; numbers in strings are numbers, as in PHP.
    #[must_use]
    pub fn get(self, key: &[u8]) -> Option<View<'a>> {
        let mut entries = self.iter();
        entries.find(|(found, _)| same_key(*found, KeyRef::Str(key))).map(|(_, view)| view)
    }
}

/// An object. Two views of the same object are equal.
#[derive(Clone, Copy)]
pub struct ObjectView<'a> {
    graph: &'a Graph,
    id: ObjectId,
}

/// How an object was serialized.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_enums, reason = "PHP knows these three")]
pub enum ObjectKind<'a> {
    /// `O:`: properties, or what `__serialize` returned.
    Plain,
    /// `C:`: what `Serializable::serialize` returned.
    Custom(&'a [u8]),
    /// `E:`: the case of an enum.
    Enum {
        /// Its name.
        case: &'a [u8],
    },
}

impl<'a> ObjectView<'a> {
    /// The name of its class, as it was written.
    #[must_use]
    pub fn class(self) -> &'a [u8] {
        match self.graph.object(self.id) {
            Some(Object::Plain { class, .. } | Object::Custom { class, .. }) => {
                self.graph.bytes(class)
            }
            Some(Object::Enum { name }) => split_case(self.graph.bytes(name)).0,
            None => &[],
        }
    }

    /// How it was serialized.
    #[must_use]
    pub fn kind(self) -> ObjectKind<'a> {
        match self.graph.object(self.id) {
            Some(Object::Custom { payload, .. }) => ObjectKind::Custom(self.graph.bytes(payload)),
            Some(Object::Enum { name }) => {
                ObjectKind::Enum { case: split_case(self.graph.bytes(name)).1 }
            }
            _ => ObjectKind::Plain,
        }
    }

    /// How long the name is with which a case of an enum is written.
    pub(crate) fn case_length(self) -> usize {
        match self.graph.object(self.id) {
            Some(Object::Enum { name }) => name.len as usize,
            _ => 0,
        }
    }

    /// Its properties under their names as PHP writes them; [`Property::of`] reads such a name.
    #[must_use]
    pub fn entries(self) -> Entries<'a> {
        let items = match self.graph.object(self.id) {
            Some(Object::Plain { items, .. }) => items,
            _ => Items::default(),
        };
        Entries { graph: self.graph, entries: self.graph.items(items) }
    }
}

impl PartialEq for ObjectView<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.graph, other.graph) && self.id == other.id
    }
}

impl Eq for ObjectView<'_> {}

/// Values may be secrets.
impl fmt::Debug for ObjectView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectView").finish_non_exhaustive()
    }
}

pub(crate) fn split_case(name: &[u8]) -> (&[u8], &[u8]) {
    let colon = name.iter().position(|byte| *byte == b':').unwrap_or(name.len());
    (name.get(..colon).unwrap_or_default(), name.get(colon + 1..).unwrap_or_default())
}

/// Who can see a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "PHP knows these three")]
pub enum Visibility<'a> {
    /// Everybody.
    Public,
    /// The class and those that extend it.
    Protected,
    /// Only the class that declares it, which is named.
    Private(&'a [u8]),
}

/// The name of a property, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Property<'a> {
    /// Its plain name.
    pub name: &'a [u8],
    /// Who can see it.
    pub visibility: Visibility<'a>,
}

impl<'a> Property<'a> {
    /// Reads a name as PHP writes it: `name`, `\0*\0name` or `\0Class\0name`.
    ///
    /// ```
    /// # use session_php::{Property, Visibility};
    /// let property = Property::of(b"\0App\\User\0email");
    /// assert_eq!(property.name, b"email");
    /// assert_eq!(property.visibility, Visibility::Private(b"App\\User"));
    /// ```
    #[must_use]
    pub fn of(mangled: &'a [u8]) -> Self {
        let parts = mangled.strip_prefix(b"\0").and_then(|rest| {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest.split_at_checked(end)
        });
        match parts {
            Some((class, name)) => {
                let visibility = match class {
                    b"*" => Visibility::Protected,
                    _ => Visibility::Private(class),
                };
                Self { name: name.get(1..).unwrap_or_default(), visibility }
            }
            None => Self { name: mangled, visibility: Visibility::Public },
        }
    }
}

/// A refusal to look further into something.
pub(crate) const fn too_deep() -> Error {
    Error::new(ErrorKind::TooDeep, "nested too deep")
}
