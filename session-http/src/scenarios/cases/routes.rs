//! Routes that take their session exclusively or read-only.

use std::time::Duration;

use tokio::join;

use crate::{
    SavePolicy,
    scenarios::{Adapter, Bench, Browser, Counts, Played, Stores},
};

async fn visitor(bench: &Bench, adapter: &dyn Adapter) -> Browser {
    let browser = bench.browser(adapter).await;
    browser.get("/count").await;
    bench.forget_counts();
    browser
}

/// Locked before the handler begins, committed after it: two round trips.
pub async fn an_exclusive_route_has_the_session_to_itself(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = visitor(&bench, adapter).await;
    assert_eq!(browser.get("/exclusively/count").await.text(), "2");
    assert_eq!(bench.counts(), Counts::new(1, 1));
    let (a, b, c) = join!(
        browser.get("/exclusively/wait/count"),
        async {
            bench.app.arrived().await;
            browser.get("/exclusively/count").await
        },
        async {
            // Both have asked for the lock. Reading goes on.
            bench.reads(2).await;
            let reply = browser.get("/peek/none").await;
            bench.app.go_on();
            reply
        },
    );
    assert_eq!((a.text(), b.text(), c.text()), ("3", "4", "none"));

    let newcomer = bench.browser(adapter).await;
    assert_eq!(newcomer.get("/exclusively/count").await.text(), "1");
    assert_eq!(newcomer.get("/exclusively/count").await.text(), "2", "a session was made");
    Ok(())
}

/// A long response does not keep others waiting; one that takes the lock along is a mistake.
pub async fn an_exclusive_route_can_let_go_before_its_response(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = visitor(&bench, adapter).await;
    let (streaming, other) = join!(browser.get("/exclusively/release"), async {
        bench.app.arrived().await;
        let other = browser.get("/exclusively/count").await;
        bench.app.go_on();
        other
    });
    assert_eq!((streaming.text(), other.text()), ("2", "3"));

    let kept = browser.get("/exclusively/keep").await;
    assert_eq!((kept.status(), kept.set_cookie()), (500, None), "it has to commit before");
    bench.app.let_go();
    assert_eq!(browser.get("/exclusively/count").await.text(), "4", "nothing was saved");
    Ok(())
}

/// As everywhere: a server error saves nothing, unless that is wanted.
pub async fn an_exclusive_route_gives_up_its_changes_when_it_fails(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = visitor(&bench, adapter).await;
    for (path, status) in [
        ("/exclusively/status/500/count", 500),
        ("/exclusively/failing", 500),
        ("/exclusively/undo", 200),
        ("/exclusively/status/422/count", 422),
    ] {
        let reply = browser.get(path).await;
        assert_eq!(reply.status(), status, "{path}");
    }
    let (next, always) = join!(browser.get("/exclusively/count"), async {
        bench.browser_with(adapter, |web| web.save_policy(SavePolicy::Always)).await
    });
    assert_eq!(next.text(), "3", "only the last was saved, and the lock is free");
    let always = always.presenting(browser.cookie().expect("a cookie"));
    assert_eq!(always.get("/exclusively/status/500/count").await.text(), "4");
    assert_eq!(browser.get("/count").await.text(), "5");
    Ok(())
}

/// SEC-18: also where the session is held.
pub async fn sec_18_an_exclusive_route_can_log_out(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = visitor(&bench, adapter).await;
    let former = browser.presenting(browser.cookie().expect("a cookie"));
    let reply = browser.get("/exclusively/logout").await;
    assert_eq!((reply.status(), reply.text()), (200, "done"));
    assert_eq!((browser.cookie(), bench.records().await), (None, 0));
    assert_eq!(former.get("/get/count").await.text(), "none");
    Ok(())
}

/// SEC-24: locking and reading are one call, so an unknown id costs a release as well; no session
/// is left, and nobody has to wait.
pub async fn sec_24_an_exclusive_route_leaves_nothing_under_an_unknown_id(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    let unknown = format!("__Host-id={}", "A".repeat(43));
    for _ in 0..2 {
        let reply = browser.presenting(unknown.clone()).get("/exclusively/undo").await;
        assert_eq!((reply.status(), reply.set_cookie()), (200, None));
        assert_eq!(bench.counts(), Counts::new(1, 1));
        assert_eq!(bench.records().await, 0);
    }
    Ok(())
}

/// SEC-49: whoever does not get the lock in time, or finds too many in line, is told so.
pub async fn sec_49_waiters_for_a_session_are_bounded_and_told_to_come_back(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::with_max_waiters(stores, 2).await;
    let browser = visitor(&bench, adapter).await;
    let hasty = bench.browser_with(adapter, |web| web.lock_wait(Duration::from_millis(20))).await;
    let hasty = hasty.presenting(browser.cookie().expect("a cookie"));
    let refused = |reply: &crate::scenarios::Reply| {
        assert_eq!((reply.status(), reply.header("retry-after")), (503, Some("1")));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    };
    let (held, ()) = join!(browser.get("/exclusively/wait/count"), async {
        bench.app.arrived().await;
        refused(&hasty.get("/exclusively/count").await);
        bench.forget_counts();
        // Of three who come at once, the line has room for two.
        let (a, b, c, ()) = join!(
            browser.get("/exclusively/count"),
            browser.get("/exclusively/count"),
            browser.get("/exclusively/count"),
            async {
                bench.reads(3).await;
                bench.app.go_on();
            },
        );
        let (refusals, served): (Vec<_>, Vec<_>) =
            [a, b, c].into_iter().partition(|reply| reply.status() == 503);
        assert_eq!((refusals.len(), served.len()), (1, 2));
        refusals.iter().for_each(refused);
    });
    assert_eq!(held.text(), "2");
    assert_eq!(browser.get("/count").await.text(), "5", "nothing is left behind");
    Ok(())
}

/// Not even a touch.
pub async fn a_read_only_route_writes_nothing(
    adapter: &dyn Adapter,
    stores: &dyn Stores,
) -> Played {
    let bench = Bench::on(stores).await;
    let browser = bench.browser(adapter).await;
    browser.get("/set/a/1").await;
    bench.advance(Duration::from_secs(300)).await?;
    bench.forget_counts();
    assert_eq!(browser.get("/reading/a").await.text(), "1");
    assert_eq!(bench.counts(), Counts::new(1, 0));
    bench.advance(Duration::from_secs(301)).await?;
    assert_eq!(browser.get("/reading/a").await.text(), "none", "it was no activity");
    Ok(())
}
