//! Saves of what was read a moment ago: without a script on a server that compares before it sets,
//! else by a small one.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use session_core::{
    ErrorKind, Expected, Key, KeyHasher, Meta, OpToken, Result, Revision, SessionStore, Timestamp,
    Write,
};
use session_redis::RedisStore;
use test_servers::{
    TestResult,
    redis::{Options, Server, Traffic},
};

use crate::support::{HOUR, World, create, load, new_key, op, request};

macro_rules! on {
    ($servers:ident, $options:expr => $($name:ident)*) => {
        pub(crate) mod $servers {
            use super::{Options, TestResult};

            $(pub(crate) async fn $name() -> TestResult {
                super::$name($options).await
            })*
        }
    };
}

on! { compared, Options::valkey() =>
    a_change_of_what_was_read_takes_no_script
    the_tokens_of_earlier_commits_are_kept
    what_has_changed_since_is_for_the_whole_script
    a_principal_gets_its_session_into_its_list
    a_save_lives_as_long_as_it_says
    a_short_life_is_for_the_whole_script
}

on! { scripted, Options::redis() =>
    a_change_of_what_was_read_takes_a_small_script
    the_tokens_of_earlier_commits_are_kept
    what_has_changed_since_is_for_the_whole_script
    a_principal_gets_its_session_into_its_list
    a_save_lives_as_long_as_it_says
    a_short_life_is_for_the_whole_script
}

/// A store on a server, and a session.
struct Compared {
    server: Server,
    store: RedisStore,
    key: Key,
    read: Mutex<Instant>,
    /// Saves of what was not read a moment ago, because the machine was busy.
    late: AtomicU64,
}

/// What was read is known for so long.
const MOMENT: Duration = Duration::from_secs(1);

impl Compared {
    async fn on(options: Options) -> test_servers::Result<Self> {
        let World { server, store } = World::with(&options).await?;
        let key = new_key();
        create(&store, &key, b"0").await;
        let (read, late) = (Mutex::new(Instant::now()), AtomicU64::default());
        Ok(Self { server, store, key, read, late })
    }

    /// Reads the session, as a page does.
    async fn read(&self) -> Revision {
        *self.read.lock().unwrap() = Instant::now();
        load(&self.store, &self.key).await.unwrap().unwrap().revision
    }

    async fn save(&self, write: Write, revision: Revision, op: OpToken) -> Result<Revision> {
        let saved = self.store.save(&self.key, write, Expected::Revision(revision), op).await;
        let is_late = self.read.lock().unwrap().elapsed() >= MOMENT;
        self.late.fetch_add(u64::from(is_late), Relaxed);
        saved
    }

    async fn change(&self, payload: &'static str, revision: Revision) -> Result<Revision> {
        self.save(Write::new(payload, HOUR), revision, op()).await
    }

    async fn traffic(&self) -> Traffic {
        self.server.traffic().await.unwrap()
    }

    /// How many saves were done by the whole script since then, but for late ones: the small one
    /// fills nothing in.
    async fn whole(&self, before: &Traffic) -> u64 {
        let all = self.traffic().await.since(before).calls("setrange");
        all.saturating_sub(self.late.load(Relaxed))
    }

    async fn ask(&self, command: &str) -> u64 {
        let names = self.server.command(&["KEYS", "session:?????????????????????*"]).await.unwrap();
        self.server.command(&[command, names.trim()]).await.unwrap().trim().parse().unwrap()
    }
}

async fn a_change_takes(scripts: u64, options: Options) -> TestResult {
    let world = Compared::on(options).await?;
    // The server learns the script.
    world.change("0", world.read().await).await?;
    let (saved, traffic) = loop {
        let (before, late) = (world.traffic().await, world.late.load(Relaxed));
        let saved = world.change("1", world.read().await).await?;
        if world.late.load(Relaxed) == late {
            break (saved, world.traffic().await.since(&before));
        }
    };
    let calls = ["set", "evalsha", "setrange"].map(|command| traffic.calls(command));
    assert_eq!(calls, [1, scripts, 0], "{traffic:?}");
    let record = load(&world.store, &world.key).await?.unwrap();
    assert_eq!((&*record.payload, record.revision), (&b"1"[..], saved));
    Ok(())
}

async fn a_change_of_what_was_read_takes_no_script(options: Options) -> TestResult {
    a_change_takes(0, options).await
}

async fn a_change_of_what_was_read_takes_a_small_script(options: Options) -> TestResult {
    a_change_takes(1, options).await
}

