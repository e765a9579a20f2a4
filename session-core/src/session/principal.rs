//! The sessions of a principal: seen, and ended, one or all.

mod walk;

use std::{cmp::Reverse, fmt, time::Duration};

use tokio::time::Instant;

use self::walk::handle_of;
use super::{
    Session,
    events::SessionEvent,
    load::{Found, gone},
    lock::Hold,
    manager::SessionManager,
    state::Phase,
};
use crate::{
    ClientHint, Document, EpochCheck, Error, ErrorKind, Expected, Header, Incarnation, Key, LogId,
    Meta, OpToken, Operation, PrincipalDigest, PrincipalIndex, Result, SessionHandle, Then,
    Timestamp, Ttl, Write,
};

/// The sessions of one principal, over all of his devices.
///
/// Made by [`SessionManager::sessions_of`] or [`Session::principal_sessions`]. Whatever is named here
/// by a [`SessionHandle`] is looked for among this principal's sessions only.
#[derive(Clone)]
pub struct PrincipalSessions {
    manager: SessionManager,
    principal: PrincipalDigest,
}

/// What a principal is shown of one of his sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its name, for [`PrincipalSessions::revoke`].
    pub handle: SessionHandle,
    /// Whether it is the one that the list was asked for by.
    pub is_current: bool,
    /// When it began.
    pub created_at: Timestamp,
    /// When the principal last showed in it who he is.
    pub authenticated_at: Option<Timestamp>,
    /// When it was last used; or up to [`last_used_within`](Self::last_used_within) later.
    pub last_used: Timestamp,
    /// How exact that is. A session's life is extended only after a part of it has passed
    /// ([`SessionManagerBuilder::touch_after`](crate::SessionManagerBuilder::touch_after), by default
    /// a tenth of the idle lifetime), and what is read from it is how long it still lives. A session
    /// that its absolute deadline will end, or that never expires, tells less; requests that only
    /// look at the session count for nothing.
    pub last_used_within: Duration,
    /// What the application said of the client at the log-in. It is the client's word: escape it.
    pub client: Option<ClientHint>,
}

/// A session as it was read.
pub(super) struct Theirs {
    pub(super) key: Key,
    pub(super) handle: SessionHandle,
    incarnation: Incarnation,
    meta: Meta,
    /// None, when the record cannot be read: then it can only be ended.
    header: Option<Header>,
    remaining: Ttl,
}

/// By which the oldest of several sessions comes first, and no two are equal.
pub(super) fn age(theirs: &Theirs) -> (Option<Timestamp>, SessionHandle) {
    let at = theirs.header.as_ref().and_then(|header| header.authenticated_at);
    (at, theirs.handle)
}

impl SessionManager {
    /// The sessions of a principal.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) when the store has no index of principals.
    pub fn sessions_of(&self, principal: &str) -> Result<PrincipalSessions> {
        PrincipalSessions::new(self, self.key_hasher().principal(principal))
    }

    fn index(&self) -> Result<&dyn PrincipalIndex> {
        self.backend().principal_index().ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "session", Operation::Index)
                .with_detail("the store has no index of principals")
        })
    }
}

impl PrincipalSessions {
    pub(super) fn new(manager: &SessionManager, principal: PrincipalDigest) -> Result<Self> {
        manager.index()?;
        Ok(Self { manager: manager.clone(), principal })
    }

