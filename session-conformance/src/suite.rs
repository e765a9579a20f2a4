//! The runner: a test program with one test for each case and store.

use std::{
    env,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::{
    Backend, Case, Namespace, Verdict, cases,
    outcome::chain,
    report::{Entry, Report},
    run_case,
};

/// How many cases run at a time unless `--test-threads` says otherwise. Most of them wait.
const AT_A_TIME: usize = 8;

/// The stores to test; the whole of a `tests/conformance.rs` with `harness = false`.
///
/// The program takes the arguments of any Rust test program: a filter, `--list`, `--exact`,
/// `--test-threads`. Cases appear as `memory::C01_create_then_read_round_trips`. A full run ends
/// with a line for each store, and writes `conformance/<store>.json` into the target directory.
///
/// A store that is not configured shows all its cases as ignored. The variable `SESSION_REQUIRE`
/// names the stores that must be there (`memory,files`, or `all`, or `all,-files`); without one the run
/// fails.
#[derive(Debug, Default)]
#[must_use = "a suite does nothing until it is run"]
pub struct Suite {
    stores: Vec<Entrant>,
}

/// A store that was entered for the test.
#[derive(Debug)]
enum Entrant {
    There(Arc<dyn Backend>),
    Missing { name: String, reason: String },
}

impl Suite {
    /// Without a store yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tests this store.
    pub fn backend(mut self, backend: impl Backend) -> Self {
        self.stores.push(Entrant::There(Arc::new(backend)));
        self
    }

    /// Tests the store that `variable` of the environment points at; without the variable its
    /// cases are ignored.
    pub fn backend_at<B: Backend>(
        self,
        name: &str,
        variable: &str,
        open: impl FnOnce(&str) -> B,
    ) -> Self {
        match env::var(variable) {
            Ok(address) if !address.is_empty() => self.backend(open(&address)),
            _ => self.missing(name, format!("{variable} is not set")),
        }
    }

    /// Enters a store that cannot be tested here, and why: its cases are ignored.
    pub fn missing(mut self, name: impl Into<String>, reason: impl Into<String>) -> Self {
        self.stores.push(Entrant::Missing { name: name.into(), reason: reason.into() });
        self
    }

    /// Runs the cases that the command line selects.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let required = env::var("SESSION_REQUIRE").unwrap_or_default();
        let conclusion = self.run_with(Arguments::from_args(), &required);
        conclusion.lines.iter().for_each(|line| say(line));
        if conclusion.holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn run_with(self, mut args: Arguments, required: &str) -> Conclusion {
        let runtime = match Builder::new_multi_thread().worker_threads(4).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return Conclusion::cannot_start(&error),
        };
        args.test_threads.get_or_insert(AT_A_TIME);
        let sheets: Vec<_> =
            self.stores.into_iter().map(|store| Sheet::new(store, required, &runtime)).collect();
        let trials: Vec<_> =
            sheets.iter().flat_map(|sheet| sheet.trials(&args, runtime.handle())).collect();
        let mut conclusion = Conclusion {
            holds: !libtest_mimic::run(&args, trials).has_failed(),
            lines: Vec::new(),
        };
        if !args.list {
            let whole = args.filter.is_none() && args.skip.is_empty() && !args.ignored;
            sheets.into_iter().for_each(|sheet| sheet.close(whole, &mut conclusion));
        }
        conclusion
    }
}

/// How the run ended, and what is said about it.
#[derive(Debug)]
struct Conclusion {
    holds: bool,
    lines: Vec<String>,
}

impl Conclusion {
    fn cannot_start(error: &std::io::Error) -> Self {
        Self { holds: false, lines: vec![format!("cannot start: {error}")] }
    }
}

/// The cases of one store, and what became of them.
struct Sheet {
    name: String,
    state: State,
    server_version: Option<String>,
    results: Arc<Mutex<Vec<Entry>>>,
}

