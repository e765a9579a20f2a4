//! What each operation costs the server, counted by the client.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write as _},
    process::{Command, Stdio},
};

use libtest_mimic::Trial;
use session_core::{Expected, Key, LockRequest, SessionStore, SweepBudget, Then, Write};
use session_files::{Commit, Durability, FilesStore};

use crate::{
    common::{HOUR, load, new_key, op, open, text, write},
    lane::{Lane, command},
};

/// How often each operation is done.
const TIMES: u64 = 50;
/// The variable that says how many records are swept: 400 unless it is set.
const RECORDS: &str = "SESSION_FILES_NFS_RECORDS";

pub(crate) fn trials(lane: &Lane) -> Vec<Trial> {
    let records = std::env::var(RECORDS).unwrap_or_else(|_| "400".into());
    vec![
        lane.role("an_operation_costs_the_server_no_more_than_is_documented", "count /mnt/c1/cost"),
        lane.role("so_do_commits_by_hard_links", "count-links /mnt/c1/cost-links"),
        lane.trial(
            "a_sweep_costs_the_server_no_more_than_is_documented",
            move |guest| async move {
                let role = format!("sweep /mnt/c1/sweep {records}");
                println!("{}", guest.run(&command(&role)).await?.output.trim_end());
                Ok(())
            },
        ),
        lane.role("phps_own_handler_is_counted_beside", "php /mnt/c1/php"),
    ]
}

/// How many calls of each kind a mount has made so far.
fn calls(root: &str) -> BTreeMap<String, u64> {
    let stats = fs::read_to_string("/proc/self/mountstats").unwrap();
    let mount = root.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let own = stats.split("device ").find(|it| it.contains(&format!("mounted on {mount} ")));
    let own = own.unwrap().split_once("per-op statistics").unwrap().1;
    let line = |line: &str| {
        let (name, numbers) = line.trim().split_once(':')?;
        Some((name.to_owned(), numbers.split_whitespace().next()?.parse().ok()?))
    };
    own.lines().filter_map(line).collect()
}

/// Prints the calls that were made since, for each of so many times, and returns their sum.
fn report(name: &str, root: &str, before: &BTreeMap<String, u64>, times: u64) -> f64 {
    let per =
        |n: u64| f64::from(u32::try_from(n).unwrap()) / f64::from(u32::try_from(times).unwrap());
    let mut sum = 0;
    let mut parts = String::new();
    for (call, after) in calls(root) {
        let more = after - before.get(&call).copied().unwrap_or_default();
        sum += more;
        if more * 20 >= times {
            parts += &format!(" {call} {:.1}", per(more));
        }
    }
    println!("{name}: {:.1} calls:{parts}", per(sum));
    per(sum)
}

pub(crate) async fn count(root: &str) {
    let store = open(root).await;
    let other = open(&root.replace("c1", "c2")).await;
    let key = new_key();
    let mut costs = vec![];
    let mut before = calls(root);
    let mut revision = store.create(&key, write("0"), op(), None).await.unwrap();
    for _ in 0..3 {
        // The first ones make directories and open files for locking.
        load(&store, &key).await.unwrap();
        before = calls(root);
    }
    for _ in 0..TIMES {
        load(&store, &key).await.unwrap().unwrap();
    }
    costs.push((report("read again", root, &before, TIMES), 4.0));

    before = calls(root);
    for n in 0..TIMES {
        let expected = Expected::Revision(revision);
        revision = store.save(&key, write(n.to_string()), expected, op()).await.unwrap();
    }
    costs.push((report("save without lock", root, &before, TIMES), 14.0));

    before = calls(root);
    for n in 0..TIMES {
        let expected = Expected::Revision(revision);
        revision = other.save(&key, write(n.to_string()), expected, op()).await.unwrap();
        load(&store, &key).await.unwrap().unwrap();
    }
    costs.push((report("read what another client saved", root, &before, TIMES), 7.0));

    before = calls(root);
    for _ in 0..TIMES {
        locked_cycle(&store, &key).await;
    }
    costs.push((report("lock, read, save, release", root, &before, TIMES), 29.0));

    let revision = load(&store, &key).await.unwrap().unwrap().revision;
    before = calls(root);
    for _ in 0..TIMES {
        store.touch(&key, HOUR.into(), revision.incarnation(), op()).await.unwrap();
    }
    costs.push((report("touch", root, &before, TIMES), 10.0));

    before = calls(root);
    for _ in 0..TIMES {
        load(&store, &beside(&key)).await.unwrap();
    }
    costs.push((report("read of an unknown id", root, &before, TIMES), 9.0));

    before = calls(root);
    for _ in 0..TIMES {
        store.create(&new_key(), write("new"), op(), None).await.unwrap();
    }
    costs.push((report("create", root, &before, TIMES), 15.5));
    for (cost, most) in costs {
        assert!(cost <= most, "{cost} calls, and {most} are documented");
    }
}

