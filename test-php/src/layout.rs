//! What the cases need to know of a layout.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use session_core::SessionStore;

use crate::Result;

/// Opens our store on the sessions of a place, which [`Place::peer`] has described.
pub type OpenStore =
    fn(String) -> Pin<Box<dyn Future<Output = Result<Arc<dyn SessionStore>>> + Send>>;

/// One of the ways in which PHP keeps sessions.
#[async_trait]
pub trait Layout: fmt::Debug + Send + Sync + 'static {
    /// Its name in reports: `files`, `redis`.
    fn name(&self) -> &str;

    /// The words by which `SESSION_REQUIRE` and `SESSION_SKIP` know it, besides `php`.
    fn words(&self) -> &'static [&'static str];

    /// Why it cannot be tested here, if so.
    fn missing(&self) -> Option<String>;

    /// What PHP's side promises.
    fn promises(&self) -> Promises;

    /// A fresh place for one case, and the server that it is on.
    ///
    /// # Errors
    /// When the server cannot be started.
    async fn place(&self) -> Result<Arc<dyn Place>>;
}

/// A place for the sessions of one case. What it needs lives as long as this.
#[async_trait]
pub trait Place: fmt::Debug + Send + Sync + 'static {
    /// How PHP is set up.
    fn php(&self) -> Php;

    /// What the test program needs to open our store here.
    fn peer(&self) -> String;

    /// Makes a session so much older, as if nobody had been there for so long. Cases that need this
    /// are left out where it says `false`.
    ///
    /// # Errors
    /// When the session is not there.
    async fn age(&self, id: &str, by: Duration) -> Result<bool>;
}

/// How PHP is set up.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Php {
    /// Its settings; they come after those of every worker and win.
    pub ini: Vec<(String, String)>,
    /// Code that is run once before the first command: for handlers that are set by a function.
    pub prelude: String,
    /// Settings by which its lock ends after a second, where it ends by itself.
    pub brief: Vec<(String, String)>,
}

impl Php {
    /// With one more setting.
    #[must_use]
    pub fn ini(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.ini.push((name.to_owned(), value.to_string()));
        self
    }

    /// With a lock that ends after a second once this setting is added.
    #[must_use]
    pub fn brief(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.brief.push((name.to_owned(), value.to_string()));
        self
    }

    /// With this code before the first command.
    #[must_use]
    pub fn prelude(mut self, code: impl Into<String>) -> Self {
        self.prelude = code.into();
        self
    }
}

/// What PHP's side of a layout promises, beyond keeping sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Promises {
    /// How sessions are locked.
    pub lock: Lock,
    /// Whether a session without variables is stored.
    pub keeps_empty: bool,
    /// What `session_gc` does.
    pub gc: Gc,
    /// Whether `use_strict_mode` refuses ids that are not stored.
    pub strict: bool,
}

impl Promises {
    /// What `files` promises.
    #[must_use]
    pub const fn new(lock: Lock) -> Self {
        Self { lock, keeps_empty: true, gc: Gc::Counts, strict: true }
    }

    /// Without sessions that have no variables.
    #[must_use]
    pub const fn drops_empty(mut self) -> Self {
        self.keeps_empty = false;
        self
    }

    /// Without a `session_gc` that does anything.
    #[must_use]
    pub const fn without_gc(mut self) -> Self {
        self.gc = Gc::Nothing;
        self
    }

    /// With a `session_gc` whose work is done when the session is closed.
    #[must_use]
    pub const fn with_gc_at_close(mut self) -> Self {
        self.gc = Gc::AtClose;
        self
    }

    /// On a server that removes what has expired.
    #[must_use]
    pub const fn by_server(mut self) -> Self {
        self.gc = Gc::ByServer;
        self
    }

    /// Without a strict mode.
    #[must_use]
    pub const fn without_strict_mode(mut self) -> Self {
        self.strict = false;
        self
    }
}

/// How PHP's side locks sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lock {
    /// Not at all.
    None,
    /// PHP waits until the lock is free, and has it as long as its process or connection lives.
    Process,
    /// PHP waits for a time that its settings bound, here for long enough, and a lock ends by itself.
    Expires,
}

/// What PHP's `session_gc` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gc {
    /// It removes what has expired, and says how many.
    Counts,
    /// What has expired is removed when the session is closed.
    AtClose,
    /// Nothing.
    Nothing,
    /// Nothing, and nothing is left to either side: the server removes what has expired.
    ByServer,
}
