//! Sizes, and how long items stay.

use std::{sync::Arc, time::Duration};

use session_core::{ErrorKind, Expected, OffsetClock, SessionStore, SystemClock, Write};
use session_memcached::MemcachedStore;
use test_load::{HOUR, create, eventually, load, lock, new_key, op, write};
use test_servers::{
    TestResult,
    memcached::{Options, Server},
};

/// Case C02 at its largest, with a log of claims behind it.
pub(crate) async fn a_payload_is_as_large_as_the_server_takes() -> TestResult {
    for size in ["512k", "1m", "4m"] {
        let server = Server::start(&Options::new().largest_item(size)).await?;
        let url = format!("{}?session.max_payload=8000000", server.url());
        let store = MemcachedStore::open(&url).await?;
        let largest = store.capabilities().max_payload;
        assert!(largest > 4_000 && largest < 8_000_000, "{largest} of {size}");
        let key = new_key();
        let mut revision = create(&store, &key, &vec![1; largest]).await;
        for n in 0..3 {
            for _ in 0..20 {
                let lease = store.lock(&key, lock(HOUR / 2, Duration::ZERO)).await?.lease.unwrap();
                store.release(&key, &lease).await?;
            }
            let expected = Expected::Revision(revision);
            revision = store.save(&key, write(&vec![n; largest]), expected, op()).await?;
        }
        assert_eq!(load(&store, &key).await?.unwrap().payload, vec![2; largest]);
    }
    Ok(())
}

/// Case C11.
pub(crate) async fn a_too_large_save_is_refused_before_it_is_sent() -> TestResult {
    let server = Server::start(&Options::new()).await?;
    let store = MemcachedStore::open(&server.url()).await?;
    let key = new_key();
    let revision = create(&store, &key, b"old").await;
    let sets = server.statistic("cmd_set").await?;
    let large = vec![0; store.capabilities().max_payload + 1];
    let save = store.save(&key, write(&large), Expected::Revision(revision), op()).await;
    assert_eq!(save.unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(server.statistic("cmd_set").await?, sets);
    assert_eq!(&*load(&store, &key).await?.unwrap().payload, b"old");
    Ok(())
}

pub(crate) async fn a_log_of_claims_stays_short() -> TestResult {
    let server = Server::start(&Options::new()).await?;
    let store = MemcachedStore::open(&server.url()).await?;
    let key = new_key();
    create(&store, &key, b"x").await;
    for _ in 0..100 {
        let lease = store.lock(&key, lock(HOUR / 2, Duration::ZERO)).await?.lease.unwrap();
        store.renew(&key, &lease, HOUR / 2).await?;
        store.release(&key, &lease).await?;
    }
    let mut client = server.client().await?;
    let name = client.keys().await?.remove(0).replace("%3A", ":");
    let (item, _) = client.item(&name).await?.unwrap();
    assert!(item.len() < 185 + 40 * 37, "{} bytes", item.len());
    Ok(())
}

/// The server would drop the item at the end of its life, and the lock with it.
pub(crate) async fn a_lease_longer_than_the_life_holds_until_its_end() -> TestResult {
    let server = Server::start(&Options::new()).await?;
    let clock = Arc::new(OffsetClock::new(SystemClock::default()));
    let open = || MemcachedStore::builder(&server.url()).unwrap().clock(Arc::clone(&clock)).open();
    let (store, other) = (open().await?, open().await?);
    let key = new_key();
    let short = Write::new("x", Duration::from_secs(60));
    store.create(&key, short, op(), None).await?;
    let lease = store.lock(&key, lock(HOUR, Duration::ZERO)).await?.lease.unwrap();
    let kept = kept(&server).await?;
    assert!(kept >= HOUR.as_secs() - 30, "the server drops the item in {kept} s");
    clock.advance(Duration::from_secs(61));
    assert_eq!(load(&store, &key).await?, None);
    let refused = other.lock(&key, lock(HOUR, Duration::ZERO)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LockTimeout);
    store.renew(&key, &lease, 2 * HOUR).await?;
    let kept = self::kept(&server).await?;
    assert!(kept >= 2 * HOUR.as_secs() - 30, "the server drops the item in {kept} s");
    Ok(())
}

/// For how many seconds a server keeps its only item.
async fn kept(server: &Server) -> Result<u64, Box<dyn std::error::Error>> {
    let mut client = server.client().await?;
    let name = client.keys().await?.remove(0).replace("%3A", ":");
    let told = client.line(&format!("mg {name} t\r\n")).await?;
    let seconds = told.strip_prefix("HD t").ok_or_else(|| format!("no time in {told:?}"))?;
    Ok(seconds.parse()?)
}

pub(crate) async fn items_leave_the_server_after_their_end() -> TestResult {
    let server = Server::start(&Options::new()).await?;
    let store = MemcachedStore::open(&server.url()).await?;
    for ttl in [1, 500, 1_000] {
        let write = Write::new("x", Duration::from_millis(ttl));
        store.create(&new_key(), write, op(), None).await?;
    }
    let lock_only =
        store.lock(&new_key(), lock(Duration::from_millis(300), Duration::ZERO)).await?;
    assert_eq!(lock_only.record, None);
    let mut client = server.client().await?;
    let names = client.keys().await?;
    eventually("an empty server", async || {
        for name in &names {
            let item = server.client().await.unwrap().item(&name.replace("%3A", ":")).await;
            if item.unwrap().is_some() {
                return false;
            }
        }
        true
    })
    .await;
    Ok(())
}