enum State {
    /// It is there; each case with the reason to ignore it, if any.
    Ready(Arc<dyn Backend>, Vec<(&'static Case, Option<String>)>),
    /// It is not configured.
    Missing(String),
    /// It is not there and should be.
    Broken(String),
}

impl Sheet {
    fn new(entrant: Entrant, required: &str, runtime: &Runtime) -> Self {
        let (name, state, server_version) = match entrant {
            Entrant::There(backend) => {
                let (state, version) = runtime.block_on(probe(&backend));
                (backend.name().to_owned(), state, version)
            }
            Entrant::Missing { name, reason } if is_required(&name, required) => {
                (name, State::Broken(format!("required by SESSION_REQUIRE, but {reason}")), None)
            }
            Entrant::Missing { name, reason } => (name, State::Missing(reason), None),
        };
        Self { name, state, server_version, results: Arc::default() }
    }

    fn trials(&self, args: &Arguments, runtime: &Handle) -> Vec<Trial> {
        match &self.state {
            State::Ready(backend, cases) => cases
                .iter()
                .map(|(case, unmet)| match unmet {
                    Some(reason) => self.ignored(args, case, reason),
                    None => self.trial(case, Arc::clone(backend), runtime.clone()),
                })
                .collect(),
            State::Missing(reason) => {
                cases::all().map(|case| self.ignored(args, case, reason)).collect()
            }
            State::Broken(reason) => {
                let reason = reason.clone();
                vec![Trial::test(format!("{}::is_there", self.name), || Err(Failed::from(reason)))]
            }
        }
    }

    fn trial(&self, case: &'static Case, backend: Arc<dyn Backend>, runtime: Handle) -> Trial {
        let results = Arc::clone(&self.results);
        Trial::ignorable_test(self.title(case), move || {
            let verdict = runtime.block_on(run_case(backend, case));
            note(&results, Entry::new(case, verdict.clone()));
            match verdict {
                Verdict::Passed(_) => Ok(Completion::Completed),
                Verdict::Ignored(reason) => Ok(Completion::ignored_with(reason)),
                Verdict::Failed(reason) => Err(Failed::from(reason)),
            }
        })
    }

    /// A test that is known to be ignored before it runs, so that every runner shows it as such.
    fn ignored(&self, args: &Arguments, case: &'static Case, reason: &str) -> Trial {
        let reason = reason.to_owned();
        let done = Completion::ignored_with(&reason);
        let trial = Trial::ignorable_test(self.title(case), || Ok(done)).with_ignored_flag(true);
        if !args.is_filtered_out(&trial) {
            note(&self.results, Entry::new(case, Verdict::Ignored(reason)));
        }
        trial
    }

    fn title(&self, case: &Case) -> String {
        format!("{}::{}", self.name, case.id())
    }

    /// Says what became of the store and, after a whole run, writes it down.
    fn close(self, whole: bool, conclusion: &mut Conclusion) {
        if let State::Broken(reason) = &self.state {
            conclusion.lines.push(format!("conformance {}: not run: {reason}", self.name));
            return;
        }
        let cases =
            std::mem::take(&mut *self.results.lock().unwrap_or_else(PoisonError::into_inner));
        let mut report = Report { store: self.name, server_version: self.server_version, cases };
        report.sort();
        conclusion.lines.extend(report.reasons());
        conclusion.lines.push(report.summary());
        if whole && let Err(error) = report.write() {
            conclusion.holds = false;
            conclusion.lines.push(format!("cannot write the report of {}: {error}", report.store));
        }
    }
}

/// Opens the store once to learn what it declares.
async fn probe(backend: &Arc<dyn Backend>) -> (State, Option<String>) {
    let opened = async {
        let namespace = Namespace::fresh()?;
        let store = backend.open(&namespace).await?;
        let cases = cases::all().map(|case| (case, case.unmet(&**backend, &*store))).collect();
        drop(store);
        backend.cleanup(&namespace).await?;
        Ok(cases)
    };
    match opened.await {
        Ok(cases) => (State::Ready(Arc::clone(backend), cases), backend.server_version().await),
        Err(error) => (State::Broken(format!("cannot open: {}", chain(&error))), None),
    }
}

fn is_required(name: &str, required: &str) -> bool {
    let has = |wanted: &str| required.split(',').any(|entry| entry.trim() == wanted);
    !has(&format!("-{name}")) && (has("all") || has(name))
}

fn note(results: &Mutex<Vec<Entry>>, entry: Entry) {
    results.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
}

#[expect(clippy::print_stdout, reason = "a test program reports on the terminal")]
fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use session_core::{Error, ErrorKind, Operation, Result, SessionStore};

    use super::*;
    use crate::MemoryBackend;

    /// A run of the cases whose name holds `filter`, printed to nowhere.
    fn arguments(filter: &str) -> Arguments {
        Arguments::from_iter(["tests", "--logfile", "/dev/null", filter])
    }

    #[derive(Debug)]
    struct Unreachable;

    #[async_trait]
    impl Backend for Unreachable {
        fn name(&self) -> &'static str {
            "unreachable"
        }

        async fn open(&self, _: &Namespace) -> Result<Arc<dyn SessionStore>> {
            Err(Error::new(ErrorKind::Unavailable, "unreachable", Operation::Open))
        }
    }

    #[test]
    fn a_filtered_run_says_what_it_ran() {
        let run =
            Suite::new().backend(MemoryBackend::new()).run_with(arguments("memory::C0"), "all");
        assert!(run.holds);
        let count = cases::all().filter(|case| case.number.starts_with("C0")).count();
        assert_eq!(run.lines, [format!("conformance memory: {count} run, 0 ignored, 0 failed")]);
    }

    #[test]
    fn a_store_that_is_not_configured_is_ignored_with_the_reason() {
        let suite = Suite::new().missing("redis", "no server");
        let run = suite.run_with(arguments("L13"), "memory,files");
        assert!(run.holds);
        assert_eq!(
            run.lines,
            ["ignored: no server: L13", "conformance redis: 0 run, 2 ignored, 0 failed"]
        );
    }

    #[test]
    fn a_required_store_that_is_not_configured_fails_the_run() {
        for required in ["all", "memory, redis"] {
            let run = Suite::new().missing("redis", "no server").run_with(arguments(""), required);
            assert!(!run.holds);
            assert!(run.lines.concat().contains("not run: required by SESSION_REQUIRE"));
        }
    }

    #[test]
    fn a_store_that_cannot_be_opened_fails_the_run() {
        let run = Suite::new().backend(Unreachable).run_with(arguments(""), "");
        assert!(!run.holds);
        assert!(run.lines.concat().contains("conformance unreachable: not run: cannot open"));
    }

    #[test]
    fn a_case_that_fails_fails_the_run() {
        let broken = crate::broken::all().find(|broken| broken.name == "MissingIsEmpty");
        let broken = crate::broken::BrokenBackend::new(MemoryBackend::new(), broken.unwrap());
        let run = Suite::new().backend(broken).run_with(arguments("C04"), "");
        assert!(!run.holds);
        assert_eq!(run.lines, ["conformance MissingIsEmpty: 1 run, 0 ignored, 1 failed"]);
    }
}
