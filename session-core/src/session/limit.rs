//! How many sessions a principal may have at once.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    PrincipalSessions, Session, SessionInfo,
    events::SessionEvent,
    principal::{Theirs, age},
    state::Phase,
};
use crate::{
    Error, ErrorKind, Expected, Jitter, Operation, PrincipalDigest, Result, SessionHandle,
};

/// How long a log-in waits for younger ones beyond the limit to step back.
const GIVES_WAY: Duration = Duration::from_secs(1);

/// What becomes of a log-in beyond the limit of its principal's sessions.
#[derive(Clone)]
#[non_exhaustive]
pub enum OverLimit {
    /// It is refused. The application may show the principal his sessions, let him end one, and
    /// log him in then. Of several that meet at the last place the oldest has it, unless a younger one
    /// was let in before it came; one that takes more than a second to look for the others may have
    /// all of them refused.
    Refuse,
    /// The sessions that were authenticated longest ago end.
    EvictOldest,
    /// The application is shown the sessions and names those to end; when too few, the log-in is
    /// refused. [`ask`](Self::ask) makes it of a closure.
    Ask(Arc<Choose>),
}

/// Given the other sessions of a principal, the handles of those to end.
type Choose = dyn Fn(&[SessionInfo]) -> Vec<SessionHandle> + Send + Sync;

impl OverLimit {
    /// Asks the application which sessions to end. It is shown the others of the principal.
    pub fn ask(
        choose: impl Fn(&[SessionInfo]) -> Vec<SessionHandle> + Send + Sync + 'static,
    ) -> Self {
        Self::Ask(Arc::new(choose))
    }
}

impl fmt::Debug for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refuse => "Refuse",
            Self::EvictOldest => "EvictOldest",
            Self::Ask(_) => "Ask(..)",
        })
    }
}

#[derive(Debug, Clone)]
pub(super) struct SessionLimit {
    pub(super) most: usize,
    pub(super) beyond: OverLimit,
}

impl Session {
    /// Before a log-in: refuses it while nothing is changed yet, or ends what the application says.
    pub(super) async fn make_room(&self, principal: PrincipalDigest) -> Result<()> {
        let Some(limit) = &self.manager().settings().limit else { return Ok(()) };
        if matches!(limit.beyond, OverLimit::EvictOldest) {
            return Ok(());
        }
        let sessions = PrincipalSessions::new(self.manager(), principal)?;
        let own = self.handle_as(principal).await?;
        let mut others = sessions.distinct(usize::MAX).await?;
        others.retain(|theirs| Some(theirs.handle) != own);
        if others.len() < limit.most {
            return Ok(());
        }
        let OverLimit::Ask(choose) = &limit.beyond else { return Err(refused()) };
        let shown: Vec<_> =
            others.iter().filter_map(|theirs| sessions.info(theirs, None)).collect();
        let chosen = choose(&shown);
        let ends = |theirs: &&Theirs| chosen.contains(&theirs.handle);
        if others.iter().filter(|theirs| !ends(theirs)).count() >= limit.most {
            return Err(refused());
        }
        for theirs in others.iter().filter(ends) {
            sessions.end(theirs, SessionEvent::Evicted).await?;
        }
        Ok(())
    }

    /// After a log-in: whoever came last sees all others, so no more than the limit are left.
    pub(super) async fn keep_to_limit(&self, principal: PrincipalDigest) -> Result<()> {
        let Some(limit) = &self.manager().settings().limit else { return Ok(()) };
        let sessions = PrincipalSessions::new(self.manager(), principal)?;
        if !matches!(limit.beyond, OverLimit::EvictOldest) {
            return self.keep_place(&sessions, principal, limit.most).await;
        }
        let mut all = sessions.distinct(usize::MAX).await?;
        let Some(excess) = all.len().checked_sub(limit.most).filter(|excess| *excess > 0) else {
            return Ok(());
        };
        let own = self.handle_as(principal).await?;
        let is_own = |theirs: &Theirs| Some(theirs.handle) == own;
        all.sort_by_key(age);
        let oldest = || all.iter().take(excess);
        for theirs in oldest().filter(|theirs| !is_own(theirs)) {
            sessions.end(theirs, SessionEvent::Evicted).await?;
        }
        // Others logged in later, if only by another server's clock.
        if oldest().any(is_own) { self.step_back().await } else { Ok(()) }
    }

    /// Of several that log in at once, the youngest beyond the limit step back, as soon as they have
    /// looked, and the others wait for that: so of two that meet at the last place one has it. Who waits
    /// in vain met a younger one that had looked before he was there, and steps back himself.
    async fn keep_place(
        &self,
        sessions: &PrincipalSessions,
        principal: PrincipalDigest,
        most: usize,
    ) -> Result<()> {
        let deadline = Instant::now() + GIVES_WAY;
        let mut pauses = Jitter::new(Duration::from_millis(5), Duration::from_millis(100));
        loop {
            let mut all = sessions.distinct(usize::MAX).await?;
            if all.len() <= most {
                return Ok(());
            }
            let own = self.handle_as(principal).await?;
            all.sort_by_key(age);
            let has_place = all.iter().take(most).any(|theirs| Some(theirs.handle) == own);
            if !has_place || Instant::now() >= deadline {
                return self.step_back().await;
            }
            tokio::time::sleep(pauses.pause()).await;
        }
    }

    /// Gives up a log-in.
    async fn step_back(&self) -> Result<()> {
        let mut state = self.state().await;
        if let Phase::Stored(place) = &state.phase {
            let incarnation = Expected::Incarnation(place.revision.incarnation());
            self.manager().delete(&place.key, incarnation).await?;
            self.manager().tell(SessionEvent::Evicted, &place.key);
        }
        self.forget(&mut state);
        Err(refused())
    }
}

fn refused() -> Error {
    Error::new(ErrorKind::TooManySessions, "session", Operation::Login)
}
