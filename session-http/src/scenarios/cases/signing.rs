//! Signed ids, and keys that come and go.

use std::time::Duration;

use session_core::{Clock, SessionId};
use tokio::join;

use crate::{
    KeyRing, SessionCookie, Signing, WebSessionsBuilder,
    scenarios::{Adapter, Bench, Browser, Counts, Played, Stores},
};

/// A ring of keys, each named by a digit.
fn ring(digits: &str) -> KeyRing {
    let key = |digit| format!("a key of 32 bytes at least, no. {digit}");
    KeyRing::new(digits.chars().map(key)).expect("a ring")
}

fn signed(signing: Signing) -> impl FnOnce(WebSessionsBuilder) -> WebSessionsBuilder {
    let cookie = SessionCookie::builder().signed(signing).build().expect("a cookie");
    move |web| web.cookie(cookie)
}

async fn node(bench: &Bench, adapter: &dyn Adapter, digits: &str) -> Browser {
    bench.browser_with(adapter, signed(ring(digits).into())).await
}

/// The visitor of another node goes on at this one.
fn moved(node: &Browser, visitor: &Browser) -> Browser {
    node.presenting(visitor.cookie().expect("a cookie"))
}

/// SEC-07: what is not signed as it should be is refused before any I/O.
pub async fn sec_07_a_signed_id_is_accepted_and_a_forged_one_costs_nothing(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let sessions = bench.sessions(signed(ring("1").into()));
    let browser = bench.serve(adapter, sessions.clone()).await;
    browser.get("/set/a/1").await;
    let parts: Vec<String> = browser.id().split('.').map(Into::into).collect();
    assert_eq!(parts.len(), 3, "the id, the key's id, the MAC");
    bench.forget_counts();
    assert_eq!(browser.get("/get/a").await.text(), "1");
    assert_eq!(bench.counts(), Counts::new(1, 0));

    let [id, key, mac] = parts.try_into().expect("three");
    let other = SessionId::generate().expect("random bytes").expose().to_owned();
    let backwards: String = id.chars().rev().collect();
    for (forged, unsigned) in
        [(format!("{other}.{key}.{mac}"), other), (format!("{id}.{key}.{}", "A".repeat(43)), id)]
    {
        for value in [forged, unsigned, format!("{backwards}.{key}")] {
            let thief = browser.presenting(format!("__Host-id={value}"));
            assert_eq!(thief.get("/get/a").await.text(), "none", "{value}");
            assert_eq!(bench.counts(), Counts::new(0, 0), "{value}");
        }
    }
    let seen = sessions.diagnostics();
    assert_eq!((seen.forged, seen.unsigned, seen.malformed, seen.unknown_key), (2, 2, 2, 0));
    Ok(())
}

/// The mistake that logs users in and out as the load balancer moves them.
pub async fn nodes_that_do_not_share_keys_can_tell(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let wrong = bench.sessions(signed(ring("2").into()));
    let (right, other) =
        (node(&bench, adapter, "1").await, bench.serve(adapter, wrong.clone()).await);
    right.get("/login/alice").await;
    bench.forget_counts();
    assert_eq!(moved(&other, &right).get("/get/user").await.text(), "none");
    assert_eq!(bench.counts(), Counts::new(0, 0));
    let seen = wrong.diagnostics();
    assert_eq!((seen.unknown_key, seen.forged), (1, 0), "told from a forgery");
    assert_eq!(seen.last_unknown_key, ring("1").ids().next(), "which names the other key");
    assert_eq!(right.get("/get/user").await.text(), "alice");
    Ok(())
}

/// A new key is known to all nodes before one of them signs with it.
pub async fn keys_are_exchanged_without_logging_anybody_out(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let (before, during) = (node(&bench, adapter, "1").await, node(&bench, adapter, "12").await);
    let (after, end) = (node(&bench, adapter, "21").await, node(&bench, adapter, "2").await);
    before.get("/login/alice").await;
    let visitor = moved(&during, &before);
    assert_eq!(visitor.get("/get/user").await.set_cookie(), None, "the old key still signs");
    let visitor = moved(&after, &before);
    assert_eq!(visitor.get("/untouched").await.set_cookie(), None);
    let reply = visitor.get("/peek/user").await;
    assert_eq!((reply.text(), reply.header("cache-control")), ("alice", Some("no-store")));
    assert!(reply.set_cookie().is_some(), "signed again with the new key");
    assert_eq!(visitor.get("/get/user").await.set_cookie(), None, "once");
    assert_eq!(moved(&during, &visitor).get("/get/user").await.text(), "alice");
    assert_eq!(moved(&end, &visitor).get("/get/user").await.text(), "alice");
    assert_eq!(moved(&end, &before).get("/get/user").await.text(), "none", "the old key is gone");
    Ok(())
}

