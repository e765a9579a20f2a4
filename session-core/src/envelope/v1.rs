//! Version 1.

use std::{str, time::Duration};

use bytes::Bytes;

use super::{
    Compression, MAGIC, compression,
    input::{Input, corrupt, unsupported},
};
use crate::{
    Alias, Binding, ClientHint, Codec, Document, DocumentState, Entries, Error, ErrorKind, Frame,
    Header, KeyDigest, Operation, Result, SessionHandle, Timestamp, Ttl, format::Name,
};

pub(super) const VERSION: u8 = 1;

/// Where the byte that names the compression lies.
const COMPRESSION_AT: usize = 6;
/// What an entry without a name and a value takes: the lengths of both.
const SMALLEST_ENTRY: usize = 5;

const AUTHENTICATED: u8 = 1;
const IDLE: u8 = 2;
const ROTATED: u8 = 4;
const HANDLE: u8 = 8;
const CLIENT: u8 = 16;
const BINDING: u8 = 32;
const FLAGS: u8 = AUTHENTICATED | IDLE | ROTATED | HANDLE | CLIENT | BINDING;

const LIVE: u8 = 0;
const ALIAS: u8 = 1;

/// Reads what follows the version byte.
pub(super) fn decode(mut input: Input, max_decompressed: usize) -> Result<Document> {
    let codec = codec_from(input.byte()?)?;
    let compression = input.byte()?;
    if input.byte()? != 0 {
        return Err(unsupported("the payload is encrypted"));
    }
    let header = decode_header(codec, &mut input)?;
    let body = compression::unfold(compression, input.rest(), max_decompressed)?;
    Ok(Document { header, entries: decode_entries(Input::new(body))? })
}

fn decode_header(codec: Codec, input: &mut Input) -> Result<Header> {
    let flags = input.byte()?;
    if flags & !FLAGS != 0 {
        return Err(corrupt("unknown flags"));
    }
    let has = |flag| flags & flag != 0;
    let state = input.byte()?;
    let created_at = timestamp(input)?;
    let authenticated_at = has(AUTHENTICATED).then(|| timestamp(input)).transpose()?;
    let idle = has(IDLE).then(|| ttl(input)).transpose()?;
    let rotated_at = has(ROTATED).then(|| timestamp(input)).transpose()?;
    let handle = has(HANDLE).then(|| input.array()).transpose()?.map(SessionHandle::from_bytes);
    let client = has(CLIENT).then(|| client(input)).transpose()?;
    let binding = has(BINDING).then(|| input.array()).transpose()?.map(Binding::from_bytes);
    let state = match state {
        LIVE => DocumentState::Live,
        ALIAS => DocumentState::Alias(Alias {
            successor: KeyDigest::from_bytes(input.array()?),
            redirect_until: timestamp(input)?,
            rotated_at: timestamp(input)?,
        }),
        _ => return Err(corrupt("unknown state")),
    };
    Ok(Header {
        codec,
        created_at,
        authenticated_at,
        idle,
        rotated_at,
        handle,
        client,
        binding,
        state,
        frame: Frame::none(),
    })
}

fn client(input: &mut Input) -> Result<ClientHint> {
    let len = input.byte()?;
    let text = input.view(len.into())?;
    let text = str::from_utf8(text).map_err(|_shows_bytes| corrupt("a hint is not UTF-8"))?;
    let hint = ClientHint::new(text);
    if hint.as_str() == text { Ok(hint) } else { Err(corrupt("a hint is out of bounds")) }
}

fn decode_entries(mut input: Input) -> Result<Entries> {
    let count = input.size()?;
    if count > Entries::MAX_LEN || count > input.len() / SMALLEST_ENTRY {
        return Err(corrupt("more entries than there is room for"));
    }
    let mut entries = Entries::with_capacity(count);
    for _ in 0..count {
        let len = input.byte()?;
        let name = Name::read(input.take(len.into())?);
        let name = name.ok_or_else(|| corrupt("a name is not UTF-8"))?;
        let len = input.size()?;
        // One order and no duplicates: a document has one form only.
        if !entries.push(name, input.take(len)?) {
            return Err(corrupt("entries out of order"));
        }
    }
    input.end()?;
    Ok(entries)
}

