//! Ids in headers, for APIs.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    SessionCookie, SessionHeader, Transport,
    scenarios::{Adapter, Bench, Counts, Played, Reply, Stores},
};

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::try_from(*value).expect("a value"))
    };
    lines.iter().map(line).collect()
}

fn bearer(id: &str) -> HeaderMap {
    headers(&[("authorization", &format!("Bearer {id}"))])
}

fn new_id(reply: &Reply) -> String {
    assert_eq!(reply.set_cookie(), None, "never both");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    reply.header("session-id").expect("a new id").to_owned()
}

/// SEC-09: then the cookie counts for nothing, as the URL does in any case.
pub async fn sec_09_a_header_carries_the_id_where_that_is_configured(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let api = bench
        .browser_with(adapter, |web| {
            web.header(SessionHeader::bearer()).transport(Transport::forwarded_proto())
        })
        .await;
    let https = |mut map: HeaderMap| {
        map.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        map
    };
    let first = api.send("/set/a/1", https(HeaderMap::new())).await;
    assert_eq!(first.header("vary"), Some("authorization"));
    let id = new_id(&first);
    let read = api.send("/get/a", https(bearer(&id))).await;
    assert_eq!((read.text(), read.header("session-id")), ("1", None), "it is sent once");
    assert_eq!(read.header("vary"), Some("authorization"));

    bench.forget_counts();
    let cookie = api.presenting(format!("__Host-id={id}"));
    assert_eq!(cookie.send("/get/a", https(HeaderMap::new())).await.text(), "none");
    assert_eq!(
        api.send(&format!("/get/a?session-id={id}"), https(HeaderMap::new())).await.text(),
        "none"
    );
    let own = headers(&[("session-id", &id)]);
    assert_eq!(api.send("/get/a", https(own)).await.text(), "none", "that is the response's");
    assert_eq!(api.send("/get/a", bearer(&id)).await.text(), "none", "sent in the clear");
    assert_eq!(bench.counts(), Counts::new(0, 0));

    let rotated = new_id(&api.send("/login/alice", https(bearer(&id))).await);
    assert_eq!(api.send("/get/user", https(bearer(&id))).await.text(), "none");
    let over = api.send("/logout", https(bearer(&rotated))).await;
    assert_eq!(new_id(&over), "", "the client may forget it");
    assert_eq!(api.send("/get/user", https(bearer(&rotated))).await.text(), "none");
    Ok(())
}

/// SEC-09: what came by the cookie, which scripts cannot read, is not shown in a header.
pub async fn sec_09_pages_and_apis_do_not_exchange_their_ids(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench
        .browser_with(adapter, |web| {
            web.header_or_cookie(SessionHeader::bearer(), SessionCookie::default())
        })
        .await;
    let page = browser.get("/set/a/page").await;
    assert!(page.set_cookie().is_some() && page.header("session-id").is_none());
    assert_eq!(page.headers("vary"), ["cookie", "authorization"], "the choice depends on both");

    let script = browser.presenting(browser.cookie().expect("a cookie"));
    for path in ["/get/a", "/cycle", "/logout"] {
        let reply = script.send(path, bearer("")).await;
        assert_eq!((reply.set_cookie(), reply.header("session-id")), (None, None), "{path}");
    }
    assert_eq!(browser.get("/get/a").await.text(), "page");
    let id = new_id(&script.send("/set/a/api", bearer("")).await);
    assert_eq!(script.send("/get/a", bearer(&id)).await.text(), "api");
    assert_eq!(script.get("/get/a").await.text(), "page");
    let basic = headers(&[("authorization", "Basic YTpi")]);
    assert_eq!(browser.send("/get/a", basic).await.text(), "page", "another scheme is no session");
    Ok(())
}
