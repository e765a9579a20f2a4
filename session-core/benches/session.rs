//! What the handle costs above a store that costs next to nothing.

#![allow(missing_docs, reason = "criterion's macros make undocumented items")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark that fails has no figures")]

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use session_core::{
    CookieChange, Key, KeyHasher, MemoryStore, OpToken, ReadOptions, SessionId, SessionManager,
    SessionStore, Write,
};
use tokio::runtime::Runtime;

const WAIT: Duration = Duration::from_secs(5);

fn benches(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    bare(c, &runtime);
    handle(c, &runtime);
}

fn bare(c: &mut Criterion, runtime: &Runtime) {
    let store = MemoryStore::new();
    let (id, key) = runtime.block_on(record(&store));
    let mut group = c.benchmark_group("store");
    group.bench_function("digest", |b| {
        let hasher = KeyHasher::plain();
        b.iter(|| black_box(hasher.key(black_box(&id))));
    });
    group.bench_function("load", |b| {
        b.to_async(runtime).iter(|| async {
            black_box(store.load(&key, ReadOptions::latest()).await.unwrap());
        });
    });
    group.finish();
}

async fn record(store: &MemoryStore) -> (SessionId, Key) {
    let id = SessionId::generate().unwrap();
    let key = KeyHasher::plain().key(&id);
    let write = Write::new(vec![b'x'; 1_024], Duration::from_secs(3_600));
    store.create(&key, write, OpToken::generate().unwrap(), None).await.unwrap();
    (id, key)
}

async fn session(manager: &SessionManager) -> SessionId {
    let session = manager.open(None);
    for n in 0..16 {
        session.insert(&format!("entry{n}"), "x".repeat(50)).await.unwrap();
    }
    session.save().await.unwrap();
    match session.cookie_change() {
        CookieChange::Set { id, .. } => id,
        other => panic!("expected an id, found {other:?}"),
    }
}

fn handle(c: &mut Criterion, runtime: &Runtime) {
    let manager = SessionManager::new(MemoryStore::new()).unwrap();
    let id = &runtime.block_on(session(&manager));
    let manager = &manager;
    let mut group = c.benchmark_group("session");
    group.bench_function("open", |b| b.iter(|| black_box(manager.open(Some(id.clone())))));
    group.bench_function("read", |b| {
        b.to_async(runtime).iter(|| async {
            let value: Option<String> = manager.open(Some(id.clone())).get("entry7").await.unwrap();
            black_box(value);
        });
    });
    let mut n = 0_u64;
    group.bench_function("merge commit", |b| {
        b.to_async(runtime).iter(|| {
            n += 1;
            async move {
                let session = manager.open(Some(id.clone()));
                session.insert("n", n).await.unwrap();
                session.save().await.unwrap();
            }
        });
    });
    group.bench_function("update", |b| {
        b.to_async(runtime).iter(|| async {
            let session = manager.open(Some(id.clone()));
            session
                .update(|data| {
                    let count = data.get::<u64>("count")?.unwrap_or_default();
                    data.insert("count", count + 1)
                })
                .await
                .unwrap();
        });
    });
    group.bench_function("exclusive cycle", |b| {
        b.to_async(runtime).iter(|| async {
            let mut locked = manager.open(Some(id.clone())).lock(WAIT).await.unwrap();
            let count = locked.get::<u64>("count").unwrap().unwrap_or_default();
            locked.insert("count", count + 1).unwrap();
            locked.commit().await.unwrap();
        });
    });
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
