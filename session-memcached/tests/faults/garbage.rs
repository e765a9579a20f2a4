//! A server that talks nonsense.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use session_core::ErrorKind;
use test_load::{SOON, load, new_key, seed, tell};
use test_servers::TestResult;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::support::{PATIENT, open, open_patiently};

/// What is answered to the request with this number.
type Answers = Arc<dyn Fn(u64, &str) -> Vec<u8> + Send + Sync>;

/// Greets as a server does, and answers everything else with what `reply` makes.
async fn serve(listener: TcpListener, reply: Answers, asked: Arc<AtomicU64>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(talk(stream, Arc::clone(&reply), Arc::clone(&asked)));
    }
}

async fn talk(mut stream: TcpStream, reply: Answers, asked: Arc<AtomicU64>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let answer = match request.as_str() {
            "version\r\n" => b"VERSION 1.6.18\r\n".to_vec(),
            "stats settings\r\n" => b"STAT cas_enabled yes\r\nEND\r\n".to_vec(),
            request => reply(asked.fetch_add(1, Ordering::Relaxed), request),
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

async fn listen(
    reply: impl Fn(u64, &str) -> Vec<u8> + Send + Sync + 'static,
) -> std::io::Result<(String, Arc<AtomicU64>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("memcached://{}?session.connections=1", listener.local_addr()?);
    let asked = Arc::new(AtomicU64::new(0));
    tokio::spawn(serve(listener, Arc::new(reply), Arc::clone(&asked)));
    Ok((url, asked))
}

pub(crate) async fn nonsense_ends_the_connection_and_no_caller_hangs() -> TestResult {
    let words = ["VA 5", "HD", "EN", " O0", "\r\n", " c7", "VALUE x 0 1", "\0\u{ff}", "99999999"];
    let words = words.map(str::to_owned);
    let reply = move |n: u64, _request: &str| {
        let mut rng = fastrand::Rng::with_seed(seed().wrapping_add(n));
        let mut text: Vec<u8> =
            (0..rng.usize(1..40)).flat_map(|_| words[rng.usize(..words.len())].bytes()).collect();
        text.extend_from_slice(b"\r\n");
        text
    };
    let (url, asked) = listen(reply).await?;
    let store = open(&url, Duration::from_secs(2)).await;
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..200 {
        let read = timeout(SOON, load(&store, &new_key())).await.expect("it hangs");
        let kind = match read {
            Ok(record) => {
                assert_eq!(record, None);
                "absent".to_owned()
            }
            Err(error) => format!("{:?}", error.kind()),
        };
        *kinds.entry(kind).or_default() += 1;
    }
    assert!(kinds.contains_key("Backend"), "{kinds:?}");
    tell("nonsense", format!("{} answers: {kinds:?}", asked.load(Ordering::Relaxed)));
    Ok(())
}

/// A reply with another token than that of the request.
pub(crate) async fn a_reply_to_somebody_else_is_not_taken() -> TestResult {
    let (url, _) = listen(|_, _| b"EN O4000000000\r\n".to_vec()).await?;
    let store = open_patiently(&url, PATIENT).await;
    let error = load(&store, &new_key()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend, "{error}");
    Ok(())
}
