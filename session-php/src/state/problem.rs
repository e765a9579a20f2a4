//! What PHP would have said: warnings, notices and errors as data.

use std::{fmt, sync::Arc};

/// The function that PHP names in front of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Function {
    /// `ini_set()`
    IniSet,
    /// `session_start()`
    Start,
    /// `session_write_close()`, also at the end of the request.
    WriteClose,
    /// `session_abort()`
    Abort,
    /// `session_reset()`
    Reset,
    /// `session_regenerate_id()`
    RegenerateId,
    /// `session_destroy()`
    Destroy,
    /// `session_unset()`
    Unset,
    /// `session_gc()`
    Gc,
    /// `session_id()`
    Id,
    /// `session_create_id()`
    CreateId,
    /// `session_name()`
    Name,
    /// `session_encode()`
    Encode,
    /// `session_decode()`
    Decode,
}

impl Function {
    /// Its name in PHP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::IniSet => "ini_set",
            Self::Start => "session_start",
            Self::WriteClose => "session_write_close",
            Self::Abort => "session_abort",
            Self::Reset => "session_reset",
            Self::RegenerateId => "session_regenerate_id",
            Self::Destroy => "session_destroy",
            Self::Unset => "session_unset",
            Self::Gc => "session_gc",
            Self::Id => "session_id",
            Self::CreateId => "session_create_id",
            Self::Name => "session_name",
            Self::Encode => "session_encode",
            Self::Decode => "session_decode",
        }
    }
}

/// How grave it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Level {
    /// `E_NOTICE`
    Notice,
    /// `E_DEPRECATED`
    Deprecated,
    /// `E_WARNING`
    Warning,
    /// An `Error` is thrown.
    Error,
}

/// What cannot be done while a session is active, or once the headers are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Locked {
    /// Any setting.
    Settings,
    /// The id.
    Id,
    /// The name.
    Name,
}

impl Locked {
    const fn subject(self) -> &'static str {
        match self {
            Self::Settings => "Session ini settings",
            Self::Id => "Session ID",
            Self::Name => "Session name",
        }
    }
}

/// What there is to say. `Display` is PHP's text without the name of the function.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// A session is active; starting another changes nothing, and PHP returns true.
    AlreadyActive,
    /// There is no active session, which the function needs.
    NotActive(Function),
    /// The headers are sent, so no session can be started that may need a cookie.
    StartAfterHeaders,
    /// The headers are sent, so that the cookie cannot be.
    CookieAfterHeaders,
    /// The headers are sent, so that those for caches cannot be.
    LimiterAfterHeaders,
    /// The headers are sent, so that the id cannot be changed for another one.
    RegenerateAfterHeaders,
    /// Changed while a session is active.
    ChangedWhileActive(Locked),
    /// Changed after the headers were sent.
    ChangedAfterHeaders(Locked),
    /// `open` failed.
    Open(Storage),
    /// `read` failed.
    Read(Storage),
    /// `write` or `update_timestamp` failed at the end of a session.
    Write(Storage),
    /// What is stored cannot be decoded. PHP has destroyed the session.
    Decode,
    /// What is stored cannot be decoded, and was kept, as the program asked for.
    Undecoded,
    /// What is stored, or is to be, is beyond the limits of this crate, or cannot be written with
    /// the serialiser. Nothing was destroyed, nothing stored.
    BeyondLimits,
    /// `destroy` failed.
    Destroy,
    /// `destroy` failed before a new id was made.
    RegenerateDestroy(Storage),
    /// `write` failed before a new id was made.
    RegenerateWrite(Storage),
    /// `open` failed for the new id.
    RegenerateOpen(Storage),
    /// `read` failed for the new id.
    RegenerateRead(Storage),
    /// `create_sid` failed.
    CreateId(Storage),
    /// `create_sid` failed for the new id.
    RegenerateCreate(Storage),
    /// `create_sid` failed once a new id had turned out to be taken.
    RegenerateCollision(Storage),
    /// `session_create_id` found no id that is free.
    NoFreeId,
    /// The prefix has characters that ids must not have.
    Prefix,
    /// There is nothing to encode: no session was started, or it is not an array.
    NothingToEncode,
    /// The value of an option of `session_start` was refused.
    Option(String),
    /// `session.name` is a number, empty, or (8.4) has characters that break cookies.
    SettingName {
        /// The name.
        name: String,
        /// Whether PHP looks at the characters when the name is set.
        strict: bool,
    },
    /// `session.name` has characters that break cookies; no cookie was sent (before 8.4).
    CookieName,
    /// `session.cookie_lifetime` is negative.
    CookieLifetime,
    /// A partitioned cookie must be secure (8.5).
    CookiePartitioned,
    /// `session.sid_length` is not from 22 to 256.
    SidLength,
    /// `session.sid_bits_per_character` is not from 4 to 6.
    SidBits,
    /// There is no such serialiser.
    SerializeHandler(String),
    /// `session.gc_probability` is negative (8.4).
    GcProbability,
    /// `session.gc_divisor` is not positive (8.4).
    GcDivisor,
    /// Using the setting in this way is deprecated (8.4).
    Deprecated(Deprecation),
    /// A number that is not quite one. PHP names no function here.
    Quantity {
        /// The setting.
        setting: &'static str,
        /// What is wrong with the number.
        detail: String,
    },
    /// A header with a line break in it was not sent.
    HeaderLineBreak,
    /// A header with a NUL in it was not sent.
    HeaderNul,
}

