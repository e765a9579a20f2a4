//! The other process: stores that do what they are told.

use std::{collections::HashMap, env, process::ExitCode, sync::Arc};

use session_core::{
    Enumeration, Incarnation, LockRequest, OpToken, ReadOptions, Result, SessionStore, SweepBudget,
    Under,
};
use session_files::FilesStore;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, stdin, stdout},
    sync::{Mutex, mpsc},
    task::AbortHandle,
};

use crate::{
    directory::PATIENCE,
    wire::{Answer, Call, Kept, Line, key, lease, then, ttl, version},
};

/// The environment variable that makes this program the other process.
pub(crate) const ASKED: &str = "SESSION_FILES_CONFORMANCE_SERVED";

pub(crate) fn is_asked_for() -> bool {
    env::var_os(ASKED).is_some()
}

pub(crate) fn serve() -> ExitCode {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime.map(|runtime| runtime.block_on(answer_all())) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

type Stores = Arc<Mutex<HashMap<usize, FilesStore>>>;

/// Answers until the first process has gone.
async fn answer_all() -> std::io::Result<()> {
    let mut lines = BufReader::new(stdin()).lines();
    let (answers, mut answered) = mpsc::unbounded_channel::<String>();
    tokio::spawn(async move {
        let mut output = stdout();
        while let Some(line) = answered.recv().await {
            if output.write_all(line.as_bytes()).await.is_err() || output.flush().await.is_err() {
                return;
            }
        }
    });
    let stores = Stores::default();
    let mut running = HashMap::<u64, AbortHandle>::new();
    while let Some(line) = lines.next_line().await? {
        match serde_json::from_str(&line)? {
            Line::Drop(number) => running.remove(&number).iter().for_each(AbortHandle::abort),
            Line::Call(number, store, call) => {
                let (stores, answers) = (Arc::clone(&stores), answers.clone());
                let task = tokio::spawn(async move {
                    let answer = answer(&stores, store, *call).await;
                    let line = serde_json::to_string(&(number, answer)).unwrap_or_default();
                    answers.send(line + "\n").ok();
                });
                running.retain(|_, task| !task.is_finished());
                running.insert(number, task.abort_handle());
            }
        }
    }
    Ok(())
}

async fn answer(stores: &Stores, number: usize, call: Call) -> Answer {
    match call {
        Call::Open(root) => {
            match FilesStore::builder(root).threads(2).timeout(PATIENCE).open().await {
                Ok(store) => {
                    stores.lock().await.insert(number, store);
                    Answer::Store(number)
                }
                Err(error) => error.into(),
            }
        }
        Call::Close => {
            stores.lock().await.remove(&number);
            Answer::Done
        }
        call => {
            let Some(store) = stores.lock().await.get(&number).cloned() else {
                return Answer::Done;
            };
            perform(&store, call).await.unwrap_or_else(Answer::from)
        }
    }
}

async fn perform(store: &FilesStore, call: Call) -> Result<Answer> {
    let op = OpToken::from_bytes;
    Ok(match call {
        Call::Create(digest, write, token, under) => {
            let under = under.map(|(held, released)| (lease(held), then(released)));
            let under = under.as_ref().map(|(lease, then)| Under::new(lease, *then));
            let revision = store.create(&key(digest), write.into(), op(token), under).await?;
            Answer::Revision(version(revision))
        }
        Call::Load(digest) => {
            let record = store.load(&key(digest), ReadOptions::latest()).await?;
            Answer::Record(record.map(Kept::from))
        }
        Call::Save(digest, write, expected, token) => {
            let key = key(digest);
            let save = async |expected: session_core::Expected<'_>| {
                store.save(&key, write.into(), expected, op(token)).await
            };
            Answer::Revision(version(expected.with(save).await?))
        }
        Call::Touch(digest, life, incarnation, token) => {
            let incarnation = Incarnation::from_bytes(incarnation);
            store.touch(&key(digest), ttl(life), incarnation, op(token)).await?;
            Answer::Done
        }
        Call::Delete(digest, expected, token) => {
            let key = key(digest);
            let delete = async |expected: session_core::Expected<'_>| {
                store.delete(&key, expected, op(token)).await
            };
            expected.with(delete).await?;
            Answer::Done
        }
        Call::Lock(digest, token, lease, wait) => {
            store.lock(&key(digest), LockRequest::new(op(token), lease, wait)).await?.into()
        }
        Call::Renew(digest, held, duration) => {
            store.renew(&key(digest), &lease(held), duration).await?;
            Answer::Done
        }
        Call::Release(digest, held) => {
            store.release(&key(digest), &lease(held)).await?;
            Answer::Done
        }
        Call::Sweep(cursor, scanned, time) => {
            let cursor = cursor.map(session_core::Cursor::new);
            store.sweep(cursor.as_ref(), SweepBudget::new(scanned, time)).await?.into()
        }
        Call::Keys(cursor, limit) => {
            let cursor = cursor.map(session_core::Cursor::new);
            store.keys(cursor.as_ref(), limit).await?.into()
        }
        Call::Ping | Call::Open(_) | Call::Close => {
            store.ping().await?;
            Answer::Done
        }
    })
}
