//! Payloads that are larger than the server takes.

use session_core::{ErrorKind, Expected, SessionStore};
use session_sql::SqlStore;
use test_servers::{TestResult, sql::Server};

use crate::support::{Ground, SOON, create, load, new_key, op, open, write};

const PACKET: usize = 256 * 1024;

pub(crate) async fn what_the_server_does_not_take_is_refused_before_it_is_sent(
    ground: Ground,
) -> TestResult {
    let options = ground.kind.options().unwrap();
    let server =
        Server::start(&options.argument("max_allowed_packet", &PACKET.to_string())).await?;
    let store = open(&server.url(), |builder| builder).await;
    let key = new_key();
    let first = create(&store, &key, b"kept").await;
    let most = store.capabilities().max_payload;
    assert!(most < PACKET && most > PACKET / 2, "{most}");

    let before = server.statements().await?;
    let long = vec![b'x'; most + 1];
    let refused = [
        store.save(&key, write(&long), Expected::Revision(first), op()).await.unwrap_err(),
        store.create(&new_key(), write(&long), op(), None).await.unwrap_err(),
    ];
    for refused in refused {
        assert_eq!((refused.kind(), refused.maybe_applied()), (ErrorKind::TooLarge, false));
    }
    assert_eq!(server.statements().await?.since(&before).total(), 0);
    // What it takes at most it takes.
    let second = store.save(&key, write(&long[1..]), Expected::Revision(first), op()).await?;
    assert_eq!(load(&store, &key).await?.unwrap().payload.len(), most);

    a_limit_that_was_lowered_meanwhile_is_told(&server, &store, most, second, &key).await
}

/// The server closes the connection in the middle of what is too large for it.
async fn a_limit_that_was_lowered_meanwhile_is_told(
    server: &Server,
    store: &SqlStore,
    most: usize,
    revision: session_core::Revision,
    key: &session_core::Key,
) -> TestResult {
    server.execute("SET GLOBAL max_allowed_packet = 16384").await?;
    // From a connection's login on.
    server.kill_clients().await?;
    let long = vec![b'y'; 100_000];
    let began = std::time::Instant::now();
    let refused = store.save(key, write(&long), Expected::Revision(revision), op()).await;
    let refused = refused.unwrap_err();
    let took = began.elapsed();
    assert_eq!(refused.kind(), ErrorKind::TooLarge, "after {took:?}: {refused:?}");
    assert!(took < SOON / 4, "{took:?}");
    assert_eq!(load(store, key).await?.unwrap().payload.len(), most);
    let small = store.save(key, write(b"small"), Expected::Revision(revision), op()).await?;
    assert_eq!(load(store, key).await?.unwrap().revision, small);
    Ok(())
}
