//! The scenarios as tests that show in the usual format.

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::Runtime;

use crate::{
    Result,
    fleet::Fleet,
    page, program, scenario, transcript,
    webdriver::{Browser, Missing},
};

/// A program to drive.
#[derive(Debug, Clone)]
pub struct Example {
    name: String,
    program: PathBuf,
    target: PathBuf,
    document: Option<PathBuf>,
}

impl Example {
    /// The example `name`, compiled to `program`; files go to `e2e` in the folder `target`.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        program: impl Into<PathBuf>,
        target: impl Into<PathBuf>,
    ) -> Self {
        Self { name: name.into(), program: program.into(), target: target.into(), document: None }
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

    /// Plays every scenario, as the `main` of a test.
    #[must_use]
    pub fn test(&self) -> ExitCode {
        libtest_mimic::run(&Arguments::from_args(), self.trials()).exit_code()
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

    fn trials(&self) -> Vec<Trial> {
        macro_rules! plain {
            ($($scenario:ident)*) => {
                vec![$(self.plain(stringify!($scenario), scenario::$scenario)),*]
            };
        }
        let mut trials = plain![
            a_foreign_id_is_not_adopted
            a_log_out_is_final
            a_session_outlives_its_instance
            exclusive_requests_take_turns
            it_says_that_it_is_well
            login_changes_the_id
            looking_sets_no_cookie
            parallel_counts_are_exact
            parallel_edits_of_the_cart_are_all_kept
        ];
        trials.push(self.in_browser());
        trials.extend(self.document.as_deref().map(|document| self.by_the_book(document)));
        trials
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
            transcript::is_true(&document, &fleet).await
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
            if let Some(reason) = reason_to_ignore(tool, missing())? {
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

fn play(scenario: impl Future<Output = Result>) -> std::result::Result<(), Failed> {
    Ok(Runtime::new()?.block_on(scenario)?)
}

/// Why a trial is left out whose `tool` has a `missing` program, or an error if it must not be.
fn reason_to_ignore(
    tool: &str,
    missing: Option<&str>,
) -> std::result::Result<Option<String>, Failed> {
    if lists("SESSION_SKIP", tool) {
        return Ok(Some(format!("SESSION_SKIP names {tool}")));
    }
    let Some(program) = missing else { return Ok(None) };
    let reason = format!("{program} is not installed; `cargo xtask setup` installs it");
    if lists("SESSION_REQUIRE", tool) || lists("SESSION_REQUIRE", "all") {
        return Err(format!("{reason}, and SESSION_REQUIRE asks for it").into());
    }
    Ok(Some(reason))
}

/// Whether the variable, a list with commas, has the word.
fn lists(variable: &str, word: &str) -> bool {
    env::var(variable).is_ok_and(|value| value.split(',').any(|item| item.trim() == word))
}
