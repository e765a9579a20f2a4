//! From PHP's values to Rust's.

use std::cell::Cell;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor,
    value::{BorrowedBytesDeserializer, BorrowedStrDeserializer, StringDeserializer},
};

use crate::{
    Error, ErrorKind, KeyRef, Kind, Property, Result, Value, View,
    value::{Entries, ObjectKind, ObjectView, too_deep},
};

/// How deep serde follows: its visitors are on the stack.
pub(crate) const DEEPEST: usize = 128;

/// How many values are made, since shared objects can be more of them than were read.
const MOST: usize = 1_000_000;

/// Makes a `T` of what `serialize` wrote.
///
/// # Errors
/// As [`Value::parse`] and [`View::to`].
pub fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    Value::parse(bytes::Bytes::copy_from_slice(text))?.to()
}

/// How many bytes of text may be made of any value, however short.
const MOST_TEXT: usize = 64 << 20;

/// What is left of the depth, the number of values and the bytes of their strings.
#[derive(Debug)]
pub(crate) struct Budget {
    levels: Cell<usize>,
    values: Cell<usize>,
    bytes: Cell<usize>,
}

impl Budget {
    /// For a value in a graph of so many bytes.
    pub(crate) fn new(size: usize) -> Self {
        let bytes = size.saturating_mul(4).max(MOST_TEXT);
        Self { levels: Cell::new(DEEPEST), values: Cell::new(MOST), bytes: Cell::new(bytes) }
    }

    fn spend(left: &Cell<usize>, count: usize, detail: &'static str) -> Result<()> {
        let less = left.get().checked_sub(count);
        left.set(less.ok_or(Error::new(ErrorKind::TooLarge, detail))?);
        Ok(())
    }

    fn value(&self) -> Result<()> {
        Self::spend(&self.values, 1, "too many values")
    }

    fn bytes(&self, count: usize) -> Result<()> {
        Self::spend(&self.bytes, count, "too much text")
    }
}

/// Reads a view.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deserializer<'de, 'b> {
    view: View<'de>,
    budget: &'b Budget,
}

impl<'de, 'b> Deserializer<'de, 'b> {
    pub(crate) fn new(view: View<'de>, budget: &'b Budget) -> Self {
        Self { view, budget }
    }

    /// What it is, if there is budget for it.
    fn kind(self) -> Result<Kind<'de>> {
        self.budget.value()?;
        let kind = self.view.kind();
        match kind {
            Kind::String(bytes) => self.budget.bytes(bytes.len())?,
            Kind::Object(object) => self.budget.bytes(object.case_length())?,
            _ => {}
        }
        Ok(kind)
    }

    fn any<V: Visitor<'de>>(self, kind: Kind<'de>, visitor: V) -> Result<V::Value> {
        match kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(value) => visitor.visit_bool(value),
            Kind::Int(value) => visitor.visit_i64(value),
            Kind::Float(value) => visitor.visit_f64(value),
            Kind::String(bytes) => string(bytes, visitor),
            Kind::Array(entries) if entries.is_list() => self.list(entries, visitor),
            Kind::Array(entries) => self.map(entries, false, visitor),
            Kind::Object(object) => self.object(object, visitor),
        }
    }

    /// Goes a level deeper for as long as `visit` takes.
    fn deeper<T>(self, visit: impl FnOnce() -> Result<T>) -> Result<T> {
        let levels = self.budget.levels.get();
        self.budget.levels.set(levels.checked_sub(1).ok_or(too_deep())?);
        let visited = visit();
        self.budget.levels.set(levels);
        visited
    }

    fn list<V: Visitor<'de>>(self, entries: Entries<'de>, visitor: V) -> Result<V::Value> {
        self.deeper(|| visitor.visit_seq(List { left: entries.iter(), budget: self.budget }))
    }

    fn map<V: Visitor<'de>>(
        self,
        entries: Entries<'de>,
        object: bool,
        visitor: V,
    ) -> Result<V::Value> {
        let left = entries.iter();
        self.deeper(|| visitor.visit_map(Map { left, value: None, object, budget: self.budget }))
    }

    fn object<V: Visitor<'de>>(self, object: ObjectView<'de>, visitor: V) -> Result<V::Value> {
        match object.kind() {
            ObjectKind::Plain => self.map(object.entries(), true, visitor),
            ObjectKind::Enum { case } => string(case, visitor),
            ObjectKind::Custom(_) => {
                Err(Error::new(ErrorKind::Unsupported, "only its class can read the object"))
            }
        }
    }

    /// The only entry of an array, as the name of a variant and its contents.
    fn variant(self) -> Result<(String, Option<Self>)> {
        let of = |name: &[u8]| String::from_utf8(name.to_vec()).ok().ok_or_else(wrong_type);
        match self.kind()? {
            Kind::String(name) => Ok((of(name)?, None)),
            Kind::Object(object) => match object.kind() {
                ObjectKind::Enum { case } => Ok((of(case)?, None)),
                _ => Err(wrong_type()),
            },
            Kind::Array(entries) if entries.len() == 1 => match entries.iter().next() {
                Some((KeyRef::Str(name), view)) => {
                    self.budget.bytes(name.len())?;
                    Ok((of(name)?, Some(Self { view, budget: self.budget })))
                }
                _ => Err(wrong_type()),
            },
            _ => Err(wrong_type()),
        }
    }
}

