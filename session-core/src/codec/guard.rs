//! A deserializer around a codec's own, which keeps hostile bytes within bounds.
//!
//! The codecs do not do so themselves. rmp-serde counts no depth in nested enums, bincode counts
//! none at all. Both pass on the length prefix of a list as a size hint, on which serde reserves
//! up to 1 MiB for each level of nesting. Their errors quote the value, and bincode's, passed up
//! through erased-serde, double in length at each level.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// How deep lists, maps and enums may nest. It is serde_json's own limit.
pub(super) const MAX_DEPTH: u8 = 127;
/// How many `Option`s and newtypes may stand around each of them.
const MAX_WRAPS: u8 = 8;

/// The only error that passes a guard. It holds nothing of the value.
#[derive(Debug)]
pub(super) struct Rejected;

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value was rejected")
    }
}

impl std::error::Error for Rejected {}

impl Error for Rejected {
    fn custom<T: fmt::Display>(_quotes_the_value: T) -> Self {
        Self
    }
}

fn reject<E>(_quotes_the_value: E) -> Rejected {
    Rejected
}

#[derive(Clone, Copy)]
struct Bounds {
    levels: u8,
    wraps: u8,
    /// How many elements a list or a map may announce.
    elements: usize,
    /// Whether the number of elements is the type's, not the value's.
    fixed: bool,
}

impl Bounds {
    const fn fixed(self) -> Self {
        Self { fixed: true, ..self }
    }

    fn one_level_down<E: Error>(self, announced: Option<usize>) -> Result<Self, E> {
        // Every element takes a byte at least. Lists of `()` in bincode, which take none, would be
        // a loop as long as the payload says.
        if !self.fixed && announced.is_some_and(|announced| announced > self.elements) {
            return Err(E::custom(Rejected));
        }
        let levels = self.levels.checked_sub(1).ok_or_else(|| E::custom(Rejected))?;
        Ok(Self { levels, wraps: MAX_WRAPS, fixed: false, ..self })
    }

    fn one_wrap_down<E: Error>(self) -> Result<Self, E> {
        let wraps = self.wraps.checked_sub(1).ok_or_else(|| E::custom(Rejected))?;
        Ok(Self { wraps, ..self })
    }
}

/// A deserializer, visitor, seed or access object, with what is left of the bounds.
pub(super) struct Guard<T> {
    inner: T,
    bounds: Bounds,
}

impl<D> Guard<D> {
    /// A guard around the deserializer of a value of `len` bytes.
    pub(super) const fn new(inner: D, len: usize) -> Self {
        let bounds = Bounds { levels: MAX_DEPTH, wraps: MAX_WRAPS, elements: len, fixed: false };
        Self { inner, bounds }
    }
}

