//! What a request costs, and what is saved when.

use tokio::join;

use crate::{
    SavePolicy,
    scenarios::{Adapter, Bench, Browser, Counts, Played, Stores},
};

/// No traffic, no headers: neither for a visitor without a cookie nor for one with a session.
pub async fn a_handler_that_does_not_touch_its_session_costs_nothing(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    for has_session in [false, true] {
        if has_session {
            browser.get("/set/a/1").await;
            bench.forget_counts();
        }
        let reply = browser.get("/untouched").await;
        assert_eq!(reply.status(), 200);
        assert_eq!(bench.counts(), Counts::new(0, 0), "with a session: {has_session}");
        for header in ["set-cookie", "cache-control", "vary"] {
            assert_eq!(reply.header(header), None, "with a session: {has_session}");
        }
    }
    Ok(())
}

/// What is documented of the modes.
pub async fn reading_costs_one_load_and_writing_one_save(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    browser.get("/set/a/1").await;
    assert_eq!(bench.counts(), Counts::new(0, 1), "a first write creates");
    for path in ["/get/a", "/peek/a", "/set/a/1"] {
        browser.get(path).await;
        assert_eq!(bench.counts(), Counts::new(1, 0), "{path}");
    }
    for path in ["/set/a/2", "/remove/a", "/count", "/exclusive"] {
        browser.get(path).await;
        assert_eq!(bench.counts(), Counts::new(1, 1), "{path}");
    }
    Ok(())
}

/// Whoever sees the response finds its changes in the store, through another server as well.
pub async fn the_session_is_saved_before_the_response_is_sent(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let (browser, other) = (bench.browser(adapter).await, bench.browser(adapter).await);
    browser.get("/set/a/1").await;
    assert_eq!(bench.records().await, 1);
    let elsewhere = other.presenting(browser.cookie().expect("a cookie"));
    assert_eq!(elsewhere.get("/get/a").await.text(), "1");
    Ok(())
}

/// Two requests that both read the session before either saves it.
pub async fn parallel_requests_keep_all_their_entries(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    browser.get("/set/first/1").await;
    let (waiting, ()) = join!(browser.get("/wait/set/slow/1"), async {
        bench.app.arrived().await;
        browser.get("/set/quick/1").await;
        browser.get("/remove/first").await;
        bench.app.go_on();
    });
    assert_eq!(waiting.status(), 200);
    assert_eq!(all(&browser, &["first", "slow", "quick"]).await, ["none", "1", "1"]);
    Ok(())
}

async fn all(browser: &Browser, names: &[&str]) -> Vec<String> {
    let mut values = Vec::new();
    for name in names {
        values.push(browser.get(&format!("/get/{name}")).await.text().to_owned());
    }
    values
}

/// By `update` and under the lock, mixed.
pub async fn counting_in_parallel_counts_each_request(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    browser.get("/count").await;
    let (count, exclusive) = ("/count", "/exclusive");
    let replies = join!(
        browser.get(count),
        browser.get(exclusive),
        browser.get(count),
        browser.get(exclusive),
        browser.get(exclusive),
        browser.get(count),
    );
    let (a, b, c, d, e, f) = replies;
    let mut seen: Vec<u64> =
        [a, b, c, d, e, f].iter().map(|reply| reply.text().parse().expect("a number")).collect();
    seen.sort_unstable();
    assert_eq!(seen, [2, 3, 4, 5, 6, 7]);
    Ok(())
}

/// A handler that fails has not finished its work.
pub async fn a_server_error_gives_up_the_changes(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    let reply = browser.get("/status/500/set/a/1").await;
    assert_eq!((reply.status(), reply.text()), (500, "done"), "the handler's own response");
    assert_eq!(reply.set_cookie(), None);
    assert_eq!(bench.counts(), Counts::new(0, 0));
    assert_eq!(browser.get("/failing/set/a/1").await.set_cookie(), None);
    assert_eq!(bench.counts(), Counts::new(0, 0));

    browser.get("/set/a/1").await;
    browser.get("/status/503/set/a/2").await;
    assert_eq!(browser.get("/get/a").await.text(), "1");
    assert_eq!(browser.get("/status/500/count").await.text(), "1", "what saves at once");
    assert_eq!(browser.get("/get/count").await.status(), 500, "a number is no text");
    assert_eq!(browser.get("/count").await.text(), "2", "is saved");

    let always = bench.browser_with(adapter, |web| web.save_policy(SavePolicy::Always)).await;
    always.get("/status/500/set/a/3").await;
    assert_eq!(always.get("/get/a").await.text(), "3");
    Ok(())
}

/// The id was changed in the store before the handler failed; the browser must learn it.
pub async fn a_server_error_does_not_lose_a_rotation(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let paths =
        ["/status/500/cycle", "/status/500/login/alice", "/failing/cycle", "/failing/login/alice"];
    for path in paths {
        let bench = Bench::on(stores).await;
        let browser = bench.browser(adapter).await;
        browser.get("/set/a/1").await;
        let before = browser.id();
        let reply = browser.get(path).await;
        assert_eq!((reply.status(), reply.header("cache-control")), (500, Some("no-store")));
        assert_ne!(browser.id(), before, "{path}");
        assert_eq!(browser.get("/get/a").await.text(), "1", "{path}");
    }
    Ok(())
}

/// A form with a mistake still remembers what it was told.
pub async fn other_errors_keep_the_changes(adapter: &dyn Adapter, stores: &dyn Stores) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    for status in [303, 404, 422] {
        let value = status.to_string();
        let reply = browser.get(&format!("/status/{status}/set/a/{value}")).await;
        assert_eq!(reply.status(), status);
        assert_eq!(browser.get("/get/a").await.text(), value);
    }
    Ok(())
}
