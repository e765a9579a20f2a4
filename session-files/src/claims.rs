//! One operation on one key without locks, for mounts whose locks exclude nobody.
//!
//! All that belongs to a key is one file with a number for its name, in a directory of the key's own;
//! the highest number is what counts. Whoever changes something writes the next state into a
//! temporary file and links it to the next number. A link is made once, whatever the server does
//! with locks, so of all who start from one state one wins.
//!
//! A process may be stopped for any time between two of its steps, and its client cut off. The order
//! of steps makes that harmless: the temporary file is made *before* the numbers are looked at for
//! the last time; and who has added a number removes all temporary files that there are, and only
//! then the numbers before his. So a link that comes late finds its number taken, or its file gone.
//! A key ends with a state that has nothing in it, and is removed in the same order.

use std::{io, thread, time::Duration};

use session_core::{
    Deadline, Error, ErrorKind, KeyDigest, Operation, Record, Result, Slot, Timestamp,
};

use crate::{
    BACKEND, Durability,
    fault::{Fault, Outcome},
    layout::{Place, deadline_of, mtime_of, parse_number},
    section::Vault,
    state_file::{self, decode},
    sweep::Cleaned,
    tree::{fill, was_replaced},
};

/// How often a state is looked for that others replace meanwhile.
const LOOKS: usize = 12;
/// How often a change is tried that others are quicker with.
const TRIES: usize = 100;

/// How the name of a file begins that is to be the state number one.
const FIRST_DRAFT: &str = ".0000000000000001.";

/// A tick of the slowest clock that stamps files on a server.
const TICK: Duration = Duration::from_millis(11);

/// The states of one key.
pub(crate) struct Claims<'a> {
    vault: &'a Vault,
    digest: &'a KeyDigest,
    place: &'a Place,
}

/// What there is of a key.
#[derive(Debug, Default)]
struct Known {
    /// The number of the state; zero where there is none.
    number: u64,
    slot: Slot,
    /// When all of it will be over.
    end: Option<Deadline>,
    names: Names,
}

/// The names in the directory of a key.
#[derive(Debug, Default)]
struct Names {
    has_directory: bool,
    numbers: Vec<u64>,
    temps: Vec<String>,
}

impl Names {
    fn highest(&self) -> u64 {
        self.numbers.iter().copied().max().unwrap_or_default()
    }
}

/// How far a claim came.
enum Claim {
    Won,
    Lost,
    Failed { fault: Fault, maybe: bool },
}

impl From<Fault> for Claim {
    fn from(fault: Fault) -> Self {
        Self::Failed { fault, maybe: false }
    }
}

impl<'a> Claims<'a> {
    pub(crate) fn new(vault: &'a Vault, digest: &'a KeyDigest, place: &'a Place) -> Self {
        Self { vault, digest, place }
    }

    /// The live record.
    pub(crate) fn load(&self) -> Outcome<Option<Record>> {
        let now = self.vault.time.now(&self.vault.tree);
        Ok(self.known(now)?.slot.load(now))
    }

    /// Applies `change` to the newest state until what comes of it is the next one. Also tells
    /// whether a lock came free by it.
    pub(crate) fn change<T>(
        &self,
        operation: Operation,
        change: &impl Fn(&mut Slot, Timestamp) -> Result<T>,
    ) -> (Result<T>, bool) {
        let told = |fault: Fault| fault.into_error(operation);
        for _ in 0..TRIES {
            let (before, now) = match self.before() {
                Ok(before) => before,
                Err(fault) => return (Err(told(fault)), false),
            };
            let mut slot = before.slot.clone();
            let outcome = match change(&mut slot, now) {
                Ok(outcome) if slot == before.slot => return (Ok(outcome), false),
                Ok(outcome) => outcome,
                Err(refusal) => return (Err(refusal), false),
            };
            match self.claim(&before, &slot, now) {
                Claim::Won => {
                    return (Ok(outcome), before.slot.holder.is_some() && slot.holder.is_none());
                }
                Claim::Lost => {}
                Claim::Failed { fault, maybe: true } => {
                    return (Err(told(fault).with_maybe_applied()), false);
                }
                Claim::Failed { fault, .. } => return (Err(told(fault)), false),
            }
        }
        let crowded = Error::new(ErrorKind::Unavailable, BACKEND, operation);
        (Err(crowded.with_detail("others were quicker at every try")), false)
    }

