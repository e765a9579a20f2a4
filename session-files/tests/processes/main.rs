//! Several processes on one directory: exclusion, no lost update, kills at any instruction, and a
//! full disk.
//!
//! The program starts itself again in other roles; see `worker.rs`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "in a test a panic is the report, and the roles talk over their output"
)]

mod exclusion;
mod full_disk;
mod kills;
mod worker;

use libtest_mimic::{Arguments, Trial};

fn main() {
    if let Some(role) = std::env::var_os(worker::ROLE) {
        return worker::run(&role.into_string().unwrap());
    }
    let trial = |name: &str, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let trials = vec![
        trial("holds_of_two_processes_never_overlap_and_count_exactly", exclusion::locked_counter),
        trial("a_thousand_increments_of_two_processes_end_at_a_thousand", exclusion::increments),
        trial("a_thousand_updates_of_two_processes_end_at_a_thousand", exclusion::updates),
        trial("of_two_creators_in_two_processes_one_wins", exclusion::creators),
        trial("two_sweeping_processes_remove_each_record_once", exclusion::sweepers),
        trial("ten_thousand_writes_under_kills_leave_only_whole_records", kills::ten_thousand),
        full_disk::trial(),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
