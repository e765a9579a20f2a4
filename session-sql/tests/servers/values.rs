//! What is stored comes back as it was, and is compared byte by byte, whatever the server's settings.

use std::time::Duration;

use session_core::{
    ErrorKind, Expected, Key, KeyDigest, LockRequest, Meta, OpToken, PrincipalDigest, SessionStore,
};
use test_servers::{TestResult, sql::Server};

use crate::support::{Ground, HOUR, create, load, new_key, op, open, request, write};

/// Two that a collation would take for one: by a letter's case, an accent, blanks at the end.
fn alike<const N: usize>() -> [[u8; N]; 4] {
    let letters = [b'a'; N];
    let with = |at: usize, byte: u8| {
        let mut bytes = letters;
        bytes[at] = byte;
        bytes
    };
    [letters, with(N / 2, b'A'), with(0, 0xe4), with(N - 1, b' ')]
}

pub(crate) async fn keys_that_differ_in_one_bit_are_different_sessions(
    ground: Ground,
) -> TestResult {
    let world = ground.world().await?;
    let store = &world.store;
    let mut keys: Vec<Key> = alike::<32>().map(KeyDigest::from_bytes).map(Key::from_digest).into();
    let mut blank = [b'a'; 32];
    blank[31] = 0;
    keys.push(Key::from_digest(KeyDigest::from_bytes(blank)));
    for (number, key) in (0_u8..).zip(&keys) {
        create(store, key, &[number]).await;
    }
    for (number, key) in (0_u8..).zip(&keys) {
        assert_eq!(*load(store, key).await?.unwrap().payload, [number]);
    }
    store.delete(&keys[0], Expected::Any, op()).await?;
    for (number, key) in (0_u8..).zip(&keys) {
        assert_eq!(load(store, key).await?.is_some(), number > 0);
    }
    Ok(())
}

pub(crate) async fn leases_and_principals_that_differ_in_one_bit_are_different(
    ground: Ground,
) -> TestResult {
    let world = ground.world().await?;
    let (store, key) = (&world.store, new_key());
    create(store, &key, b"x").await;
    let [mine, others @ ..] = alike::<16>().map(OpToken::from_bytes);
    let lock = |token, wait| store.lock(&key, LockRequest::new(token, HOUR, wait));
    let lease = lock(mine, Duration::ZERO).await?.lease.unwrap();
    for other in others {
        let refused = lock(other, Duration::ZERO).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::LockTimeout);
        let stranger = session_core::Lease::new(other, HOUR);
        store.release(&key, &stranger).await?;
        let refused = store.renew(&key, &stranger, HOUR).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::LockLost);
    }
    store.renew(&key, &lease, HOUR).await?;

    let index = store.principal_index().unwrap();
    for (number, principal) in (1..).zip(alike::<32>()) {
        let principal = PrincipalDigest::from_bytes(principal);
        for _ in 0..number {
            index.bump_epoch(&principal).await?;
            let meta = Meta::new().with_principal(Some(principal), 0);
            store.create(&new_key(), write(b"x").with_meta(meta), op(), None).await?;
        }
    }
    for (number, principal) in (1..).zip(alike::<32>()) {
        let principal = PrincipalDigest::from_bytes(principal);
        assert_eq!(index.epoch(&principal).await?, number);
        let listed = index.list(&principal, None, 100).await?.keys.len();
        assert_eq!(u64::try_from(listed)?, number);
    }
    Ok(())
}

pub(crate) async fn every_byte_comes_back(ground: Ground) -> TestResult {
    let world = ground.world().await?;
    let (store, key) = (&world.store, new_key());
    let all: Vec<u8> = (0..=255).collect();
    let mut revision = create(store, &key, &all).await;
    assert_eq!(*load(store, &key).await?.unwrap().payload, all);
    let awkward: [&[u8]; 7] = [
        b"",
        b"\0",
        b"'; DROP TABLE sessions; --",
        b"\\'\\\"\\0%_?:1$1 ",
        "\u{e4}\u{1f36a}".as_bytes(),
        b"\xff\xfe\x00\x80",
        b"   ",
    ];
    for payload in awkward {
        let expected = Expected::Revision(revision);
        revision = store.save(&key, write(payload), expected, op()).await?;
        assert_eq!(*load(store, &key).await?.unwrap().payload, *payload);
    }
    let long: Vec<u8> = (0..1 << 20).map(|n: u32| n.to_be_bytes()[3] ^ 0x5a).collect();
    store.save(&key, write(&long), Expected::Revision(revision), op()).await?;
    assert_eq!(*load(store, &key).await?.unwrap().payload, long);
    Ok(())
}

/// The server's own mode is to cut short what is too long.
pub(crate) async fn what_does_not_fit_is_refused_and_not_cut_short(ground: Ground) -> TestResult {
    let world = ground.world().await?;
    let (store, key) = (&world.store, new_key());
    assert_eq!(ground.server().await?.query("SELECT @@GLOBAL.sql_mode").await?, "");
    let first = create(store, &key, b"kept").await;
    // Sessions in a column of 64 KB, as many schemas have it.
    world.direct().await.run("ALTER TABLE sessions MODIFY data BLOB NOT NULL").await;
    let long = vec![b'x'; 70_000];
    let refused = store.save(&key, write(&long), Expected::Revision(first), op()).await;
    let refused = refused.unwrap_err();
    assert_eq!((refused.kind(), refused.maybe_applied()), (ErrorKind::Config, false), "{refused}");
    let refused = store.create(&new_key(), write(&long), op(), None).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config, "{refused}");
    let record = load(store, &key).await?.unwrap();
    assert_eq!((&*record.payload, record.revision), (&b"kept"[..], first));
    // With its checksum and its epoch.
    let fits = vec![b'x'; 65_535 - 12];
    store.save(&key, write(&fits), Expected::Revision(first), op()).await?;
    assert_eq!(*load(store, &key).await?.unwrap().payload, fits);
    Ok(())
}

/// Nor are its commits left open where connections begin with a transaction.
pub(crate) async fn a_server_that_commits_nothing_by_itself_is_told_to(
    ground: Ground,
) -> TestResult {
    let server = Server::start(&ground.kind.options().unwrap()).await?;
    server.execute("SET GLOBAL autocommit = 0").await?;
    let stores = [open(&server.url(), |it| it).await, open(&server.url(), |it| it).await];
    let key = new_key();
    let first = create(&stores[0], &key, b"1").await;
    let second = stores[1].save(&key, write(b"2"), Expected::Revision(first), op()).await?;
    assert_eq!(load(&stores[0], &key).await?.unwrap().revision, second);
    let lease = stores[0].lock(&key, request(Duration::ZERO)).await?.lease.unwrap();
    let refused = stores[1].lock(&key, request(Duration::ZERO)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LockTimeout);
    stores[0].release(&key, &lease).await?;
    stores[1].delete(&key, Expected::Any, op()).await?;
    assert_eq!(load(&stores[0], &key).await?, None);
    Ok(())
}