/// What 8.4 deprecates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Deprecation {
    /// Another `sid_length` than 32.
    SidLength,
    /// Another `sid_bits_per_character` than 4.
    SidBits,
    /// `use_only_cookies=0`
    UseOnlyCookies,
    /// `use_trans_sid=1`
    UseTransSid,
    /// Any `referer_check`.
    RefererCheck,
}

impl Deprecation {
    const fn text(self) -> &'static str {
        match self {
            Self::SidLength => "session.sid_length INI setting is deprecated",
            Self::SidBits => "session.sid_bits_per_character INI setting is deprecated",
            Self::UseOnlyCookies => "Disabling session.use_only_cookies INI setting is deprecated",
            Self::UseTransSid => "Enabling session.use_trans_sid INI setting is deprecated",
            Self::RefererCheck => "Usage of session.referer_check INI setting is deprecated",
        }
    }
}

/// The handler and the path that a message names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Storage {
    /// The name of the module, `user` for handlers of a program's own.
    pub handler: &'static str,
    /// `session.save_path`. PHP always names it; here not when it has a `?` or `@` in it, behind which
    /// passwords stand.
    pub path: String,
    /// For a failed write under a handler of a program's own: the method, with its class where PHP
    /// knows it.
    pub method: Option<String>,
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (path: {})", self.handler, self.path)
    }
}

