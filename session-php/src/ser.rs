//! From Rust's values to PHP's text.

use serde::{Serialize, ser};

use crate::{
    Error, ErrorKind, KeyRef, Precision, Result,
    de::DEEPEST,
    text::{write_float, write_head, write_int, write_length, write_string},
    value::too_deep,
};

/// Writes a value as `serialize` would if it were PHP's: structs and maps are arrays, variants of
/// enums are their names, or arrays with the name as the only key.
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported) where PHP has nothing like it: numbers beyond 64 bits,
/// keys that are neither strings nor integers. [`TooDeep`](ErrorKind::TooDeep) beyond 128 levels.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    let mut serializer = Serializer::default();
    value.serialize(&mut serializer)?;
    Ok(serializer.out)
}

/// Writes text.
#[derive(Debug, Default)]
struct Serializer {
    out: Vec<u8>,
    depth: usize,
}

impl Serializer {
    fn int(&mut self, number: i64) {
        write_int(&mut self.out, *b"i:", number);
    }

    fn string(&mut self, bytes: &[u8]) {
        write_string(&mut self.out, bytes);
    }

    /// Opens an array that may turn out to have another length.
    fn open(&mut self, promised: usize) -> Result<Open<'_>> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(too_deep());
        }
        let start = self.out.len();
        write_head(&mut self.out, b'a', promised, b'{');
        Ok(Open { serializer: self, start, promised, count: 0, levels: 1 })
    }

    /// Opens an array whose only key is the name of a variant, and in it another.
    fn open_variant(&mut self, name: &str, promised: usize) -> Result<Open<'_>> {
        self.depth += 1;
        self.out.extend_from_slice(b"a:1:{");
        self.string(name.as_bytes());
        Ok(Open { levels: 2, ..self.open(promised)? })
    }
}

const fn unsupported(detail: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, detail)
}

const TOO_BIG: &str = "PHP's integers have 64 bits and a sign";
const NOT_A_KEY: &str = "keys are strings or integers";

impl<'s> ser::Serializer for &'s mut Serializer {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Open<'s>;
    type SerializeTuple = Open<'s>;
    type SerializeTupleStruct = Open<'s>;
    type SerializeTupleVariant = Open<'s>;
    type SerializeMap = Open<'s>;
    type SerializeStruct = Open<'s>;
    type SerializeStructVariant = Open<'s>;

    fn serialize_bool(self, value: bool) -> Result<()> {
        self.out.extend_from_slice(if value { b"b:1;" } else { b"b:0;" });
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<()> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<()> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<()> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<()> {
        self.int(value);
        Ok(())
    }

    fn serialize_u8(self, value: u8) -> Result<()> {
        self.serialize_i64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<()> {
        self.serialize_i64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<()> {
        self.serialize_i64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<()> {
        self.serialize_i64(i64::try_from(value).ok().ok_or(unsupported(TOO_BIG))?)
    }

    fn serialize_f32(self, value: f32) -> Result<()> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<()> {
        self.out.extend_from_slice(b"d:");
        write_float(&mut self.out, value, Precision::Shortest);
        self.out.push(b';');
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<()> {
        self.serialize_bytes(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        self.string(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        self.out.extend_from_slice(b"N;");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<()> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        let mut open = self.open(1)?;
        open.key(variant.as_bytes());
        open.value(value)?;
        open.close();
        Ok(())
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Open<'s>> {
        self.open(len.unwrap_or_default())
    }

    fn serialize_tuple(self, len: usize) -> Result<Open<'s>> {
        self.open(len)
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Open<'s>> {
        self.open(len)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Open<'s>> {
        self.open_variant(variant, len)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Open<'s>> {
        self.open(len.unwrap_or_default())
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Open<'s>> {
        self.open(len)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Open<'s>> {
        self.open_variant(variant, len)
    }
}

/// An array that is being written.
#[derive(Debug)]
struct Open<'s> {
    serializer: &'s mut Serializer,
    start: usize,
    promised: usize,
    count: usize,
    /// How many arrays its end closes.
    levels: usize,
}

impl Open<'_> {
    fn key(&mut self, name: &[u8]) {
        self.count += 1;
        match KeyRef::of(name) {
            KeyRef::Int(number) => self.serializer.int(number),
            KeyRef::Str(name) => self.serializer.string(name),
        }
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        value.serialize(&mut *self.serializer)
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.serializer.int(i64::try_from(self.count).ok().ok_or(unsupported(TOO_BIG))?);
        self.count += 1;
        self.value(value)
    }

    fn close(self) {
        let Self { serializer, start, promised, count, levels } = self;
        if count != promised {
            let mut head = Vec::new();
            write_length(&mut head, b"a:", count);
            let end = start + 2 + promised.to_string().len();
            serializer.out.splice(start..end, head);
        }
        serializer.out.resize(serializer.out.len() + levels, b'}');
        serializer.depth -= levels;
    }
}

macro_rules! elements {
    ($($trait:ident::$method:ident)*) => {$(
        impl ser::$trait for Open<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.element(value)
            }

            fn end(self) -> Result<()> {
                self.close();
                Ok(())
            }
        }
    )*};
}

elements! {
    SerializeSeq::serialize_element
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}

macro_rules! fields {
    ($($trait:ident)*) => {$(
        impl ser::$trait for Open<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<()> {
                self.key(key.as_bytes());
                self.value(value)
            }

            fn end(self) -> Result<()> {
                self.close();
                Ok(())
            }
        }
    )*};
}

fields! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Open<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        let start = self.serializer.out.len();
        self.value(key)?;
        let written = self.serializer.out.split_off(start);
        if written.starts_with(b"i:") {
            self.serializer.out.extend_from_slice(&written);
            self.count += 1;
            return Ok(());
        }
        let name = quoted(&written).ok_or_else(|| unsupported(NOT_A_KEY))?;
        self.key(name);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.value(value)
    }

    fn end(self) -> Result<()> {
        self.close();
        Ok(())
    }
}

/// The contents of a string that was just written.
fn quoted(written: &[u8]) -> Option<&[u8]> {
    let rest = written.strip_prefix(b"s:")?;
    let quote = rest.iter().position(|byte| *byte == b'"')?;
    rest.get(quote + 1..)?.strip_suffix(b"\";")
}
