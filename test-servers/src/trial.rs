//! Tests that need a server.

use std::{env, error, time::Duration};

use libtest_mimic::{Completion, Failed, Trial};
use tokio::{runtime::Runtime, time::timeout};

/// A test that takes longer hangs: one in the guest may take five minutes on a busy machine.
const LIMIT: Duration = Duration::from_secs(900);

/// How a test ends.
pub type TestResult = std::result::Result<(), Box<dyn error::Error>>;

/// A test that is ignored where its server is `missing`, unless `SESSION_REQUIRE` has one of its
/// `words` (or `all`, and not `-word`), and wherever `SESSION_SKIP` has one. It runs in a runtime of its own, and fails after a quarter of an hour.
///
/// ```no_run
/// use test_servers::{redis::{Flavor, Options, Server}, trial};
///
/// let missing = Flavor::Valkey.missing();
/// let trials = vec![trial("a_server_answers", &["valkey"], missing, || async {
///     let server = Server::start(&Options::valkey()).await?;
///     assert_eq!(server.command(&["PING"]).await?, "PONG");
///     Ok(())
/// })];
/// libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials).exit();
/// ```
pub fn trial<F>(
    name: impl Into<String>,
    words: &'static [&'static str],
    missing: Option<String>,
    test: impl FnOnce() -> F + Send + 'static,
) -> Trial
where
    F: Future<Output = TestResult>,
{
    ignorable_trial(name, words, missing, || async { test().await.map(|()| Completion::Completed) })
}

/// As [`trial`], for a test that may find out while it runs that it has to be ignored.
pub fn ignorable_trial<F>(
    name: impl Into<String>,
    words: &'static [&'static str],
    missing: Option<String>,
    test: impl FnOnce() -> F + Send + 'static,
) -> Trial
where
    F: Future<Output = std::result::Result<Completion, Box<dyn error::Error>>>,
{
    Trial::ignorable_test(name, move || {
        if let Some(reason) = reason_to_ignore(words, missing)? {
            return Ok(Completion::ignored_with(reason));
        }
        let played = Runtime::new()?.block_on(async { timeout(LIMIT, test()).await });
        Ok(played.map_err(|_elapsed| Failed::from(format!("not done after {LIMIT:?}")))??)
    })
}

/// Why a test is left out that goes by these words and whose server is `missing` for a reason.
///
/// # Errors
/// When it must not be left out, says why.
pub fn reason_to_ignore(
    words: &[&str],
    missing: Option<String>,
) -> std::result::Result<Option<String>, String> {
    let variable = |name| env::var(name).unwrap_or_default();
    decide(words, missing, &variable("SESSION_REQUIRE"), &variable("SESSION_SKIP"))
}

fn decide(
    words: &[&str],
    missing: Option<String>,
    required: &str,
    skipped: &str,
) -> std::result::Result<Option<String>, String> {
    let lists = |list: &str, word: &str| list.split(',').any(|item| item.trim() == word);
    if let Some(word) = words.iter().find(|word| lists(skipped, word)) {
        return Ok(Some(format!("SESSION_SKIP names {word}")));
    }
    let Some(reason) = missing else { return Ok(None) };
    let excepted = words.iter().any(|word| lists(required, &format!("-{word}")));
    if !excepted && (lists(required, "all") || words.iter().any(|word| lists(required, word))) {
        return Err(format!("{reason}, and SESSION_REQUIRE asks for it"));
    }
    Ok(Some(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing() -> Option<String> {
        Some("no server".to_owned())
    }

    #[test]
    fn what_is_there_is_run_unless_it_is_to_be_skipped() {
        assert_eq!(decide(&["redis"], None, "", "browser"), Ok(None));
        let reason = decide(&["redis", "cluster"], None, "all", "browser, cluster").unwrap();
        assert_eq!(reason.unwrap(), "SESSION_SKIP names cluster");
    }

    #[test]
    fn what_is_missing_is_ignored_unless_it_is_required() {
        for required in ["redis-cluster,files", "all,-redis", "redis,-cluster"] {
            let decided = decide(&["redis", "cluster"], missing(), required, "");
            assert_eq!(decided, Ok(missing()));
        }
        for required in ["all", "files, redis"] {
            let refused = decide(&["redis"], missing(), required, "").unwrap_err();
            assert_eq!(refused, "no server, and SESSION_REQUIRE asks for it");
        }
    }
}
