//! Sessions over HTTP: the settings, and the start of a request.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use session_core::{Error, SessionManager};

use crate::{
    CacheLimiter, Diagnostics, Exchange, Headers, RequestSession, SessionCookie, SessionHeader,
    Transport,
    carriers::{Carrier, Carriers},
    diagnostics::Counters,
    events,
    exchange::Arrival,
    failure::page_of,
    presented::Refusal,
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
    carriers: Carriers,
    transport: Transport,
    save_policy: SavePolicy,
    clear_site_data: Option<HeaderValue>,
    cache_limiter: Option<CacheLimiter>,
    lock_wait: Duration,
    on_error: Option<OnError>,
    refused: Counters,
}

/// On which responses the changes of a request are saved.
///
/// It is about changes that wait for the end of the request. What a handler saved itself (`update`,
/// `lock` and `commit`, `login`, `cycle_id`, `delete`, `save`) is saved, whatever it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SavePolicy {
    /// On all but server errors (5xx) and 408, which a timeout answers when it drops the handler. A
    /// handler that fails or is cut off has not finished its work, and half of its changes are given
    /// up like those of a transaction. The default.
    #[default]
    UnlessServerError,
    /// On every response.
    Always,
}

impl SavePolicy {
    fn saves(self, status: StatusCode) -> bool {
        let is_unfinished = status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT;
        self == Self::Always || !is_unfinished
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
            carriers: Carriers::Cookie(SessionCookie::default()),
            transport: Transport::default(),
            save_policy: SavePolicy::default(),
            clear_site_data: None,
            cache_limiter: None,
            lock_wait: Duration::from_secs(10),
            on_error: None,
            refused: Counters::default(),
        })
    }

    /// The manager that opens the sessions.
    #[must_use]
    pub fn manager(&self) -> &SessionManager {
        &self.0.manager
    }

    /// How often session ids were refused, and why.
    #[must_use]
    pub fn diagnostics(&self) -> Diagnostics {
        self.0.refused.read()
    }

    /// Starts a request: reads its cookie, or header, and opens its session. No I/O.
    ///
    /// An id that is refused (malformed, ambiguous, forged, or over plain HTTP though it must not be)
    /// is [counted](Self::diagnostics) and told to the manager's audit hook, and the request goes on without a session.
    #[must_use]
    pub fn begin(&self, request_headers: &impl Headers) -> Exchange {
        let via = self.0.carriers.via(request_headers);
        let carrier = self.0.carriers.get(via);
        let is_safe = !carrier.is_secure() || self.0.transport.is_tls(request_headers);
        let token = match carrier.read(request_headers, || self.0.manager.now()) {
            Ok(Some(_)) if !is_safe => self.refuse(carrier, Refusal::PlainHttp),
            Ok(token) => token,
            Err(why) => self.refuse(carrier, why),
        };
        let is_stale = token.as_ref().is_some_and(|token| token.is_stale);
        let session = self.0.manager.open(token.map(|token| token.id));
        let session = RequestSession::new(session, self.0.lock_wait);
        Exchange::new(self.clone(), session, Arrival { via, is_safe, is_stale })
    }

    fn refuse<T>(&self, carrier: Carrier<'_>, why: Refusal) -> Option<T> {
        self.0.manager.id_refused(why.as_str());
        if let Some(times) = self.0.refused.count(why, Instant::now()) {
            events::refused(why, times, carrier.key_ring());
        }
        None
    }

    pub(crate) fn carriers(&self) -> &Carriers {
        &self.0.carriers
    }

    pub(crate) fn cache_limiter(&self) -> Option<CacheLimiter> {
        self.0.cache_limiter
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
            .field("carriers", &self.carriers)
            .field("transport", &self.transport)
            .field("save_policy", &self.save_policy)
            .field("clear_site_data", &self.clear_site_data)
            .field("cache_limiter", &self.cache_limiter)
            .field("lock_wait", &self.lock_wait)
            .field("on_error", &self.on_error.is_some())
            .finish_non_exhaustive()
    }
}

/// Sets up [`WebSessions`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct WebSessionsBuilder(Settings);

impl WebSessionsBuilder {
    /// The session cookie. Default: [`SessionCookie::default`].
    pub fn cookie(mut self, cookie: SessionCookie) -> Self {
        self.0.carriers = Carriers::Cookie(cookie);
        self
    }

    /// Carries the session id in headers and in no cookie: for APIs. Default: the cookie.
    pub fn header(mut self, header: SessionHeader) -> Self {
        self.0.carriers = Carriers::Header(header);
        self
    }

    /// Serves both pages and an API: a request that has the header is served by the header, and its
    /// cookies are not looked at; every other is served by the cookie. A client that has no id yet
    /// asks for one in the header by sending it empty (`Authorization: Bearer`). Default: the cookie
    /// only.
    ///
    /// So an id never changes from a cookie, which scripts cannot read, to a header, which they can.
    pub fn header_or_cookie(mut self, header: SessionHeader, cookie: SessionCookie) -> Self {
        self.0.carriers = Carriers::Either(header, cookie);
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

    /// What responses that depend on the session say to caches, if the handler says nothing.
    /// Default: nothing but `Vary`.
    pub const fn cache_limiter(mut self, limiter: CacheLimiter) -> Self {
        self.0.cache_limiter = Some(limiter);
        self
    }

    /// How long a request waits for the session's lock when its handler takes an
    /// [`ExclusiveSession`](crate::ExclusiveSession). After that, and at once when the store's line
    /// of waiters is full, it is answered with 503 and `Retry-After`. Default: 10 seconds.
    pub const fn lock_wait(mut self, wait: Duration) -> Self {
        self.0.lock_wait = wait;
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