/// The same where commits are hard links.
pub(crate) async fn count_links(root: &str) {
    let store = FilesStore::builder(root).commit(Commit::HardLink).open().await.unwrap();
    let key = new_key();
    let mut revision = store.create(&key, write("0"), op(), None).await.unwrap();
    load(&store, &key).await.unwrap();
    let mut before = calls(root);
    for _ in 0..TIMES {
        load(&store, &key).await.unwrap().unwrap();
    }
    let mut costs = vec![(report("by links: read again", root, &before, TIMES), 4.5)];
    before = calls(root);
    for n in 0..TIMES {
        let expected = Expected::Revision(revision);
        revision = store.save(&key, write(n.to_string()), expected, op()).await.unwrap();
    }
    costs.push((report("by links: save", root, &before, TIMES), 21.0));
    before = calls(root);
    for _ in 0..TIMES {
        locked_cycle(&store, &key).await;
    }
    costs.push((report("by links: lock, read, save, release", root, &before, TIMES), 42.0));
    for (cost, most) in costs {
        assert!(cost <= most, "{cost} calls, and {most} are documented");
    }
}

/// PHP's handler of files: it locks the session's file, reads it, and writes it in place.
pub(crate) async fn php(root: &str) {
    let script = "session_id('abcdefghijklmnopqrstuvwxyz');
        for ($i = 0; $i < 51; $i++) {
            session_start();
            $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;
            session_write_close();
            if ($i == 0) { fwrite(STDOUT, 'first'); fgets(STDIN); }
        }
        fwrite(STDOUT, $_SESSION['n']);";
    let settings = ["session.use_cookies=0", "session.gc_probability=0"];
    fs::create_dir(root).unwrap();
    let mut php = Command::new("php");
    php.arg("-n").args(settings.iter().flat_map(|setting| ["-d", *setting]));
    php.args(["-d", &format!("session.save_path={root}"), "-r", script]);
    let mut child = php.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = [0; 5];
    child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    let before = calls(root);
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout), "51");
    report("a request of PHP's own handler", root, &before, TIMES);
}

/// An unused key with the lock file of another one, as all have after some hours.
fn beside(key: &Key) -> Key {
    let file = |key: &Key| key.digest().as_bytes()[2] & 0x3f;
    std::iter::repeat_with(new_key).find(|new| file(new) == file(key)).unwrap()
}

async fn locked_cycle(store: &FilesStore, key: &Key) {
    let locked = store.lock(key, LockRequest::new(op(), HOUR, HOUR)).await.unwrap();
    let (lease, record) = (locked.lease.unwrap(), locked.record.unwrap());
    let next = write(format!("{}+", text(&record)));
    let revision = record.revision;
    let expected = Expected::Lease { lease: &lease, revision, then: Then::Release };
    store.save(key, next, expected, op()).await.unwrap();
}

/// Half of the records have expired.
pub(crate) async fn sweep(root: &str, records: u64) {
    // Made on the server itself, which is quicker.
    let there = root.replace("/mnt/c1", test_servers::nfs::SERVER);
    let server = FilesStore::builder(there).durability(Durability::None).open().await.unwrap();
    let brief = std::time::Duration::from_millis(1);
    for n in 0..records {
        let ttl = if n % 2 == 0 { HOUR } else { brief };
        server.create(&new_key(), Write::new("x", ttl), op(), None).await.unwrap();
    }
    tokio::time::sleep(brief * 10).await;
    let store = open(root).await;
    let expired = records / 2;
    for (name, deleted) in [("sweep that removes half", expired), ("sweep that removes none", 0)] {
        let (before, started) = (calls(root), std::time::Instant::now());
        let swept = store.sweep(None, SweepBudget::new(usize::MAX, HOUR)).await.unwrap();
        let took = started.elapsed().as_secs_f64();
        let name = format!("{name} of {records}, {took:.1} s, per record");
        let cost = report(&name, root, &before, records);
        assert_eq!(swept.deleted as u64, deleted);
        assert!(cost <= 9.0, "{cost} calls for each record");
    }
}
