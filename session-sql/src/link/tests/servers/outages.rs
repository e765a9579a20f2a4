//! Servers that go away, hang, refuse, or make callers wait.

use test_servers::proxy::Direction;

use super::*;

on_each! {
    own connections_that_the_server_closed_are_replaced_without_a_word(started, url) {
        let mut config = config(url);
        config.max_connections = 5;
        let link = Arc::new(open(&config).await);
        many_callers(&link).await;
        started.kill_clients().await.unwrap();
        let answers = (0..5).map(|n| {
            let link = Arc::clone(&link);
            tokio::spawn(async move { link.run(&reads(echo(&link)), &[Arg::Int(n)]).await.unwrap(); })
        });
        for answer in answers.collect::<Vec<_>>() {
            within(answer).await.unwrap();
        }
    }

    shared a_lost_answer_is_asked_for_again_and_told(started, url) {
        let proxy = Proxy::start(&started.address()).await.unwrap();
        let link = open(&one_connection(&through(&proxy, started, url))).await;
        let add = counting(&link).await;
        assert!(!link.run(&add, &[Arg::Int(1)]).await.unwrap().resent);
        proxy.lose_reply_to(&[]);
        let answer = link.run(&add, &[Arg::Int(1)]).await.unwrap();
        assert_eq!((proxy.lost(), answer.resent, answer.affected), (1, true, 1));
        assert_eq!(count(&link).await, 3);
    }

    shared a_statement_that_got_no_answer_may_have_been_done(started, url) {
        let proxy = Proxy::start(&started.address()).await.unwrap();
        let link = open(&one_connection(&through(&proxy, started, url))).await;
        let add = counting(&link).await;
        proxy.swallow(Direction::Replies);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(3);
        let fault = within(link.run_until(deadline, &add, &[Arg::Int(1)])).await.unwrap_err();
        let error = fault.into_error("sql", session_core::Operation::Save, true);
        assert!(error.maybe_applied() && error.is_retryable(), "{error:?}");
        proxy.pass().await;
        until_it_answers(&link).await;
    }

    shared a_short_outage_is_waited_for(started, url) {
        let proxy = Proxy::start(&started.address()).await.unwrap();
        let link = Arc::new(open(&config(&through(&proxy, started, url))).await);
        many_callers(&link).await;
        proxy.refuse().await;
        proxy.cut();
        let callers = tokio::spawn({
            let link = Arc::clone(&link);
            async move { many_callers(&link).await }
        });
        // What was connected is found to be cut, and what connects is refused.
        until_it_is_not(&link, "down: false").await;
        assert!(!callers.is_finished());
        proxy.pass().await;
        within(callers).await.unwrap();
    }

    shared a_long_outage_is_told_soon(started, url) {
        let proxy = Proxy::start(&started.address()).await.unwrap();
        let mut config = config(&through(&proxy, started, url));
        (config.timeout, config.max_connections) = (SOON * 4, 2);
        let link = Arc::new(open(&config).await);
        proxy.refuse().await;
        proxy.cut();
        fail_soon(&link).await;
        proxy.pass().await;
        until_it_answers(&link).await;
    }

    own a_server_that_hangs_is_told_soon(started, url) {
        let mut config = config(url);
        (config.timeout, config.max_connections) = (SOON * 4, 2);
        (config.response_timeout, config.connect_timeout) = (Duration::from_millis(500), Duration::from_secs(1));
        let link = Arc::new(open(&config).await);
        started.pause().unwrap();
        fail_soon(&link).await;
        started.resume().unwrap();
        until_it_answers(&link).await;
    }

    own a_server_that_takes_no_writes_for_a_moment_is_waited_for(started, url) {
        let link = Arc::new(open(&config(url)).await);
        let add = counting(&link).await;
        started.set_read_only(true).await.unwrap();
        let writing = tokio::spawn({
            let (link, add) = (Arc::clone(&link), add.clone());
            async move { link.run(&add, &[Arg::Int(1)]).await }
        });
        until_it_is_not(&link, "refuses: false").await;
        started.set_read_only(false).await.unwrap();
        let answer = within(writing).await.unwrap().unwrap();
        assert_eq!((answer.affected, answer.resent), (1, false));
        started.set_read_only(true).await.unwrap();
        let (began, mut connections) = (Instant::now(), HashSet::new());
        for _ in 0..20 {
            let fault = within(link.run(&add, &[Arg::Int(1)])).await.unwrap_err();
            assert_eq!(fault.kind(), ErrorKind::Unavailable);
            connections.insert(connection(&link).await);
        }
        assert!(began.elapsed() < SOON, "each was held up");
        let (connections, seconds) = (connections.len() as u64, began.elapsed().as_secs());
        assert!(connections <= 2 + seconds, "{connections} in {seconds} s");
        assert_eq!(count(&link).await, 1);
        started.set_read_only(false).await.unwrap();
        within(link.run(&add, &[Arg::Int(1)])).await.unwrap();
    }

    own a_locked_row_is_waited_for(started, url) {
        let mut link = open(&config(url)).await;
        // The server gives up before the row is free, and this side long after that.
        link.limits.one_try = SOON / 3;
        let add = counting(&link).await;
        link.run(&add, &[Arg::Int(1)]).await.unwrap();
        let (sleep, sleeping) = if started.flavor().is_mysql() {
            ("SELECT SLEEP(2.5)", "SELECT 1 FROM information_schema.processlist WHERE state = 'User sleep'")
        } else {
            ("SELECT pg_sleep(2.5)", "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
        };
        let holder = format!("BEGIN; UPDATE counts SET n = 10 WHERE k = 1; {sleep}; COMMIT;");
        let (held, answer) = tokio::join!(started.execute(&holder), async {
            let is_held = || async { Ok((started.query(sleeping).await? == "1").then_some(())) };
            test_servers::until("lock", SOON, is_held).await.unwrap();
            link.run(&add, &[Arg::Int(1)]).await
        });
        held.unwrap();
        let answer = answer.unwrap();
        assert_eq!((answer.affected, answer.resent, count(&link).await), (1, false, 11));
    }

    shared deadlocks_are_passed(started, url) {
        if started.flavor() == Flavor::Postgres {
            // It looks for deadlocks after a second otherwise, and this test makes many, one after the other.
            let database = url.rsplit('/').next().and_then(|rest| rest.split('?').next()).unwrap();
            let sooner = format!("ALTER DATABASE {database} SET deadlock_timeout = '20ms'");
            started.execute(&sooner).await.unwrap();
        }
        let mut config = config(url);
        // An answer that is late is asked for again, and counts twice.
        config.response_timeout = SOON / 3;
        let link = Arc::new(open(&config).await);
        let add = counting(&link).await;
        let engine = link.server().engine;
        link.run(&writes(&text(engine, "INSERT INTO counts (k, n) VALUES (?, 0)")), &[Arg::Int(2)]).await.unwrap();
        drop(add);
        let callers = ["ASC", "DESC"].into_iter().cycle().take(8).map(|order| {
            let link = Arc::clone(&link);
            tokio::spawn(async move {
                let add = writes(&if link.server().engine == Engine::Postgres {
                    format!("WITH l AS (SELECT k FROM counts ORDER BY k {order} FOR UPDATE) UPDATE counts SET n = n + 1 FROM l WHERE l.k = counts.k")
                } else {
                    format!("UPDATE counts SET n = n + 1 WHERE k IN (1, 2) ORDER BY k {order}")
                });
                for _ in 0..25 {
                    assert_eq!(link.run(&add, &[]).await.unwrap().affected, 2);
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            within(caller).await.unwrap();
        }
        assert_eq!(count(&link).await, 200);
    }

    own a_connection_that_rested_for_long_is_asked_first(started, url) {
        let mut link = open(&one_connection(url)).await;
        let add = counting(&link).await;
        link.pool.rests.ping = Duration::ZERO;
        started.kill_clients().await.unwrap();
        let answer = link.run(&add, &[Arg::Int(1)]).await.unwrap();
        assert!(!answer.resent, "the ping found out");
    }
}

/// A server with room for fewer connections than are asked for.
#[cfg(feature = "mysql")]
#[tokio::test]
async fn a_full_server_is_waited_for() {
    let options = Options::mariadb().argument("max_connections", "10");
    let started = Started::start(&options).await.unwrap();
    let mut config = config(&started.url());
    (config.max_connections, config.timeout) = (8, SOON);
    let links = [Arc::new(open(&config).await), Arc::new(open(&config).await)];
    let all = links.iter().flat_map(|link| {
        (0..8).map(|_| {
            let link = Arc::clone(link);
            tokio::spawn(async move {
                for _ in 0..5 {
                    link.run(&reads("SELECT SLEEP(0.05)"), &[]).await.unwrap();
                }
            })
        })
    });
    for caller in all.collect::<Vec<_>>() {
        within(caller).await.unwrap();
    }
}

/// Many calls at once, all of which fail, and none after the whole time that it has.
async fn fail_soon(link: &Arc<Link>) {
    let began = Instant::now();
    let callers = (0..50).map(|_| {
        let link = Arc::clone(link);
        tokio::spawn(async move {
            for _ in 0..3 {
                let fault = link.run(&reads("SELECT 1"), &[]).await.unwrap_err();
                assert!(matches!(fault.kind(), ErrorKind::Unavailable | ErrorKind::Timeout));
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        within(caller).await.unwrap();
    }
    assert!(began.elapsed() < SOON, "each was held up");
}
