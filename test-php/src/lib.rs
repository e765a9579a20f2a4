//! Real PHP and our stores at the same live sessions: one list of cases for every layout of PHP's.
//!
//! A [`Layout`] is where the sessions are: it makes [`Place`]s, one for each case. In a place work
//! [`Worker`]s, each a process of its own: PHP's extension, or our store in a copy of the test
//! program. Both take the same [`Command`]s, so a case can be played with the sides changed.
//!
//! A test program without the usual harness is all that a backend adds: its `main` calls [`main`] with
//! what opens a place, and with its layouts.

#![expect(clippy::print_stdout, reason = "the peer answers on its standard output")]

mod cases;
mod command;
mod layout;
mod peer;
mod worker;

use std::{env, process::ExitCode, sync::Arc};

use libtest_mimic::Arguments;

pub use command::{Answer, Command};
pub use layout::{Gc, Layout, Lock, OpenStore, Php, Place, Promises};
pub use worker::Worker;

/// What a test or a fixture fails with.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
/// How a step ends.
pub type Result<T = ()> = std::result::Result<T, Failure>;

/// Names the place to the copies of the test program that work in it.
const PEER: &str = "TEST_PHP_PEER";

/// Runs every case on every layout; or, in a copy of the program, works at the store that `open`
/// opens in a place.
pub fn main(open: OpenStore, layouts: Vec<Arc<dyn Layout>>) -> ExitCode {
    if let Ok(place) = env::var(PEER) {
        return peer::serve(open, place);
    }
    let trials = layouts.iter().flat_map(cases::trials).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
