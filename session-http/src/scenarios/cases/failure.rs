//! When the session fails.

use http::{HeaderValue, StatusCode};

use crate::scenarios::{Adapter, Bench, Played, Stores, probe::PLANTED};

/// Z02: the request is refused, and the session is what it was once the store is back.
pub async fn z02_a_store_that_is_down_refuses_and_loses_nothing(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    browser.get("/set/a/1").await;
    let id = browser.id();
    bench.store.take_down();
    for path in ["/get/a", "/peek/a", "/set/a/2", "/count", "/exclusive", "/cycle", "/login/x"] {
        let reply = browser.get(path).await;
        assert_eq!((reply.status(), reply.set_cookie()), (503, None), "{path}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(reply.header("retry-after"), Some("1"), "{path}");
    }
    assert_eq!(browser.get("/logout").await.status(), 503, "a log-out that did not happen");
    assert_eq!(browser.get("/untouched").await.status(), 200, "whoever needs no session");
    let without = browser.get("/swallow/get/a").await;
    assert_eq!((without.status(), without.text()), (200, "swallowed"), "or goes on without it");
    assert_eq!(without.set_cookie(), None);

    bench.store.bring_up();
    assert_eq!(browser.id(), id);
    assert_eq!(browser.get("/get/a").await.text(), "1");
    assert_eq!(bench.records().await, 1, "no fresh session beside the old one");
    Ok(())
}

/// Z03: not for a new session either, whatever the handler makes of the error.
pub async fn z03_no_cookie_is_issued_when_the_store_is_down(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    bench.store.take_down();
    for path in ["/set/a/1", "/login/alice", "/count", "/swallow/set/a/1"] {
        let reply = browser.get(path).await;
        assert_eq!((reply.status(), reply.set_cookie()), (503, None), "{path}");
    }
    let swallowed = browser.get("/swallow/count").await;
    assert_eq!((swallowed.status(), swallowed.set_cookie()), (200, None));
    bench.store.bring_up();
    assert_eq!(bench.records().await, 0);
    Ok(())
}

/// Neither the handler's error nor that of the save at the end.
pub async fn errors_tell_visitors_nothing(adapter: &dyn Adapter, stores: &dyn Stores) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    let newcomer = bench.browser(adapter).await;
    browser.get("/set/a/1").await;
    bench.store.take_down();
    for path in ["/get/a", "/set/a/2", "/count", "/logout"] {
        for reply in [browser.get(path).await, newcomer.get("/set/a/1").await] {
            assert_eq!(reply.status(), 503, "{path}");
            let shown = reply.shown();
            for secret in [PLANTED, "probed", "load", "create", "unavailable", &browser.id()] {
                assert!(!shown.contains(secret), "{path} shows {secret:?}: {shown}");
            }
            assert!(!reply.text().is_empty(), "a sentence for the visitor");
        }
    }
    Ok(())
}

/// The hook has its say in both cases.
pub async fn the_error_page_is_yours(adapter: &dyn Adapter, stores: &dyn Stores) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench
        .browser_with(adapter, |web| {
            web.on_error(|error, response| {
                assert!(error.is_retryable());
                *response.status_mut() = StatusCode::IM_A_TEAPOT;
                *response.body_mut() = "<h1>Back soon</h1>".into();
                response
                    .headers_mut()
                    .insert("content-type", HeaderValue::from_static("text/html"));
            })
        })
        .await;
    let newcomer = browser.presenting("a=b");
    browser.get("/set/a/1").await;
    bench.store.take_down();
    for (visitor, path) in [(&browser, "/get/a"), (&newcomer, "/swallow/set/a/1")] {
        let reply = visitor.get(path).await;
        assert_eq!((reply.status(), reply.text()), (418, "<h1>Back soon</h1>"), "{path}");
        assert_eq!(reply.header("content-type"), Some("text/html"), "{path}");
    }
    Ok(())
}
