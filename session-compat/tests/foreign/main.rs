//! Our stores under the real middleware of tower-sessions and actix-session.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::future_not_send,
    reason = "a test may panic, and runs on one thread"
)]

mod actix;
mod app;
mod framework;
mod scenarios;
mod tower;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let trials = scenarios::trials();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
