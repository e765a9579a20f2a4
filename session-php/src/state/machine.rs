//! One request's session, and what is not about starting or ending it.

use std::{fmt, sync::Arc};

use session_core::{Clock, SystemClock};

use super::{
    Diagnostic, Failure, Function, HandlerName, Locked, Outcome, PhpId, Problem, Random, Request,
    Returned, SaveHandler, Storage, SystemRandom, headers::Headers, id::create_id,
};
use crate::{
    ErrorKind, SerializeHandler, SessionData, Settings,
    settings::{PhpVersion, Stage},
};

/// `session_status()`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// `PHP_SESSION_NONE`
    None,
    /// `PHP_SESSION_ACTIVE`
    Active,
}

/// What happens to a session that cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Undecodable {
    /// It is destroyed, as PHP does.
    #[default]
    Destroy,
    /// It is kept, and the start fails: for a peer whose setting `serialize_handler` may turn out
    /// to be another than PHP's.
    Keep,
}

/// The session of one request, with the functions of PHP's.
///
/// Call [`shutdown`](Self::shutdown) at the end of the request, as PHP does: what was changed is
/// stored there. A session that is dropped instead is not stored, and its lock ends by itself.
pub struct PhpSession<H> {
    pub(super) handler: H,
    pub(super) settings: Settings,
    pub(super) request: Request,
    pub(super) status: Status,
    pub(super) id: Option<PhpId>,
    pub(super) variables: Superglobal,
    /// What was read, to see whether the session has changed.
    pub(super) original: Option<bytes::Bytes>,
    /// Between `open` and `close`.
    pub(super) is_open: bool,
    pub(super) send_cookie: bool,
    pub(super) define_sid: bool,
    pub(super) sid: Option<PhpId>,
    /// PHP forgets the class of the handler when a session is destroyed.
    pub(super) knows_class: bool,
    pub(super) headers: Headers,
    pub(super) headers_sent: bool,
    pub(super) undecodable: Undecodable,
    pub(super) random: Box<dyn Random>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) function: Function,
    diagnostics: Vec<Diagnostic>,
}

/// What was read, ids and settings may be secrets.
impl<H: fmt::Debug> fmt::Debug for PhpSession<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PhpSession")
            .field("handler", &self.handler)
            .field("status", &self.status)
            .field("variables", &self.variables)
            .finish_non_exhaustive()
    }
}

/// `$_SESSION`, and whether the session still has to do with it.
#[derive(Debug)]
pub(super) enum Superglobal {
    /// No session was started yet.
    Undefined,
    /// The session's.
    Array(SessionData),
    /// `php_serialize` can store what is not an array; PHP stores nothing of it again.
    Other,
    /// What is left of a session that was destroyed.
    Left(SessionData),
}

impl<H: SaveHandler> PhpSession<H> {
    /// The session of a request, not started yet.
    #[must_use]
    pub fn new(handler: H, settings: Settings, request: Request) -> Self {
        Self {
            handler,
            settings,
            request,
            status: Status::None,
            id: None,
            variables: Superglobal::Undefined,
            original: None,
            is_open: false,
            send_cookie: false,
            define_sid: true,
            sid: None,
            knows_class: true,
            headers: Headers::default(),
            headers_sent: false,
            undecodable: Undecodable::default(),
            random: Box::new(SystemRandom),
            clock: Arc::new(SystemClock::default()),
            function: Function::Start,
            diagnostics: Vec::new(),
        }
    }

    /// With another source of random bytes.
    #[must_use]
    pub fn with_random(mut self, random: impl Random + 'static) -> Self {
        self.random = Box::new(random);
        self
    }

    /// With another clock, for what headers say of the time.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// With another treatment of sessions that cannot be decoded.
    #[must_use]
    pub const fn with_undecodable(mut self, undecodable: Undecodable) -> Self {
        self.undecodable = undecodable;
        self
    }

    /// `session_status()`
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// The id; `session_id()` gives an empty text instead of nothing.
    #[must_use]
    pub const fn id(&self) -> Option<&PhpId> {
        self.id.as_ref()
    }

