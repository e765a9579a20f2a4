//! Each server starts, answers, is broken and recovers; the proxy loses what it is told to; and
//! nothing outlives its owner.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "in a test a panic is the report, and the owner talks over its output"
)]

mod balancer;
mod orphans;
mod proxy;
mod sql;
mod topologies;

use std::{env, process::ExitCode};

use libtest_mimic::Arguments;

/// The longest that any server may take for anything.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

fn main() -> ExitCode {
    if env::var_os(orphans::ROLE).is_some() {
        return orphans::owner();
    }
    let mut arguments = Arguments::from_args();
    // A cluster is six processes.
    arguments.test_threads.get_or_insert(2);
    let mut trials = topologies::trials();
    trials.extend(balancer::trials());
    trials.extend(proxy::trials());
    trials.extend(sql::trials());
    trials.extend(sql::pooler::trials());
    trials.extend(orphans::trials());
    libtest_mimic::run(&arguments, trials).exit_code()
}
