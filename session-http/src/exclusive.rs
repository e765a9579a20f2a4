//! The session of a request, and its exclusive mode: locked before the handler works, committed after.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use session_core::{Error, ErrorKind, LockedSession, Operation, Result, Session, SessionFacts};

/// The session of one request: a [`Session`] that can also be opened [exclusively](Self::exclusive).
///
/// Clones go on with the same one.
#[derive(Debug, Clone)]
pub struct RequestSession {
    session: Session,
    slot: Arc<Slot>,
}

impl RequestSession {
    pub(crate) fn new(session: Session, wait: Duration) -> Self {
        Self { session, slot: Arc::new(Slot { wait, held: Mutex::default() }) }
    }

    /// Takes the session's lock for the rest of the request, waiting for as long as
    /// [`lock_wait`](crate::WebSessionsBuilder::lock_wait) allows.
    ///
    /// When the handler takes the session exclusively by an extractor, this was done before it
    /// began. Call it yourself to wait for something slow first: a client's upload, for instance.
    ///
    /// # Errors
    /// Those of [`Session::lock`]; [`LockTimeout`](ErrorKind::LockTimeout) also when this request
    /// holds it already.
    pub async fn exclusive(&self) -> Result<ExclusiveSession> {
        let locked = match self.slot.take_back() {
            Some(locked) => locked,
            None => Box::new(self.session.lock(self.slot.wait).await?),
        };
        *self.slot.held() = Held::ByHandler;
        Ok(ExclusiveSession { locked: Some(locked), request: self.clone() })
    }

    /// The handle itself.
    #[must_use]
    pub fn into_inner(self) -> Session {
        self.session
    }

    /// Saves what the handler did in exclusive mode, or gives it up, and unlocks.
    pub(crate) async fn settle(&self, keeps: bool) -> Result<()> {
        let locked = self.slot.take_back();
        match locked {
            Some(locked) if keeps => locked.commit().await,
            Some(locked) => locked.rollback().await,
            None if keeps && matches!(*self.slot.held(), Held::ByHandler) => Err(still_held()),
            None => Ok(()),
        }
    }
}

impl Deref for RequestSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

/// Where the lock is while the request lasts.
struct Slot {
    wait: Duration,
    held: Mutex<Held>,
}

#[derive(Default)]
enum Held {
    #[default]
    Nowhere,
    ByHandler,
    /// The handler is done.
    Back(Box<LockedSession>),
}

impl Slot {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_back(&self) -> Option<Box<LockedSession>> {
        let mut held = self.held();
        if !matches!(*held, Held::Back(_)) {
            return None;
        }
        match std::mem::take(&mut *held) {
            Held::Back(locked) => Some(locked),
            _ => None,
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("wait", &self.wait).finish_non_exhaustive()
    }
}

/// A session that the handler has to itself, as PHP's sessions are during a request.
///
/// It is the [`LockedSession`] it derefs to, whose `get` and `insert` work in memory. What differs is
/// its end: when the handler drops it, which it does by returning, the changes are saved and the lock
/// is given up before the response is sent, in one round trip; or they are given up, as
/// [`SavePolicy`](crate::SavePolicy) says of the response's status. A handler that panics gives
/// them up.
///
/// A response that is streamed must not take the lock along: call [`commit`](Self::commit) before.
/// One that does is an error, and nothing is saved.
///
/// Until it was committed, every change of the session has to go through it: an update, a log-in or
/// a rotation by the other handles of the same request waits for the lock like everybody's, and
/// fails. Middleware that comes after the handler takes it again by [`RequestSession::exclusive`].
pub struct ExclusiveSession {
    /// None once it was committed.
    locked: Option<Box<LockedSession>>,
    request: RequestSession,
}

impl ExclusiveSession {
    /// Saves the changes and unlocks now, in one round trip: others need not wait until the
    /// response was sent.
    ///
    /// # Errors
    /// Those of [`LockedSession::commit`]. The session is unlocked in any case.
    pub async fn commit(mut self) -> Result<()> {
        match self.let_go() {
            Some(locked) => locked.commit().await,
            None => Ok(()),
        }
    }

    /// Gives the changes up and unlocks now.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn rollback(mut self) -> Result<()> {
        match self.let_go() {
            Some(locked) => locked.rollback().await,
            None => Ok(()),
        }
    }

    /// When the session began, and how long it lives; `None` when it has not been saved yet.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn facts(&self) -> Result<Option<SessionFacts>> {
        self.request.session.facts().await
    }

    fn let_go(&mut self) -> Option<Box<LockedSession>> {
        let locked = self.locked.take();
        if locked.is_some() {
            *self.request.slot.held() = Held::Nowhere;
        }
        locked
    }
}

impl Drop for ExclusiveSession {
    fn drop(&mut self) {
        if thread::panicking() {
            drop(self.let_go());
        } else if let Some(locked) = self.locked.take() {
            *self.request.slot.held() = Held::Back(locked);
        }
    }
}

const HELD: &str = "it is there until `commit`, `rollback` or `drop` takes the value itself";

#[expect(clippy::expect_used, reason = "the three that take it away leave nobody to ask")]
impl Deref for ExclusiveSession {
    type Target = LockedSession;

    fn deref(&self) -> &LockedSession {
        self.locked.as_ref().expect(HELD)
    }
}

#[expect(clippy::expect_used, reason = "the three that take it away leave nobody to ask")]
impl DerefMut for ExclusiveSession {
    fn deref_mut(&mut self) -> &mut LockedSession {
        self.locked.as_mut().expect(HELD)
    }
}

impl fmt::Debug for ExclusiveSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ExclusiveSession").field(&self.locked).finish()
    }
}

fn still_held() -> Error {
    Error::new(ErrorKind::Config, "http", Operation::Save)
        .with_detail("the response took the exclusive session along: commit it before")
}
