//! Whether what clients were told fits together.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::notes::{Note, Notes, Outcome, What};

/// All that clients were told, and what is left in the end.
#[derive(Debug)]
pub struct History {
    pub(crate) notes: Notes,
    /// The payload of each session, or that it is gone.
    pub(crate) left: Vec<Option<Bytes>>,
    pub(crate) forgets: bool,
}

/// What was counted.
#[derive(Debug, Default)]
pub struct Tally {
    /// Commits that were acknowledged.
    pub acknowledged: u64,
    /// Commits that were refused.
    pub refused: u64,
    /// Commits of which nobody knows.
    pub unknown: u64,
    /// Reads that were answered.
    pub reads: u64,
    /// Sessions that were created.
    pub created: u64,
    /// Sessions that were deleted.
    pub deleted: u64,
    /// Commits under a lock.
    pub holds: u64,
    /// Acknowledged, but not kept by a server that may forget.
    pub lost: u64,
    /// Locks that were won.
    pub locks: u64,
    /// Locks that were never given back.
    pub abandoned: u64,
    /// Writes that the caller sent again, with their token.
    pub repeated: u64,
    /// What callers were told, other than success.
    pub errors: Vec<String>,
    /// The longest time until a failure was told.
    pub longest: Duration,
    /// The longest time between two commits to one session that is left.
    pub outage: Duration,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "commits acknowledged {}, refused {}, unknown {}, sent again by the caller {}, lost {}; \
             created {}, deleted {}, reads {}, locks {}, committed under {}, abandoned {}; \
             longest gap {:?}, longest failure {:?}; told: {}",
            self.acknowledged,
            self.refused,
            self.unknown,
            self.repeated,
            self.lost,
            self.created,
            self.deleted,
            self.reads,
            self.locks,
            self.holds,
            self.abandoned,
            self.outage,
            self.longest,
            self.errors.join(", ")
        )
    }
}

/// What counts, and what a server may have forgotten.
#[derive(Clone, Copy)]
struct Counts {
    kept_since: Option<Instant>,
    seen_since: Option<Instant>,
}

impl Counts {
    fn keeps(self, note: &Note) -> bool {
        self.kept_since.is_none_or(|since| note.began >= since)
    }

    fn sees(self, note: &Note) -> bool {
        self.seen_since.is_none_or(|since| note.began >= since)
    }
}

