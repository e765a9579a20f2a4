//! Which ids are accepted, and when they change.

use std::time::Duration;

use session_core::{KeyHasher, SessionId};
use tokio::join;

use crate::scenarios::{Adapter, Bench, Counts, Played, Stores};

/// SEC-03: what is stored then has an id of its own.
pub async fn sec_03_an_unknown_id_is_never_adopted(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let unknown = SessionId::generate().expect("random bytes");
    let browser = bench.browser(adapter).await;
    for path in ["/set/a/1", "/count", "/exclusive", "/login/alice"] {
        let visitor = browser.presenting(format!("__Host-id={}", unknown.expose()));
        assert!(visitor.get(path).await.set_cookie().is_some(), "{path}");
        assert_ne!(visitor.id(), unknown.expose(), "{path}");
        let again = browser.presenting(format!("__Host-id={}", unknown.expose()));
        assert_eq!(again.get("/get/a").await.text(), "none", "{path}");
    }
    Ok(())
}

/// SEC-04: such a visitor is one without a cookie, and the store does not hear of it.
pub async fn sec_04_hostile_cookies_cost_nothing(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    let long = "A".repeat(10_000);
    let hostile =
        ["", "../../etc/passwd", "a:b", "{}", "*", "' OR 1=1 --", "%00", "%0d%0aX-A: b", &long];
    for value in hostile {
        let visitor = browser.presenting(format!("__Host-id={value}"));
        for path in ["/get/a", "/peek/a", "/logout"] {
            assert_eq!(visitor.get(path).await.status(), 200, "{value:?}");
            assert_eq!(bench.counts(), Counts::new(0, 0), "{value:?}");
        }
    }
    Ok(())
}

/// SEC-06: a copy of the store gives nobody a cookie.
pub async fn sec_06_a_key_presented_as_an_id_finds_nothing(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    browser.get("/set/a/1").await;
    let id = SessionId::parse_native(&browser.id()).expect("an id of ours");
    let digest = *KeyHasher::plain().key(&id).digest();
    bench.forget_counts();
    let thief = browser.presenting(format!("__Host-id={}", base64url(digest.as_bytes())));
    assert_eq!(thief.get("/get/a").await.text(), "none");
    assert_eq!(bench.counts(), Counts::new(1, 0), "it was looked up, and nothing was written");
    Ok(())
}

fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |bits: u32| char::from(*ALPHABET.get(bits as usize & 63).expect("six bits"));
    let group = |chunk: &[u8]| {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        [18, 12, 6, 0].map(|shift| digit(bits >> shift)).into_iter().take(chunk.len() + 1)
    };
    bytes.chunks(3).flat_map(group).collect()
}

/// SEC-09: not from the URL.
pub async fn sec_09_ids_come_from_the_cookie_only(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    browser.get("/set/a/1").await;
    let (id, cookie) = (browser.id(), browser.cookie().expect("a cookie"));
    bench.forget_counts();
    let stranger = bench.browser(adapter).await;
    for query in [format!("id={id}"), cookie, format!("PHPSESSID={id}"), format!("sid={id}")] {
        assert_eq!(stranger.get(&format!("/get/a?{query}")).await.text(), "none");
    }
    let mut headers = http::HeaderMap::new();
    headers.insert("authorization", format!("Bearer {id}").parse().expect("a header"));
    headers.insert("x-session-id", id.parse().expect("a header"));
    assert_eq!(stranger.send("/get/a", headers).await.text(), "none");
    assert_eq!(bench.counts(), Counts::new(0, 0));
    Ok(())
}

/// SEC-11: whoever knew the id before the log-in holds nothing after it.
pub async fn sec_11_a_log_in_changes_the_id_and_ends_the_old_one(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    browser.get("/set/cart/full").await;
    let fixed = browser.presenting(browser.cookie().expect("a cookie"));
    browser.get("/login/alice").await;
    assert_ne!(browser.id(), fixed.id());
    assert_eq!(browser.get("/get/user").await.text(), "alice");
    assert_eq!(browser.get("/get/cart").await.text(), "full", "the data goes along");
    assert_eq!(fixed.get("/get/user").await.text(), "none");
    assert_eq!(fixed.get("/get/cart").await.text(), "none");
    Ok(())
}

/// A double click: who came second goes on from the first, and of the two ids one is left. A
/// request that was overtaken may be told so.
pub async fn a_log_in_that_is_sent_twice_leaves_its_user_logged_in(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    browser.get("/set/cart/full").await;
    let clicks = [(); 2].map(|()| browser.presenting(browser.cookie().expect("a cookie")));
    let (one, two) = join!(clicks[0].get("/login/alice"), clicks[1].get("/login/alice"));
    let mut logged_in = 0;
    for (click, answer) in clicks.iter().zip([one, two]) {
        assert!(matches!(answer.status(), 200 | 409), "{}", answer.status());
        if click.get("/get/user").await.text() == "alice" {
            assert_eq!((answer.status(), click.get("/get/cart").await.text()), (200, "full"));
            logged_in += 1;
        }
    }
    assert_eq!(logged_in, 1);
    assert_eq!(browser.get("/get/user").await.text(), "none", "the old id has ended");
    Ok(())
}

/// SEC-14: parallel requests of one page do not lose their session when one of them rotates it.
pub async fn sec_14_requests_with_a_rotated_id_go_on_for_a_grace(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    browser.get("/set/a/1").await;
    let old = browser.presenting(browser.cookie().expect("a cookie"));
    browser.get("/cycle").await;
    let (read, written) = join!(old.get("/get/a"), old.get("/set/b/2"));
    assert_eq!((read.text(), read.set_cookie()), ("1", None));
    assert_eq!((written.status(), written.set_cookie()), (200, None), "the new id is not shown");
    assert_eq!(browser.get("/get/b").await.text(), "2", "both write the same session");

    bench.advance(Duration::from_secs(31)).await?;
    assert_eq!(old.get("/get/a").await.text(), "none", "the grace is over");
    assert_eq!(browser.get("/get/a").await.text(), "1");
    Ok(())
}