    /// The principal's live sessions, the one that was authenticated last first; `at_most` so many
    /// (ask for one more than is shown to know whether there are more). `current` is marked.
    ///
    /// It costs one read for each session, a few at a time. A session whose record cannot be read is
    /// left out and told of; one whose id is being rotated this very moment may be missing.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn list(
        &self,
        at_most: usize,
        current: Option<&Session>,
    ) -> Result<Vec<SessionInfo>> {
        let current = match current {
            Some(session) => session.own_handle().await?,
            None => None,
        };
        let mut sessions = self.distinct(at_most).await?;
        sessions.sort_by_key(|theirs| Reverse(age(theirs)));
        Ok(sessions.iter().filter_map(|theirs| self.info(theirs, current)).collect())
    }

    /// Ends the session of this name, whoever changes or holds it, like a log-out in it would.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when the principal has no session of this name (any more);
    /// and those of the transport.
    pub async fn revoke(&self, handle: &SessionHandle) -> Result<()> {
        // A rotation may hide a session from one walk, by moving it to where the walk has been.
        for _ in 0..2 {
            let mut ended = false;
            for theirs in self.all(usize::MAX).await?.iter().filter(|it| it.handle == *handle) {
                ended |= self.end(theirs, SessionEvent::Destroyed).await?;
            }
            if ended {
                return Ok(());
            }
        }
        Err(Error::new(ErrorKind::NotFound, "session", Operation::Index)
            .with_detail("the principal has no session of this name"))
    }

    /// Ends all sessions of the principal, and returns how many it found. No session that was
    /// authenticated by a log-in that had begun before is left when this returns, and none comes
    /// of a log-in that is under way.
    ///
    /// What the store's index has lost track of is not found; it is refused nonetheless where
    /// sessions are checked ([`EpochCheck::EachLoad`](crate::EpochCheck::EachLoad)). On a store that
    /// lists none ([`Capabilities::listing`](crate::Capabilities::listing)) the check is all there is.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) when the store lists no sessions and they are not
    /// checked either; nothing is done then. And those of the transport. Some sessions may have been
    /// ended then; call it again.
    pub async fn revoke_all(&self) -> Result<usize> {
        let epoch = self.revoking()?.bump_epoch(&self.principal).await?;
        self.end_before(epoch).await
    }

    /// Ends all sessions of the principal but `current`, like [`revoke_all`](Self::revoke_all).
    ///
    /// Not while this request holds the lock of `current`: it would wait for itself.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when `current` is not one of the principal's; nothing is
    /// ended then. And those of `revoke_all`.
    pub async fn revoke_others(&self, current: &Session) -> Result<usize> {
        let index = self.revoking()?;
        let key = current.key_as(self.principal).await?;
        let epoch = index.bump_epoch(&self.principal).await?;
        self.except(key, epoch, current.commit_deadline()).await?;
        self.end_before(epoch).await
    }

    /// Ends a session that is still the principal's; `false` when it had ended before.
    pub(super) async fn end(
        &self,
        theirs: &Theirs,
        event: impl FnOnce(LogId) -> SessionEvent + Send,
    ) -> Result<bool> {
        self.end_if(theirs, event, |_| true).await
    }

    async fn end_if(
        &self,
        theirs: &Theirs,
        event: impl FnOnce(LogId) -> SessionEvent + Send,
        is_meant: impl Fn(&Meta) -> bool + Send + Sync,
    ) -> Result<bool> {
        let principal = self.principal;
        let (key, known) = (theirs.key.clone(), Some(theirs.incarnation));
        let is_meant = |meta: &Meta| meta.principal == Some(principal) && is_meant(meta);
        let ended = self.manager.end_if(key, known, is_meant).await?;
        if let Some(key) = &ended {
            self.manager.tell(event, key);
        }
        Ok(ended.is_some())
    }

    /// The index, if with it sessions can be ended or at least refused.
    fn revoking(&self) -> Result<&dyn PrincipalIndex> {
        let checked = self.manager.settings().epoch_check == EpochCheck::EachLoad;
        if !checked && !self.are_listed() {
            return Err(Error::new(ErrorKind::Unsupported, "session", Operation::Index)
                .with_detail("the store lists no sessions, and their epochs are not checked"));
        }
        self.manager.index()
    }

    fn are_listed(&self) -> bool {
        self.manager.backend().capabilities().listing.is_yes()
    }

    /// Ends the sessions that were authenticated in an earlier epoch, as far as they are listed.
    async fn end_before(&self, epoch: u64) -> Result<usize> {
        if !self.are_listed() {
            return Ok(0);
        }
        let is_meant = |meta: &Meta| meta.epoch < epoch;
        let mut ended = 0;
        for theirs in self.all(usize::MAX).await?.iter().filter(|it| is_meant(&it.meta)) {
            ended += usize::from(self.end_if(theirs, SessionEvent::Destroyed, is_meant).await?);
        }
        Ok(ended)
    }

    /// Makes a session an exception of the revocation that led to `epoch`: its record is saved as it
    /// is, but for the epoch.
    async fn except(&self, mut key: Key, epoch: u64, deadline: Instant) -> Result<()> {
        let mut held: Option<(Key, Hold)> = None;
        loop {
            let Found::Live(found) = self.manager.trace(&key).await? else {
                return Err(gone(Operation::Save));
            };
            if found.meta.principal != Some(self.principal) {
                return Err(gone(Operation::Save));
            }
            let (revision, ttl) = (found.place.revision, found.place.remaining());
            key = found.place.key;
            let epoch = epoch.max(found.meta.epoch);
            let meta = found.meta.with_principal(Some(self.principal), epoch);
            let document = Document::from_parts(found.header, found.entries);
            let payload = self.manager.format().encode(&document)?;
            let write = Write::new(payload, ttl).with_meta(meta);
            let lease = held.as_ref().filter(|(of, _)| *of == key).map(|(_, hold)| hold.lease());
            let then = Then::Release;
            let expected = lease.map_or(Expected::Revision(revision), |lease| Expected::Lease {
                lease,
                revision,
                then,
            });
            match self.manager.save(&key, write, expected, OpToken::generate()?).await {
                Ok(_) => break,
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) if error.kind() == ErrorKind::LockHeld => {
                    let (hold, _) = self.manager.lock(&key, deadline).await?;
                    held = hold.map(|hold| (key.clone(), hold));
                }
                Err(error) => return Err(error),
            }
        }
        held.into_iter().for_each(|(_, hold)| hold.disarm());
        Ok(())
    }
}

impl fmt::Debug for PrincipalSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrincipalSessions").field("manager", &self.manager).finish_non_exhaustive()
    }
}

impl Session {
    /// The name of this session in its principal's list.
    async fn own_handle(&self) -> Result<Option<SessionHandle>> {
        let state = self.ready().await?;
        let Phase::Stored(place) = &state.phase else { return Ok(None) };
        Ok(Some(state.header.handle.unwrap_or_else(|| handle_of(&place.key))))
    }

    /// The same, if it is the principal's.
    pub(super) async fn handle_as(
        &self,
        principal: PrincipalDigest,
    ) -> Result<Option<SessionHandle>> {
        let is_theirs = self.ready().await?.meta.principal == Some(principal);
        if is_theirs { self.own_handle().await } else { Ok(None) }
    }

    /// Where this session is, which must be the principal's.
    async fn key_as(&self, principal: PrincipalDigest) -> Result<Key> {
        let state = self.ready().await?;
        match &state.phase {
            Phase::Stored(place) if state.meta.principal == Some(principal) => {
                Ok(place.key.clone())
            }
            _ => Err(Error::new(ErrorKind::NotFound, "session", Operation::Index)
                .with_detail("the present session is not one of the principal's")),
        }
    }
}
