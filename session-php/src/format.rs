//! Sessions of PHP behind the session handle.

use std::fmt;

use bytes::Bytes;
use session_core::{
    Codec, Document, DocumentState, Entries, Format, FormatCapabilities, Frame, Header, Operation,
    Support, Timestamp, ValueVisitor,
};

use crate::{
    Error, ErrorKind, Limits, SerializeHandler, SessionData, Value,
    de::{Budget, Deserializer},
    ser,
};

/// Records as one of PHP's session serialisers writes them, for a
/// [`SessionManager`](session_core::SessionManager): the same sessions as PHP's, through the same
/// handle as others, merged variable by variable.
///
/// An entry is a variable of `$_SESSION`. Variables that nobody changes go back byte for byte and in
/// their order, as with [`SessionData`]; so do classes, references and whatever else serde has no
/// word for. What several variables share is read as each variable's own; setting one of those that
/// are one by reference (`&`) changes all, as in PHP, also where two requests changed two of them.
///
/// PHP's serialisers have room for variables and nothing else: when a session was created, when its
/// user logged in, an idle lifetime of its own, an alias for a rotated id are refused
/// ([`Unsupported`](session_core::ErrorKind::Unsupported)). So
/// [`login`](session_core::Session::login) is not for these sessions: a log-in is what the PHP side
/// takes for one, a variable, and [`cycle_id`](session_core::Session::cycle_id), which without an
/// alias is PHP's `session_regenerate_id(true)`.
///
/// ```
/// # use session_core::{MemoryStore, SessionManager};
/// # use session_php::{PhpFormat, SerializeHandler};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = MemoryStore::new();
/// let sessions = SessionManager::builder(store)
///     .format(PhpFormat::new(SerializeHandler::Php))
///     .build()?;
/// let session = sessions.open(None);
/// session.insert("user", "ada").await?;
/// session.save().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct PhpFormat {
    handler: SerializeHandler,
    limits: Limits,
}

/// What a document is written back from.
struct Kept {
    session: SessionData,
    /// The entries that were made of it.
    entries: Entries,
}

impl PhpFormat {
    /// For sessions of this serialiser, within the [default limits](Limits::new).
    #[must_use]
    pub const fn new(handler: SerializeHandler) -> Self {
        Self { handler, limits: Limits::new() }
    }

    /// Within these limits.
    #[must_use]
    pub const fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    fn read(&self, payload: &Bytes) -> Result<Kept, Error> {
        let session = SessionData::decode_within(self.handler, payload.clone(), self.limits)?;
        let entries = entries(&session)?;
        Ok(Kept { session, entries })
    }

    /// Makes the changes that lead from what was kept to `entries`.
    fn changed(&self, frame: &Frame, entries: &Entries) -> Result<SessionData, Error> {
        let blank;
        let kept = match frame.kept::<Kept>() {
            Some(kept) if kept.session.handler() == self.handler => kept,
            _ => {
                blank = self.read(&Bytes::new())?;
                &blank
            }
        };
        let mut session = kept.session.clone();
        let gone = kept.entries.names().filter(|name| !entries.contains(name));
        let gone: Vec<&str> = gone.collect();
        if !gone.is_empty() && gone.len() == kept.entries.len() {
            session.clear();
        } else {
            gone.into_iter().try_for_each(|name| session.remove(name).map(drop))?;
        }
        for (name, text) in
            entries.iter().filter(|(name, text)| kept.entries.get(name) != Some(text))
        {
            session.insert_text(name.as_bytes(), text.clone())?;
        }
        Ok(session)
    }
}

impl Format for PhpFormat {
    fn capabilities(&self) -> FormatCapabilities {
        let mut room = FormatCapabilities::new();
        room.created_at = Support::No;
        room.authenticated_at = Support::No;
        room.idle = Support::No;
        room.rotated_at = Support::No;
        room.client = Support::No;
        room.alias = Support::No;
        room
    }

    fn new_document(&self, created_at: Timestamp) -> Document {
        Document::new(CODEC, created_at)
    }

