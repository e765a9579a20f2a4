//! The client crate's connection, driven so that what is asked at the same time goes in one write.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use redis::{
    AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisError,
    aio::MultiplexedConnection,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::{AbortHandle, JoinSet},
};

use super::Value;

/// A connection. A clone is the same one, which ends with its last clone.
#[derive(Clone)]
pub(super) struct Wire {
    connection: MultiplexedConnection,
    /// How many wait for an answer.
    asking: Arc<AtomicUsize>,
    driver: AbortHandle,
    _driving: Arc<JoinSet<()>>,
}

/// One who waits for an answer.
struct Asking<'a>(&'a AtomicUsize);

impl<'a> Asking<'a> {
    fn on(wire: &'a Wire) -> Self {
        wire.asking.fetch_add(1, Ordering::Relaxed);
        Self(&wire.asking)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Wire {
    /// Greets the server at the other end of a stream.
    pub(super) async fn over<S>(
        stream: S,
        greeting: &RedisConnectionInfo,
        config: AsyncConnectionConfig,
    ) -> Result<Self, RedisError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (connection, driver) =
            MultiplexedConnection::new_with_config(greeting, stream, config).await?;
        let asking = Arc::default();
        let mut driving = JoinSet::new();
        let driver = driving.spawn(drive(driver, Arc::clone(&asking)));
        Ok(Self { connection, asking, driver, _driving: Arc::new(driving) })
    }

    /// Whether nobody drives it any more: it was closed, or its runtime has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.driver.is_finished()
    }

    pub(super) async fn send(&self, cmd: &Cmd) -> Result<Value, RedisError> {
        let _asking = Asking::on(self);
        self.connection.clone().send_packed_command(cmd).await
    }

    /// Sends commands that no others come between. Errors are among the replies.
    pub(super) async fn send_all(&self, cmds: &Pipeline) -> Result<Vec<Value>, RedisError> {
        let _asking = Asking::on(self);
        self.connection.clone().send_packed_commands(cmds, 0, cmds.len()).await
    }
}

/// Lets all who are ready to run ask before anything is written: the first who asks would else be
/// alone in a write, and its reply alone in a read. Who is alone anyway is not held up.
async fn drive(driver: impl Future<Output = ()>, asking: Arc<AtomicUsize>) {
    let mut driver = pin!(driver);
    let mut has_stepped_back = false;
    poll_fn(|context| {
        has_stepped_back = !has_stepped_back && asking.load(Ordering::Relaxed) > 1;
        if has_stepped_back {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        driver.as_mut().poll(context)
    })
    .await;
}
