//! Two instances on the two clients of one file server.
//!
//! The test starts a kernel of its own (see `test_servers::nfs`), and itself in it.

#![expect(
    clippy::print_stdout,
    reason = "what was measured is for whoever reads the tests' output"
)]

use std::{env, path::Path, process::ExitCode};

use example_driver::count_and_stay_logged_in;
use libtest_mimic::{Arguments, Trial};
use test_servers::{
    TestResult,
    nfs::{self, CLIENTS, Guest, SERVER},
    trial,
};

/// Set in the kernel, to the folder for logs.
const FOLDER: &str = "EXAMPLE_AXUM_NFS_FOLDER";
/// The folder of the sessions; and time for a store that waits for its turn on one processor.
const STORE: &str = "fleet?session.threads=32&session.timeout=60s";

fn main() -> ExitCode {
    if let Some(folder) = env::var_os(FOLDER) {
        return drive(Path::new(&folder));
    }
    let name = "two_instances_on_two_clients_lose_no_count_and_no_user";
    let words = &["files-nfs", "nfs", "files"];
    let trials: Vec<Trial> = vec![trial(name, words, nfs::missing(), in_guest)];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

async fn in_guest() -> TestResult {
    let guest = Guest::boot().await?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nfs");
    let program = env::current_exe()?;
    let run = format!("{FOLDER}='{}' '{}'", folder.display(), program.display());
    let done = guest.run(&format!("mkdir -m 700 {SERVER}/fleet && {run}")).await?;
    println!("{}", done.output.lines().last().unwrap_or_default());
    Ok(())
}

fn drive(folder: &Path) -> ExitCode {
    let program = Path::new(env!("CARGO_BIN_EXE_example-axum"));
    let stores = CLIENTS.map(|client| format!("files://{client}/{STORE}"));
    let driven = tokio::runtime::Runtime::new().map_err(Into::into).and_then(|runtime| {
        let tell = |line| println!("{line}");
        runtime.block_on(count_and_stay_logged_in(program, stores, folder, tell))
    });
    match driven {
        Ok([counting, clicking]) => {
            println!("1,000 counts took {counting:.1?}, the clicks of 200 users {clicking:.1?}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}
