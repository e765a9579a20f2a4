//! Beginning and end.

use std::time::Duration;

use session_core::SessionId;
use tokio::join;

use crate::scenarios::{Adapter, Bench, Counts, Played, Stores};

/// SEC-15: whatever the cookie says.
pub async fn sec_15_a_session_ends_by_the_stores_clock(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    browser.get("/set/a/1").await;
    bench.advance(Duration::from_secs(570)).await?;
    assert_eq!(browser.get("/get/a").await.text(), "1", "and this is activity");
    bench.advance(Duration::from_secs(570)).await?;
    assert_eq!(browser.get("/get/a").await.text(), "1");
    bench.advance(Duration::from_secs(601)).await?;
    assert_eq!(browser.get("/get/a").await.text(), "none");
    Ok(())
}

/// SEC-16: neither reads nor writes extend a session beyond it, nor does a new id (SEC-13).
pub async fn sec_16_activity_does_not_pass_the_absolute_deadline(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    browser.get("/set/a/0").await;
    for minute in 1..60 {
        bench.advance(Duration::from_secs(60)).await?;
        let path = match minute % 3 {
            0 => "/get/a",
            1 => "/count",
            _ => "/cycle",
        };
        assert_eq!(browser.get(path).await.status(), 200);
    }
    assert_eq!(browser.get("/get/a").await.text(), "0");
    bench.advance(Duration::from_secs(61)).await?;
    assert_eq!(browser.get("/get/a").await.text(), "none");
    Ok(())
}

/// SEC-18: on every server, from the moment when the response is there.
pub async fn sec_18_a_log_out_is_done_before_the_response(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let (browser, other) = (bench.browser(adapter).await, bench.browser(adapter).await);
    browser.get("/login/alice").await;
    let cookie = browser.cookie().expect("a cookie");
    assert_eq!(other.presenting(&cookie).get("/get/user").await.text(), "alice");
    let reply = browser.get("/logout").await;
    assert_eq!(reply.status(), 200);
    assert_eq!(browser.cookie(), None, "the browser forgot it");
    assert_eq!(bench.records().await, 0);
    for server in [&browser, &other] {
        assert_eq!(server.presenting(&cookie).get("/get/user").await.text(), "none");
    }
    Ok(())
}

/// SEC-19: a request that began before the log-out and ends after it.
pub async fn sec_19_a_request_in_flight_does_not_bring_a_session_back(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    for path in ["/wait/set/a/2", "/wait/count", "/wait/exclusive", "/wait/cycle", "/wait/login/x"]
    {
        let bench = Bench::on(stores).await;
        let browser = bench.browser(adapter).await;
        browser.get("/set/a/1").await;
        let slow = browser.presenting(browser.cookie().expect("a cookie"));
        let (late, ()) = join!(slow.get(path), async {
            bench.app.arrived().await;
            browser.get("/logout").await;
            bench.app.go_on();
        });
        assert_eq!(late.status(), 409, "{path}");
        assert_eq!(late.set_cookie(), None, "{path}");
        assert_eq!(bench.records().await, 0, "{path}");
    }
    Ok(())
}

/// SEC-24: robots with made-up or expired ids fill no store.
pub async fn sec_24_unknown_ids_and_empty_log_outs_write_nothing(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    let unknown = SessionId::generate().expect("random bytes");
    let robot = browser.presenting(format!("__Host-id={}", unknown.expose()));
    for path in ["/get/a", "/peek/a", "/remove/a", "/cycle", "/status/404/get/a"] {
        assert_eq!(robot.get(path).await.set_cookie(), None, "{path}");
        assert_eq!(bench.counts(), Counts::new(1, 0), "{path}");
    }
    robot.get("/logout").await;
    assert_eq!(bench.counts(), Counts::new(1, 0));
    for path in ["/logout", "/get/a", "/cycle"] {
        assert_eq!(browser.get(path).await.set_cookie(), None, "{path} without a cookie");
        assert_eq!(bench.counts(), Counts::new(0, 0), "{path} without a cookie");
    }
    assert_eq!(bench.records().await, 0);
    Ok(())
}

/// SEC-25: not even for a handler that looks, or that takes back what it put in.
pub async fn sec_25_without_data_nothing_is_stored_and_no_cookie_is_set(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    for path in ["/untouched", "/get/a", "/peek/a", "/remove/a", "/cycle", "/logout"] {
        let reply = browser.get(path).await;
        assert_eq!((reply.status(), reply.set_cookie()), (200, None), "{path}");
    }
    assert_eq!(bench.counts(), Counts::new(0, 0));
    assert_eq!(bench.records().await, 0);
    Ok(())
}
