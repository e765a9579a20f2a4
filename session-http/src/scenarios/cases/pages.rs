//! What pages are made with: caching, "remember me", CSRF tokens, messages.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::join;

use crate::{
    CacheLimiter,
    scenarios::{Adapter, Bench, Counts, Played, Stores},
};

/// SEC-36: what the cookie forbids wins.
pub async fn sec_36_the_cache_limiter_gives_way_to_the_cookie(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let hour = Duration::from_secs(3600);
    for (limiter, control) in [
        (CacheLimiter::NoCache, "no-store, no-cache, must-revalidate"),
        (CacheLimiter::Private(hour), "private, max-age=3600"),
        (CacheLimiter::PrivateNoExpire(hour), "private, max-age=3600"),
        (CacheLimiter::Public(hour), "public, max-age=3600"),
    ] {
        let browser = bench.browser_with(adapter, |web| web.cache_limiter(limiter)).await;
        let reply = browser.get("/set/a/1").await;
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{limiter:?}");
        assert_eq!(reply.header("expires"), None, "{limiter:?}");
        let reply = browser.get("/get/a").await;
        assert_eq!(reply.header("cache-control"), Some(control));
        assert_eq!(reply.header("vary"), Some("cookie"));
        let missing = browser.get("/status/404/get/a").await;
        let of_errors = limiter == CacheLimiter::NoCache;
        assert_eq!(missing.header("cache-control"), of_errors.then_some(control), "{limiter:?}");
        let careless = bench
            .browser_with(adapter, |web| {
                let web = web.cache_limiter(limiter);
                web.on_error(|_, response| response.headers_mut().clear())
            })
            .await;
        let careless = careless.presenting(browser.cookie().expect("a cookie"));
        let failed = careless.get("/failing/get/a").await;
        assert_eq!(failed.header("cache-control"), Some("no-store"), "{limiter:?}");
        let untouched = browser.get("/untouched").await;
        assert_eq!(untouched.header("cache-control"), None, "{limiter:?}");
    }
    Ok(())
}

/// SEC-35, SEC-16: the cookie says what the store will do.
pub async fn sec_35_a_remembered_session_outlives_pauses_and_not_its_deadline(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let max_age = |cookie: Option<&str>| -> u64 {
        let age = cookie.and_then(|cookie| cookie.split("; Max-Age=").nth(1));
        age.and_then(|rest| rest.split(';').next()?.parse().ok()).expect("a Max-Age")
    };
    let reply = browser.get("/login/alice").await;
    assert!(!reply.set_cookie().expect("a cookie").contains("Max-Age"), "not asked for");
    let reply = browser.get("/remember/1800").await;
    assert!((1740..=1800).contains(&max_age(reply.set_cookie())));

    bench.advance(minutes(25)).await?;
    let reply = browser.get("/get/user").await;
    assert_eq!(reply.text(), "alice", "longer than others are kept");
    assert!((1740..=1800).contains(&max_age(reply.set_cookie())), "and the cookie follows");
    bench.advance(minutes(20)).await?;
    let reply = browser.get("/cycle").await;
    assert!((840..=900).contains(&max_age(reply.set_cookie())), "no longer than the session");
    bench.advance(minutes(14)).await?;
    assert_eq!(browser.get("/get/user").await.text(), "alice");
    bench.advance(minutes(2)).await?;
    assert_eq!(browser.get("/get/user").await.text(), "none", "the deadline stays");
    Ok(())
}

/// On a computer that several people use.
pub async fn who_does_not_ask_for_it_is_not_remembered_for_the_one_before(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    browser.get("/login/alice").await;
    let remembered = browser.get("/remember/1800").await;
    assert!(remembered.set_cookie().expect("a cookie").contains("Max-Age"));
    let next = browser.get("/forget/bob").await;
    assert!(!next.set_cookie().expect("a cookie").contains("Max-Age"), "until the browser closes");
    bench.advance(Duration::from_secs(601)).await?;
    assert_eq!(browser.get("/get/user").await.text(), "none", "as long as others");
    Ok(())
}

