//! Expiry: E01 to E04, E10, E11, E13 to E15, E26, E27.

use std::time::{Duration, Instant};

use session_core::{ErrorKind, Expected, Meta, RevisionKind, Ttl, Write};

use super::cases;
use crate::{
    Skew,
    client::{Client, HOUR, LONG},
    context::{Cx, finite, new_key},
    outcome::{Failure, Outcome, PATIENCE, ensure, ensure_eq, refused},
};

cases! {
    "E01" expired_is_invisible_even_if_present;
    "E02" expiry_boundary_exact;
    "E03" deadline_in_past_on_save_deletes;
    "E03" absolute_deadline_in_past_deletes [Meta];
    "E04" every_record_has_a_ttl;
    "E10" absolute_deadline_caps_every_write [Meta];
    "E10" absolute_deadline_caps_touch [Meta, Touch, Clock];
    "E11" idle_and_absolute_combined_takes_min [Meta];
    "E13" very_long_ttl_is_not_instant_expiry;
    "E14" sub_second_ttl_behaviour_declared;
    "E15" fractional_deadline_is_never_cut_short;
    "E26" clock_skew_between_nodes [SkewedClocks];
    "E27" backwards_clock_step [Clock];
}

/// How far the store's clock may be from the test's without a case failing.
const SLACK: Duration = Duration::from_secs(60);

/// Given a record past its deadline that nobody has removed, when used, then it is absent to every
/// operation and its key is free.
async fn expired_is_invisible_even_if_present(cx: Cx) -> Outcome {
    let (key, ttl) = (new_key()?, cx.brief());
    let old = cx.a.put_for(&key, "the old life", ttl).await?;
    cx.expire(&key, ttl).await?;
    for client in [cx.a.clone(), cx.b().await?] {
        cx.sees(&client, &key, None).await?;
        for expected in [Expected::Any, Expected::Revision(old)] {
            let late = client.save_as(&key, "late", expected).await;
            refused(late, ErrorKind::NotFound, "save of an expired session")?;
        }
        if let Some(enumeration) = client.enumeration() {
            ensure_eq!(enumeration.keys(None, 10).await?.keys, [], "expired, but enumerated");
        }
    }
    cx.a.discard(&key).await?;
    let new = cx.a.put(&key, "a new life").await?;
    if cx.has().revision == RevisionKind::Incarnation {
        ensure!(new.incarnation() != old.incarnation(), "two lives have one incarnation");
    }
    Ok(())
}

/// Given a lifetime, when read just before and just after its end, then the record is there and
/// is not, and reading did not prolong it.
async fn expiry_boundary_exact(cx: Cx) -> Outcome {
    if cx.backend().clock().is_none() {
        return boundary_in_real_time(&cx, Duration::from_millis(700)).await;
    }
    let key = new_key()?;
    let margin = Duration::from_secs(5);
    let started = Instant::now();
    cx.a.put_for(&key, "x", HOUR).await?;
    cx.pass(HOUR - margin).await?;
    let early = cx.a.get(&key).await?;
    // On a machine that stood still for so long, the read came late indeed.
    ensure!(early.is_some() || started.elapsed() >= margin, "absent {margin:?} too early");
    cx.pass(margin + cx.has().expiry_precision).await?;
    ensure_eq!(cx.a.get(&key).await?, None, "a record outlives its deadline");
    Ok(())
}

