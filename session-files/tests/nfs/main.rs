//! The files store on two clients of one file server: the suite, exclusion, what a client keeps of
//! names and times, what each operation costs the server, a server that is away, and the verifier.
//!
//! The program starts a kernel of its own (see `test_servers::nfs`), and itself in it in the roles
//! of `roles.rs`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "in a test a panic is the report, and the roles talk over their output"
)]

mod caches;
mod common;
mod counts;
mod crowd;
mod cut;
#[expect(dead_code, reason = "the suite of one machine uses the rest")]
#[path = "../conformance/directory.rs"]
mod directory;
mod exclusion;
mod faults;
mod full;
mod lane;
mod roles;
mod stale;
mod verify;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    if let Some(role) = std::env::var_os(roles::ROLE) {
        return roles::run(&role.into_string().unwrap());
    }
    let mut arguments = Arguments::from_args();
    // There is one processor for all of them.
    arguments.test_threads = Some(1);
    let lane = lane::Lane::start(&arguments);
    let suite = lane.suites(&arguments);
    let mut trials = exclusion::trials(&lane);
    trials.extend(caches::trials(&lane));
    trials.extend(counts::trials(&lane));
    trials.extend(crowd::trials(&lane));
    trials.extend(stale::trials(&lane));
    trials.extend(full::trials(&lane));
    trials.extend(cut::trials(&lane));
    trials.extend(faults::trials(&lane));
    trials.extend(verify::trials(&lane));
    let failed = libtest_mimic::run(&arguments, trials).has_failed();
    if failed || suite.is_err() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
