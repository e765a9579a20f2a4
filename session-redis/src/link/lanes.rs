//! A connection for each runtime.
//!
//! A connection is driven by the runtime in which it was made: a request from another one wakes one
//! of that runtime's threads, whose reply wakes the asker's again. A server that runs each of its
//! threads as a runtime of its own, as actix does, would pay that for nearly every request.

use std::{iter, sync::OnceLock};

use tokio::runtime::{Handle, Id};

use super::lane::Lane;

/// How many runtimes have a connection of their own.
const MOST: usize = 64;

/// The places of connections, one for each runtime that has asked.
pub(super) struct Lanes {
    own: Box<[OnceLock<Box<Own>>]>,
    /// For runtimes beyond these.
    shared: Lane,
}

struct Own {
    /// None outside of any runtime.
    runtime: Option<Id>,
    lane: Lane,
}

impl Default for Lanes {
    fn default() -> Self {
        let own = iter::repeat_with(OnceLock::new).take(MOST).collect();
        Self { own, shared: Lane::default() }
    }
}

impl Lanes {
    /// That of the runtime which asks.
    pub(super) fn here(&self) -> &Lane {
        self.of(Handle::try_current().ok().map(|runtime| runtime.id()))
    }

    fn of(&self, runtime: Option<Id>) -> &Lane {
        let new = || Box::new(Own { runtime, lane: Lane::default() });
        let mut places = self.own.iter().map(|place| place.get_or_init(new));
        places.find(|own| own.runtime == runtime).map_or(&self.shared, |own| &own.lane)
    }

    /// All that were asked for.
    pub(super) fn all(&self) -> impl Iterator<Item = &Lane> {
        let own = self.own.iter().filter_map(OnceLock::get).map(|own| &own.lane);
        own.chain([&self.shared])
    }
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn a_runtime_has_a_place_of_its_own_while_there_are_any() {
        let runtimes: Vec<_> =
            (0..MOST + 2).map(|_| Builder::new_current_thread().build().unwrap()).collect();
        let lanes = Lanes::default();
        let of = |index: usize| lanes.of(Some(runtimes[index].handle().id()));
        let all: Vec<_> = (0..MOST + 2).map(of).collect();
        for (index, lane) in all.iter().enumerate() {
            assert!(ptr::eq(*lane, of(index)), "{index} keeps its place");
            let is_first = all[..index].iter().all(|other| !ptr::eq(*lane, *other));
            assert_eq!(is_first, index <= MOST, "{index}");
        }
        assert_eq!(lanes.all().count(), MOST + 1);
    }
}
