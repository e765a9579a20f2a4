//! Our stores under the real middleware of tower-sessions and actix-session.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::future_not_send,
    reason = "a test may panic, and runs on one thread"
)]

mod actix;
mod app;
mod behaviours;
mod details;
mod framework;
mod peers;
mod scenarios;
mod sharing;
mod stores;
mod tower;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let parts = [
        scenarios::trials(),
        behaviours::trials(),
        details::trials(),
        sharing::trials(),
        peers::trials(),
    ];
    let trials = parts.into_iter().flatten().collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