/// As after a script: a save may be sent again when four others have followed.
async fn the_tokens_of_earlier_commits_are_kept(options: Options) -> TestResult {
    let world = Compared::on(options).await?;
    let before = world.traffic().await;
    let tokens = [op(), op(), op(), op(), op()];
    let mut revisions = vec![world.read().await];
    for token in tokens {
        let saved = world.save(Write::new("x", HOUR), world.read().await, token).await?;
        revisions.push(saved);
    }
    assert_eq!(world.whole(&before).await, 0);
    let again = async |token, expected: usize| {
        let read = world.read().await;
        assert_eq!(read, revisions[5]);
        world.save(Write::new("not saved", HOUR), revisions[expected], token).await
    };
    for place in 1..5 {
        assert_eq!(again(tokens[place], place).await?, revisions[place + 1], "{place}");
    }
    // Also when it names what came of it as what it expects.
    assert_eq!(again(tokens[4], 5).await?, revisions[5]);
    let forgotten = again(tokens[0], 0).await.unwrap_err();
    assert_eq!(forgotten.kind(), ErrorKind::Conflict);
    assert_eq!(load(&world.store, &world.key).await?.unwrap().payload, "x");
    Ok(())
}

async fn what_has_changed_since_is_for_the_whole_script(options: Options) -> TestResult {
    let world = Compared::on(options).await?;
    let other = crate::support::open(&world.server).await;
    let refused = async |revision| world.change("lost", revision).await.unwrap_err();

    let read = world.read().await;
    other.touch(&world.key, (HOUR * 2).into(), read.incarnation(), op()).await?;
    let touched = world.change("1", read).await?;

    let read = world.read().await;
    assert_eq!(read, touched);
    other.save(&world.key, Write::new("2", HOUR), Expected::Revision(read), op()).await?;
    let mut conflict = refused(read).await;
    assert_eq!((conflict.kind(), conflict.maybe_applied()), (ErrorKind::Conflict, false));
    assert_eq!(conflict.take_current().unwrap().payload, "2");

    let read = world.read().await;
    let lease = other.lock(&world.key, request(Duration::ZERO)).await?.lease.unwrap();
    assert_eq!(refused(read).await.kind(), ErrorKind::LockHeld);
    // The lock is in what is read now.
    let read = world.read().await;
    assert_eq!(refused(read).await.kind(), ErrorKind::LockHeld);
    other.release(&world.key, &lease).await?;
    world.change("3", world.read().await).await?;

    let read = world.read().await;
    other.delete(&world.key, Expected::Any, op()).await?;
    assert_eq!(refused(read).await.kind(), ErrorKind::NotFound);
    Ok(())
}

async fn a_principal_gets_its_session_into_its_list(options: Options) -> TestResult {
    let world = Compared::on(options).await?;
    let ada = KeyHasher::plain().principal("ada");
    let write = || Write::new("x", HOUR).with_meta(Meta::new().with_principal(Some(ada), 0));
    world.save(write(), world.read().await, op()).await?;
    let listed = world.store.principal_index().unwrap().list(&ada, None, 10).await?.keys;
    assert_eq!(listed.iter().map(Key::digest).collect::<Vec<_>>(), [world.key.digest()]);
    let before = world.traffic().await;
    world.save(write(), world.read().await, op()).await?;
    assert_eq!(world.whole(&before).await, 0, "it is listed");
    Ok(())
}

/// The key's expiry is what is said of its life, and no later than the absolute deadline.
async fn a_save_lives_as_long_as_it_says(options: Options) -> TestResult {
    let world = Compared::on(options).await?;
    let seconds = world.server.command(&["TIME"]).await?;
    let now = seconds.lines().next().unwrap().parse::<u64>()? * 1_000;
    let absolute = Timestamp::from_millis(now).after(HOUR / 2);
    let clamped = Meta::new().with_absolute_deadline(Some(absolute));
    for (write, end) in [
        (Write::new("x", HOUR * 2), now + 7_200_000),
        (Write::new("x", HOUR * 2).with_meta(clamped), now + 1_800_000),
    ] {
        let before = world.traffic().await;
        world.save(write, world.read().await, op()).await?;
        assert_eq!(world.whole(&before).await, 0);
        let expiry = world.ask("PEXPIRETIME").await;
        assert!((end..end + 90_000).contains(&expiry), "{expiry} is not {end}");
        let now = expiry - world.ask("PTTL").await;
        let remaining = load(&world.store, &world.key).await?.unwrap().remaining;
        let shown = now + u64::try_from(remaining.duration().unwrap().as_millis())?;
        assert!(shown <= expiry + 40, "{shown} is after {expiry}");
    }
    assert_eq!(world.ask("PEXPIRETIME").await, absolute.as_millis());
    Ok(())
}

/// The server reads its clock for it.
async fn a_short_life_is_for_the_whole_script(options: Options) -> TestResult {
    let world = Compared::on(options).await?;
    let brief = Duration::from_secs(59);
    let before = world.traffic().await;
    world.save(Write::new("x", brief), world.read().await, op()).await?;
    assert_eq!(world.whole(&before).await, 1);
    let gone = Write::new("x", Duration::ZERO);
    world.save(gone, world.read().await, op()).await?;
    assert_eq!(load(&world.store, &world.key).await?, None);
    Ok(())
}
