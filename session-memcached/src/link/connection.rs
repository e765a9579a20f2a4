//! A connection that its callers share: what they ask at the same time goes out in one write, and the
//! replies come back in the order of the commands.
//!
//! A caller that goes away leaves its place in that order behind: the reply is read and thrown away.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    runtime::{self, Handle},
    sync::oneshot,
    task::{AbortHandle, JoinSet},
    time::{Instant, timeout_at},
};

use super::{
    Command, Dialect,
    fault::Fault,
    parse::Reply,
    read::read,
    shared::{Asker, Due, Shared, closed},
    write::{write, write_directly},
};

/// What holds for all connections to a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) dialect: Dialect,
    /// How long the server may be silent while somebody waits.
    pub(super) response_timeout: Duration,
    /// The largest value that is read.
    pub(super) largest: usize,
}

/// One connection. Dropping it closes it.
pub(super) struct Connection {
    id: ConnectionId,
    shared: Arc<Shared>,
    terms: Terms,
    task: AbortHandle,
    /// On which the task runs.
    runtime: runtime::Id,
}

/// Names a connection. An item's number is one of the server's process, which nothing but a connection
/// to it can be sure to be still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionId(u64);

impl ConnectionId {
    pub(crate) fn fresh() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) const fn number(self) -> u64 {
        self.0
    }
}

/// Why there are no replies.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing was sent.
    Unsent(Fault),
    /// It was sent, and may have been done.
    Unanswered(Fault),
}

impl Connection {
    pub(super) fn over_tcp(reader: OwnedReadHalf, writer: OwnedWriteHalf, terms: Terms) -> Self {
        let writer = Arc::new(writer);
        Self::start(Some(Arc::clone(&writer)), terms, |shared| async move {
            // A task of its own, so that it writes while the replies are read.
            let other = Arc::clone(&shared);
            let mut writing = JoinSet::new();
            writing.spawn(async move {
                let fault = write_directly(&writer, &other).await;
                other.die(fault.clone());
                fault
            });
            tokio::select! {
                fault = read(reader, &shared, terms) => fault,
                fault = writing.join_next() => fault.and_then(Result::ok).unwrap_or_else(closed),
            }
        })
    }

    pub(super) fn over<S>(stream: S, terms: Terms) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (reader, writer) = tokio::io::split(stream);
        Self::start(None, terms, |shared| async move {
            tokio::select! {
                fault = read(reader, &shared, terms) => fault,
                fault = write(writer, &shared) => {
                    shared.die(fault.clone());
                    fault
                }
            }
        })
    }

    fn start<F>(
        direct: Option<Arc<OwnedWriteHalf>>,
        terms: Terms,
        run: impl FnOnce(Arc<Shared>) -> F,
    ) -> Self
    where
        F: Future<Output = Fault> + Send + 'static,
    {
        let shared = Arc::new(Shared::new(direct));
        let running = run(Arc::clone(&shared));
        // Whichever way the task ends, with its runtime for instance: nobody waits any more.
        let end = End(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            let fault = running.await;
            end.0.die(fault);
        });
        let (id, runtime) = (ConnectionId::fresh(), Handle::current().id());
        Self { id, shared, terms, task: task.abort_handle(), runtime }
    }

    pub(super) fn id(&self) -> ConnectionId {
        self.id
    }

    /// Whether it still serves.
    pub(super) fn is_fit(&self) -> bool {
        !self.shared.is_dead()
    }

    /// Sends commands about one item in one write, and waits for the reply to the last of them.
    ///
    /// Cancel safe: what was sent is sent, and its replies are thrown away.
    pub(super) async fn ask(
        &self,
        key: [&[u8]; 2],
        commands: &[Command<'_>],
        deadline: Instant,
    ) -> Result<Reply, Failure> {
        let asked = loop {
            match self.send(key, commands, deadline).map_err(Failure::Unsent)? {
                Some(asked) => break asked,
                None => Box::pin(self.shared.room(deadline)).await.map_err(Failure::Unsent)?,
            }
        };
        let reply = if asked.is_looked_after && self.is_of_this_runtime() {
            asked.reply.await
        } else {
            let timed = Box::pin(timeout_at(deadline, asked.reply)).await;
            timed.map_err(|_elapsed| Failure::Unanswered(Fault::timeout()))?
        };
        reply.map_err(|_forgotten| Failure::Unanswered(self.shared.end()))
    }

    /// Whether the reader is a task of the caller's runtime: another one may be held up, and then
    /// nobody's time would end.
    fn is_of_this_runtime(&self) -> bool {
        Handle::try_current().is_ok_and(|here| here.id() == self.runtime)
    }

    /// Nothing is sent while too much is on its way.
    fn send(
        &self,
        key: [&[u8]; 2],
        commands: &[Command<'_>],
        deadline: Instant,
    ) -> Result<Option<Asked>, Fault> {
        let mut state = self.shared.state();
        if let Some(fault) = &state.dead {
            return Err(fault.clone());
        }
        if state.is_full() {
            return Ok(None);
        }
        let is_looked_after = state.next_look.is_some_and(|look| look <= deadline);
        let is_alone = state.is_quiet();
        let was_empty = state.out.is_empty();
        let (to, reply) = oneshot::channel();
        let mut asker = Some(Asker { to, deadline });
        for (n, command) in commands.iter().enumerate() {
            let opaque = state.next_opaque();
            let form = command.encode(&mut state.out, self.terms.dialect, key, opaque);
            let asker = if n + 1 == commands.len() { asker.take() } else { None };
            state.expect(Due { form, size: command.size(), asker });
        }
        if let (true, Some(direct)) = (is_alone, &self.shared.direct)
            && let Ok(written) = direct.try_write(&state.out)
        {
            state.forget_written(written);
        }
        let is_news = was_empty && !state.out.is_empty() && !state.writing;
        drop(state);
        if is_news {
            self.shared.news.notify_one();
        }
        Ok(Some(Asked { reply, is_looked_after }))
    }
}

/// What was sent.
struct Asked {
    reply: oneshot::Receiver<Reply>,
    /// Whether the reader sees in time when the time is over, with one timer for all.
    is_looked_after: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The end of the task.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.die(closed());
    }
}