fn wrong_type() -> Error {
    de::Error::custom("")
}

/// PHP's strings are bytes; most are text.
fn string<'de, V: Visitor<'de>>(bytes: &'de [u8], visitor: V) -> Result<V::Value> {
    match str::from_utf8(bytes) {
        Ok(text) => visitor.visit_borrowed_str(text),
        Err(_) => visitor.visit_borrowed_bytes(bytes),
    }
}

impl<'de> de::Deserializer<'de> for Deserializer<'de, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let kind = self.kind()?;
        self.any(kind, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.view.kind() {
            Kind::Null => {
                self.budget.value()?;
                visitor.visit_none()
            }
            // What is made of it counts.
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.kind()? {
            Kind::String(bytes) => visitor.visit_borrowed_bytes(bytes),
            kind => self.any(kind, visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let all_numbers = |key| matches!(key, KeyRef::Int(_));
        let Kind::Array(entries) = self.kind()? else { return Err(wrong_type()) };
        // All keys are looked at, however few of the values are asked for.
        self.budget.bytes(entries.len())?;
        // Of a list from which PHP removed something, numbers are missing.
        if !entries.keys().all(all_numbers) {
            return Err(wrong_type());
        }
        self.list(entries, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.kind()? {
            Kind::Array(entries) => self.map(entries, false, visitor),
            Kind::Object(object) => self.object(object, visitor),
            _ => Err(wrong_type()),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let (name, content) = self.variant()?;
        self.deeper(|| visitor.visit_enum(Variant { name, content }))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.budget.value()?;
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string unit unit_struct identifier
    }
}

/// The values of an array.
struct List<'b, I> {
    left: I,
    budget: &'b Budget,
}

impl<'de, 'b, I> de::SeqAccess<'de> for List<'b, I>
where
    I: ExactSizeIterator<Item = (KeyRef<'de>, View<'de>)>,
{
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let next = self.left.next();
        next.map(|(_, view)| seed.deserialize(Deserializer::new(view, self.budget))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.len())
    }
}

/// Keys and values of an array, or the plain names of properties and their values.
struct Map<'de, 'b, I> {
    left: I,
    value: Option<View<'de>>,
    object: bool,
    budget: &'b Budget,
}

impl<'de, I> de::MapAccess<'de> for Map<'de, '_, I>
where
    I: ExactSizeIterator<Item = (KeyRef<'de>, View<'de>)>,
{
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some((key, view)) = self.left.next() else { return Ok(None) };
        self.value = Some(view);
        if let KeyRef::Str(name) = key {
            self.budget.bytes(name.len())?;
        }
        let key = match key {
            KeyRef::Str(name) if self.object => KeyRef::Str(Property::of(name).name),
            key => key,
        };
        seed.deserialize(KeyDeserializer(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let view = self.value.take().ok_or_else(wrong_type)?;
        seed.deserialize(Deserializer::new(view, self.budget))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.len())
    }
}

/// A key: a number is text where text is asked for.
struct KeyDeserializer<'de>(KeyRef<'de>);

impl<'de> de::Deserializer<'de> for KeyDeserializer<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            KeyRef::Int(number) => visitor.visit_i64(number),
            KeyRef::Str(bytes) => string(bytes, visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            KeyRef::Int(number) => visitor.visit_string(number.to_string()),
            KeyRef::Str(bytes) => string(bytes, visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.0 {
            KeyRef::Int(number) => StringDeserializer::new(number.to_string())
                .deserialize_enum(name, variants, visitor),
            KeyRef::Str(bytes) => match str::from_utf8(bytes) {
                Ok(text) => {
                    BorrowedStrDeserializer::new(text).deserialize_enum(name, variants, visitor)
                }
                Err(_) => BorrowedBytesDeserializer::new(bytes).deserialize_any(visitor),
            },
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct ignored_any
    }
}

/// A variant of a Rust enum: a string, or an array with the name as its only key.
struct Variant<'de, 'b> {
    name: String,
    content: Option<Deserializer<'de, 'b>>,
}

impl<'de, 'b> de::EnumAccess<'de> for Variant<'de, 'b> {
    type Error = Error;
    type Variant = Content<'de, 'b>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant)> {
        let name: StringDeserializer<Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, Content(self.content)))
    }
}

struct Content<'de, 'b>(Option<Deserializer<'de, 'b>>);

impl<'de> de::VariantAccess<'de> for Content<'de, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        self.0.map_or(Ok(()), de::Deserialize::deserialize)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self.0.ok_or_else(wrong_type)?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        de::Deserializer::deserialize_seq(self.0.ok_or_else(wrong_type)?, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        de::Deserializer::deserialize_map(self.0.ok_or_else(wrong_type)?, visitor)
    }
}
