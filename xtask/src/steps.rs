//! The steps, in their order.

use std::{
    fs, io,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    conformance,
    counts::Outcome,
    deny, features, fetch, process, programs,
    report::{self, Line},
    setup,
    workspace::Workspace,
};

/// How much to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Installation only.
    Setup,
    /// Formatter, lints and tests, for the inner loop.
    Quick,
    /// All of it.
    Everything,
}

struct Step {
    name: &'static str,
    quick: bool,
    run: fn(&Workspace, Scope) -> io::Result<Outcome>,
}

/// Cheap and telling steps first; steps that share compiled dependencies follow one another.
/// Neighbours must not differ in `RUSTFLAGS`, which would compile everything anew.
const STEPS: &[Step] = &[
    Step { name: "setup", quick: false, run: |workspace, _| Ok(setup::run(workspace)) },
    Step { name: "format", quick: true, run: |_, _| format() },
    Step { name: "lints", quick: true, run: |_, _| lints() },
    Step { name: "features", quick: false, run: |workspace, _| features::check(workspace) },
    Step { name: "docs", quick: false, run: |_, _| docs() },
    Step { name: "tests", quick: true, run: tests },
    Step { name: "dependencies", quick: false, run: |workspace, _| deny::offline(workspace) },
    Step { name: "advisories", quick: false, run: |workspace, _| deny::advisories(workspace) },
];

/// Runs the steps of a scope, all of them whatever fails, and says whether none failed.
pub(crate) fn run(scope: Scope) -> io::Result<bool> {
    let workspace = Workspace::read()?;
    std::env::set_current_dir(&workspace.root)?;
    let mut lines = Vec::new();
    for step in STEPS.iter().filter(|step| step.belongs_to(scope)) {
        println!("\n=== {}", step.name);
        let start = Instant::now();
        let outcome = (step.run)(&workspace, scope)
            .unwrap_or_else(|error| Outcome::failed(format!("could not be run: {error}")));
        let took = start.elapsed();
        println!("=== {} took {}", step.name, seconds(took));
        lines.push(Line { step: step.name, took, outcome });
    }
    print!("{}", report::render(&lines, &conformance_of(&workspace, scope)));
    Ok(lines.iter().all(|line| line.outcome.counts.failed == 0))
}

impl Step {
    fn belongs_to(&self, scope: Scope) -> bool {
        match scope {
            Scope::Setup => self.name == "setup",
            Scope::Quick => self.quick,
            Scope::Everything => true,
        }
    }
}

fn conformance_of(workspace: &Workspace, scope: Scope) -> Vec<String> {
    if scope == Scope::Setup {
        return Vec::new();
    }
    conformance::stores(workspace).into_iter().flat_map(|store| store.lines).collect()
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

fn cargo(arguments: &[&str]) -> Command {
    println!("cargo {}", arguments.join(" "));
    let mut command = process::command(process::cargo());
    command.args(arguments);
    command
}

fn format() -> io::Result<Outcome> {
    let checked = process::run(&mut cargo(&["fmt", "--all", "--check"]))?;
    Ok(Outcome::of(checked.success, "cargo fmt --all --check"))
}

fn lints() -> io::Result<Outcome> {
    let mut command = cargo(&["clippy", "--workspace", "--all-targets", "--all-features"]);
    let checked = process::run(command.args(["--keep-going", "--", "-D", "warnings"]))?;
    Ok(Outcome::of(checked.success, "cargo clippy"))
}

fn docs() -> io::Result<Outcome> {
    let mut command = cargo(&["doc", "--workspace", "--all-features", "--no-deps", "--keep-going"]);
    let built = process::run(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Outcome::of(built.success, "cargo doc"))
}

/// What is tested, and how.
const TESTED: &[&str] = &["--workspace", "--all-features", "--no-fail-fast"];

/// All tests: unit tests, documentation examples, conformance, and the examples end to end.
fn tests(workspace: &Workspace, scope: Scope) -> io::Result<Outcome> {
    let results = conformance::folder(workspace);
    if results.exists() {
        fs::remove_dir_all(results)?;
    }
    let missing = fetch::missing(workspace);
    println!("cargo test {}", TESTED.join(" "));
    let Some(built) = programs::build(workspace, TESTED)? else {
        return Ok(Outcome::failed("failed: a test program did not compile"));
    };
    let mut programs = vec![programs::documentation(TESTED)];
    programs.extend(built);
    let mut outcome = Outcome::default();
    outcome.notes.extend(
        missing.iter().map(|(name, reason)| {
            format!("NOTHING WAS TESTED ON {}: {reason}", name.to_uppercase())
        }),
    );
    for finished in programs::run(programs, &variables(scope, &missing)) {
        outcome.add(Outcome::of_tests(&finished.output, finished.success));
    }
    // The report groups these by reason.
    for store in conformance::stores(workspace) {
        let prefix = format!("ignored: {}: ", store.name);
        outcome.notes.retain(|note| !note.starts_with(&prefix));
    }
    Ok(outcome)
}

/// What the tests are told: what may be left out, and what must be there.
fn variables(scope: Scope, missing: &[(&str, String)]) -> Vec<(&'static str, String)> {
    if scope == Scope::Quick {
        return vec![("SESSION_SKIP", "browser".to_owned())];
    }
    if !process::unattended() || std::env::var_os("SESSION_REQUIRE").is_some() {
        return Vec::new();
    }
    let excepted: String = missing.iter().map(|(name, _)| format!(",-{name}")).collect();
    vec![("SESSION_REQUIRE", format!("all{excepted}"))]
}
