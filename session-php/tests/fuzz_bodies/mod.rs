//! What the fuzz targets of `fuzz/` do with their bytes. They panic when a promise is broken.

#![expect(clippy::expect_used, reason = "a broken promise ends the run")]

use session_core::Format as _;
use session_php::{ErrorKind, Limits, PhpFormat, Result, SerializeHandler, SessionData};

/// Reads the input, after a byte that chooses the serialiser, as one that writes text.
pub(crate) fn text(input: &[u8]) {
    const HANDLERS: [SerializeHandler; 3] =
        [SerializeHandler::Php, SerializeHandler::PhpBinary, SerializeHandler::PhpSerialize];
    let Some((tag, data)) = input.split_first() else { return };
    let handler = HANDLERS.into_iter().cycle().nth(usize::from(*tag));
    session(handler.unwrap_or_default(), data);
}

/// Reads the input, behind the version it begins with.
#[cfg(feature = "igbinary")]
pub(crate) fn igbinary(input: &[u8]) {
    session(SerializeHandler::Igbinary, &[b"\0\0\0\x02", input].concat());
}

/// Reads the input.
#[cfg(feature = "msgpack")]
pub(crate) fn msgpack(input: &[u8]) {
    session(SerializeHandler::Msgpack, input);
}

/// Reads a session, changes it, and writes it. What can be read goes back as it came, and can be
/// read again when it is changed, or written anew.
pub(crate) fn session(handler: SerializeHandler, data: &[u8]) {
    let limits = Limits::new().bytes(1 << 20);
    let Ok(mut session) = SessionData::decode_within(handler, data.to_vec(), limits) else {
        return;
    };
    let names: Vec<Vec<u8>> = session.names().map(<[u8]>::to_vec).collect();
    for name in &names {
        drop(session.get::<serde_json::Value>(name));
        assert!(session.contains(name));
    }
    assert_eq!(session.encode().expect("what was read can be written"), data);
    entries(handler, data, limits);
    let may_outgrow = may_outgrow(handler, data, limits);
    let count =
        |data: Vec<u8>| SessionData::decode_within(handler, data, limits).map(|it| it.len());
    let rewritten = session.rewritten(handler).and_then(|session| session.encode());
    if let Some(rewritten) = fits(may_outgrow, rewritten) {
        let again = SessionData::decode_within(handler, rewritten.clone(), limits)
            .expect("what was written can be read");
        assert_eq!(again.len(), names.len());
        let twice = again.rewritten(handler).and_then(|session| session.encode());
        assert_eq!(twice.expect("and written again"), rewritten);
    }
    if let Some(name) = names.first()
        && fits(may_outgrow, session.remove(name)).is_some()
        && let Some(left) = fits(may_outgrow, session.encode())
    {
        assert_eq!(count(left.to_vec()).expect("what is left can be read"), names.len() - 1);
    }
}

/// The same as the session handle does it.
fn entries(handler: SerializeHandler, data: &[u8], limits: Limits) {
    let format = PhpFormat::new(handler).limits(limits);
    let Ok(mut document) = format.decode(&data.to_vec().into()) else { return };
    assert_eq!(format.encode(&document).expect("what was read can be written"), data);
    let value = format.encode_value(document.header.codec, &[1, 2]).expect("it is a list");
    document.entries.insert("set", value);
    let changed = match format.encode(&document) {
        Ok(changed) => changed,
        Err(error) if error.kind() == session_core::ErrorKind::Unsupported => return,
        Err(error) => return assert!(may_outgrow(handler, data, limits), "{error}"),
    };
    let again = format.decode(&changed).expect("what was written can be read");
    assert!(again.entries.names().eq(document.entries.names()));
}

/// What may be refused is what may have grown beyond the limits, or what the format has no room for.
fn fits<T>(may_outgrow: bool, written: Result<T>) -> Option<T> {
    let error = match written {
        Ok(written) => return Some(written),
        Err(error) => error,
    };
    let is_allowed = match error.kind() {
        ErrorKind::TooLarge | ErrorKind::TooDeep => may_outgrow,
        ErrorKind::Unsupported => true,
        _ => false,
    };
    assert!(is_allowed, "{error}");
    None
}

/// Whether what was read may be beyond the limits when it is written another way. That makes it a few
/// times as long (`d:5e9;` becomes `d:5000000000;`); a level or a value is a byte at least. Only
/// igbinary has arrays that stand for others, which are written out.
fn may_outgrow(handler: SerializeHandler, data: &[u8], limits: Limits) -> bool {
    handler.name() == "igbinary"
        || data.len() >= (limits.bytes / 8).min(limits.depth).min(limits.values)
}
