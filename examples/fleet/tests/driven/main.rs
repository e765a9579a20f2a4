//! The stories of the fleet, with their counts; its program, and its page.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a panic is a report, counts are to be seen"
)]

mod page;
mod program;

use std::{error::Error, process::ExitCode};

use example_driver::{Result, webdriver::Browser};
use example_fleet::Stories;
use libtest_mimic::{Arguments, Trial};
use test_servers::{
    TestResult,
    haproxy::Haproxy,
    redis::{Options, Server},
    sql, trial,
};

const WORDS: &[&str] = &["haproxy", "redis"];

fn main() -> ExitCode {
    let redis =
        || -> Option<String> { Haproxy::missing().or_else(|| Server::missing(&Options::redis())) };
    let browser = || {
        let missing = Browser::find().err()?.program;
        Some(format!("{missing} is not installed; `cargo xtask setup` installs it"))
    };
    let trials = vec![
        story(
            "nobody_is_logged_out_and_nothing_is_lost_while_instances_come_and_go",
            redis(),
            async |stories| stories.shared().await,
        ),
        story(
            "an_instance_with_another_key_logs_users_out_and_is_named",
            redis(),
            async |stories| stories.wrong_key().await,
        ),
        story(
            "stores_that_are_not_shared_log_users_out_at_once",
            Haproxy::missing(),
            async |stories| stories.unshared().await,
        ),
        story(
            "sticky_cookies_keep_users_only_until_their_instance_dies",
            Haproxy::missing(),
            async |stories| stories.sticky().await,
        ),
        trial(
            "a_killed_fleet_leaves_no_process_behind",
            WORDS,
            redis(),
            program::a_killed_fleet_leaves_no_process_behind,
        ),
        trial("ctrl_c_ends_everything", WORDS, redis(), program::ctrl_c_ends_everything),
        trial(
            "a_person_plays_with_the_fleet",
            &["browser", "haproxy", "redis"],
            redis().or_else(browser),
            || async { plain(page::a_person_plays_with_the_fleet().await) },
        ),
        trial(
            "nobody_is_logged_out_and_nothing_is_lost_on_an_empty_database",
            &["haproxy", "postgres"],
            Haproxy::missing().or_else(|| sql::Server::missing(&sql::Options::postgres())),
            on_an_empty_database,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn story(
    name: &str,
    missing: Option<String>,
    tell: impl AsyncFnOnce(Stories) -> Result<String> + Send + 'static,
) -> Trial {
    trial(name, WORDS, missing, move || async { show(tell(stories()).await) })
}

fn stories() -> Stories {
    Stories::new(env!("CARGO_BIN_EXE_example-fleet"))
}

/// All instances begin at once, and each makes the tables.
async fn on_an_empty_database() -> TestResult {
    // A busy machine takes its time.
    const PATIENCE: &str =
        "session.timeout=60s&session.response_timeout=60s&session.connect_timeout=60s";
    let url = sql::Server::shared(sql::Flavor::Postgres).await?.fresh_database().await?;
    let url = format!("{url}?{PATIENCE}");
    show(stories().store(Some(url)).shared().await)
}

/// Prints a report.
fn show(told: Result<String>) -> TestResult {
    println!("\n{}", plain(told)?);
    Ok(())
}

/// An error as the trials take it.
fn plain<T>(result: Result<T>) -> std::result::Result<T, Box<dyn Error>> {
    result.map_err(|error| error as Box<dyn Error>)
}
