//! Statements on a connection of one's own, which has a lock.

use std::sync::Arc;

use session_core::{Error, Operation, SessionId};
use tokio::time::timeout;

use super::{PhpLock, row::Row, store::Inner};
use crate::{
    link::{Answer, Verdict, Wire},
    statement::{Arg, Statement, Value},
    url::Dialect,
};

/// Why a statement was not carried out.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Somebody else has the lock, or was faster.
    Busy,
    Failed(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

pub(super) type Done<T> = Result<T, Trouble>;

/// An operation on a connection.
pub(super) struct Own<'a> {
    pub(super) inner: &'a Inner,
    pub(super) wire: &'a mut dyn Wire,
    pub(super) operation: Operation,
}

impl Own<'_> {
    pub(super) async fn run(&mut self, text: &Arc<str>, values: &[Arg<'_>]) -> Done<Answer> {
        let (statement, limit) = (Statement::plain(Arc::clone(text)), self.inner.reply_limit());
        let ran = timeout(self.inner.patience(), self.wire.run(&statement, values, limit)).await;
        ran.unwrap_or_else(|_| Err(Verdict::no_answer())).map_err(|verdict| self.trouble(verdict))
    }

    /// Runs statements without values.
    async fn say(&mut self, text: &str) -> Done<()> {
        let said = timeout(self.inner.patience(), self.wire.define(text)).await;
        said.unwrap_or_else(|_| Err(Verdict::no_answer())).map_err(|verdict| self.trouble(verdict))
    }

    fn trouble(&self, verdict: Verdict) -> Trouble {
        if matches!(verdict, Verdict::Again(_)) {
            return Trouble::Busy;
        }
        // Nothing is sent again here.
        let in_doubt = matches!(verdict, Verdict::Lost(_) | Verdict::Broken(_));
        let writes = !matches!(self.operation, Operation::Load | Operation::Lock);
        let fault = verdict.into_fault().in_doubt(in_doubt);
        Trouble::Failed(fault.into_error(self.inner.backend(), self.operation, writes))
    }

    pub(super) async fn read(&mut self, id: &SessionId) -> Done<Option<Row>> {
        self.read_by(&self.inner.statements.read, id).await
    }

    async fn read_by(&mut self, text: &Arc<str>, id: &SessionId) -> Done<Option<Row>> {
        let answer = self.run(text, &[Arg::Bytes(id.expose().as_bytes())]).await?;
        Ok(self.inner.row(answer, self.operation)?)
    }

    /// Takes the lock, or finds it busy, and reads the row.
    pub(super) async fn lock(&mut self, id: &SessionId) -> Done<Option<Row>> {
        let statements = &self.inner.statements;
        if self.inner.layout.lock == PhpLock::Advisory {
            let answer = self.named(&statements.lock, id).await?;
            if answer.rows.first().is_none_or(|row| row[..] != [Value::Int(1)]) {
                return Err(Trouble::Busy);
            }
            return self.read(id).await;
        }
        self.say(statements.begin).await?;
        self.read_by(&statements.read_locked, id).await
    }

    /// Ends what a lock that was busy has begun.
    pub(super) async fn give_up(&mut self) -> Done<()> {
        match (self.inner.layout.lock, self.inner.layout.sql.dialect) {
            // There, what is busy has not begun.
            (PhpLock::Advisory, _) | (_, Dialect::Sqlite) => Ok(()),
            // Not by `say`: after a failure PostgreSQL takes nothing else in a transaction.
            _ => self.run(&Arc::from("ROLLBACK"), &[]).await.map(drop),
        }
    }

    /// Gives the lock back; what was written stays.
    pub(super) async fn unlock(&mut self, id: &SessionId) -> Done<()> {
        match self.inner.layout.lock {
            PhpLock::Advisory => self.named(&self.inner.statements.unlock, id).await.map(drop),
            _ => self.say("COMMIT").await,
        }
    }

    async fn named(&mut self, text: &Arc<str>, id: &SessionId) -> Done<Answer> {
        let id = id.expose().as_bytes();
        let name = match self.inner.layout.sql.dialect {
            Dialect::Postgres => Arg::Int(number(id)),
            _ => Arg::Bytes(id.get(..64).unwrap_or(id)),
        };
        self.run(text, &[name]).await
    }
}

/// Symfony's number of an id: its first eight bytes, the first being the lowest.
fn number(id: &[u8]) -> i64 {
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(id).for_each(|(to, from)| *to = *from);
    i64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_an_id_is_symfonys() {
        assert_eq!(number(b"abcdefgh"), 7_523_094_288_207_667_809);
        assert_eq!(number(b"abcdefghijkl"), 7_523_094_288_207_667_809);
    }
}
