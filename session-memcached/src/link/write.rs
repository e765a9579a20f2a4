//! Writes what callers ask.

use std::io;

use bytes::BytesMut;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    net::tcp::OwnedWriteHalf,
};

use super::{fault::Fault, shared::Shared};

/// A buffer that has become larger than this is not kept.
const KEPT: usize = 256 * 1_024;

/// Writes what there is, until that cannot go on.
pub(super) async fn write(mut to: impl AsyncWrite + Unpin, shared: &Shared) -> Fault {
    let mut batch = BytesMut::new();
    loop {
        take_batch(shared, &mut batch).await;
        let written = async {
            to.write_all(&batch).await?;
            to.flush().await
        };
        if let Err(error) = written.await {
            return error.into();
        }
    }
}

pub(super) async fn write_directly(to: &OwnedWriteHalf, shared: &Shared) -> Fault {
    let mut batch = BytesMut::new();
    loop {
        take_batch(shared, &mut batch).await;
        let mut rest = &*batch;
        while !rest.is_empty() {
            match to.try_write(rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if let Err(error) = to.writable().await {
                        return error.into();
                    }
                }
                Err(error) => return error.into(),
            }
        }
    }
}

/// Waits until there is something to write, and takes all of it.
async fn take_batch(shared: &Shared, batch: &mut BytesMut) {
    batch.clear();
    if batch.capacity() > KEPT {
        *batch = BytesMut::new();
    }
    while !shared.state().hand_over(batch) {
        shared.news.notified().await;
        // Who else is about to ask comes with the same write.
        tokio::task::yield_now().await;
    }
}
