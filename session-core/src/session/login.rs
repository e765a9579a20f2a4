//! Log-ins: a session becomes a principal's, and stays one only if nothing spoke against it meanwhile.

use std::time::Duration;

use super::{
    PrincipalSessions, ReadOnlySession, Session,
    events::SessionEvent,
    rotate::{Authenticated, Change},
    state::{Phase, State},
};
use crate::{ClientHint, Error, ErrorKind, Expected, Operation, Result, SessionHandle};

impl Session {
    /// Makes the session one of `principal`, from now on authenticated, under a new id.
    ///
    /// The old id ends at once, without a grace: whoever planted or saw it before the log-in
    /// holds nothing (session fixation). Data and the absolute deadline stay. When this returns, the
    /// session is stored, also one that had no record before.
    ///
    /// The principal's epoch is read by this call. So that a revocation is not missed that comes
    /// while the password is being checked, use [`begin_login`](Self::begin_login) before that
    /// instead.
    ///
    /// # Errors
    /// As [`Login::complete`].
    pub async fn login(&self, principal: &str) -> Result<()> {
        self.begin_login(principal).await?.complete().await
    }

    /// Starts a log-in: reads the principal's epoch, so that a revocation that comes while the
    /// password is being checked ends the new session too.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn begin_login(&self, principal: &str) -> Result<Login> {
        let principal = self.manager().key_hasher().principal(principal);
        let epoch = match self.manager().backend().principal_index() {
            Some(index) => index.epoch(&principal).await?,
            None => 0,
        };
        let has_room = self.manager().format().capabilities().client.is_yes();
        let handle = has_room.then(SessionHandle::generate).transpose()?;
        let login = Authenticated { principal, epoch, handle, client: None, binding: None };
        Ok(Login { session: self.clone(), login })
    }

    /// Notes that the session's user has just shown again who he is (a password asked for once more
    /// before something grave), under a new id.
    ///
    /// The principal stays. The old id has the grace of [`cycle_id`](Self::cycle_id), but for
    /// [`authenticated_within`](Self::authenticated_within), which does not take it.
    ///
    /// # Errors
    /// As [`cycle_id`](Self::cycle_id), and [`NotFound`](ErrorKind::NotFound) when nobody is logged
    /// in.
    pub async fn reauthenticated(&self) -> Result<()> {
        if self.ready().await?.header.authenticated_at.is_none() {
            return Err(Error::new(ErrorKind::NotFound, "session", Operation::Login)
                .with_detail("nobody is logged in"));
        }
        self.rotate(Change::Reauthentication).await
    }

    /// Whether the session's user has shown who he is no longer ago than `age`, by a log-in or
    /// [again](Self::reauthenticated): to be asked before something grave.
    ///
    /// Never under an id that was rotated away, whatever its grace: whoever holds one may not be
    /// the user who has just shown who he is.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn authenticated_within(&self, age: Duration) -> Result<bool> {
        Ok(self.was_authenticated_within(&*self.ready().await?, age))
    }

    fn was_authenticated_within(&self, state: &State, age: Duration) -> bool {
        let at = state.header.authenticated_at;
        let aliased = matches!(&state.phase, Phase::Stored(place) if place.aliased);
        !aliased && at.is_some_and(|at| self.manager().now().since(at) <= age)
    }

    /// All sessions of the principal that this one belongs to; `None` when it is nobody's.
    ///
    /// # Errors
    /// Those of the transport, and [`Unsupported`](ErrorKind::Unsupported) when the store has no
    /// index of principals.
    pub async fn principal_sessions(&self) -> Result<Option<PrincipalSessions>> {
        let principal = self.ready().await?.meta.principal;
        principal.map(|principal| PrincipalSessions::new(self.manager(), principal)).transpose()
    }

    /// Stores a new session as a principal's.
    pub(super) async fn create_as(&self, state: &mut State, change: &Change) -> Result<()> {
        let (header, meta) = (state.header.clone(), state.meta);
        change.apply(&mut state.header, &mut state.meta, self.manager().now());
        let created = self.create(state, &mut |_| Ok(())).await;
        if created.is_err() {
            // Else the save at the end of the request would log in whom this call refused.
            (state.header, state.meta) = (header, meta);
        } else if let Phase::Stored(place) = &state.phase {
            self.tell_of(change, &place.key);
        }
        created
    }

    /// A revocation ends the sessions that the store lists. One that is being copied to a new key
    /// may be missed, so whoever makes such a copy looks again when it is there.
    pub(super) async fn end_if_revoked(&self, state: &mut State) -> Result<()> {
        if !self.is_outdated(state).await? {
            return Ok(());
        }
        self.give_up(state).await?;
        Err(revoked())
    }

    /// The same for a session whose id nobody knows yet, so that nobody misses it: it also ends when
    /// the store does not tell.
    pub(super) async fn keep_if_sure(&self, state: &mut State) -> Result<()> {
        match self.is_outdated(state).await {
            Ok(false) => Ok(()),
            outcome => {
                self.give_up(state).await?;
                outcome.and_then(|_| Err(revoked()))
            }
        }
    }

    async fn is_outdated(&self, state: &State) -> Result<bool> {
        match &state.phase {
            Phase::Stored(place) if !place.aliased => self.manager().is_outdated(&state.meta).await,
            _ => Ok(false),
        }
    }

    async fn give_up(&self, state: &mut State) -> Result<()> {
        if let Phase::Stored(place) = &state.phase {
            self.manager().delete(&place.key, Expected::Any).await?;
            self.manager().tell(SessionEvent::Revoked, &place.key);
        }
        self.forget(state);
        Ok(())
    }
}