    /// Ends whatever is stored under the key, readable or not.
    pub(crate) fn erase(&self) -> Outcome<()> {
        for _ in 0..TRIES {
            let names = self.names()?;
            if names.numbers.is_empty() {
                return Ok(());
            }
            let before = Known { number: names.highest(), names, ..Known::default() };
            match self.claim(&before, &Slot::default(), self.vault.time.now(&self.vault.tree)) {
                Claim::Won => return Ok(()),
                Claim::Lost => {}
                Claim::Failed { fault, .. } => return Err(fault),
            }
        }
        Err(io::Error::from(io::ErrorKind::StaleNetworkFileHandle).into())
    }

    /// Whether a sweep has something to do here, by what this machine knows.
    pub(crate) fn is_untidy(&self, now: Timestamp) -> Outcome<bool> {
        let names = self.names()?;
        if !names.temps.is_empty() || names.numbers.len() != 1 {
            return Ok(names.has_directory);
        }
        let status = self.vault.tree.status(&self.place.state(names.highest()))?;
        Ok(status.is_some_and(|status| deadline_of(status.mtime).has_passed(now)))
    }

    /// Removes what is over, and what others left behind.
    pub(crate) fn clean(&self) -> Outcome<Cleaned> {
        let now = self.vault.time.exactly(&self.vault.tree)?;
        let before = self.known(now)?;
        self.remove_temps(&before.names);
        let ended = before.end.filter(|end| end.has_passed(now));
        match (before.number, ended) {
            (0, _) => self.vault.tree.remove_directory(&self.place.record()),
            (_, Some(end)) => match self.claim(&before, &Slot::default(), now) {
                Claim::Won if before.has_content() => {
                    let lag = end.timestamp().map(|end| now.since(end));
                    return Ok(Cleaned::Removed(lag.unwrap_or(Duration::ZERO)));
                }
                Claim::Won => {}
                Claim::Lost => return Ok(Cleaned::Spared),
                Claim::Failed { fault, .. } => return Err(fault),
            },
            (number, None) => self.tidy(number, false),
        }
        Ok(Cleaned::Tidied)
    }

    /// The newest state, and the time to judge it by. That a lease has lapsed is only found by the
    /// clock that all share.
    fn before(&self) -> Outcome<(Known, Timestamp)> {
        let now = self.vault.time.now(&self.vault.tree);
        let known = self.known(now)?;
        match known.slot.holder {
            Some(holder) if !holder.is_live(now) => {
                let exactly = self.vault.time.exactly(&self.vault.tree)?;
                Ok((known, if holder.is_live(exactly) { exactly } else { now }))
            }
            _ => Ok((known, now)),
        }
    }

    fn known(&self, now: Timestamp) -> Outcome<Known> {
        for look in 1..=LOOKS {
            let names = match self.names() {
                Err(Fault::Io(error)) if was_replaced(&error) => continue,
                names => names?,
            };
            let number = names.highest();
            if number == 0 {
                return Ok(Known { names, ..Known::default() });
            }
            match self.vault.tree.read(&self.place.state(number)) {
                Ok(Some((bytes, mtime))) => {
                    return self.decoded(names, &bytes, deadline_of(mtime), now);
                }
                // Somebody has gone on. The client may not have seen it.
                Ok(None) if look > 1 => self.look_anew(),
                Ok(None) => {}
                Err(Fault::Io(error)) if was_replaced(&error) => self.look_anew(),
                Err(fault) => return Err(fault),
            }
        }
        Err(io::Error::from(io::ErrorKind::StaleNetworkFileHandle).into())
    }

    fn decoded(&self, names: Names, bytes: &[u8], end: Deadline, now: Timestamp) -> Outcome<Known> {
        let (number, end_known) = (names.highest(), Some(end));
        match decode(self.digest, bytes) {
            Ok(slot) => Ok(Known { number, slot, end: end_known, names }),
            // What is over is absent, readable or not.
            Err(_damage) if end.has_passed(now) => {
                Ok(Known { number, slot: Slot::default(), end: end_known, names })
            }
            Err(damage) => Err(Fault::Damage(damage)),
        }
    }