    /// `session_name()`
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// The constant `SID`: `name=id` where the id did not come with a cookie and may come with
    /// something else, and empty otherwise. It is a secret as the id is.
    #[must_use]
    pub fn sid(&self) -> Option<&[u8]> {
        self.sid.as_ref().map(PhpId::expose)
    }

    /// The settings as they are now.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The handler.
    #[must_use]
    pub const fn handler(&self) -> &H {
        &self.handler
    }

    /// `$_SESSION`: none before a session was started, and where what was stored is not an array.
    /// It outlives the session.
    #[must_use]
    pub const fn data(&self) -> Option<&SessionData> {
        match &self.variables {
            Superglobal::Array(data) | Superglobal::Left(data) => Some(data),
            Superglobal::Undefined | Superglobal::Other => None,
        }
    }

    /// `$_SESSION`, to change it.
    #[must_use]
    pub const fn data_mut(&mut self) -> Option<&mut SessionData> {
        match &mut self.variables {
            Superglobal::Array(data) | Superglobal::Left(data) => Some(data),
            Superglobal::Undefined | Superglobal::Other => None,
        }
    }

    /// The headers for the response, in their order. `Set-Cookie` is added to what the response has,
    /// the others replace it.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter()
    }

    /// From now on headers come too late, as `headers_sent()` says.
    pub const fn headers_were_sent(&mut self) {
        self.headers_sent = true;
    }

    /// What PHP would have said since this was last called.
    pub fn take_diagnostics(&mut self) -> Vec<Diagnostic> {
        std::mem::take(&mut self.diagnostics)
    }

    /// `session_id($id)`
    ///
    /// # Errors
    /// While a session is active, and with cookies after the headers were sent.
    pub fn set_id(&mut self, id: impl AsRef<[u8]>) -> Outcome {
        self.function = Function::Id;
        if self.status == Status::Active {
            return self.refuse(Problem::ChangedWhileActive(Locked::Id));
        }
        if self.settings.use_cookies && self.headers_sent {
            return self.refuse(Problem::ChangedAfterHeaders(Locked::Id));
        }
        self.id = Some(PhpId::new(id));
        Ok(())
    }

    /// `session_name($name)`
    ///
    /// # Errors
    /// While a session is active, and after the headers were sent. A name that PHP does not take is
    /// only warned of, and the name stays.
    pub fn set_name(&mut self, name: &str) -> Outcome {
        self.function = Function::Name;
        if self.status == Status::Active {
            return self.refuse(Problem::ChangedWhileActive(Locked::Name));
        }
        if self.headers_sent {
            return self.refuse(Problem::ChangedAfterHeaders(Locked::Name));
        }
        self.change_setting("session.name", name);
        Ok(())
    }

    /// `ini_set($name, $value)`
    ///
    /// # Errors
    /// While a session is active, after the headers were sent, and for what PHP does not take.
    pub fn ini_set(&mut self, name: &str, value: &str) -> Outcome {
        self.function = Function::IniSet;
        let before = self.diagnostics.len();
        if self.change_setting(name, value) {
            return Ok(());
        }
        let diagnostic = self.diagnostics.get(before..).and_then(<[_]>::last).cloned();
        Err(Failure { returned: Returned::False, diagnostic })
    }

    pub(super) fn change_setting(&mut self, name: &str, value: &str) -> bool {
        let mut changed = self.settings.clone();
        let outcome = changed.set(Stage::Runtime, name, value);
        let is_known = outcome.as_ref().err().is_none_or(|refused| !refused.problems.is_empty());
        if is_known && self.status == Status::Active {
            self.say(Problem::ChangedWhileActive(Locked::Settings));
            return false;
        }
        if is_known && self.headers_sent {
            self.say(Problem::ChangedAfterHeaders(Locked::Settings));
            return false;
        }
        let (taken, problems) = match outcome {
            Ok(problems) => (true, problems),
            Err(refused) => (false, refused.problems),
        };
        if taken {
            self.settings = changed;
        }
        problems.into_iter().for_each(|problem| self.say(problem));
        taken
    }

    /// `session_encode()`
    ///
    /// # Errors
    /// There is nothing to encode: no session was started. PHP also returns false, and says nothing, for an
    /// empty session with `php` and `php_binary` (before 8.6).
    pub fn encode(&mut self) -> Outcome<bytes::Bytes> {
        self.function = Function::Encode;
        let Superglobal::Array(data) = &self.variables else {
            return self.refuse(Problem::NothingToEncode);
        };
        match encoded(data, self.settings.serialize_handler) {
            Err(_) => self.refuse(Problem::BeyondLimits),
            Ok(bytes) if bytes.is_empty() && self.settings.version < PhpVersion::V8_6 => {
                Err(Failure { returned: Returned::False, diagnostic: None })
            }
            Ok(bytes) => Ok(bytes),
        }
    }

    /// `session_unset()`
    ///
    /// # Errors
    /// There is no active session.
    pub fn unset(&mut self) -> Outcome {
        self.function = Function::Unset;
        self.must_be_active()?;
        self.clear();
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        if let Superglobal::Array(data) = &mut self.variables {
            data.clear();
        }
    }

    /// PHP says nothing.
    pub(super) const fn must_be_active(&self) -> Outcome {
        match self.status {
            Status::Active => Ok(()),
            Status::None => Err(Failure { returned: Returned::False, diagnostic: None }),
        }
    }

    pub(super) async fn new_id(&mut self) -> session_core::Result<PhpId> {
        if self.handler.slots().create_sid {
            return self.handler.create_sid().await;
        }
        self.own_id()
    }

    pub(super) fn own_id(&mut self) -> session_core::Result<PhpId> {
        let Settings { sid_length, sid_bits_per_character, .. } = self.settings;
        create_id(self.random.as_mut(), sid_length, sid_bits_per_character)
    }

    pub(super) async fn close(&mut self) {
        if self.is_open {
            self.is_open = false;
            // PHP ignores it as well.
            self.handler.close().await.ok();
        }
    }

    pub(super) fn storage(&self) -> Storage {
        let path = match self.settings.save_path.contains(['?', '@']) {
            true => "hidden".to_owned(),
            false => self.settings.save_path.clone(),
        };
        Storage { handler: self.handler.name().module(), path, method: None }
    }

    /// The storage, and the method of a handler of the program's own that could not write.
    pub(super) fn storage_for_write(&self, method: &'static str, plain: &str) -> Storage {
        let method = match self.handler.name() {
            HandlerName::Module(_) => None,
            HandlerName::User(class) if self.knows_class => Some(format!("{class}::{method}")),
            HandlerName::User(_) => Some(plain.to_owned()),
        };
        Storage { method, ..self.storage() }
    }

    pub(super) fn say(&mut self, problem: Problem) {
        self.say_because(problem, None);
    }

    pub(super) fn say_because(
        &mut self,
        problem: Problem,
        cause: Option<session_core::Error>,
    ) -> Diagnostic {
        let cause = cause.map(Arc::new);
        let diagnostic = Diagnostic { function: self.function, problem, cause };
        self.diagnostics.push(diagnostic.clone());
        diagnostic
    }

    pub(super) fn refuse<T>(&mut self, problem: Problem) -> Outcome<T> {
        Err(self.failure(problem, None))
    }

    pub(super) fn failure(
        &mut self,
        problem: Problem,
        cause: Option<session_core::Error>,
    ) -> Failure {
        let returned = match problem.level() {
            super::Level::Error => Returned::Thrown,
            _ => Returned::False,
        };
        let diagnostic = Some(self.say_because(problem, cause));
        Failure { returned, diagnostic }
    }
}

/// What is stored of the variables.
pub(super) fn encoded(
    data: &SessionData,
    handler: SerializeHandler,
) -> Result<bytes::Bytes, ErrorKind> {
    let bytes = match data.handler() == handler {
        true => data.encode(),
        false => data.rewritten(handler).and_then(|data| data.encode()),
    };
    bytes.map_err(|error| error.kind())
}