/// In the steps that are documented at `Signing`.
pub async fn signatures_come_to_a_live_fleet_without_logging_anybody_out(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let plain = bench.browser(adapter).await;
    let not_yet = bench.browser_with(adapter, signed(Signing::new(ring("1")).not_yet())).await;
    let until = bench.clock.now().after(Duration::from_secs(300));
    let signing = Signing::new(ring("1")).accept_unsigned_until(until);
    let signs = bench.browser_with(adapter, signed(signing)).await;

    plain.get("/login/alice").await;
    let visitor = moved(&not_yet, &plain);
    assert_eq!(visitor.get("/get/user").await.text(), "alice");
    assert_eq!(visitor.cookie(), plain.cookie(), "none is signed yet");
    let visitor = moved(&signs, &plain);
    assert_eq!(visitor.get("/set/a/1").await.status(), 200);
    assert_ne!(visitor.cookie(), plain.cookie(), "signed by the first response");
    for node in [&not_yet, &signs] {
        assert_eq!(moved(node, &visitor).get("/get/user").await.text(), "alice");
    }

    bench.advance(Duration::from_secs(300)).await?;
    bench.forget_counts();
    assert_eq!(moved(&signs, &plain).get("/get/user").await.text(), "none", "the time is over");
    assert_eq!(bench.counts(), Counts::new(0, 0));
    assert_eq!(visitor.get("/get/user").await.text(), "alice");
    Ok(())
}

/// The browser may just have got the new id from another response, which must stay.
pub async fn a_rotated_id_is_not_signed_again(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    for (path, rotation) in [("/wait/get/a", "/login/alice"), ("/wait/peek/a", "/cycle")] {
        let bench = Bench::on(stores).await;
        let (before, after) = (node(&bench, adapter, "1").await, node(&bench, adapter, "21").await);
        before.get("/set/a/1").await;
        let slow = moved(&after, &before);
        let (reply, ()) = join!(slow.get(path), async {
            bench.app.arrived().await;
            before.get(rotation).await;
            bench.app.go_on();
        });
        assert_eq!((reply.text(), reply.set_cookie()), ("1", None), "{rotation} meanwhile");
    }
    let bench = Bench::on(stores).await;
    let (before, after) = (node(&bench, adapter, "1").await, node(&bench, adapter, "21").await);
    before.get("/set/a/1").await;
    let slow = moved(&after, &before);
    before.get("/cycle").await;
    let reply = slow.get("/get/a").await;
    assert_eq!((reply.text(), reply.set_cookie()), ("1", None));
    assert!(moved(&after, &before).get("/get/a").await.set_cookie().is_some(), "the new one is");
    let gone = moved(&after, &before);
    before.get("/logout").await;
    assert_eq!(gone.get("/get/a").await.set_cookie(), None, "nor is one that ended");
    Ok(())
}

/// SEC-38: where a signature tells planted junk from the browser's own cookie.
pub async fn sec_38_the_only_signed_cookie_is_picked_where_that_is_wanted(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let picks = bench.browser_with(adapter, signed(Signing::new(ring("1")).pick_signed())).await;
    let refuses = node(&bench, adapter, "1").await;
    picks.get("/set/a/victim").await;
    refuses.get("/set/a/attacker").await;
    let (own, other) = (picks.cookie().expect("a cookie"), refuses.cookie().expect("a cookie"));
    for planted in ["__Host-id=junk", "__Host-id=a.b.c"] {
        for cookies in [format!("{own}; {planted}"), format!("{planted}; {own}")] {
            assert_eq!(picks.presenting(&cookies).get("/get/a").await.text(), "victim");
            assert_eq!(refuses.presenting(&cookies).get("/get/a").await.text(), "none");
        }
    }
    let both = picks.presenting(format!("{other}; {own}"));
    assert_eq!(both.get("/get/a").await.text(), "none", "both are signed");
    Ok(())
}