/// Reads all the time, and judges each read by what the test's own clock proves.
async fn boundary_in_real_time(cx: &Cx, ttl: Duration) -> Outcome {
    let (key, has) = (new_key()?, cx.has());
    let earliest = Instant::now() + ttl;
    cx.a.put_for(&key, "x", ttl).await?;
    let latest = Instant::now() + ttl + has.expiry_precision + has.clock_skew;
    loop {
        let asked = Instant::now();
        let read = cx.a.get(&key).await?;
        let answered = Instant::now();
        match read {
            // A store that counts whole milliseconds may start counting within one.
            None if answered + Duration::from_millis(2) < earliest => {
                return Err(Failure::new(format_args!("absent {:?} early", earliest - answered)));
            }
            None => return Ok(()),
            Some(_) => ensure!(
                asked < latest + Duration::from_millis(2),
                "still there {:?} past the precision declared",
                asked - latest
            ),
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

/// Given a lifetime that is over, when created or saved with it, then there is no record
/// afterwards, and no zombie.
async fn deadline_in_past_on_save_deletes(cx: Cx) -> Outcome {
    let (created, saved) = (new_key()?, new_key()?);
    cx.a.put_for(&created, "stillborn", Ttl::ZERO).await?;
    let revision = cx.a.put(&saved, "alive").await?;
    let over = Write::new("ended", Ttl::ZERO);
    let revision = cx.a.save_write(&saved, over, Expected::Revision(revision)).await?;
    for key in [&created, &saved] {
        cx.sees(&cx.b().await?, key, None).await?;
        let late = cx.a.update(key, "late", revision).await;
        refused(late, ErrorKind::NotFound, "save of an ended session")?;
        cx.a.put(key, "a new life").await?;
    }
    Ok(())
}

/// Given an absolute deadline that is past, when created or saved with it, then there is no record
/// afterwards.
async fn absolute_deadline_in_past_deletes(cx: Cx) -> Outcome {
    let (created, saved) = (new_key()?, new_key()?);
    let past = Some(session_core::Timestamp::from_millis(1_000));
    let over = Write::new("over", HOUR).with_meta(Meta::new().with_absolute_deadline(past));
    cx.a.put_write(&created, over.clone()).await?;
    let revision = cx.a.put(&saved, "alive").await?;
    cx.a.save_write(&saved, over, Expected::Revision(revision)).await?;
    for key in [&created, &saved] {
        cx.sees(&cx.b().await?, key, None).await?;
        cx.a.put(key, "a new life").await?;
    }
    Ok(())
}

/// Given any sequence of operations, when inspected, then the record has an expiry, unless "never"
/// was asked for.
async fn every_record_has_a_ttl(cx: Cx) -> Outcome {
    let (key, endless) = (new_key()?, new_key()?);
    let mut revision = cx.a.put(&key, "1").await?;
    ensure_expires(&cx.a, &key).await?;
    revision = cx.a.update(&key, "2", revision).await?;
    ensure_expires(&cx.a, &key).await?;
    if cx.has().touch.is_yes() {
        cx.a.prolong(&key, HOUR * 2, revision).await?;
        ensure_expires(&cx.a, &key).await?;
    }
    if cx.has().locking.is_yes() {
        let held = cx.a.hold(&key).await?;
        ensure_expires(&cx.a, &key).await?;
        let then = session_core::Then::Release;
        let expected = Expected::Lease { lease: &held.lease, revision: held.revision()?, then };
        revision = cx.a.save_as(&key, "3", expected).await?;
        ensure_expires(&cx.a, &key).await?;
    }
    cx.a.save_as(&key, "4", Expected::Any).await?;
    ensure_expires(&cx.a, &key).await?;
    refused(cx.a.update(&key, "5", revision).await, ErrorKind::Conflict, "a stale save")?;
    ensure_expires(&cx.a, &key).await?;

    let revision = cx.a.put_for(&endless, "1", Ttl::NEVER).await?;
    ensure_eq!(cx.a.found(&endless).await?.remaining, Ttl::NEVER, "an expiry nobody asked for");
    cx.a.update(&endless, "2", revision).await?;
    ensure_expires(&cx.a, &endless).await
}

async fn ensure_expires(client: &Client, key: &session_core::Key) -> Outcome {
    finite(client.found(key).await?.remaining).map(drop)
}

/// Given an absolute deadline, when created or saved to live longer, then the record lives until
/// that deadline.
async fn absolute_deadline_caps_every_write(cx: Cx) -> Outcome {
    let key = new_key()?;
    let limit = HOUR / 2;
    let capped = |ttl: Duration| {
        let deadline = Some(cx.now().after(limit));
        Write::new("x", ttl).with_meta(Meta::new().with_absolute_deadline(deadline))
    };
    let mut revision = cx.a.put_write(&key, capped(HOUR)).await?;
    for _ in 0..3 {
        let record = cx.b().await?.found(&key).await?;
        let left = finite(record.remaining)?;
        ensure!(left <= limit + SLACK, "{left:?} remain, past the absolute deadline");
        ensure!(left + SLACK >= limit, "{left:?} remain, long before the absolute deadline");
        if cx.has().touch.is_yes() {
            cx.a.prolong(&key, HOUR * 10, revision).await?;
            let left = finite(cx.a.found(&key).await?.remaining)?;
            ensure!(left <= limit + SLACK, "{left:?} remain after a touch");
        }
        let write = capped(HOUR * 10);
        revision = cx.a.save_write(&key, write, Expected::Revision(revision)).await?;
    }
    Ok(())
}

/// Given an absolute deadline, when touched for ever, then the record expires at it.
async fn absolute_deadline_caps_touch(cx: Cx) -> Outcome {
    let key = new_key()?;
    let deadline = Some(cx.now().after(HOUR));
    let write = Write::new("x", HOUR / 2).with_meta(Meta::new().with_absolute_deadline(deadline));
    let revision = cx.a.put_write(&key, write).await?;
    for _ in 0..4 {
        cx.pass(HOUR / 5).await?;
        cx.a.prolong(&key, HOUR / 2, revision).await?;
    }
    cx.pass(HOUR / 5 + SLACK + cx.has().expiry_precision).await?;
    ensure_eq!(cx.a.get(&key).await?, None, "touches outlive the absolute deadline");
    let touch = cx.a.prolong(&key, HOUR, revision).await;
    refused(touch, ErrorKind::NotFound, "touch past the absolute deadline")?;
    Ok(())
}

/// Given an idle time and an absolute deadline, when written, then the sooner of them counts.
async fn idle_and_absolute_combined_takes_min(cx: Cx) -> Outcome {
    for (idle, absolute) in [(HOUR, HOUR * 5), (HOUR * 5, HOUR)] {
        let key = new_key()?;
        let deadline = Some(cx.now().after(absolute));
        let meta = Meta::new().with_absolute_deadline(deadline);
        let revision = cx.a.put_write(&key, Write::new("1", idle).with_meta(meta)).await?;
        let save = Write::new("2", idle).with_meta(meta);
        cx.a.save_write(&key, save, Expected::Revision(revision)).await?;
        let record = cx.a.found(&key).await?;
        let left = finite(record.remaining)?;
        ensure!(left <= HOUR + SLACK, "{left:?} remain of {idle:?} idle, {absolute:?} absolute");
        ensure!(left + SLACK >= HOUR, "{left:?} remain of {idle:?} idle, {absolute:?} absolute");
        ensure_eq!(record.meta, meta, "the absolute deadline was not kept");
    }
    Ok(())
}

/// Given lifetimes of a month, a year and ten years, when written, then the record lives.
async fn very_long_ttl_is_not_instant_expiry(cx: Cx) -> Outcome {
    const DAY: Duration = Duration::from_secs(86_400);
    let ttls = [DAY * 30, DAY * 31, DAY * 365, DAY * 3_653];
    let (mut created, mut saved) = (Vec::new(), Vec::new());
    for ttl in ttls {
        let (first, second) = (new_key()?, new_key()?);
        cx.a.put_for(&first, "x", ttl).await?;
        let revision = cx.a.put(&second, "x").await?;
        cx.a.save_write(&second, Write::new("x", ttl), Expected::Revision(revision)).await?;
        created.push((first, ttl));
        saved.push((second, ttl));
    }
    for (key, ttl) in created.iter().chain(&saved) {
        let left = finite(cx.a.found(key).await?.remaining)?;
        ensure!(left + SLACK >= *ttl, "{left:?} remain of {ttl:?}");
    }
    if cx.backend().clock().is_some() {
        cx.pass(DAY * 29).await?;
        for (key, _) in created.iter().chain(&saved) {
            cx.a.found(key).await?;
        }
    }
    Ok(())
}

/// Given half a second to live, when read, then it is kept as exactly as the store declares: never
/// cut short, never endless.
async fn sub_second_ttl_behaviour_declared(cx: Cx) -> Outcome {
    let ttl = Duration::from_millis(500);
    let key = new_key()?;
    cx.a.put_for(&key, "x", ttl).await?;
    if let Some(record) = cx.a.get(&key).await? {
        let left = finite(record.remaining)?;
        let most = ttl + cx.has().expiry_precision + cx.has().clock_skew;
        ensure!(!left.is_zero() && left <= most, "{left:?} remain of {ttl:?}");
    }
    boundary_in_real_time(&cx, ttl).await?;
    cx.gone(&key, ttl).await
}

/// Given a lifetime with a fraction of a second, when written, then it is not cut to the second
/// below.
async fn fractional_deadline_is_never_cut_short(cx: Cx) -> Outcome {
    boundary_in_real_time(&cx, Duration::from_millis(1_500)).await?;
    let key = new_key()?;
    let ttl = Duration::from_micros(90_500_500);
    let started = Instant::now();
    cx.a.put_for(&key, "x", ttl).await?;
    let left = finite(cx.a.found(&key).await?.remaining)?;
    let used = started.elapsed() + Duration::from_millis(2) + cx.has().clock_skew;
    ensure!(left + used >= ttl, "{left:?} remain of {ttl:?} after {used:?}");
    Ok(())
}

/// Given two servers whose clocks differ by what the store allows (or by 90 s, if it says that
/// they do not matter), when one writes and the other reads, then they agree on the deadline as
/// declared.
async fn clock_skew_between_nodes(cx: Cx) -> Outcome {
    let Some(skewed) = cx.backend().skewed() else { return Ok(()) };
    let declared = cx.has().clock_skew;
    let off = if declared.is_zero() { Duration::from_secs(90) } else { declared };
    let ttl = off * 2 + LONG;
    for skew in [Skew::Ahead(off), Skew::Behind(off)] {
        let b = Client::new(skewed.open_skewed(cx.namespace(), skew).await?);
        let bound = declared + cx.has().expiry_precision;
        for (writer, reader) in [(&cx.a, &b), (&b, &cx.a)] {
            let key = new_key()?;
            let started = Instant::now();
            writer.put_for(&key, "x", ttl).await?;
            let left = finite(reader.found(&key).await?.remaining)?;
            let bound = bound + started.elapsed() + Duration::from_millis(2);
            ensure!(left.abs_diff(ttl) <= bound, "{left:?} remain of {ttl:?} with {skew:?}");
        }
    }
    Ok(())
}

/// Given a clock that steps back by an hour, when it has caught up, then leases and sessions end
/// as they would have.
async fn backwards_clock_step(cx: Cx) -> Outcome {
    let (Some(clock), key) = (cx.backend().clock(), new_key()?) else { return Ok(()) };
    cx.a.put_for(&key, "x", HOUR).await?;
    let locks = cx.has().locking.is_yes();
    if locks {
        cx.a.hold(&key).await?;
    }
    clock.step_back(cx.namespace(), HOUR).await?;
    cx.b().await?.found(&key).await?;
    clock.advance(cx.namespace(), HOUR + LONG + cx.has().takeover_time).await?;
    let b = cx.b().await?;
    if locks {
        b.lock_for(&key, LONG, PATIENCE).await?;
    }
    clock.advance(cx.namespace(), HOUR + cx.has().expiry_precision).await?;
    ensure_eq!(b.get(&key).await?, None, "a session outlives its deadline after a clock step");
    Ok(())
}
