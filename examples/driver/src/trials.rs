//! The scenarios as tests that show in the usual format.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use test_servers::reason_to_ignore;
use tokio::runtime::Runtime;

use crate::{
    Result,
    fleet::Fleet,
    page, program, scenario,
    stores::Stores,
    transcript,
    webdriver::{Browser, Missing},
};

/// A program to drive.
#[derive(Debug, Clone)]
pub struct Example {
    name: String,
    program: PathBuf,
    target: PathBuf,
    document: Option<PathBuf>,
    /// The URL of the present one; without it sessions are in files.
    store: Option<String>,
}

impl Example {
    /// The example `name`, compiled to `program`; files go to `e2e` in the folder `target`.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        program: impl Into<PathBuf>,
        target: impl Into<PathBuf>,
    ) -> Self {
        let (name, program, target) = (name.into(), program.into(), target.into());
        Self { name, program, target, document: None, store: None }
    }

    /// Holds the transcripts in a Markdown document against what the example answers.
    ///
    /// Each `$ curl` line in a fence marked `console` is run, with the example in the place of
    /// `127.0.0.1:3000`; what follows is what it must print. An ellipsis (`…`) stands for anything
    /// in a line, and alone on a line for any lines.
    #[must_use]
    pub fn document(mut self, document: impl Into<PathBuf>) -> Self {
        self.document = Some(document.into());
        self
    }

    /// Plays every scenario, as the `main` of a test: all on files, and those without a page on
    /// every other store too. Those of a store that is not installed are ignored, unless
    /// `SESSION_REQUIRE` has its name.
    #[must_use]
    pub fn test(&self) -> ExitCode {
        let Ok(stores) = Stores::start() else { return ExitCode::FAILURE };
        let mut trials = self.trials();
        trials.extend(stores.urls().into_iter().flat_map(|(name, url)| self.on(name, url)));
        libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.target.join("e2e").join(&self.name)
    }

    /// Where an instance keeps its sessions that has a folder of its own.
    pub(crate) fn store_url(&self, folder: &Path) -> String {
        let files = || format!("files://{}", folder.join("store").display());
        self.store.clone().unwrap_or_else(files)
    }

    fn trials(&self) -> Vec<Trial> {
        let mut trials = self.plain_trials();
        trials.push(self.in_browser());
        trials.extend(self.document.as_deref().map(|document| self.by_the_book(document)));
        trials
    }

    /// The plain scenarios on another store.
    fn on(&self, store: &'static str, url: std::result::Result<String, String>) -> Vec<Trial> {
        let url = match url {
            Ok(url) => url,
            Err(reason) => return vec![missing_store(store, reason)],
        };
        let name = format!("{}-{store}", self.name);
        let example = Self { name, store: Some(url), ..self.clone() };
        example.plain_trials().into_iter().map(|trial| trial.with_kind(store)).collect()
    }

    fn plain_trials(&self) -> Vec<Trial> {
        macro_rules! plain {
            ($($scenario:ident)*) => {
                vec![$(self.plain(stringify!($scenario), scenario::$scenario)),*]
            };
        }
        plain![
            a_foreign_id_is_not_adopted
            a_log_out_is_final
            a_session_outlives_its_instance
            exclusive_requests_take_turns
            it_says_that_it_is_well
            login_changes_the_id
            looking_sets_no_cookie
            parallel_counts_are_exact
            parallel_edits_of_the_cart_are_all_kept
            the_name_is_known_to_every_instance
        ]
    }

    fn plain<F>(&self, name: &'static str, scenario: fn(Fleet) -> F) -> Trial
    where
        F: Future<Output = Result> + 'static,
    {
        let example = self.clone();
        Trial::test(name, move || {
            play(async { scenario(Fleet::start(&example, name).await?).await })
        })
    }

    fn in_browser(&self) -> Trial {
        let missing = || Browser::find().err().map(|Missing { program }| program);
        self.with_tool("a_person_uses_the_page", "browser", missing, page::a_person_uses_the_page)
    }

    fn by_the_book(&self, document: &Path) -> Trial {
        let document = document.to_owned();
        let missing = || program::find("curl").is_none().then_some("curl");
        self.with_tool("the_transcript_is_true", "curl", missing, |_, fleet| async move {
            transcript::is_true(&document, fleet.a.address(), fleet.folder()).await
        })
    }

    /// A trial that needs a `tool`, and is ignored without it unless `SESSION_REQUIRE` has it.
    fn with_tool<F>(
        &self,
        name: &'static str,
        tool: &'static str,
        missing: fn() -> Option<&'static str>,
        scenario: impl FnOnce(Self, Fleet) -> F + Send + 'static,
    ) -> Trial
    where
        F: Future<Output = Result>,
    {
        let example = self.clone();
        Trial::ignorable_test(name, move || {
            let missing = missing().map(|program| {
                format!("{program} is not installed; `cargo xtask setup` installs it")
            });
            if let Some(reason) = reason_to_ignore(&[tool], missing)? {
                return Ok(Completion::ignored_with(reason));
            }
            play(async {
                let fleet = Fleet::start(&example, name).await?;
                scenario(example, fleet).await
            })?;
            Ok(Completion::Completed)
        })
    }
}

/// Stands for the scenarios of a store that is not there.
fn missing_store(name: &'static str, reason: String) -> Trial {
    let trial = Trial::ignorable_test("all_scenarios", move || {
        let reason = reason_to_ignore(&[name], Some(reason))?;
        Ok(reason.map_or(Completion::Completed, Completion::ignored_with))
    });
    trial.with_kind(name)
}

fn play(scenario: impl Future<Output = Result>) -> std::result::Result<(), Failed> {
    Ok(Runtime::new()?.block_on(scenario)?)
}