macro_rules! guarded {
    ($($method:ident => $inner:ident ($($arg:ident: $type:ty),*) $(.$fixed:ident())?;)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $type,)* inner: V) -> Result<V::Value, Rejected> {
            let visitor = Guard { inner, bounds: self.bounds$(.$fixed())? };
            self.inner.$inner($($arg,)* visitor).map_err(reject)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Guard<D> {
    type Error = Rejected;

    guarded! {
        deserialize_any => deserialize_any();
        deserialize_bool => deserialize_bool();
        deserialize_i8 => deserialize_i8();
        deserialize_i16 => deserialize_i16();
        deserialize_i32 => deserialize_i32();
        deserialize_i64 => deserialize_i64();
        deserialize_i128 => deserialize_i128();
        deserialize_u8 => deserialize_u8();
        deserialize_u16 => deserialize_u16();
        deserialize_u32 => deserialize_u32();
        deserialize_u64 => deserialize_u64();
        deserialize_u128 => deserialize_u128();
        deserialize_f32 => deserialize_f32();
        deserialize_f64 => deserialize_f64();
        deserialize_char => deserialize_char();
        deserialize_str => deserialize_str();
        // The owned forms would let bincode allocate what the length prefix says, unchecked.
        deserialize_string => deserialize_str();
        deserialize_bytes => deserialize_bytes();
        deserialize_byte_buf => deserialize_bytes();
        deserialize_option => deserialize_option();
        deserialize_unit => deserialize_unit();
        deserialize_unit_struct => deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct => deserialize_newtype_struct(name: &'static str);
        deserialize_seq => deserialize_seq();
        deserialize_tuple => deserialize_tuple(len: usize).fixed();
        deserialize_tuple_struct => deserialize_tuple_struct(name: &'static str, len: usize).fixed();
        deserialize_map => deserialize_map();
        deserialize_struct => deserialize_struct(name: &'static str, fields: &'static [&'static str]).fixed();
        deserialize_enum => deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier => deserialize_identifier();
        // serde_json's short cut here counts no depth.
        deserialize_ignored_any => deserialize_any();
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! passed_on {
    ($($method:ident($type:ty);)*) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value).map_err(E::custom::<Rejected>)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Guard<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    passed_on! {
        visit_bool(bool);
        visit_i8(i8);
        visit_i16(i16);
        visit_i32(i32);
        visit_i64(i64);
        visit_i128(i128);
        visit_u8(u8);
        visit_u16(u16);
        visit_u32(u32);
        visit_u64(u64);
        visit_u128(u128);
        visit_f32(f32);
        visit_f64(f64);
        visit_char(char);
        visit_str(&str);
        visit_borrowed_str(&'de str);
        visit_string(String);
        visit_bytes(&[u8]);
        visit_borrowed_bytes(&'de [u8]);
        visit_byte_buf(Vec<u8>);
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none().map_err(E::custom::<Rejected>)
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit().map_err(E::custom::<Rejected>)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let bounds = self.bounds.one_wrap_down()?;
        self.inner.visit_some(Guard { inner, bounds }).map_err(D::Error::custom)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let bounds = self.bounds.one_wrap_down()?;
        self.inner.visit_newtype_struct(Guard { inner, bounds }).map_err(D::Error::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let bounds = self.bounds.one_level_down(inner.size_hint())?;
        self.inner.visit_seq(Guard { inner, bounds }).map_err(A::Error::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let bounds = self.bounds.one_level_down(inner.size_hint())?;
        self.inner.visit_map(Guard { inner, bounds }).map_err(A::Error::custom)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        // The level is counted where the variant holds something.
        let bounds = self.bounds;
        self.inner.visit_enum(Guard { inner, bounds }).map_err(A::Error::custom)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Guard<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Guard { inner, bounds: self.bounds }).map_err(D::Error::custom)
    }
}

// None of the access objects passes a size hint on: what is reserved is what was read.

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Guard<A> {
    type Error = Rejected;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        inner: S,
    ) -> Result<Option<S::Value>, Rejected> {
        self.inner.next_element_seed(Guard { inner, bounds: self.bounds }).map_err(reject)
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Guard<A> {
    type Error = Rejected;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        inner: S,
    ) -> Result<Option<S::Value>, Rejected> {
        self.inner.next_key_seed(Guard { inner, bounds: self.bounds }).map_err(reject)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, inner: S) -> Result<S::Value, Rejected> {
        self.inner.next_value_seed(Guard { inner, bounds: self.bounds }).map_err(reject)
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Guard<A> {
    type Error = Rejected;
    type Variant = Guard<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        inner: S,
    ) -> Result<(S::Value, Guard<A::Variant>), Rejected> {
        let bounds = self.bounds;
        let (name, inner) = self.inner.variant_seed(Guard { inner, bounds }).map_err(reject)?;
        Ok((name, Guard { inner, bounds }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Guard<A> {
    type Error = Rejected;

    fn unit_variant(self) -> Result<(), Rejected> {
        self.inner.unit_variant().map_err(reject)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, inner: S) -> Result<S::Value, Rejected> {
        let bounds = self.bounds.one_level_down(None)?;
        self.inner.newtype_variant_seed(Guard { inner, bounds }).map_err(reject)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, inner: V) -> Result<V::Value, Rejected> {
        let bounds = self.bounds.one_level_down(None)?.fixed();
        self.inner.tuple_variant(len, Guard { inner, bounds }).map_err(reject)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        inner: V,
    ) -> Result<V::Value, Rejected> {
        self.inner
            .struct_variant(fields, Guard { inner, bounds: self.bounds.fixed() })
            .map_err(reject)
    }
}
