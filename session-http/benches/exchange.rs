//! What a session adds to a request, on the memory store: headers in, headers out.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark may panic")]

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, StatusCode, header::COOKIE};
use session_core::{MemoryStore, Session, SessionManager};
use session_http::{KeyRing, SessionCookie, WebSessions};

fn exchange(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let sessions = WebSessions::from(SessionManager::new(MemoryStore::new()).unwrap());
    let known = runtime.block_on(log_in(&sessions));
    let signing = signing();
    let signed = runtime.block_on(log_in(&signing));
    let none = HeaderMap::new();
    let mut group = c.benchmark_group("request");
    for (name, sessions, headers) in [
        ("no cookie", &sessions, &none),
        ("session", &sessions, &known),
        ("signed session", &signing, &signed),
    ] {
        group.bench_function(format!("{name}, untouched"), |b| {
            b.to_async(&runtime).iter(|| request(sessions, headers, async |_| {}));
        });
        group.bench_function(format!("{name}, read"), |b| {
            b.to_async(&runtime).iter(|| {
                request(sessions, headers, async |session| {
                    session.get::<u64>("count").await.unwrap();
                })
            });
        });
    }
    group.finish();
}

fn signing() -> WebSessions {
    let ring = KeyRing::new([b"a key of 32 bytes, or more of it"]).unwrap();
    let cookie = SessionCookie::builder().signed(ring).build().unwrap();
    let manager = SessionManager::new(MemoryStore::new()).unwrap();
    WebSessions::builder(manager).cookie(cookie).build()
}

async fn log_in(sessions: &WebSessions) -> HeaderMap {
    let mut response = HeaderMap::new();
    let exchange = sessions.begin(&HeaderMap::new());
    exchange.session().insert("count", 1_u64).await.unwrap();
    exchange.finish(StatusCode::OK, &mut response).await.unwrap();
    let cookie = response["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    HeaderMap::from_iter([(COOKIE, cookie.parse().unwrap())])
}

async fn request(sessions: &WebSessions, headers: &HeaderMap, handler: impl AsyncFn(&Session)) {
    let exchange = sessions.begin(headers);
    handler(exchange.session()).await;
    exchange.finish(StatusCode::OK, &mut HeaderMap::new()).await.unwrap();
}

criterion_group!(benches, exchange);
criterion_main!(benches);
