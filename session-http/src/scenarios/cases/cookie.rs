//! What goes out in the headers.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use crate::{
    SessionCookie, SiteData, Transport,
    scenarios::{Adapter, Bench, Counts, Played, Stores},
};

/// SEC-10, SEC-30: name and attributes of the default.
pub async fn sec_30_the_cookie_goes_out_with_every_protection(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    let reply = browser.get("/set/a/1").await;
    let expected = format!("__Host-id={}; Path=/; Secure; HttpOnly; SameSite=Lax", browser.id());
    assert_eq!(reply.set_cookie(), Some(expected.as_str()));
    assert_eq!(browser.get("/set/a/2").await.set_cookie(), None, "it is sent once");
    Ok(())
}

/// SEC-35: not by default; and when it is wanted, never beyond the session's own life.
pub async fn sec_35_a_persistent_cookie_is_renewed_with_the_session(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let day = Duration::from_secs(86_400);
    let cookie = SessionCookie::builder().persistent(day).build().expect("a cookie");
    let browser = bench.browser_with(adapter, |web| web.cookie(cookie)).await;
    let max_age = |cookie: Option<&str>| {
        let age = cookie.and_then(|cookie| cookie.split("; Max-Age=").nth(1)).map(|rest| {
            rest.split(';').next().and_then(|age| age.parse::<u64>().ok()).expect("a number")
        });
        age.map(Duration::from_secs)
    };
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let about = |age: Option<Duration>, limit: Duration| {
        let age = age.expect("a Max-Age");
        assert!(age <= limit && age + minutes(1) >= limit, "{age:?} instead of {limit:?}");
    };
    let reply = browser.get("/set/a/1").await;
    about(max_age(reply.set_cookie()), minutes(10));
    assert_eq!(browser.get("/get/a").await.set_cookie(), None, "nothing has changed");

    bench.advance(minutes(5)).await?;
    let reply = browser.get("/get/a").await;
    about(max_age(reply.set_cookie()), minutes(10));
    for _ in 0..10 {
        bench.advance(minutes(5)).await?;
        browser.get("/get/a").await;
    }
    let reply = browser.get("/set/a/2").await;
    about(max_age(reply.set_cookie()), minutes(5));

    let plain = bench.browser(adapter).await;
    let reply = plain.get("/set/a/1").await;
    assert_eq!(max_age(reply.set_cookie()), None);
    Ok(())
}

/// SEC-36: with the cookie, no cache may store the response; without it, caches must know what it
/// depends on.
pub async fn sec_36_what_depends_on_the_session_is_not_cached(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    let anonymous = browser.get("/get/a").await;
    assert_eq!(anonymous.header("vary"), Some("cookie"), "it would differ with a cookie");
    for path in ["/set/a/1", "/cycle", "/logout"] {
        let reply = browser.get(path).await;
        assert!(reply.set_cookie().is_some(), "{path}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(reply.header("vary"), Some("cookie"), "{path}");
    }
    browser.get("/set/a/1").await;
    for path in ["/get/a", "/peek/a", "/set/a/2"] {
        let reply = browser.get(path).await;
        assert_eq!(reply.header("cache-control"), None, "{path}");
        assert_eq!(reply.header("vary"), Some("cookie"), "{path}");
    }
    Ok(())
}

/// SEC-37: the attributes are those that the cookie was set with.
pub async fn sec_37_a_log_out_clears_the_cookie_and_the_site_data(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let cookie = SessionCookie::builder().name("__Secure-shop").path("/").domain("example.com");
    let cookie = cookie.build().expect("a cookie");
    let browser = bench
        .browser_with(adapter, |web| {
            web.cookie(cookie).clear_site_data(&[SiteData::Cache, SiteData::Storage])
        })
        .await;
    let set = browser.get("/login/alice").await;
    assert_eq!(set.header("clear-site-data"), None);
    let attributes = "; Path=/; Domain=example.com; Secure; HttpOnly; SameSite=Lax";
    assert!(set.set_cookie().is_some_and(|cookie| cookie.ends_with(attributes)));
    let cleared = browser.get("/logout").await;
    let expected = "__Secure-shop=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
    assert_eq!(cleared.set_cookie(), Some(format!("{expected}{attributes}").as_str()));
    assert_eq!(cleared.header("clear-site-data"), Some("\"cache\", \"storage\""));
    Ok(())
}

/// SEC-38: whichever comes first, in one header or in two.
pub async fn sec_38_several_session_cookies_are_none(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let (browser, planted) = (bench.browser(adapter).await, bench.browser(adapter).await);
    browser.get("/set/a/victim").await;
    planted.get("/set/a/attacker").await;
    let (own, other) = (browser.cookie().expect("a cookie"), planted.cookie().expect("a cookie"));
    bench.forget_counts();
    for cookies in
        [format!("{own}; {other}"), format!("{other}; {own}"), format!("{own}; __Host-id=x")]
    {
        let reply = browser.presenting(cookies).get("/get/a").await;
        assert_eq!(reply.text(), "none");
        assert_eq!(bench.counts(), Counts::new(0, 0));
    }
    let mut second = HeaderMap::new();
    second.append("cookie", HeaderValue::try_from(other).expect("a header"));
    assert_eq!(browser.send("/get/a", second).await.text(), "none");
    let twice = browser.presenting(format!("{own}; {own}")).get("/get/a").await;
    assert_eq!(twice.text(), "victim", "the same cookie twice is one");
    Ok(())
}

/// SEC-39: where a proxy says which requests came over TLS.
pub async fn sec_39_a_secure_cookie_keeps_off_plain_http(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser =
        bench.browser_with(adapter, |web| web.transport(Transport::forwarded_proto())).await;
    let proto = |value: &'static str| {
        HeaderMap::from_iter([(
            http::HeaderName::from_static("x-forwarded-proto"),
            HeaderValue::from_static(value),
        )])
    };
    for (path, status) in
        [("/set/a/1", 200), ("/count", 200), ("/login/alice", 200), ("/failing/count", 500)]
    {
        for plain in [HeaderMap::new(), proto("http"), proto("https, http")] {
            let reply = browser.send(path, plain).await;
            assert_eq!((reply.status(), reply.set_cookie()), (status, None), "{path}");
        }
    }
    assert_eq!(bench.records().await, 0, "nothing is left that nobody can reach");
    let reply = browser.send("/set/a/1", proto("https")).await;
    assert!(reply.set_cookie().is_some());
    assert_eq!(browser.send("/get/a", proto("http")).await.text(), "none", "sent in the clear");
    assert_eq!(browser.send("/get/a", proto("https")).await.text(), "1");

    let dev = SessionCookie::builder().name("id").without_secure().build().expect("a cookie");
    let bare = bench
        .browser_with(adapter, |web| web.cookie(dev).transport(Transport::forwarded_proto()))
        .await;
    assert!(bare.get("/set/a/1").await.set_cookie().is_some(), "a cookie that is not Secure");
    Ok(())
}
