//! Sessions over HTTP: the settings, and the start of a request.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use session_core::{Error, SessionManager};

use crate::{
    Exchange, SessionCookie, Transport, events,
    failure::page_of,
    presented::{Presented, Refusal},
};

/// The sessions of a web application: a [`SessionManager`], a cookie, and policies.
///
/// The adapters of the web frameworks are made of one. A clone is a handle to the same.
///
/// ```
/// use session_core::{MemoryStore, SessionManager};
/// use session_http::{SessionCookie, WebSessions};
///
/// # fn main() -> session_core::Result<()> {
/// let manager = SessionManager::new(MemoryStore::new())?;
/// let sessions = WebSessions::builder(manager)
///     .cookie(SessionCookie::builder().name("__Host-shop").build()?)
///     .on_error(|_, response| *response.body_mut() = "Back in a moment.".into())
///     .build();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct WebSessions(Arc<Settings>);

type OnError = Box<dyn Fn(&Error, &mut Response<Bytes>) + Send + Sync>;

struct Settings {
    manager: SessionManager,
    cookie: SessionCookie,
    transport: Transport,
    save_policy: SavePolicy,
    clear_site_data: Option<HeaderValue>,
    on_error: Option<OnError>,
}

/// On which responses the changes of a request are saved.
///
/// It is about changes that wait for the end of the request. What a handler saved itself (`update`,
/// `lock` and `commit`, `login`, `cycle_id`, `delete`, `save`) is saved, whatever it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SavePolicy {
    /// On all but server errors (5xx). A handler that fails has not finished its work, and half of
    /// its changes are given up like those of a transaction. The default.
    #[default]
    UnlessServerError,
    /// On every response.
    Always,
}

impl SavePolicy {
    fn saves(self, status: StatusCode) -> bool {
        self == Self::Always || !status.is_server_error()
    }
}

/// What [`WebSessionsBuilder::clear_site_data`] makes the browser forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SiteData {
    /// Cached responses of this origin.
    Cache,
    /// All cookies of the registrable domain, those of its other hosts included.
    Cookies,
    /// Local storage, databases, service workers of this origin.
    Storage,
}

impl SiteData {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Cache => "\"cache\"",
            Self::Cookies => "\"cookies\"",
            Self::Storage => "\"storage\"",
        }
    }
}

impl WebSessions {
    /// Sessions with the default cookie and policies; see [`WebSessionsBuilder`] for each.
    #[must_use]
    pub fn new(manager: SessionManager) -> Self {
        Self::builder(manager).build()
    }

    /// Sessions with settings of your own.
    pub fn builder(manager: SessionManager) -> WebSessionsBuilder {
        WebSessionsBuilder(Settings {
            manager,
            cookie: SessionCookie::default(),
            transport: Transport::default(),
            save_policy: SavePolicy::default(),
            clear_site_data: None,
            on_error: None,
        })
    }

    /// The manager that opens the sessions.
    #[must_use]
    pub fn manager(&self) -> &SessionManager {
        &self.0.manager
    }

    /// Starts a request: reads its cookies and opens its session. No I/O.
    ///
    /// A cookie that is refused (malformed, ambiguous, or over plain HTTP though `Secure`) is an
    /// event, and the request goes on without a session.
    #[must_use]
    pub fn begin(&self, request_headers: &HeaderMap) -> Exchange {
        let is_safe = !self.cookie().is_secure() || self.0.transport.is_tls(request_headers);
        let id = match Presented::read(self.cookie(), request_headers) {
            Presented::Nothing => None,
            Presented::Id(id) if is_safe => Some(id),
            Presented::Id(_) => refused(Refusal::PlainHttp),
            Presented::Refused(why) => refused(why),
        };
        Exchange::new(self.clone(), self.0.manager.open(id), is_safe)
    }

    pub(crate) fn cookie(&self) -> &SessionCookie {
        &self.0.cookie
    }

    pub(crate) fn saves(&self, status: StatusCode) -> bool {
        self.0.save_policy.saves(status)
    }

    pub(crate) fn clear_site_data(&self) -> Option<&HeaderValue> {
        self.0.clear_site_data.as_ref()
    }

    /// The page that answers a failure, after the hook had its say.
    pub(crate) fn page(&self, error: &Error) -> Response<Bytes> {
        events::failed(error);
        let mut response = page_of(error);
        if let Some(on_error) = &self.0.on_error {
            on_error(error, &mut response);
        }
        response
    }
}

fn refused<T>(why: Refusal) -> Option<T> {
    events::cookie_refused(why);
    None
}

impl From<SessionManager> for WebSessions {
    fn from(manager: SessionManager) -> Self {
        Self::new(manager)
    }
}

impl fmt::Debug for WebSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSessions")
            .field("manager", &self.manager)
            .field("cookie", &self.cookie)
            .field("transport", &self.transport)
            .field("save_policy", &self.save_policy)
            .field("clear_site_data", &self.clear_site_data)
            .field("on_error", &self.on_error.is_some())
            .finish()
    }
}

/// Sets up [`WebSessions`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct WebSessionsBuilder(Settings);

impl WebSessionsBuilder {
    /// The session cookie. Default: [`SessionCookie::default`].
    pub fn cookie(mut self, cookie: SessionCookie) -> Self {
        self.0.cookie = cookie;
        self
    }

    /// How the application knows that a request came over TLS. Default:
    /// [`Transport::AlwaysTls`].
    pub fn transport(mut self, transport: Transport) -> Self {
        self.0.transport = transport;
        self
    }

    /// On which responses changes are saved. Default: [`SavePolicy::UnlessServerError`].
    pub const fn save_policy(mut self, policy: SavePolicy) -> Self {
        self.0.save_policy = policy;
        self
    }

    /// Sends `Clear-Site-Data` when a session is ended, so that the browser also forgets what it
    /// keeps besides the session cookie. Default: not sent.
    pub fn clear_site_data(mut self, data: &[SiteData]) -> Self {
        let list: Vec<&str> = data.iter().map(|data| data.as_str()).collect();
        // The list is of the names above, so it always makes a header.
        self.0.clear_site_data = HeaderValue::try_from(list.join(", ")).ok();
        self
    }

    /// Changes the response that answers a session error: its body, its headers, its status.
    ///
    /// It comes with the status of [`status_of`](crate::status_of), `Cache-Control: no-store` and a
    /// plain sentence. Show visitors nothing of the error; it is logged already.
    pub fn on_error(
        mut self,
        hook: impl Fn(&Error, &mut Response<Bytes>) + Send + Sync + 'static,
    ) -> Self {
        self.0.on_error = Some(Box::new(hook));
        self
    }

    /// The sessions.
    #[must_use]
    pub fn build(self) -> WebSessions {
        WebSessions(Arc::new(self.0))
    }
}