/// Writes a whole payload.
pub(super) fn encode(
    document: &Document,
    compression: Compression,
    max_decompressed: usize,
) -> Result<Bytes> {
    let mut out = Vec::with_capacity(size_limit(document));
    encode_header(&document.header, &mut out);
    let body_at = out.len();
    encode_entries(&document.entries, &mut out)?;
    let (head, body) = out.split_at(body_at);
    if let Some(folded) = compression::fold(compression, body, max_decompressed) {
        out = [head, &folded].concat();
        out.splice(COMPRESSION_AT..=COMPRESSION_AT, [compression::LZ4]);
    }
    Ok(out.into())
}

/// No less than the payload takes without compression.
fn size_limit(document: &Document) -> usize {
    let entries = document.entries.iter();
    320 + entries.map(|(name, value)| SMALLEST_ENTRY + name.len() + value.len()).sum::<usize>()
}

fn encode_header(header: &Header, out: &mut Vec<u8>) {
    let state = match header.state {
        DocumentState::Live => LIVE,
        DocumentState::Alias(_) => ALIAS,
    };
    out.extend(MAGIC);
    out.extend([VERSION, codec_to(header.codec), compression::NONE, 0, flags(header), state]);
    let mut moment = |at: Option<Timestamp>| {
        out.extend(at.iter().flat_map(|at| at.as_millis().to_le_bytes()));
    };
    moment(Some(header.created_at));
    moment(header.authenticated_at);
    moment(header.idle.map(ttl_millis).map(Timestamp::from_millis));
    moment(header.rotated_at);
    out.extend(header.handle.iter().flat_map(SessionHandle::as_bytes));
    if let Some(client) = &header.client {
        // The hint's own bound is below that of a byte.
        out.push(u8::try_from(client.as_str().len()).unwrap_or(u8::MAX));
        out.extend(client.as_str().as_bytes());
    }
    out.extend(header.binding.iter().flat_map(Binding::as_bytes));
    if let DocumentState::Alias(alias) = &header.state {
        out.extend(alias.successor.as_bytes());
        out.extend(alias.redirect_until.as_millis().to_le_bytes());
        out.extend(alias.rotated_at.as_millis().to_le_bytes());
    }
}

fn flags(header: &Header) -> u8 {
    let there = [
        (header.authenticated_at.is_some(), AUTHENTICATED),
        (header.idle.is_some(), IDLE),
        (header.rotated_at.is_some(), ROTATED),
        (header.handle.is_some(), HANDLE),
        (header.client.is_some(), CLIENT),
        (header.binding.is_some(), BINDING),
    ];
    there.into_iter().filter(|(there, _)| *there).fold(0, |flags, (_, flag)| flags | flag)
}

fn encode_entries(entries: &Entries, out: &mut Vec<u8>) -> Result<()> {
    if entries.len() > Entries::MAX_LEN {
        return Err(too_large("too many entries"));
    }
    out.extend(size(entries.len(), "too many entries")?);
    for (name, value) in entries.iter() {
        let len = u8::try_from(name.len()).map_err(|_bound| too_large("a name is too long"))?;
        out.push(len);
        out.extend(name.as_bytes());
        out.extend(size(value.len(), "a value is too long")?);
        out.extend_from_slice(value);
    }
    Ok(())
}

fn size(size: usize, detail: &'static str) -> Result<[u8; 4]> {
    u32::try_from(size).map(u32::to_le_bytes).map_err(|_bound| too_large(detail))
}

fn too_large(detail: &'static str) -> Error {
    Error::new(ErrorKind::TooLarge, "session", Operation::Encode).with_detail(detail)
}

const fn codec_to(codec: Codec) -> u8 {
    match codec {
        Codec::MessagePack => 1,
        Codec::Json => 2,
        #[cfg(feature = "bincode")]
        Codec::Bincode => 3,
    }
}

fn codec_from(tag: u8) -> Result<Codec> {
    match tag {
        1 => Ok(Codec::MessagePack),
        2 => Ok(Codec::Json),
        #[cfg(feature = "bincode")]
        3 => Ok(Codec::Bincode),
        #[cfg(not(feature = "bincode"))]
        3 => Err(unsupported("the program was built without the feature `bincode`")),
        _ => Err(corrupt("unknown codec")),
    }
}

fn timestamp(input: &mut Input) -> Result<Timestamp> {
    input.u64().map(Timestamp::from_millis)
}

/// A lifetime that never ends is all ones.
fn ttl(input: &mut Input) -> Result<Ttl> {
    let millis = input.u64()?;
    Ok(if millis == u64::MAX { Ttl::NEVER } else { Duration::from_millis(millis).into() })
}

fn ttl_millis(ttl: Ttl) -> u64 {
    ttl.duration().map_or(u64::MAX, |ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))
}
