//! The native envelope: the bytes of a payload. `docs/formats/envelope.md` is its table.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{
    Alias, Codec, Document, DocumentState, Entries, Error, ErrorKind, Header, KeyDigest, Operation,
    Result, Timestamp, Ttl,
};

const MAGIC: &[u8; 3] = b"SES";
const VERSION: u8 = 1;
/// No compression and no encryption; other values are reserved.
const PLAIN: u8 = 0;
const LIVE: u8 = 0;
const ALIAS: u8 = 1;
/// The longest name in bytes.
const MAX_NAME: usize = 255;
const MAX_ENTRIES: usize = 65_535;

pub(crate) fn encode(document: &Document) -> Result<Bytes> {
    let size: usize =
        document.entries.iter().map(|(name, value)| 5 + name.len() + value.len()).sum();
    let mut out = BytesMut::with_capacity(128 + size);
    let header = &document.header;
    out.put_slice(MAGIC);
    out.put_slice(&[VERSION, header.codec.number(), PLAIN, PLAIN]);
    out.put_u64(header.created_at.as_millis());
    put_option(&mut out, header.authenticated_at.map(Timestamp::as_millis));
    put_option(&mut out, header.idle.map(millis));
    match &header.state {
        DocumentState::Live => out.put_u8(LIVE),
        DocumentState::Alias(alias) => {
            out.put_u8(ALIAS);
            out.put_slice(alias.successor.as_bytes());
            out.put_u64(alias.redirect_until.as_millis());
            out.put_u64(alias.rotated_at.as_millis());
        }
    }
    put_entries(&mut out, &document.entries)?;
    Ok(out.freeze())
}

fn put_entries(out: &mut BytesMut, entries: &Entries) -> Result<()> {
    if entries.len() > MAX_ENTRIES {
        return Err(too_large("more than 65,535 entries"));
    }
    out.put_u16(u16::try_from(entries.len()).map_err(|_full| too_large("too many entries"))?);
    for (name, value) in entries.iter() {
        let name_len = u8::try_from(name.len())
            .map_err(|_long| too_large("an entry's name has more than 255 bytes"))?;
        let value_len = u32::try_from(value.len())
            .map_err(|_long| too_large("an entry's value has more than 4 GiB"))?;
        out.put_u8(name_len);
        out.put_slice(name.as_bytes());
        out.put_u32(value_len);
        out.put_slice(value);
    }
    Ok(())
}

fn put_option(out: &mut BytesMut, value: Option<u64>) {
    out.put_u8(value.is_some().into());
    if let Some(value) = value {
        out.put_u64(value);
    }
}

fn millis(ttl: Ttl) -> u64 {
    ttl.duration().and_then(|ttl| u64::try_from(ttl.as_millis()).ok()).unwrap_or(u64::MAX)
}

fn ttl(millis: u64) -> Ttl {
    match millis {
        u64::MAX => Ttl::NEVER,
        millis => std::time::Duration::from_millis(millis).into(),
    }
}

/// Costs no more memory than the payload is long: names and values are bounded by it, and values
/// are slices of it.
pub(crate) fn decode(payload: &Bytes) -> Result<Document> {
    let mut input = payload.clone();
    if take(&mut input, MAGIC.len())? != MAGIC.as_slice() {
        return Err(corrupt("it is not an envelope"));
    }
    match input.try_get_u8() {
        Ok(VERSION) => decode_v1(input),
        Ok(newer) if newer > VERSION => Err(corrupt("it was written by a newer version")),
        _ => Err(corrupt("it is of no known version")),
    }
}

fn decode_v1(mut input: Bytes) -> Result<Document> {
    let codec = Codec::from_number(byte(&mut input)?)
        .ok_or_else(|| corrupt("its values are of a codec that is not built in"))?;
    if byte(&mut input)? != PLAIN || byte(&mut input)? != PLAIN {
        return Err(corrupt("it is compressed or encrypted in a way that is not built in"));
    }
    let created_at = Timestamp::from_millis(long(&mut input)?);
    let authenticated_at = option(&mut input)?.map(Timestamp::from_millis);
    let idle = option(&mut input)?.map(ttl);
    let state = match byte(&mut input)? {
        LIVE => DocumentState::Live,
        ALIAS => DocumentState::Alias(alias(&mut input)?),
        _ => return Err(corrupt("its state is not known")),
    };
    let entries = take_entries(&mut input)?;
    if input.has_remaining() {
        return Err(corrupt("something follows its end"));
    }
    let header = Header { codec, created_at, authenticated_at, idle, state };
    Ok(Document::from_parts(header, entries))
}

fn alias(input: &mut Bytes) -> Result<Alias> {
    let mut successor = [0; 32];
    take(input, successor.len())?.copy_to_slice(&mut successor);
    let redirect_until = Timestamp::from_millis(long(input)?);
    let rotated_at = Timestamp::from_millis(long(input)?);
    Ok(Alias::new(KeyDigest::from_bytes(successor), redirect_until, rotated_at))
}

fn take_entries(input: &mut Bytes) -> Result<Entries> {
    let mut entries = Entries::new();
    for _ in 0..input.try_get_u16().map_err(ended)? {
        let name_len = byte(input)?;
        let name = take(input, name_len.into())?;
        let name = std::str::from_utf8(&name)
            .map_err(|error| corrupt("a name is not UTF-8").with_source(error))?;
        let value_len = input.try_get_u32().map_err(ended)?;
        let value = take(input, usize::try_from(value_len).unwrap_or(usize::MAX))?;
        if entries.insert(name, value).is_some() {
            return Err(corrupt("two entries have one name"));
        }
    }
    Ok(entries)
}

fn take(input: &mut Bytes, len: usize) -> Result<Bytes> {
    if len > input.len() {
        return Err(corrupt("it ends too early"));
    }
    Ok(input.split_to(len))
}

fn byte(input: &mut Bytes) -> Result<u8> {
    input.try_get_u8().map_err(ended)
}

fn long(input: &mut Bytes) -> Result<u64> {
    input.try_get_u64().map_err(ended)
}

fn option(input: &mut Bytes) -> Result<Option<u64>> {
    match byte(input)? {
        0 => Ok(None),
        1 => long(input).map(Some),
        _ => Err(corrupt("an option is neither there nor not")),
    }
}

fn ended(error: bytes::TryGetError) -> Error {
    corrupt("it ends too early").with_source(error)
}

fn corrupt(detail: &str) -> Error {
    Error::new(ErrorKind::Corrupt, "session", Operation::Decode).with_detail(detail)
}

fn too_large(detail: &str) -> Error {
    Error::new(ErrorKind::TooLarge, "session", Operation::Encode).with_detail(detail)
}

const _: () = assert!(MAX_NAME == u8::MAX as usize && MAX_ENTRIES == u16::MAX as usize);
