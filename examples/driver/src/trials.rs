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
    page, scenario,
    webdriver::{Browser, Missing},
};

/// A program to drive.
#[derive(Debug, Clone)]
pub struct Example {
    name: String,
    program: PathBuf,
    target: PathBuf,
}

impl Example {
    /// The example `name`, compiled to `program`; files go to `e2e` in the folder `target`.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        program: impl Into<PathBuf>,
        target: impl Into<PathBuf>,
    ) -> Self {
        Self { name: name.into(), program: program.into(), target: target.into() }
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
        let name = "a_person_uses_the_page";
        let example = self.clone();
        Trial::ignorable_test(name, move || {
            if let Some(reason) = reason_to_ignore()? {
                return Ok(Completion::ignored_with(reason));
            }
            play(async {
                let fleet = Fleet::start(&example, name).await?;
                page::a_person_uses_the_page(example, fleet).await
            })?;
            Ok(Completion::Completed)
        })
    }
}

fn play(scenario: impl Future<Output = Result>) -> std::result::Result<(), Failed> {
    Ok(Runtime::new()?.block_on(scenario)?)
}

/// Why the browser is left out, or an error if it must not be.
fn reason_to_ignore() -> std::result::Result<Option<String>, Failed> {
    if lists("SESSION_SKIP", "browser") {
        return Ok(Some("SESSION_SKIP names the browser".to_owned()));
    }
    let Err(Missing { program }) = Browser::find() else { return Ok(None) };
    let reason = format!("{program} is not installed; `cargo xtask setup` installs it");
    if lists("SESSION_REQUIRE", "browser") || lists("SESSION_REQUIRE", "all") {
        return Err(format!("{reason}, and SESSION_REQUIRE asks for it").into());
    }
    Ok(Some(reason))
}

/// Whether the variable, a list with commas, has the word.
fn lists(variable: &str, word: &str) -> bool {
    env::var(variable).is_ok_and(|value| value.split(',').any(|item| item.trim() == word))
}
