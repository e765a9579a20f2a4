//! Our store at the work of a PHP page.

use std::{process::ExitCode, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::Value;
use session_core::{
    Error, ErrorKind, Expected, IdForm, Incarnation, Key, KeyHasher, LockRequest, Locked, OpToken,
    ReadOptions, SessionId, SessionStore, SweepBudget, Then, Under, Write,
};
use session_php::{SerializeHandler, SessionData};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, stdin},
    runtime::Runtime,
};

use crate::{Answer, Command, OpenStore, Result};

/// The lifetime of sessions, as every PHP worker has it.
pub(crate) const LIFETIME: Duration = Duration::from_secs(1440);
const WAIT_MS: u64 = 60_000;
const LEASE_MS: u64 = 60_000;

/// Opens the store of a place and does what the lines on standard input say.
pub(crate) fn serve(open: OpenStore, place: String) -> ExitCode {
    let served = Runtime::new().map_err(Into::into).and_then(|runtime| {
        runtime.block_on(async {
            let store = open(place).await?;
            let mut peer = Peer { store, session: None };
            let mut lines = BufReader::new(stdin()).lines();
            while let Some(line) = lines.next_line().await? {
                let answer = peer.answer(&serde_json::from_str(&line)?).await;
                println!("{}", serde_json::to_string(&answer)?);
            }
            Result::Ok(())
        })
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("the peer failed: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Peer {
    store: Arc<dyn SessionStore>,
    session: Option<Started>,
}

/// A session that is under way.
struct Started {
    id: SessionId,
    key: Key,
    locked: Locked,
    data: SessionData,
}

impl Peer {
    async fn answer(&mut self, command: &Command) -> Answer {
        let mut answer = Answer::default();
        match self.run(command).await {
            Ok(number) => {
                answer.ok = true;
                answer.number = number;
            }
            Err(error) => answer.notes.push(told(&*error)),
        }
        if let Some(session) = &self.session {
            answer.id = session.id.expose().to_owned();
            for name in session.data.names() {
                let value = session.data.get::<Value>(name).unwrap_or_default();
                let name = String::from_utf8_lossy(name).into_owned();
                answer.vars.insert(name, value.unwrap_or_default());
            }
        }
        answer
    }

    async fn run(&mut self, command: &Command) -> Result<u64> {
        match command {
            Command::Start { id, wait_ms, lease_ms } => {
                let id = id.as_deref().map_or_else(|| IdForm::Php.generate(), SessionId::parse)?;
                let wait = Duration::from_millis(wait_ms.unwrap_or(WAIT_MS));
                let lease = Duration::from_millis(lease_ms.unwrap_or(LEASE_MS));
                self.session = None;
                self.session = Some(self.start(id, wait, lease).await?);
            }
            Command::Set { name, value } => drop(self.session()?.data.insert(name, value)?),
            Command::Empty => self.session()?.data.clear(),
            Command::Close => {
                let session = self.session.take().ok_or("no session")?;
                self.close(session).await?;
            }
            Command::Abort => {
                let Started { key, locked, .. } = self.session.take().ok_or("no session")?;
                if let Some(lease) = locked.lease {
                    self.store.release(&key, &lease).await?;
                }
            }
            Command::Destroy => {
                let session = self.session.take().ok_or("no session")?;
                self.destroy(&session).await?;
            }
            Command::Regenerate { delete } => self.regenerate(*delete).await?,
            Command::Gc => return self.sweep().await,
            Command::Count { id, name, times } => return self.count(id, name, *times).await,
        }
        Ok(0)
    }

    fn session(&mut self) -> Result<&mut Started> {
        Ok(self.session.as_mut().ok_or("no session")?)
    }

    async fn start(&self, id: SessionId, wait: Duration, lease: Duration) -> Result<Started> {
        let key = KeyHasher::plain().key(&id);
        let locked = if self.store.capabilities().locking.is_yes() {
            self.store.lock(&key, LockRequest::new(OpToken::generate()?, lease, wait)).await?
        } else {
            Locked::new(None, self.store.load(&key, ReadOptions::latest()).await?)
        };
        let payload = locked.record.as_ref().map(|record| record.payload.clone());
        let data = SessionData::decode(SerializeHandler::Php, payload.unwrap_or_default())?;
        Ok(Started { id, key, locked, data })
    }

    /// What is not changed is not written, as PHP does it.
    async fn close(&self, session: Started) -> Result {
        let Started { key, locked: Locked { lease, record, .. }, data, .. } = session;
        let payload = data.encode()?;
        let op = OpToken::generate()?;
        let touches = self.store.capabilities().touch.is_yes();
        match (record, lease) {
            (Some(record), lease) if record.payload == payload && touches => {
                self.store.touch(&key, LIFETIME.into(), Incarnation::NONE, op).await?;
                if let Some(lease) = lease {
                    self.store.release(&key, &lease).await?;
                }
            }
            (Some(record), Some(lease)) => {
                let (revision, then) = (record.revision, Then::Release);
                let expected = Expected::Lease { lease: &lease, revision, then };
                self.store.save(&key, write(payload), expected, op).await?;
            }
            (Some(record), None) => {
                let expected = Expected::Revision(record.revision);
                self.store.save(&key, write(payload), expected, op).await?;
            }
            (None, lease) => {
                let under = lease.as_ref().map(|lease| Under::new(lease, Then::Release));
                self.store.create(&key, write(payload), op, under).await?;
            }
        }
        Ok(())
    }

    async fn destroy(&self, session: &Started) -> Result {
        self.store.delete(&session.key, Expected::Any, OpToken::generate()?).await?;
        if let Some(lease) = &session.locked.lease {
            self.store.release(&session.key, lease).await?;
        }
        Ok(())
    }

    async fn regenerate(&mut self, delete: bool) -> Result {
        let old = self.session.take().ok_or("no session")?;
        let data = old.data.clone();
        if delete {
            self.destroy(&old).await?;
        } else {
            self.close(old).await?;
        }
        let id = IdForm::Php.generate()?;
        let key = KeyHasher::plain().key(&id);
        self.session = Some(Started { id, key, locked: Locked::new(None, None), data });
        Ok(())
    }

    async fn sweep(&self) -> Result<u64> {
        let (mut deleted, mut cursor) = (0, None);
        loop {
            let budget = SweepBudget::new(100, Duration::from_secs(1));
            let report = self.store.sweep(cursor.as_ref(), budget).await?;
            deleted += report.deleted;
            cursor = report.next;
            if cursor.is_none() {
                return Ok(u64::try_from(deleted)?);
            }
        }
    }

    async fn count(&self, id: &str, name: &str, times: u64) -> Result<u64> {
        let (mut done, mut tries) = (0, 0);
        while done < times {
            tries += 1;
            match self.count_once(SessionId::parse(id)?, name).await {
                Ok(()) => done += 1,
                Err(error) if is_contention(&*error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(tries)
    }

    async fn count_once(&self, id: SessionId, name: &str) -> Result {
        let (wait, lease) = (Duration::from_millis(WAIT_MS), Duration::from_millis(LEASE_MS));
        let mut session = self.start(id, wait, lease).await?;
        let count: u64 = session.data.get(name)?.unwrap_or_default();
        session.data.insert(name, &(count + 1))?;
        self.close(session).await
    }
}

fn write(payload: Bytes) -> Write {
    Write::new(payload, LIFETIME)
}

/// Whether somebody else was faster.
fn is_contention(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<Error>().is_some_and(|error| {
        matches!(
            error.kind(),
            ErrorKind::AlreadyExists
                | ErrorKind::Conflict
                | ErrorKind::LockHeld
                | ErrorKind::LockLost
                | ErrorKind::LockTimeout
        )
    })
}

/// An error of our store by its kind, which cases compare; any other in its own words.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let kind = error.downcast_ref::<Error>().map(|error| error.kind().as_str().to_owned());
    kind.unwrap_or_else(|| error.to_string())
}
