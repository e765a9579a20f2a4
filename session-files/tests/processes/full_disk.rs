//! A disk without space (case Z16): a small `tmpfs` in a mount namespace of its own.

use std::{path::Path, process::Command};

use libtest_mimic::{Completion, Trial};
use session_core::{ErrorKind, Expected, ReadOptions, SessionStore, Write};
use session_files::FilesStore;
use tempfile::TempDir;

use crate::worker::{HOUR, ROLE, ROOT, key, op};

const NAME: &str = "a_full_disk_leaves_the_old_session_and_a_typed_error";

/// Shown as ignored where no file system can be mounted, unless it is required to run.
pub(crate) fn trial() -> Trial {
    Trial::ignorable_test(NAME, || {
        let possible = namespace("exit 0", Path::new("/tmp")).is_ok_and(|status| status.success());
        if !possible && !is_required() {
            return Ok(Completion::ignored_with("no file system can be mounted (unshare, mount)"));
        }
        let directory = TempDir::new()?;
        let program = std::env::current_exe()?;
        let status = namespace(&format!("exec '{}'", program.display()), directory.path())?;
        if status.success() { Ok(Completion::Completed) } else { Err(status.to_string().into()) }
    })
}

fn is_required() -> bool {
    let required = std::env::var("SESSION_REQUIRE").unwrap_or_default();
    required.split(',').any(|name| ["all", "files"].contains(&name.trim()))
}

/// Runs a command of the shell with a `tmpfs` of 256 KiB at `root`, which goes away with it.
fn namespace(command: &str, root: &Path) -> std::io::Result<std::process::ExitStatus> {
    let mut unshare = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    let mount = "mount -t tmpfs -o size=256k,mode=0700 tmpfs \"$SESSION_FILES_TEST_ROOT\"";
    unshare.args(["--mount", "sh", "-c", &format!("{mount} && {command}")]);
    unshare.env(ROLE, "full-disk").env(ROOT, root).status()
}

pub(crate) async fn on_a_small_disk(root: &Path) {
    let store = FilesStore::open(root).await.unwrap();
    let old = Write::new("the old session", HOUR);
    let revision = store.create(&key(0), old, op(), None).await.unwrap();

    let huge = || Write::new(vec![b'x'; 600 * 1024], HOUR);
    let saved = store.save(&key(0), huge(), Expected::Revision(revision), op()).await;
    let created = store.create(&key(1), huge(), op(), None).await;
    for error in [saved.unwrap_err(), created.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("no space is left"), "{error}");
        assert!(error.is_retryable() && !error.maybe_applied(), "{error}");
    }
    let record = store.load(&key(0), ReadOptions::latest()).await.unwrap().unwrap();
    assert_eq!((&record.payload[..], record.revision), (&b"the old session"[..], revision));
    assert!(store.load(&key(1), ReadOptions::latest()).await.unwrap().is_none());

    // Nothing was left in the way: what fits can be written at once.
    let fits = Write::new(vec![b'x'; 100 * 1024], HOUR);
    store.save(&key(0), fits, Expected::Revision(revision), op()).await.unwrap();
}