/// Nothing is stored before a token is asked for.
pub async fn a_csrf_token_is_asked_for_checked_and_ended_by_a_log_in(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    let check = async |token: &str| browser.get(&format!("/csrf/{token}")).await.status();
    assert_eq!(check("").await, 200, "(this path answers a token)");
    let stranger = bench.browser(adapter).await;
    bench.forget_counts();
    assert_eq!(stranger.get("/csrf/junk").await.status(), 403);
    assert_eq!(bench.counts(), Counts::new(0, 0));

    let (first, second) = (browser.get("/csrf").await, browser.get("/csrf").await);
    assert_ne!(first.text(), second.text(), "each is masked anew");
    assert_eq!((check(first.text()).await, check(second.text()).await), (200, 200));
    let theirs = stranger.get("/csrf").await;
    assert_eq!(check(theirs.text()).await, 403, "bound to the session");
    let changed: String = first.text().chars().rev().collect();
    for token in ["junk", &"A".repeat(64), &changed, &first.text()[1..]] {
        assert_eq!(check(token).await, 403, "{token}");
    }
    browser.get("/cycle").await;
    assert_eq!(check(first.text()).await, 200, "a new id is no log-in");
    browser.get("/login/alice").await;
    assert_eq!(check(first.text()).await, 403, "a token of before the log-in");
    let fresh = browser.get("/csrf").await;
    assert_eq!(check(fresh.text()).await, 200);

    let exclusive = browser.get("/exclusively/csrf").await;
    assert_eq!(check(exclusive.text()).await, 200, "asked for in exclusive mode");

    let pages = bench.browser(adapter).await;
    pages.get("/set/a/1").await;
    let (one, other) = join!(pages.get("/csrf"), pages.get("/csrf"));
    for token in [one.text(), other.text()] {
        assert_eq!(pages.get(&format!("/csrf/{token}")).await.status(), 200, "of parallel pages");
    }
    Ok(())
}

/// The handler does not begin without the header.
pub async fn a_guarded_handler_needs_the_csrf_header(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    let token = browser.get("/csrf").await.text().to_owned();
    let with = |token: &str| {
        HeaderMap::from_iter([(crate::csrf::HEADER, HeaderValue::try_from(token).expect("text"))])
    };
    for headers in [HeaderMap::new(), with(""), with("junk")] {
        let reply = browser.send("/guarded/set/a/1", headers).await;
        assert_eq!((reply.status(), reply.header("cache-control")), (403, Some("no-store")));
    }
    assert_eq!(browser.get("/get/a").await.text(), "none");
    assert_eq!(browser.send("/guarded/set/a/1", with(&token)).await.status(), 200);
    assert_eq!(browser.get("/get/a").await.text(), "1");
    Ok(())
}

/// Also when two pages ask for it at once.
pub async fn a_message_is_shown_once(adapter: &dyn Adapter, stores: &dyn Stores) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    assert_eq!(browser.get("/flashes").await.text(), "");
    assert_eq!(bench.counts(), Counts::new(0, 0), "nothing is stored for nothing");
    assert_eq!(browser.get("/status/303/flash/saved").await.status(), 303);
    browser.get("/exclusively/flash/twice").await;
    assert_eq!(browser.get("/untouched").await.text(), "done");
    assert_eq!(browser.get("/flashes").await.text(), "saved,twice");
    assert_eq!(browser.get("/flashes").await.text(), "");

    browser.get("/flash/once").await;
    let other = browser.presenting(browser.cookie().expect("a cookie"));
    let (a, b) = join!(browser.get("/wait/flashes"), async {
        bench.app.arrived().await;
        let quick = other.get("/flashes").await;
        bench.app.go_on();
        quick
    });
    assert_eq!((a.text(), b.text()), ("", "once"), "both had read it, one took it");
    let (_, _) = join!(browser.get("/flash/x"), other.get("/flash/y"));
    let mut both: Vec<String> =
        browser.get("/exclusively/flashes").await.text().split(',').map(Into::into).collect();
    both.sort_unstable();
    assert_eq!(both, ["x", "y"], "parallel messages do not overwrite each other");

    for n in 0..40 {
        browser.get(&format!("/flash/{n}")).await;
    }
    let waiting = browser.get("/flashes").await;
    assert_eq!(waiting.text().split(',').count(), 32);
    assert!(waiting.text().ends_with(",39"), "the oldest went");
    Ok(())
}