    fn decode(&self, payload: &Bytes) -> session_core::Result<Document> {
        let kept = self.read(payload).map_err(|error| {
            let kind = match error.kind() {
                ErrorKind::Syntax | ErrorKind::Reference => session_core::ErrorKind::Corrupt,
                _ => session_core::ErrorKind::Unsupported,
            };
            failed(kind, Operation::Decode, error)
        })?;
        let mut document = Document::new(CODEC, Timestamp::from_millis(0));
        document.entries = kept.entries.clone();
        document.header.frame = Frame::new(kept);
        Ok(document)
    }

    fn encode(&self, document: &Document) -> session_core::Result<Bytes> {
        if let Some(detail) = no_room_for(&document.header) {
            return Err(unsupported(detail));
        }
        let session = self.changed(&document.header.frame, &document.entries);
        session.and_then(|session| session.encode()).map_err(|error| {
            let kind = match error.kind() {
                ErrorKind::TooLarge | ErrorKind::TooDeep => session_core::ErrorKind::TooLarge,
                _ => session_core::ErrorKind::Unsupported,
            };
            failed(kind, Operation::Encode, error)
        })
    }

    fn encode_value(
        &self,
        _: Codec,
        value: &dyn erased_serde::Serialize,
    ) -> session_core::Result<Bytes> {
        let text = ser::to_vec(value).map_err(|error| {
            failed(session_core::ErrorKind::Unsupported, Operation::Encode, error)
        })?;
        Ok(text.into())
    }

    fn decode_value(
        &self,
        _: Codec,
        bytes: &[u8],
        visit: &mut ValueVisitor<'_>,
    ) -> session_core::Result<()> {
        let corrupt =
            |error: Error| failed(session_core::ErrorKind::Corrupt, Operation::Decode, error);
        let text = Bytes::copy_from_slice(bytes);
        let value = Value::parse_within(text, self.limits).map_err(corrupt)?;
        let view = value.view();
        let budget = Budget::new(view.graph.size());
        let deserializer = Deserializer::new(view, &budget);
        // What the type says against the value may repeat it, so it goes no further.
        visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(deserializer))
            .map_err(|_repeats_the_value| corrupt(Error::new(ErrorKind::Type, NOT_OF_THE_TYPE)))
    }
}

/// There is only one, whose name is in no document.
const CODEC: Codec = Codec::MessagePack;

const NOT_OF_THE_TYPE: &str = "the value is not of the type asked for";

/// How much work it may be to take variables apart that refer to each other, in values looked at.
const MOST_WORK: usize = 16_000_000;

/// Each variable's text, on its own.
fn entries(session: &SessionData) -> Result<Entries, Error> {
    let mut texts = session.lone_texts(MOST_WORK)?;
    texts.sort_unstable();
    let mut entries = Entries::new();
    for (name, text) in texts {
        let name = str::from_utf8(&name).map_err(|_shows_bytes| {
            Error::new(ErrorKind::Unsupported, "the name of a variable is not UTF-8")
        })?;
        entries.insert(name, text);
    }
    Ok(entries)
}

/// What a document has beside its entries.
fn no_room_for(header: &Header) -> Option<&'static str> {
    let facts = [
        (header.state != DocumentState::Live, "an alias"),
        (header.authenticated_at.is_some(), "the time of a log-in"),
        (header.idle.is_some(), "an idle lifetime of the session's own"),
        (header.rotated_at.is_some(), "the time of a rotation"),
        (header.handle.is_some(), "a session's handle"),
        (header.client.is_some(), "a hint of the client"),
        (header.binding.is_some(), "a binding to the client"),
    ];
    facts.into_iter().find_map(|(is_there, what)| is_there.then_some(what))
}

fn unsupported(what: &'static str) -> session_core::Error {
    let detail = format!("PHP's sessions have no room for {what}");
    session_core::Error::new(session_core::ErrorKind::Unsupported, "session", Operation::Encode)
        .with_detail(detail)
}

fn failed(
    kind: session_core::ErrorKind,
    operation: Operation,
    error: Error,
) -> session_core::Error {
    session_core::Error::new(kind, "session", operation).with_source(error)
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}