impl Problem {
    /// How grave it is.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self {
            Self::AlreadyActive => Level::Notice,
            Self::Deprecated(_) => Level::Deprecated,
            Self::RegenerateOpen(_)
            | Self::RegenerateRead(_)
            | Self::CreateId(_)
            | Self::RegenerateCreate(_)
            | Self::RegenerateCollision(_) => Level::Error,
            _ => Level::Warning,
        }
    }

    const fn fixed(&self) -> Option<&'static str> {
        Some(match self {
            Self::AlreadyActive => "Ignoring session_start() because a session is already active",
            Self::StartAfterHeaders => {
                "Session cannot be started after headers have already been sent"
            }
            Self::CookieAfterHeaders => {
                "Session cookie cannot be sent after headers have already been sent"
            }
            Self::LimiterAfterHeaders => {
                "Session cache limiter cannot be sent after headers have already been sent"
            }
            Self::RegenerateAfterHeaders => {
                "Session ID cannot be regenerated after headers have already been sent"
            }
            Self::Decode => "Failed to decode session object. Session has been destroyed",
            Self::Undecoded => "the stored session cannot be decoded, and was kept",
            Self::BeyondLimits => "the session is beyond the limits, and was left as it is",
            Self::Destroy => "Session object destruction failed",
            Self::NoFreeId => "Failed to create new ID",
            Self::Prefix => {
                "Prefix cannot contain special characters. Only the A-Z, a-z, 0-9, \"-\", and \",\" characters are allowed"
            }
            Self::NothingToEncode => "Cannot encode non-existent session",
            Self::CookieName => {
                "session.name cannot contain any of the following '=,;.[ \\t\\r\\n\\013\\014'"
            }
            Self::CookieLifetime => "CookieLifetime cannot be negative",
            Self::CookiePartitioned => {
                "Partitioned session cookie cannot be used without also configuring it as secure"
            }
            Self::SidLength => {
                "session.configuration \"session.sid_length\" must be between 22 and 256"
            }
            Self::SidBits => {
                "session.configuration \"session.sid_bits_per_character\" must be between 4 and 6"
            }
            Self::GcProbability => "session.gc_probability must be greater than or equal to 0",
            Self::GcDivisor => "session.gc_divisor must be greater than 0",
            Self::Deprecated(deprecation) => deprecation.text(),
            Self::HeaderLineBreak => {
                "Header may not contain more than a single header, new line detected"
            }
            Self::HeaderNul => "Header may not contain NUL bytes",
            _ => return None,
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotActive(function) => f.write_str(inactive(*function)),
            Self::ChangedWhileActive(what) => {
                write!(f, "{} cannot be changed when a session is active", what.subject())
            }
            Self::ChangedAfterHeaders(what) => {
                write!(
                    f,
                    "{} cannot be changed after headers have already been sent",
                    what.subject()
                )
            }
            Self::Open(storage) => write!(f, "Failed to initialize storage module: {storage}"),
            Self::Read(storage) => write!(f, "Failed to read session data: {storage}"),
            Self::Write(storage) => fmt_write(storage, f),
            Self::RegenerateDestroy(storage) => {
                write!(f, "Session object destruction failed. ID: {storage}")
            }
            Self::RegenerateWrite(storage) => write!(f, "Session write failed. ID: {storage}"),
            Self::RegenerateOpen(storage) => write!(f, "Failed to open session: {storage}"),
            Self::RegenerateRead(storage) => {
                write!(f, "Failed to create(read) session ID: {storage}")
            }
            Self::CreateId(storage) => write!(f, "Failed to create session ID: {storage}"),
            Self::RegenerateCreate(storage) => {
                write!(f, "Failed to create new session ID: {storage}")
            }
            Self::RegenerateCollision(storage) => {
                write!(f, "Failed to create session ID by collision: {storage}")
            }
            Self::Option(name) => write!(f, "Setting option \"{name}\" failed"),
            Self::SettingName { name, strict: false } => {
                write!(f, "session.name \"{name}\" cannot be numeric or empty")
            }
            Self::SettingName { name, strict: true } => write!(
                f,
                "session.name \"{name}\" must not be numeric, empty, contain null bytes or any of the following characters \"=,;.[ \\t\\r\\n\\013\\014\""
            ),
            Self::SerializeHandler(name) => {
                write!(f, "Serialization handler \"{name}\" cannot be found")
            }
            Self::Quantity { setting, detail } => {
                write!(f, "Invalid \"{setting}\" setting. {detail}")
            }
            fixed => f.write_str(fixed.fixed().unwrap_or_default()),
        }
    }
}

const fn inactive(function: Function) -> &'static str {
    match function {
        Function::RegenerateId => {
            "Session ID cannot be regenerated when there is no active session"
        }
        Function::Gc => "Session cannot be garbage collected when there is no active session",
        Function::Decode => "Session data cannot be decoded when there is no active session",
        _ => "Trying to destroy uninitialized session",
    }
}

fn fmt_write(storage: &Storage, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Storage { handler, path, method } = storage;
    match method {
        Some(method) => write!(
            f,
            "Failed to write session data using user defined save handler. (session.save_path: {path}, handler: {method})"
        ),
        None => write!(
            f,
            "Failed to write session data ({handler}). Please verify that the current setting of session.save_path is correct ({path})"
        ),
    }
}

/// A problem, the function that met it, and the store's error behind it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Diagnostic {
    /// The function.
    pub function: Function,
    /// The problem.
    pub problem: Problem,
    /// What the handler reported.
    pub cause: Option<Arc<session_core::Error>>,
}

/// PHP's message, with the function in front where PHP has it.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::Quantity { .. } | Problem::HeaderLineBreak | Problem::HeaderNul => {
                self.problem.fmt(f)
            }
            problem if problem.level() == Level::Error => problem.fmt(f),
            problem => write!(f, "{}(): {problem}", self.function.name()),
        }
    }
}

/// What a function of PHP's returns when something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Returned {
    /// `false`
    False,
    /// `true` all the same: PHP only warns.
    True,
    /// Nothing: an `Error` is thrown.
    Thrown,
}

/// Something was not done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Failure {
    /// What PHP's function returns.
    pub returned: Returned,
    /// What PHP says. It is also among the session's diagnostics. `None` where PHP says nothing:
    /// there is no active session.
    pub diagnostic: Option<Diagnostic>,
}

/// A result of a function of PHP's.
pub type Outcome<T = ()> = Result<T, Failure>;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.diagnostic {
            Some(diagnostic) => diagnostic.fmt(f),
            None => f.write_str("there is no active session"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let cause = self.diagnostic.as_ref()?.cause.as_deref()?;
        Some(cause)
    }
}
