//! The scenarios of `session-http` as tests of an adapter, on every kind of store: in memory, in
//! files, and on two servers, which all tests of a program share.
//!
//! ```no_run
//! # fn show<MyAdapter: session_http::scenarios::Adapter + Default + 'static>() {
//! // In a test with `harness = false`.
//! let trials = test_stores::scenarios("", |_name| Some(MyAdapter::default()));
//! libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials).exit();
//! # }
//! ```

mod kind;
mod place;
mod postgres;

use std::error::Error;

use libtest_mimic::{Completion, Trial};
use session_http::scenarios::{Adapter, Played, Stores, cases};
use test_servers::ignorable_trial;

pub use kind::Kind;

/// A test of each scenario on each store, called `{prefix}{store}::{scenario}`.
///
/// `adapter` gets the name of the scenario; those for which it gives none are left out.
pub fn scenarios<A: Adapter>(
    prefix: &str,
    adapter: impl Fn(&'static str) -> Option<A> + Copy + Send + 'static,
) -> Vec<Trial> {
    macro_rules! trials {
        ($($name:ident)*) => {
            [$(one(prefix, stringify!($name), adapter, async |adapter, stores| {
                cases::$name(adapter, stores).await
            })),*]
        };
        (=> $($name:ident)*) => { trials![$($name)*] };
    }
    session_http::scenario_list!([trials]).into_iter().flatten().collect()
}

/// The tests of one scenario.
fn one<A: Adapter>(
    prefix: &str,
    name: &'static str,
    adapter: impl Fn(&'static str) -> Option<A> + Copy + Send + 'static,
    play: impl AsyncFn(&dyn Adapter, &dyn Stores) -> Played + Copy + Send + 'static,
) -> Vec<Trial> {
    if adapter(name).is_none() {
        return Vec::new();
    }
    let on = |kind: Kind| {
        let called = format!("{prefix}{}::{name}", kind.name());
        ignorable_trial(called, kind.words(), kind.missing(), move || async move {
            let adapter = adapter(name).ok_or("no adapter")?;
            play(&adapter, &kind).await.map_or_else(ignored, |()| Ok(Completion::Completed))
        })
    };
    Kind::ALL.map(on).into()
}

fn ignored(reason: impl ToString) -> Result<Completion, Box<dyn Error>> {
    Ok(Completion::ignored_with(reason.to_string()))
}