impl ReadOnlySession {
    /// As [`Session::authenticated_within`].
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn authenticated_within(&self, age: Duration) -> Result<bool> {
        self.contains("").await?;
        Ok(self.0.was_authenticated_within(&*self.0.state().await, age))
    }
}

fn revoked() -> Error {
    Error::new(ErrorKind::NotFound, "session", Operation::Login)
        .with_detail("all sessions of the principal were revoked meanwhile")
}

/// A log-in that was begun: the credentials are to be checked now.
#[must_use = "a log-in must be completed"]
pub struct Login {
    session: Session,
    login: Authenticated,
}

impl Login {
    /// Notes what is known of the client, to be shown in the list of the principal's sessions.
    pub fn client(mut self, hint: &str) -> Self {
        self.login.client = Some(ClientHint::new(hint));
        self
    }

    /// Binds the session to properties of the client that should not change while it lives: its
    /// `User-Agent`, the prefix of its address. What is done when they change is decided where they
    /// are checked ([`Session::check_client`]).
    pub fn bind(mut self, properties: &[&str]) -> Self {
        self.login.binding = Some(self.session.manager().key_hasher().binding(properties));
        self
    }

    /// The credentials were right: the session becomes the principal's, under a new id.
    ///
    /// # Errors
    /// As [`Session::cycle_id`], and
    /// - [`Conflict`](ErrorKind::Conflict): a parallel request replaced the id; nobody was logged in
    ///   by this call. If that was a log-in of the same principal (a form that was sent twice), it is
    ///   no error: this one goes on from that session, under another new id.
    /// - [`NotFound`](ErrorKind::NotFound): all sessions of the principal were revoked since the
    ///   log-in began, or the session was ended. There is no session any more.
    /// - [`TooManySessions`](ErrorKind::TooManySessions): the limit
    ///   ([`SessionManagerBuilder::session_limit`](crate::SessionManagerBuilder::session_limit)) is
    ///   reached. Nothing was changed, unless others logged in at the same moment: then there is no
    ///   session any more.
    /// - [`Unsupported`](ErrorKind::Unsupported): the format has no room for what was noted of the
    ///   client.
    pub async fn complete(self) -> Result<()> {
        let Self { session, login } = self;
        let principal = login.principal;
        session.make_room(principal).await?;
        session.rotate(Change::Login(login)).await?;
        session.keep_to_limit(principal).await
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("session", &self.session).finish_non_exhaustive()
    }
}
