//! The guest that all tests share.

use std::{env, sync::Arc, time::Duration};

use libtest_mimic::{Arguments, Trial};
use session_conformance::Suite;
use test_servers::{
    TestResult,
    nfs::{self, CLIENTS, Guest, Running, SERVER},
    trial,
};
use tokio::runtime::Runtime;

use crate::{
    common::{NO_LOCKS, WITHOUT_LOCKS},
    roles::{self, ROLE},
};

/// What `SESSION_REQUIRE` and `SESSION_SKIP` call the lane.
const WORDS: &[&str] = &["files-nfs", "nfs", "files"];
/// The stores' names in the suite, where they are, and which cases are run of each unless others are
/// asked for. By hard links those of locks and of updates that must not be lost; all cases are run so
/// on a local disk.
const SUITES: [(&str, [&str; 2], &str); 2] = [
    ("files-nfs", CLIENTS, ""),
    ("files-nfs-hard-links", WITHOUT_LOCKS, "files-nfs-hard-links::L"),
];
/// For the suite on a machine that does other things.
const LIMIT: Duration = Duration::from_secs(600);

/// The guest, or why there is none.
#[derive(Clone)]
pub(crate) struct Lane {
    guest: Option<Arc<Guest>>,
    missing: Option<String>,
}

impl Lane {
    /// Starts the guest, unless tests are only listed or must not be run.
    pub(crate) fn start(arguments: &Arguments) -> Self {
        let mut lane = Self { guest: None, missing: nfs::missing() };
        let skipped = env::var("SESSION_SKIP").unwrap_or_default();
        let is_skipped = skipped.split(',').any(|word| WORDS.contains(&word.trim()));
        if arguments.list || is_skipped || lane.missing.is_some() {
            return lane;
        }
        match Runtime::new().unwrap().block_on(Guest::boot()) {
            Ok(guest) => lane.guest = Some(Arc::new(guest)),
            Err(error) => {
                println!("NOTHING IS TESTED ON NFS: {error}");
                let reason = error.to_string().lines().next().unwrap_or_default().to_owned();
                lane.missing = Some(format!("no kernel with a file server: {reason}"));
            }
        }
        lane
    }

    /// Where tests are ignored, and why.
    pub(crate) fn without(mut self, reason: &str) -> Self {
        self.missing = Some(reason.to_owned());
        self
    }

    /// A test that is given the guest.
    pub(crate) fn trial<F: Future<Output = TestResult>>(
        &self,
        name: &str,
        test: impl FnOnce(Arc<Guest>) -> F + Send + 'static,
    ) -> Trial {
        let guest = self.guest.clone();
        trial(name, WORDS, self.missing.clone(), || async move {
            test(guest.ok_or("there is no guest")?).await
        })
    }

    /// A test that is one role in the guest. What the role prints is shown.
    pub(crate) fn role(&self, name: &str, role: &'static str) -> Trial {
        self.trial(name, move |guest| async move {
            let done = guest.run(&command(role)).await?;
            println!("{}", done.output.trim_end());
            Ok(())
        })
    }

    /// Runs the suites in the guest and shows what they print, which ends with sums of their own.
    pub(crate) fn suites(&self, arguments: &Arguments) -> Result<(), ()> {
        let outcomes = SUITES.map(|(name, mounts, usual)| {
            let filter = arguments.filter.clone().unwrap_or_else(|| usual.to_owned());
            self.suite(name, mounts, &filter, arguments.list)
        });
        outcomes.into_iter().collect()
    }

    fn suite(
        &self,
        name: &'static str,
        mounts: [&str; 2],
        filter: &str,
        is_list: bool,
    ) -> Result<(), ()> {
        let store = filter.split_once(':').map_or(filter, |(store, _case)| store);
        if is_list || !(store.is_empty() || store == name) {
            return Ok(());
        }
        let Some(guest) = &self.guest else {
            let reason = self.missing.clone().unwrap_or_else(|| "SESSION_SKIP names it".into());
            let left_out = Suite::new().missing(name, reason).run();
            return if left_out == std::process::ExitCode::SUCCESS { Ok(()) } else { Err(()) };
        };
        let [one, two] = mounts;
        let role = format!("suite {name} {SERVER} {one} {two} {filter}");
        Runtime::new().unwrap().block_on(async {
            let told = |error| println!("{error}");
            mount_without_locks(guest).await.map_err(told)?;
            stream(&guest.start(&command(&role)).map_err(told)?).await
        })
    }
}

/// Mounts the server's folder a second time on each client, once.
pub(crate) async fn mount_without_locks(guest: &Guest) -> test_servers::Result<()> {
    let mount =
        |number| format!("mountpoint -q /mnt/n{number} || attach {number} n{number} {NO_LOCKS}");
    guest.run(&format!("{} && {}", mount(1), mount(2))).await.map(drop)
}

/// Shows what something prints until it ends.
async fn stream(running: &Running) -> Result<(), ()> {
    let deadline = tokio::time::Instant::now() + LIMIT;
    let mut shown = 0;
    loop {
        let status = running.status();
        let text = running.output_from(shown);
        // The rest of a line comes with the next look.
        let whole =
            if status.is_some() { text.len() } else { text.rfind('\n').map_or(0, |n| n + 1) };
        print!("{}", &text[..whole]);
        shown += whole as u64;
        match status {
            Some(0) => return Ok(()),
            Some(_) => return Err(()),
            None if tokio::time::Instant::now() > deadline => {
                println!("not done after {LIMIT:?}");
                return Err(());
            }
            None => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// The command that plays a role in the guest.
pub(crate) fn command(role: &str) -> String {
    let program = env::current_exe().unwrap();
    format!("{ROLE}='{role}' RUST_BACKTRACE=0 '{}' {}", program.display(), roles::arguments(role))
}
