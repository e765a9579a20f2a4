//! What the state machine asks of storage: PHP's slots.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use session_core::Result;

use super::PhpId;

/// A save handler: the slots that a module of PHP's fills, and the methods of
/// `SessionHandlerInterface`.
///
/// An `Err` is what `false` is there; it ends up as the cause of a [`Diagnostic`](super::Diagnostic).
/// A slot that [`slots`](Self::slots) leaves out is never called.
#[async_trait]
pub trait SaveHandler: fmt::Debug + Send {
    /// How PHP names the handler in its messages.
    fn name(&self) -> HandlerName;

    /// Which of the optional slots there are.
    fn slots(&self) -> Slots;

    /// A session is about to be read: its settings `save_path` and `name`.
    ///
    /// # Errors
    /// No session is started.
    async fn open(&mut self, save_path: &str, name: &str) -> Result<()>;

    /// The session is over; locks end here.
    ///
    /// # Errors
    /// Ignored, as in PHP.
    async fn close(&mut self) -> Result<()>;

    /// What is stored, and nothing where nothing is.
    ///
    /// # Errors
    /// No session is started.
    async fn read(&mut self, id: &PhpId) -> Result<Bytes>;

    /// Stores the session for so many seconds.
    ///
    /// # Errors
    /// PHP warns, and goes on.
    async fn write(&mut self, id: &PhpId, data: &Bytes, lifetime: i64) -> Result<()>;

    /// Removes the session; one that is not there is removed.
    ///
    /// # Errors
    /// PHP warns.
    async fn destroy(&mut self, id: &PhpId) -> Result<()>;

    /// Removes sessions older than so many seconds; how many, where that is known.
    ///
    /// # Errors
    /// As if the number were not known.
    async fn gc(&mut self, lifetime: i64) -> Result<Option<u64>>;

    /// A new id. Without this slot PHP makes it.
    ///
    /// # Errors
    /// There is no session.
    async fn create_sid(&mut self) -> Result<PhpId>;

    /// Whether there is a session of this id. Without this slot any id is good, and strict mode has
    /// no effect.
    ///
    /// # Errors
    /// As if there were none.
    async fn validate_sid(&mut self, id: &PhpId) -> Result<bool>;

    /// Lets the session, which has not changed, live for so many seconds. Without this slot it is
    /// written.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    async fn update_timestamp(&mut self, id: &PhpId, data: &Bytes, lifetime: i64) -> Result<()>;
}

/// The optional slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Slots {
    /// [`create_sid`](SaveHandler::create_sid)
    pub create_sid: bool,
    /// [`validate_sid`](SaveHandler::validate_sid)
    pub validate_sid: bool,
    /// [`update_timestamp`](SaveHandler::update_timestamp)
    pub update_timestamp: bool,
}

impl Slots {
    /// None of them: what `SessionHandlerInterface` alone gives.
    pub const NONE: Self = Self { create_sid: false, validate_sid: false, update_timestamp: false };
    /// All of them.
    pub const ALL: Self = Self { create_sid: true, validate_sid: true, update_timestamp: true };
}

/// How PHP names a handler in its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandlerName {
    /// A module of this name: `files`, `redis`.
    Module(&'static str),
    /// A handler of the program's own, of this class.
    User(&'static str),
}

impl HandlerName {
    /// The name of the module.
    #[must_use]
    pub const fn module(self) -> &'static str {
        match self {
            Self::Module(name) => name,
            Self::User(_) => "user",
        }
    }
}
