//! "Remember me": a session that outlives the browser's, and long pauses.

use std::time::Duration;

use session_core::{Result, Session};

/// The entry that marks a remembered session.
const ENTRY: &str = "_remember";

/// Remembers this session: it lives on without activity for `idle`, and its cookie is kept when the
/// browser is closed, whatever the cookie's own setting. Call it at the log-in, when the visitor
/// ticked the box.
///
/// The cookie's `Max-Age` is what is left of the session, and is renewed whenever its life is
/// extended. The absolute deadline stays: set the manager's [`Lifetime`] to what remembered sessions
/// may live for, and the idle lifetime to that of the others.
///
/// ```
/// # use session_core::{Lifetime, MemoryStore, Result, Session, SessionManager};
/// use session_http::remember_me;
/// # use std::time::Duration;
///
/// const DAY: Duration = Duration::from_secs(24 * 60 * 60);
///
/// # fn settings() -> Result<SessionManager> {
/// let manager = SessionManager::builder(MemoryStore::new())
///     .lifetime(Lifetime::new(DAY / 48, Some(DAY * 30)))
///     .build()?;
/// # Ok(manager)
/// # }
/// async fn log_in(session: &Session, user: &str, box_ticked: bool) -> Result<()> {
///     session.login(user).await?;
///     if box_ticked {
///         remember_me(session, DAY * 14).await?;
///     }
///     Ok(())
/// }
/// ```
///
/// Where much is at stake, ask for the password again when
/// [`authenticated_at`](session_core::SessionFacts::authenticated_at) is long ago.
///
/// [`Lifetime`]: session_core::Lifetime
///
/// # Errors
/// Those of [`Session::insert`].
pub async fn remember_me(session: &Session, idle: Duration) -> Result<()> {
    session.set_idle_lifetime(idle).await?;
    session.insert(ENTRY, true).await
}

/// Asked of a session that was read.
pub(crate) async fn is_remembered(session: &Session) -> bool {
    matches!(session.read_only().get(ENTRY).await, Ok(Some(true)))
}
