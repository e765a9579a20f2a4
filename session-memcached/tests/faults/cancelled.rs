//! Callers that go away.

use std::{sync::Arc, time::Duration};

use session_core::{Key, SessionStore};
use test_load::{create, load, new_key, seed, tell};
use test_servers::{
    TestResult,
    memcached::{Options, Server},
};
use tokio::{task::JoinSet, time::timeout};

use crate::support::{PATIENT, open_patiently};

/// Many read over one connection, each his own session; half of them give up at a random moment.
/// Who waits gets the reply to what he asked.
pub(crate) async fn calls_that_go_away_shift_no_replies() -> TestResult {
    const TASKS: usize = 64;
    const ROUNDS: usize = 300;
    for protocol in ["newest", "classic"] {
        let server = Server::start(&Options::new()).await?;
        let url = format!("{}?session.connections=1&protocol={protocol}", server.url());
        let store = open_patiently(&url, PATIENT).await;
        let mut sessions: Vec<(Key, Vec<u8>)> = Vec::new();
        for n in 0..TASKS {
            let payload = n.to_string().repeat(1 + n * n).into_bytes();
            let key = new_key();
            create(&store, &key, &payload).await;
            sessions.push((key, payload));
        }
        let sessions = Arc::new(sessions);
        let mut tasks = JoinSet::new();
        for n in 0..TASKS {
            let (store, sessions) = (store.clone(), Arc::clone(&sessions));
            let mut rng = fastrand::Rng::with_seed(seed() + n as u64);
            tasks.spawn(async move {
                let (key, payload) = &sessions[n];
                let (mut gone, mut right) = (0, 0);
                for _ in 0..ROUNDS {
                    let patience = Duration::from_micros(rng.u64(0..400));
                    let read = load(&store, key);
                    let read =
                        if n % 2 == 0 { Ok(read.await) } else { timeout(patience, read).await };
                    match read {
                        Ok(record) => {
                            assert!(
                                record.unwrap().unwrap().payload == *payload,
                                "another's reply"
                            );
                            right += 1;
                        }
                        Err(_gone) => gone += 1,
                    }
                }
                (gone, right)
            });
        }
        let (mut gone, mut right) = (0, 0);
        while let Some(counted) = tasks.join_next().await {
            let counted = counted?;
            (gone, right) = (gone + counted.0, right + counted.1);
        }
        assert!(gone > 0, "nobody went away");
        tell("cancelled", format!("{protocol}: {gone} went away, {right} got their own"));
        store.ping().await?;
    }
    Ok(())
}
