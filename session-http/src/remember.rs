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
/// use session_http::{forget_me, remember_me};
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
///     } else {
///         forget_me(session).await?; // as the visitor before may have wanted it
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

/// Undoes [`remember_me`]: the session lives on without activity for as long as the manager says, and
/// the cookie that goes out next is as its own setting says. Costs nothing for a session that is not
/// remembered.
///
/// A log-in keeps what the session was before, so call it at the log-in of somebody who did not tick the
/// box: on a shared computer he may not be the one who did.
///
/// # Errors
/// Those of [`Session::remove`].
pub async fn forget_me(session: &Session) -> Result<()> {
    if session.remove::<bool>(ENTRY).await?.is_some() {
        session.reset_idle_lifetime().await?;
    }
    Ok(())
}

/// Asked of a session that was read.
pub(crate) async fn is_remembered(session: &Session) -> bool {
    matches!(session.read_only().get(ENTRY).await, Ok(Some(true)))
}
