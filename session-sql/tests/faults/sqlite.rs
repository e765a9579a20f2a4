//! SQLite, where the process that writes is the one that dies.

use std::{env, process::ExitCode, process::Stdio, time::Duration};

use session_core::{Expected, Key, KeyDigest, SessionStore};
use test_load::{SOON, create, load, op, say, tell, write};
use test_servers::TestResult;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    task::JoinSet,
    time::timeout,
};

use crate::support::open;

/// Where the other process finds the database.
const URL: &str = "SESSION_FAULT_SQLITE_URL";
const TIMEOUT: Duration = Duration::from_secs(10);
const SESSIONS: u8 = 4;
const ROUNDS: usize = 3;

fn key(number: u8) -> Key {
    Key::from_digest(KeyDigest::from_bytes([number; 32]))
}

/// The other process, if this is the one.
pub(crate) fn played_by_this_process() -> Option<ExitCode> {
    let url = env::var(URL).ok()?;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = open(&url, TIMEOUT).await;
        let mut writers = JoinSet::new();
        for session in 0..SESSIONS {
            writers.spawn(count_up(store.clone(), session));
        }
        writers.join_all().await;
    });
    Some(ExitCode::SUCCESS)
}

/// Raises a number for ever, and says so each time that it was acknowledged.
async fn count_up(store: session_sql::SqlStore, session: u8) {
    let key = key(session);
    loop {
        let record = load(&store, &key).await.unwrap().unwrap();
        let next = u64::from_be_bytes((*record.payload).try_into().unwrap()) + 1;
        let expected = Expected::Revision(record.revision);
        store.save(&key, write(&next.to_be_bytes()), expected, op()).await.unwrap();
        say(format!("{session} {next}"));
    }
}

pub(crate) async fn what_was_acknowledged_is_there_after_a_kill() -> TestResult {
    let directory = tempfile::tempdir()?;
    let url = format!("sqlite:{}", directory.path().join("sessions.db").display());
    let mut known = vec![0_u64; SESSIONS.into()];
    {
        let store = open(&url, TIMEOUT).await;
        for session in 0..SESSIONS {
            create(&store, &key(session), &0_u64.to_be_bytes()).await;
        }
    }
    for _ in 0..ROUNDS {
        let mut writer = Command::new(env::current_exe()?)
            .env(URL, &url)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let mut heard = 0;
        while let Some(line) = timeout(SOON, lines.next_line()).await?? {
            let (session, number) = line.split_once(' ').unwrap();
            known[session.parse::<usize>()?] = number.parse()?;
            heard += 1;
            if heard == 150 {
                writer.start_kill()?;
            }
        }
        assert!(!writer.wait().await?.success() && heard >= 150, "it ended by itself");
        let store = open(&url, TIMEOUT).await;
        for session in 0..SESSIONS {
            let payload = load(&store, &key(session)).await?.unwrap().payload;
            let kept = u64::from_be_bytes((*payload).try_into()?);
            let told = known[usize::from(session)];
            // The last one may have been cut off before it was told.
            assert!((told..=told + 1).contains(&kept), "{told} was told, {kept} is there");
            known[usize::from(session)] = kept;
        }
    }
    tell("sqlite kill -9", format!("{ROUNDS} times: numbers {known:?}"));
    Ok(())
}