    fn names(&self) -> Outcome<Names> {
        self.vault.tree.freshen(self.place.directory())?;
        let listed = match self.vault.tree.names(&self.place.record()) {
            Err(Fault::Io(error)) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(Fault::Damage("the session is kept by a store that commits by locks"));
            }
            listed => listed?,
        };
        let mut names = Names { has_directory: listed.is_some(), ..Names::default() };
        for name in listed.unwrap_or_default() {
            match parse_number(&name) {
                Some(number) => names.numbers.push(number),
                None => names.temps.extend(String::from_utf8(name).ok().filter(|it| is_temp(it))),
            }
        }
        Ok(names)
    }

    /// The names as they are, where others may have changed them just now.
    #[expect(
        clippy::disallowed_methods,
        reason = "time has to pass, and nothing shows that it has"
    )]
    fn names_now(&self) -> Outcome<Names> {
        if self.vault.tree.tells_changes_by_time {
            thread::sleep(TICK);
            self.look_anew();
        }
        self.names()
    }

    /// Makes the client ask for the names again: it does after it has changed them itself.
    fn look_anew(&self) {
        let temp = self.place.draft(0, self.vault.tree.next_nonce());
        if self.vault.tree.create_file(&temp).is_ok() {
            self.vault.tree.remove(&temp).ok();
        }
    }

    /// Makes `after` the next state, if `before` is still the newest.
    fn claim(&self, before: &Known, after: &Slot, now: Timestamp) -> Claim {
        let draft = self.place.draft(before.number + 1, self.vault.tree.next_nonce());
        let claim = self.try_claim(before, after, now, &draft);
        // The sweep removes what cannot be removed now.
        self.vault.tree.remove(&draft).ok();
        if let Claim::Won = claim {
            self.tidy(before.number + 1, *after == Slot::default());
        }
        claim
    }

    fn try_claim(&self, before: &Known, after: &Slot, now: Timestamp, draft: &str) -> Claim {
        let tree = &self.vault.tree;
        let written = tree.create_in_directory(self.place, draft).and_then(|file| {
            if !self.is_newest(before.number)? {
                return Ok(false);
            }
            let mtime = mtime_of(end_of(after, now), tree.granularity);
            // A state without a record may be lost: what cannot be read and is over counts as nothing.
            let durability = after.record.as_ref().map_or(Durability::None, |_| tree.durability());
            fill(file, &state_file::encode(self.digest, after), mtime, durability)?;
            Ok(true)
        });
        match written {
            Ok(true) => {}
            Ok(false) => return Claim::Lost,
            Err(Fault::Io(error)) if is_gone(&error) => return Claim::Lost,
            Err(fault) => return fault.into(),
        }
        let linked = tree.link(draft, &self.place.state(before.number + 1));
        let settled = linked.and_then(|won| {
            if won {
                tree.settle(&self.place.record())?;
            }
            Ok(won)
        });
        match settled {
            Ok(true) => Claim::Won,
            Ok(false) => Claim::Lost,
            Err(fault) => Claim::Failed { fault, maybe: true },
        }
    }

    /// Whether a number is the highest. Where there is none, numbers begin anew, and nobody may go on
    /// from those that have been.
    fn is_newest(&self, number: u64) -> Outcome<bool> {
        let mut names = self.names_now()?;
        if number == 0 && names.highest() == 0 {
            names.temps.retain(|temp| !temp.starts_with(FIRST_DRAFT));
            if !names.temps.is_empty() {
                self.remove_temps(&names);
                names = self.names_now()?;
            }
        }
        Ok(names.highest() == number)
    }

    /// Removes what was before a state, and the state too if it is the end. The order matters.
    fn tidy(&self, number: u64, is_end: bool) {
        // What is not removed now the next one removes, or the sweep.
        let Ok(names) = self.names_now() else { return };
        self.remove_temps(&names);
        self.remove_states(&names, number);
        if is_end {
            self.vault.tree.remove(&self.place.state(number)).ok();
            self.vault.tree.remove_directory(&self.place.record());
        }
    }

    fn remove_temps(&self, names: &Names) {
        for temp in &names.temps {
            self.vault.tree.remove(&format!("{}/{temp}", self.place.record())).ok();
        }
    }

    /// Removes the states below a number.
    fn remove_states(&self, names: &Names, below: u64) {
        let mut old: Vec<u64> = names.numbers.iter().copied().filter(|it| *it < below).collect();
        old.sort_unstable();
        for number in old {
            self.vault.tree.remove(&self.place.state(number)).ok();
        }
    }
}

