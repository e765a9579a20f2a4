//! The session of a request, and its exclusive mode: locked before the handler works, committed after.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use session_core::{Error, ErrorKind, LockedSession, Operation, Result, Session};

use crate::events;

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
        self.slot.is_now(Held::ByHandler);
        Ok(ExclusiveSession { locked: Some(locked), request: self.clone() })
    }

    /// The handle itself.
    #[must_use]
    pub fn into_inner(self) -> Session {
        self.session
    }

    /// Saves what the handler did in exclusive mode, or gives it up, and unlocks.
    pub(crate) async fn settle(&self, keeps: bool) -> Result<()> {
        let held = std::mem::replace(&mut *self.slot.held(), Held::Over);
        match held {
            Held::Back(locked) => Box::pin(end(*locked, keeps)).await,
            Held::ByHandler if keeps => Err(still_held()),
            _ => Ok(()),
        }
    }
}

async fn end(locked: LockedSession, keeps: bool) -> Result<()> {
    if locked.is_ended().await {
        Ok(())
    } else if keeps {
        locked.commit().await
    } else {
        locked.rollback().await
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
    /// The response is finished: nobody commits any more what comes back.
    Over,
}

impl Slot {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes where the lock is, unless the request is over.
    fn is_now(&self, place: Held) {
        let mut held = self.held();
        if !matches!(*held, Held::Over) {
            *held = place;
        }
    }

    fn give_back(&self, locked: Box<LockedSession>) {
        let mut held = self.held();
        if matches!(*held, Held::Over) {
            drop(held);
            events::let_go_late();
        } else {
            *held = Held::Back(locked);
        }
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
/// them up. One that is cancelled counts as one that returned: what becomes of its changes is decided by
/// the status that is answered in its place, and the default policy gives them up for 408 and 5xx.
///
/// [`delete`](LockedSession::delete) ends the session; then there is nothing to save.
///
/// A response that is streamed must not take the lock along: call [`commit`](Self::commit) before.
/// One that does is an error, and nothing is saved. So is nothing of one that was taken when the
/// response was finished already, by a task that goes on, unless it is committed.
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

    fn let_go(&mut self) -> Option<Box<LockedSession>> {
        let locked = self.locked.take();
        if locked.is_some() {
            self.request.slot.is_now(Held::Nowhere);
        }
        locked
    }
}

impl Drop for ExclusiveSession {
    fn drop(&mut self) {
        if thread::panicking() {
            drop(self.let_go());
        } else if let Some(locked) = self.locked.take() {
            self.request.slot.give_back(locked);
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
