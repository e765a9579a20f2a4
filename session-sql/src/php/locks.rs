//! Taking locks and giving them back, on connections that are there for nothing else.

use std::sync::Arc;

use session_core::{ErrorKind, OpToken, Operation, Result, SessionId};
use tokio::time::{sleep_until, timeout};

use super::{
    hold::{AFTERLIFE, Hold, State, lock},
    own::{Done, Own, Trouble},
    row::Row,
    store::{Inner, PhpStore},
};
use crate::{
    link::{Verdict, Wire},
    url::Dialect,
};

/// A connection that has the lock, and the row, if there is one.
pub(super) type Taken = (Box<dyn Wire>, Option<Row>);

impl Inner {
    pub(super) fn own<'a>(&'a self, wire: &'a mut Box<dyn Wire>, operation: Operation) -> Own<'a> {
        Own { inner: self, wire: &mut **wire, operation }
    }

    async fn connect(&self, operation: Operation) -> Result<Box<dyn Wire>> {
        let connected = timeout(self.layout.sql.connect_timeout, self.target.connect()).await;
        let connected = connected.map_err(|_late| self.error(ErrorKind::Timeout, operation))?;
        let failed =
            |verdict: Verdict| verdict.into_fault().into_error(self.backend(), operation, false);
        let mut wire = connected.map_err(failed)?;
        if self.layout.sql.dialect == Dialect::Sqlite {
            // Who waits asks again, and can be broken off in between.
            wire.define("PRAGMA busy_timeout = 0").await.map_err(failed)?;
        }
        Ok(wire)
    }

    /// Keeps a connection for the next lock.
    fn rest(&self, wire: Box<dyn Wire>) {
        let most = usize::try_from(self.layout.sql.max_connections).unwrap_or(usize::MAX);
        let mut idle = lock(&self.idle);
        if idle.len() < most {
            idle.push(wire);
        }
    }

    /// Takes the lock, or finds it busy.
    pub(super) async fn try_lock(&self, operation: Operation, id: &SessionId) -> Done<Taken> {
        let rested = lock(&self.idle).pop();
        if let Some(wire) = rested {
            match self.try_lock_on(wire, operation, id).await {
                // It was closed while it rested, and the others were as well.
                Err(Trouble::Failed(_)) => lock(&self.idle).clear(),
                done => return done,
            }
        }
        let wire = self.connect(operation).await?;
        self.try_lock_on(wire, operation, id).await
    }

    async fn try_lock_on(
        &self,
        mut wire: Box<dyn Wire>,
        operation: Operation,
        id: &SessionId,
    ) -> Done<Taken> {
        let mut own = self.own(&mut wire, operation);
        match own.lock(id).await {
            Ok(row) => Ok((wire, row)),
            Err(Trouble::Busy) => {
                if own.give_up().await.is_ok() {
                    self.rest(wire);
                }
                Err(Trouble::Busy)
            }
            failed => failed.map(|row| (wire, row)),
        }
    }

    /// Gives the lock back; what was written stays.
    pub(super) async fn unlock(
        &self,
        operation: Operation,
        id: &SessionId,
        mut wire: Box<dyn Wire>,
    ) -> Result<()> {
        match self.own(&mut wire, operation).unlock(id).await {
            Ok(()) => {
                self.rest(wire);
                Ok(())
            }
            Err(Trouble::Failed(error)) => Err(error),
            Err(Trouble::Busy) => Err(self.error(ErrorKind::Unavailable, operation)),
        }
    }

    /// What a holder has: his lock, taken up again if the lease has lapsed and nobody came, and the row
    /// as he knows it, or none.
    pub(super) async fn keep(
        &self,
        operation: Operation,
        hold: &Hold,
        state: &mut State,
    ) -> Result<Taken> {
        let lost = || self.error(ErrorKind::LockLost, operation);
        let id = self.id(&hold.key, operation)?;
        let mut kept = None;
        if let Some(mut wire) = state.wire.take()
            && let Ok(row) = self.own(&mut wire, operation).read(id).await
        {
            kept = Some((wire, row));
        }
        let (wire, row) = match kept {
            Some(kept) => kept,
            None => match self.try_lock(operation, id).await {
                Ok(taken) => taken,
                Err(Trouble::Busy) => return Err(lost()),
                Err(Trouble::Failed(error)) => return Err(error),
            },
        };
        if row.as_ref().is_some_and(|row| row.revision() != state.known) {
            self.unlock(operation, id, wire).await?;
            return Err(lost());
        }
        Ok((wire, row))
    }
}

impl PhpStore {
    /// Gives the lock back when its lease lapses, and forgets it when nobody comes back to it.
    pub(super) fn watch(&self, token: OpToken, hold: &Arc<Hold>) {
        let (store, watched) = (Arc::downgrade(&self.0), Arc::clone(hold));
        let watcher = tokio::spawn(async move {
            loop {
                watched.wait().await;
                let Some(inner) = store.upgrade() else { return };
                let mut state = watched.state.lock().await;
                if watched.left().is_some() {
                    continue;
                }
                if let Some(wire) = state.wire.take()
                    && let Ok(id) = inner.id(&watched.key, Operation::Release)
                {
                    // Where this fails the connection is closed, which frees the lock as well.
                    inner.unlock(Operation::Release, id, wire).await.ok();
                }
                inner.queue.wake(watched.key.digest());
                drop((state, inner));
                let until = watched.until();
                sleep_until(until + AFTERLIFE).await;
                if watched.until() == until {
                    store.upgrade().and_then(|inner| inner.holds.remove(token));
                    return;
                }
            }
        });
        hold.watched_by(watcher.abort_handle());
    }
}