impl Known {
    fn has_content(&self) -> bool {
        self.slot.record.is_some()
    }
}

fn is_temp(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".tmp")
}

/// Whether the directory was removed, by somebody who ended the key.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || was_replaced(error)
}

/// When nothing of a state counts any more.
fn end_of(slot: &Slot, now: Timestamp) -> Deadline {
    let record = slot.record.as_ref().map(|record| record.deadline);
    let lease = slot.holder.map(|holder| Deadline::at(holder.until));
    record.max(lease).unwrap_or(Deadline::at(now))
}

#[cfg(test)]
mod tests {
    use session_core::{OpToken, SystemClock, Write};

    use super::*;
    use crate::{config::Commit, root::open_tree, time::Time};

    const DIGEST: KeyDigest = KeyDigest::from_bytes([7; 32]);

    fn vault(directory: &tempfile::TempDir) -> Vault {
        let tree = open_tree(directory.path(), Durability::None, Commit::HardLink).unwrap();
        Vault::new(tree, Time::of_server(Box::new(SystemClock::default())), Commit::HardLink)
    }

    /// Creates the record, or replaces or deletes it, whatever it is.
    fn commit(claims: &Claims<'_>, payload: Option<&'static str>) {
        let change = |slot: &mut Slot, now| {
            *slot = Slot::default();
            let Some(payload) = payload else { return Ok(()) };
            let write = Write::new(payload, Duration::from_secs(60));
            slot.create(BACKEND, write, OpToken::generate()?, None, now).map(drop)
        };
        claims.change(Operation::Create, &change).0.unwrap();
    }

    /// The cut-off client of the documentation: all was checked, and the link comes late.
    #[test]
    fn a_link_that_comes_late_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let (vault, place) = (vault(&directory), Place::of(&DIGEST));
        let claims = Claims::new(&vault, &DIGEST, &place);
        for others in [&[Some("second")][..], &[Some("second"), Some("third")], &[None]] {
            commit(&claims, Some("first"));
            let draft = place.draft(2, vault.tree.next_nonce());
            vault.tree.create_in_directory(&place, &draft).unwrap();
            let seen = claims.names().unwrap().highest();
            others.iter().for_each(|other| commit(&claims, *other));
            assert!(!vault.tree.link(&draft, &place.state(seen + 1)).unwrap(), "{others:?}");
            let payload = claims.load().unwrap().map(|record| record.payload);
            assert_eq!(payload.as_deref(), others.last().unwrap().map(str::as_bytes));
        }
    }

    /// It was to follow the end of a key that has begun anew meanwhile.
    #[test]
    fn a_late_link_does_not_get_ahead_of_a_key_that_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let (vault, place) = (vault(&directory), Place::of(&DIGEST));
        let claims = Claims::new(&vault, &DIGEST, &place);
        let [late, own] = [place.draft(3, 1), place.draft(1, 2)];
        vault.tree.create_in_directory(&place, &late).unwrap();
        let now = vault.time.now(&vault.tree);
        let claim = claims.try_claim(&Known::default(), &Slot::default(), now, &own);
        assert!(matches!(claim, Claim::Won));
        assert!(!vault.tree.link(&late, &place.state(3)).unwrap());
    }

    #[test]
    fn a_link_whose_answer_was_lost_is_recognised() {
        let directory = tempfile::tempdir().unwrap();
        let (vault, place) = (vault(&directory), Place::of(&DIGEST));
        let [own, other] = [1, 2].map(|nonce| place.draft(1, nonce));
        for draft in [&own, &other] {
            vault.tree.create_in_directory(&place, draft).unwrap();
        }
        assert!(vault.tree.link(&own, &place.state(1)).unwrap());
        assert!(vault.tree.link(&own, &place.state(1)).unwrap());
        assert!(!vault.tree.link(&other, &place.state(1)).unwrap());
    }

    #[test]
    fn a_deleted_key_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (vault, place) = (vault(&directory), Place::of(&DIGEST));
        let claims = Claims::new(&vault, &DIGEST, &place);
        commit(&claims, Some("first"));
        commit(&claims, None);
        assert_eq!(vault.tree.names(place.directory()).unwrap(), Some(vec![]));
    }
}
