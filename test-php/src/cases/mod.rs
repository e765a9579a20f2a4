//! The cases: what holds of live sessions that both sides work at.

mod ends;
mod locks;
mod shared;

use std::sync::Arc;

use libtest_mimic::{Completion, Trial};
use test_servers::ignorable_trial;

use crate::{Layout, Place, Promises, Result, Worker};

/// What a case gets.
struct Case {
    place: Arc<dyn Place>,
    promises: Promises,
}

/// Why a case cannot be played, or that it was.
enum Played {
    Yes,
    No(&'static str),
}

impl Case {
    fn php(&self) -> Result<Worker> {
        Worker::php(&*self.place, &[])
    }

    fn strict_php(&self) -> Result<Worker> {
        Worker::php(&*self.place, &[("session.use_strict_mode", "1")])
    }

    /// PHP with a lock that ends after a second, where locks end by themselves.
    fn brief_php(&self) -> Result<Worker> {
        let brief = self.place.php().brief;
        let ini: Vec<_> = brief.iter().map(|(name, value)| (&**name, &**value)).collect();
        Worker::php(&*self.place, &ini)
    }

    fn rust(&self) -> Result<Worker> {
        Worker::rust(&*self.place)
    }

    /// Both, PHP first.
    fn both(&self) -> Result<[Worker; 2]> {
        Ok([self.php()?, self.rust()?])
    }
}

/// Fails with a message unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+).into());
        }
    };
}
use ensure;

/// The trials of a list of functions, by their names.
macro_rules! list {
    ($layout:expr; $($case:path),* $(,)?) => {
        vec![$(trial($layout, stringify!($case), |case| Box::pin($case(case)))),*]
    };
}

type Playing = std::pin::Pin<Box<dyn Future<Output = Result<Played>> + Send>>;

/// Every case on one layout.
pub(crate) fn trials(layout: &Arc<dyn Layout>) -> Vec<Trial> {
    list![layout;
        shared::php_reads_what_rust_wrote,
        shared::rust_reads_what_php_wrote,
        shared::both_see_each_others_changes_in_turn,
        shared::what_is_not_changed_stays_byte_for_byte,
        shared::a_session_without_variables_is_kept_as_php_keeps_it,
        ends::rust_does_not_find_what_php_destroyed,
        ends::php_does_not_find_what_rust_destroyed,
        ends::both_follow_a_rotation_of_the_other,
        ends::what_a_rotation_deletes_is_gone_for_both,
        ends::strict_mode_knows_the_sessions_of_rust,
        ends::gc_of_either_side_removes_what_has_expired_and_nothing_else,
        ends::an_expired_session_is_absent_for_rust,
        ends::either_side_keeps_a_session_alive,
        locks::eight_workers_count_to_eight_hundred,
        locks::php_waits_for_rust,
        locks::rust_waits_for_php,
        locks::rust_gives_up_when_php_holds_on,
        locks::a_killed_rust_worker_frees_php,
        locks::a_killed_php_worker_frees_rust,
        locks::a_lease_that_lapses_frees_php_and_its_commit_is_refused,
    ]
}

fn trial(layout: &Arc<dyn Layout>, name: &str, play: fn(Case) -> Playing) -> Trial {
    let name = format!("{}::{}", layout.name(), name.rsplit("::").next().unwrap_or(name));
    let (words, missing) = (layout.words(), layout.missing());
    let missing = missing.or_else(|| test_servers::php::missing(&["session"]));
    let layout = Arc::clone(layout);
    ignorable_trial(name, words, missing, move || async move {
        let place = layout.place().await.map_err(|failure| failure.to_string())?;
        let case = Case { place, promises: layout.promises() };
        match play(case).await {
            Ok(Played::Yes) => Ok(Completion::Completed),
            Ok(Played::No(reason)) => Ok(Completion::ignored_with(reason)),
            Err(failure) => Err(failure.to_string().into()),
        }
    })
}