#[cfg(test)]
mod tests {
    use session_core::{ErrorKind, ReadOptions, SessionStore};
    use test_servers::memcached::{Options, Server};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        runtime::Builder,
        time::{sleep, timeout},
    };

    use super::*;
    use crate::MemcachedStore;

    /// Each worker of actix has a runtime of its own, and a handler may hold one up.
    #[test]
    fn a_caller_does_not_wait_for_a_runtime_that_is_held_up() {
        let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
        let (one, other) = (runtime(), runtime());
        let opened = one.block_on(async {
            let server = Server::start(&Options::new()).await.unwrap();
            let builder = MemcachedStore::builder(&server.url()).unwrap();
            let store = builder.timeout(Duration::from_millis(1_500)).open().await.unwrap();
            // The reader runs, and would look whose time is over.
            store.ping().await.unwrap();
            (server, store)
        });
        let key = test_load::new_key();
        // Nobody turns the first runtime meanwhile.
        let load = async {
            let load = opened.1.load(&key, ReadOptions::default());
            tokio::time::timeout(Duration::from_secs(60), load).await.expect("no hang")
        };
        assert_eq!(other.block_on(load).unwrap_err().kind(), ErrorKind::Timeout);
    }

    #[tokio::test]
    async fn a_caller_whose_reply_drips_is_told_that_his_time_is_over() {
        let (ours, mut theirs) = duplex(1_024);
        let terms = Terms {
            dialect: Dialect::Meta,
            response_timeout: Duration::from_secs(1),
            largest: 1_024 * 1_024,
        };
        let connection = Connection::over(ours, terms);
        let server = tokio::spawn(async move {
            theirs.read_u8().await.unwrap();
            theirs.write_all(b"VA 1000000 c1 O0\r\n").await.unwrap();
            while theirs.write_all(b"x").await.is_ok() {
                sleep(Duration::from_millis(10)).await;
            }
        });
        let asked = async {
            // From then on it is the reader who looks whose time is over.
            while connection.shared.state().next_look.is_none() {
                sleep(Duration::from_millis(1)).await;
            }
            let deadline = Instant::now() + terms.response_timeout * 3 / 2;
            connection.ask([b"k", b"ey"], &[Command::Get], deadline).await
        };
        let asked = timeout(Duration::from_secs(60), asked).await.expect("no hang");
        let Err(Failure::Unanswered(fault)) = asked else { panic!("it was answered") };
        assert_eq!(fault.kind, ErrorKind::Timeout);
        server.abort();
    }
}