/// What is known of one session.
#[derive(Default)]
struct Story<'a> {
    created: Option<&'a Note>,
    created_how: Option<Outcome>,
    seen: Vec<(&'a Note, Vec<u64>)>,
    absent: Vec<&'a Note>,
    commits: Vec<(&'a Note, u64, Outcome)>,
    deleted: Vec<(&'a Note, Outcome)>,
    held: Vec<&'a Note>,
}

fn numbers(payload: &Bytes) -> Vec<u64> {
    assert_eq!(payload.len() % 8, 0, "a payload of nobody's");
    payload.chunks(8).map(|bytes| u64::from_be_bytes(bytes.try_into().unwrap())).collect()
}

impl History {
    /// Checks everything. What was begun before `kept_since` a server may have forgotten, although it
    /// was acknowledged; from then on nothing is.
    pub fn check(&self, kept_since: Option<Instant>) -> Tally {
        self.check_each(kept_since, kept_since)
    }

    /// Checks everything. Nothing is forgotten that was acknowledged; but what was read before
    /// `kept_since` may not have been yet.
    pub fn check_what_was_acknowledged(&self, kept_since: Instant) -> Tally {
        self.check_each(None, Some(kept_since))
    }

    fn check_each(&self, kept_since: Option<Instant>, seen_since: Option<Instant>) -> Tally {
        let notes = &self.notes;
        let mut tally = Tally {
            locks: notes.locks,
            abandoned: notes.abandoned,
            repeated: notes.repeated,
            longest: notes.longest,
            errors: notes.errors.iter().map(|(what, count)| format!("{what} {count}")).collect(),
            ..Tally::default()
        };
        let some = notes.wrong.iter().take(5).collect::<Vec<_>>();
        assert!(some.is_empty(), "{some:#?}\n{tally}");
        assert!(self.forgets || kept_since.is_none());
        let mut stories: Vec<Story<'_>> = Vec::new();
        stories.resize_with(self.left.len(), Story::default);
        for note in &notes.all {
            stories[note.session].add(note);
        }
        for (story, left) in stories.iter().zip(&self.left) {
            let counts = Counts { kept_since, seen_since };
            story.check(left.as_ref().map(numbers).as_deref(), counts, &mut tally);
        }
        tally
    }
}

impl<'a> Story<'a> {
    fn add(&mut self, note: &'a Note) {
        match &note.what {
            What::Created(outcome) => {
                (self.created, self.created_how) = (Some(note), Some(*outcome));
            }
            What::Saw(Some(payload)) => self.seen.push((note, numbers(payload))),
            What::Saw(None) => self.absent.push(note),
            What::Committed(number, outcome) => self.commits.push((note, *number, *outcome)),
            What::Deleted(outcome) => self.deleted.push((note, *outcome)),
            What::Held => self.held.push(note),
        }
    }

    fn check(&self, left: Option<&[u64]>, counts: Counts, tally: &mut Tally) {
        self.count(tally);
        self.holders_take_turns(counts);
        self.what_is_gone_stays_gone(left, counts);
        // Of a session that is gone, what was seen of it last.
        let seen = self.seen.iter().filter(|(note, _)| counts.sees(note)).map(|(_, list)| list);
        let longest = seen.max_by_key(|list| list.len());
        let Some(list) = left.or(longest.map(Vec::as_slice)) else {
            return self.may_be_absent(counts, tally);
        };
        let place = self.each_once_and_none_refused(list);
        self.reads_are_of_one_line(list, &place, counts);
        match left {
            Some(_) => self.acknowledged_commits_are_kept(&place, counts, tally),
            None => self.may_be_absent(counts, tally),
        }
        self.in_the_order_of_time(&place, counts);
        self.longest_gap(tally);
    }

    fn count(&self, tally: &mut Tally) {
        for (_, _, outcome) in &self.commits {
            match outcome {
                Outcome::Done => tally.acknowledged += 1,
                Outcome::Refused => tally.refused += 1,
                Outcome::Unknown => tally.unknown += 1,
            }
        }
        tally.reads += (self.seen.len() + self.absent.len()) as u64;
        tally.holds += self.held.len() as u64;
        tally.created += u64::from(self.created_how == Some(Outcome::Done));
        let done = self.deleted.iter().filter(|(_, outcome)| *outcome == Outcome::Done);
        tally.deleted += done.count() as u64;
    }

    /// From a grant to the sending of a commit that succeeded nobody else did the same, unless a server
    /// has forgotten one of them.
    fn holders_take_turns(&self, counts: Counts) {
        let mut held: Vec<_> =
            self.held.iter().copied().filter(|note| counts.keeps(note)).collect();
        held.sort_by_key(|note| note.began);
        for pair in held.windows(2) {
            assert!(pair[0].ended <= pair[1].began, "two held one lock: {pair:#?}");
        }
    }

    /// Once known as gone, it is never seen again, and takes no commit.
    fn what_is_gone_stays_gone(&self, left: Option<&[u64]>, counts: Counts) {
        let deleted = self.deleted.iter().filter(|(_, outcome)| *outcome == Outcome::Done);
        let deleted = deleted.map(|(note, _)| *note).filter(|note| counts.keeps(note));
        let absent = self.absent.iter().copied().filter(|note| counts.sees(note));
        let gone = deleted.chain(absent).map(|note| note.ended).min();
        let Some(gone) = gone else { return };
        assert!(left.is_none(), "a session came back: {left:?}");
        for (note, _) in &self.seen {
            assert!(note.began <= gone, "seen after its end: {note:?}");
        }
        for (note, _, outcome) in &self.commits {
            let took = *outcome == Outcome::Done && note.began > gone;
            assert!(!took, "a commit after the end: {note:?}");
        }
    }

    /// It was deleted, or never known to be there.
    fn may_be_absent(&self, counts: Counts, tally: &mut Tally) {
        let deleted = self.deleted.iter().any(|(_, outcome)| *outcome != Outcome::Refused);
        if deleted || self.created_how != Some(Outcome::Done) {
            return;
        }
        assert!(
            !self.created.is_some_and(|note| counts.keeps(note)),
            "a session vanished: {:?}",
            self.created
        );
        let lost = self.commits.iter().filter(|(_, _, outcome)| *outcome == Outcome::Done);
        for (note, number, _) in lost {
            assert!(!counts.keeps(note), "commit {number:x} vanished with its session: {note:?}");
            tally.lost += 1;
        }
    }

    /// Where each commit stands in the list.
    fn each_once_and_none_refused(&self, list: &[u64]) -> HashMap<u64, usize> {
        let place: HashMap<u64, usize> =
            list.iter().enumerate().map(|(at, number)| (*number, at)).collect();
        assert_eq!(place.len(), list.len(), "a commit was made twice");
        let mut known = HashSet::new();
        for (note, number, outcome) in &self.commits {
            known.insert(*number);
            let kept = place.contains_key(number);
            assert!(!kept || *outcome != Outcome::Refused, "refused, but made: {note:?}");
        }
        assert!(list.iter().all(|number| known.contains(number)), "a commit of nobody's");
        place
    }

    /// What is seen is the beginning of what there is in the end, with all that was acknowledged
    /// before the read began.
    fn reads_are_of_one_line(&self, list: &[u64], place: &HashMap<u64, usize>, counts: Counts) {
        let done = || {
            self.commits
                .iter()
                .filter(|(note, _, outcome)| *outcome == Outcome::Done && counts.keeps(note))
        };
        for (note, seen) in self.seen.iter().filter(|(note, _)| counts.sees(note)) {
            assert!(list.starts_with(seen), "overwritten: {seen:x?} is no beginning of {list:x?}");
            for (commit, number, _) in done().filter(|(commit, ..)| commit.ended < note.began) {
                let is_there = place.get(number).is_none_or(|at| *at < seen.len());
                assert!(is_there, "{commit:?} is not in the later {note:?}");
            }
        }
    }

    fn acknowledged_commits_are_kept(
        &self,
        place: &HashMap<u64, usize>,
        counts: Counts,
        tally: &mut Tally,
    ) {
        for (note, number, outcome) in &self.commits {
            if *outcome == Outcome::Done && !place.contains_key(number) {
                assert!(!counts.keeps(note), "commit {number:x} is lost: {note:?}");
                tally.lost += 1;
            }
        }
    }

    fn in_the_order_of_time(&self, place: &HashMap<u64, usize>, counts: Counts) {
        let mut done: Vec<_> = self
            .commits
            .iter()
            .filter_map(|(note, number, outcome)| {
                let counts = *outcome == Outcome::Done && counts.keeps(note);
                Some((note, *place.get(number).filter(|_| counts)?))
            })
            .collect();
        done.sort_by_key(|(_, at)| *at);
        for pair in done.windows(2) {
            assert!(pair[0].0.began <= pair[1].0.ended, "in the wrong order: {pair:?}");
        }
    }

    fn longest_gap(&self, tally: &mut Tally) {
        let done = self.commits.iter().filter(|(_, _, outcome)| *outcome == Outcome::Done);
        let mut times: Vec<Instant> = done.map(|(note, ..)| note.ended).collect();
        times.sort();
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        tally.outage = gaps.chain([tally.outage]).max().unwrap_or_default();
    }
}
