//! The commit rule under random histories: two clients, a moving clock, and a model that was written
//! from the documentation of each method of the store.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use std::time::Duration;

use proptest::prelude::*;
use session_core::{
    ErrorKind, Expected, Incarnation, Lease, Lineage, LockOutcome, Meta, OpToken, REMEMBERED_OPS,
    Revision, Slot, Then, Timestamp, Ttl, Under, Write,
};

/// What a client says it expects: what it knows, which may be out of date.
#[derive(Debug, Clone, Copy)]
enum How {
    Any,
    Incarnation,
    Revision,
    Keep,
    Release,
}

#[derive(Debug, Clone, Copy)]
enum Call {
    Create {
        ttl: u64,
        how: How,
    },
    Save {
        ttl: u64,
        how: How,
        restarts: bool,
    },
    Delete {
        how: How,
    },
    Touch {
        ttl: u64,
    },
    Lock {
        lease: u64,
    },
    Renew {
        lease: u64,
    },
    Release,
    /// Sends the last create, save or lock of the client again.
    Again,
    Look,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    client: usize,
    passed: u64,
    absolute: Option<u64>,
    call: Call,
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        1 => Just(How::Any),
        1 => Just(How::Incarnation),
        3 => Just(How::Revision),
        3 => Just(How::Keep),
        3 => Just(How::Release),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let ttl = || prop_oneof![4 => 0..60_u64, 1 => Just(u64::MAX)];
    prop_oneof![
        3 => (ttl(), how()).prop_map(|(ttl, how)| Call::Create { ttl, how }),
        6 => (ttl(), how(), prop::bool::weighted(0.1))
            .prop_map(|(ttl, how, restarts)| Call::Save { ttl, how, restarts }),
        2 => how().prop_map(|how| Call::Delete { how }),
        3 => ttl().prop_map(|ttl| Call::Touch { ttl }),
        4 => (0..40_u64).prop_map(|lease| Call::Lock { lease }),
        2 => (0..40_u64).prop_map(|lease| Call::Renew { lease }),
        2 => Just(Call::Release),
        3 => Just(Call::Again),
        4 => Just(Call::Look),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let passed = prop_oneof![3 => Just(0), 3 => 0..5_u64, 1 => 0..50_u64];
    let absolute = prop::option::weighted(0.3, 0..120_u64);
    (0..2_usize, passed, absolute, call()).prop_map(|(client, passed, absolute, call)| Step {
        client,
        passed,
        absolute,
        call,
    })
}

/// A record as the documentation has it.
#[derive(Debug, Clone)]
struct Known {
    payload: u64,
    revision: Revision,
    /// The commits of this incarnation, oldest first.
    commits: Vec<(OpToken, Revision)>,
    absolute: Option<u64>,
    deadline: u64,
}

impl Known {
    /// The revision of a commit that is still remembered.
    fn remembered(&self, op: OpToken) -> Option<Revision> {
        let mut last = self.commits.iter().rev().take(REMEMBERED_OPS as usize);
        last.find(|(known, _)| *known == op).map(|(_, revision)| *revision)
    }
}

/// What one client remembers.
#[derive(Debug, Clone, Default)]
struct Client {
    lease: Option<Lease>,
    revision: Option<Revision>,
    last: Option<(OpToken, u64, Step)>,
}

#[derive(Debug, Default)]
struct World {
    slot: Slot,
    now: u64,
    record: Option<Known>,
    /// The holder of the lock, and until when.
    holder: Option<(OpToken, u64)>,
    clients: [Client; 2],
    count: u64,
}

type Outcome<T> = Result<T, ErrorKind>;

impl World {
    fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn live(&self) -> Option<&Known> {
        let is_live = |known: &&Known| known.deadline > self.now || known.deadline == u64::MAX;
        self.record.as_ref().filter(is_live)
    }

    fn is_held(&self) -> bool {
        self.holder.is_some_and(|(_, until)| self.now < until)
    }

    fn deadline(&self, ttl: u64, absolute: Option<u64>) -> u64 {
        self.now.saturating_add(ttl).min(absolute.unwrap_or(u64::MAX))
    }

    fn lease_of(&self, client: usize) -> Lease {
        let nobodys = Lease::new(OpToken::from_bytes([0; 16]), Duration::ZERO);
        self.clients[client].lease.clone().unwrap_or(nobodys)
    }

    fn revision_of(&self, client: usize) -> Revision {
        let none = Revision::counted(Incarnation::from_bytes([0; 16]), 0);
        self.clients[client].revision.unwrap_or(none)
    }

    fn op(&mut self) -> OpToken {
        self.count += 1;
        let mut bytes = [1; 16];
        bytes[..8].copy_from_slice(&self.count.to_le_bytes());
        OpToken::from_bytes(bytes)
    }

    fn step(&mut self, step: Step) {
        self.now += step.passed;
        let (op, payload) = (self.op(), self.count);
        self.run(step, op, payload);
        self.agree();
    }

    fn run(&mut self, step: Step, op: OpToken, payload: u64) {
        let client = step.client;
        let is_sent_again =
            matches!(step.call, Call::Create { .. } | Call::Save { .. } | Call::Lock { .. });
        match step.call {
            Call::Create { ttl, how } => self.create(step, ttl, how, op, payload),
            Call::Save { ttl, how, restarts } => self.save(step, (ttl, how, restarts), op, payload),
            Call::Delete { how } => self.delete(client, how),
            Call::Touch { ttl } => self.touch(client, ttl),
            Call::Lock { lease } => self.lock(client, lease, op),
            Call::Renew { lease } => self.renew(client, lease),
            Call::Release => self.release(client),
            Call::Again => {
                if let Some((op, payload, last)) = self.clients[client].last {
                    self.run(last, op, payload);
                }
            }
            Call::Look => {
                self.clients[client].revision =
                    self.slot.load(self.at()).map(|record| record.revision);
            }
        }
        if is_sent_again {
            self.clients[client].last = Some((op, payload, step));
        }
    }

    fn create(&mut self, step: Step, ttl: u64, how: How, op: OpToken, payload: u64) {
        let lease = self.lease_of(step.client);
        let under = match how {
            How::Keep => Some(Under::new(&lease, Then::Keep)),
            How::Release => Some(Under::new(&lease, Then::Release)),
            _ => None,
        };
        let is_holder = self.holder.is_some_and(|(token, _)| token == lease.token());
        let expected = match (self.live(), under) {
            (Some(known), _) => match known.remembered(op) {
                Some(revision) => Ok(Some(revision)),
                None => Err(ErrorKind::AlreadyExists),
            },
            (None, Some(_)) if !is_holder => Err(ErrorKind::LockLost),
            (None, None) if self.is_held() => Err(ErrorKind::LockHeld),
            (None, _) => Ok(None),
        };
        let write = write(payload, ttl, step.absolute);
        let now = self.at();
        let found = self.slot.create("test", write, op, under, now).map_err(|error| error.kind());
        if let Some(revision) = same(expected, found) {
            assert!(
                self.record
                    .as_ref()
                    .is_none_or(|old| { old.revision.incarnation() != revision.incarnation() })
            );
            self.holder = self.holder.filter(|_| matches!(how, How::Keep));
            self.put(step, ttl, revision, (op, payload), true);
        }
        self.clients[step.client].revision = found.ok().or(self.clients[step.client].revision);
    }

    fn save(
        &mut self,
        step: Step,
        (ttl, how, restarts): (u64, How, bool),
        op: OpToken,
        payload: u64,
    ) {
        let (lease, revision) = (self.lease_of(step.client), self.revision_of(step.client));
        let expected = self.live().map_or(Err(ErrorKind::NotFound), |known| {
            known.remembered(op).map_or_else(
                || self.refusal(how, &lease, revision).map_or(Ok(None), Err),
                |revision| Ok(Some(revision)),
            )
        });
        let lineage = if restarts { Lineage::Restart } else { Lineage::Continue };
        let write = write(payload, ttl, step.absolute).with_lineage(lineage);
        let now = self.at();
        let found = self.slot.save("test", write, how.with(&lease, revision), op, now);
        let found = found.map_err(|error| error.kind());
        if let Some(new) = same(expected, found) {
            let old = self.record.as_ref().unwrap().revision;
            assert_ne!(new, old);
            assert_eq!(new.incarnation() != old.incarnation(), restarts);
            self.holder = self.holder.filter(|_| matches!(how, How::Keep));
            self.put(step, ttl, new, (op, payload), restarts);
        }
        self.clients[step.client].revision = found.ok().or(self.clients[step.client].revision);
    }

    /// Why a write to a live record is refused, if it is.
    fn refusal(&self, how: How, lease: &Lease, revision: Revision) -> Option<ErrorKind> {
        let known = self.live().unwrap();
        let is_holder = self.holder.is_some_and(|(token, _)| token == lease.token());
        let is_at = known.revision == revision;
        match how {
            How::Any => None,
            How::Incarnation => {
                let same = known.revision.incarnation() == revision.incarnation();
                (!same).then_some(ErrorKind::Conflict)
            }
            How::Revision if self.is_held() => Some(ErrorKind::LockHeld),
            How::Keep | How::Release if !is_holder => Some(ErrorKind::LockLost),
            _ => (!is_at).then_some(ErrorKind::Conflict),
        }
    }

    fn put(&mut self, step: Step, ttl: u64, revision: Revision, of: (OpToken, u64), anew: bool) {
        let mut commits = self.record.take().map(|old| old.commits).unwrap_or_default();
        commits.retain(|_| !anew);
        commits.push((of.0, revision));
        let deadline = self.deadline(ttl, step.absolute);
        let payload = of.1;
        self.record = Some(Known { payload, revision, commits, absolute: step.absolute, deadline });
    }

    fn delete(&mut self, client: usize, how: How) {
        let (lease, revision) = (self.lease_of(client), self.revision_of(client));
        let refusal = self.live().and_then(|_| self.refusal(how, &lease, revision));
        let (was_live, now) = (self.live().is_some(), self.at());
        let found = self.slot.delete("test", how.with(&lease, revision), now);
        assert_eq!(refusal.map_or(Ok(()), Err), found.map_err(|error| error.kind()));
        if refusal.is_some() {
            return;
        }
        self.record = None;
        let is_holder = self.holder.is_some_and(|(token, _)| token == lease.token());
        let frees = match how {
            How::Any => true,
            How::Release => is_holder,
            How::Keep => false,
            How::Incarnation | How::Revision => was_live,
        };
        self.holder = self.holder.filter(|_| !frees);
    }

    fn touch(&mut self, client: usize, ttl: u64) {
        let (incarnation, now) = (self.revision_of(client).incarnation(), self.at());
        let expected = match self.live() {
            None => Err(ErrorKind::NotFound),
            Some(known) if known.revision.incarnation() != incarnation => Err(ErrorKind::Conflict),
            Some(_) => Ok(()),
        };
        let found = self.slot.touch("test", ttl_of(ttl), incarnation, now);
        assert_eq!(expected, found.map_err(|error| error.kind()));
        let (now, at) = (self.now, ttl);
        if let (Ok(()), Some(known)) = (expected, &mut self.record) {
            let later = now.saturating_add(at).min(known.absolute.unwrap_or(u64::MAX));
            known.deadline = known.deadline.max(later);
        }
    }

    fn lock(&mut self, client: usize, lease: u64, op: OpToken) {
        let is_free = self.holder.is_none_or(|(token, until)| token == op || self.now >= until);
        let now = self.at();
        match self.slot.lock(op, Duration::from_millis(lease), now) {
            LockOutcome::Granted => {
                assert!(is_free);
                self.holder = Some((op, self.now + lease));
                self.clients[client].lease = Some(Lease::new(op, Duration::from_millis(lease)));
                let record = self.slot.load(now);
                self.clients[client].revision = record.map(|record| record.revision);
            }
            LockOutcome::Held(left) => {
                assert!(!is_free);
                let (_, until) = self.holder.unwrap();
                assert_eq!(left, Duration::from_millis(until - self.now));
            }
            _ => panic!("another outcome"),
        }
    }

    fn renew(&mut self, client: usize, lease: u64) {
        let (own, now) = (self.lease_of(client), self.at());
        let is_holder = self.holder.is_some_and(|(token, _)| token == own.token());
        let found = self.slot.renew("test", &own, Duration::from_millis(lease), now);
        let expected = if is_holder { Ok(()) } else { Err(ErrorKind::LockLost) };
        assert_eq!(expected, found.map_err(|error| error.kind()));
        self.holder = self.holder.map(|holder| match is_holder {
            true => (holder.0, self.now + lease),
            false => holder,
        });
    }

    fn release(&mut self, client: usize) {
        let own = self.lease_of(client);
        self.slot.release(&own);
        self.holder = self.holder.filter(|(token, _)| *token != own.token());
    }

    /// What everybody sees is what the model knows; and the promises hold, whatever the model.
    fn agree(&self) {
        let found = self.slot.load(self.at());
        let (live, seen) = (self.live(), found.as_ref());
        assert_eq!(live.map(|known| known.revision), seen.map(|record| record.revision));
        assert_eq!(
            live.map(|known| known.payload.to_le_bytes().to_vec()),
            seen.map(|record| record.payload.to_vec())
        );
        if let (Some(known), Some(record)) = (live, seen) {
            let left = record.remaining.duration().map(|left| left.as_millis());
            let expected = (known.deadline != u64::MAX).then(|| known.deadline - self.now);
            assert_eq!(left, expected.map(u128::from));
            assert!(!record.remaining.is_zero(), "an expired record is never shown");
            assert!(known.absolute.is_none_or(|absolute| known.deadline <= absolute));
        }
        let held = self.slot.holder.filter(|holder| holder.is_live(self.at())).map(|one| one.token);
        assert_eq!(held, self.holder.filter(|_| self.is_held()).map(|(token, _)| token));
        assert_eq!(self.slot.is_vacant(self.at()), live.is_none() && held.is_none());
        self.a_holder_may_commit();
    }

    /// Who holds a live lease and knows the record can always commit, whatever others did.
    fn a_holder_may_commit(&self) {
        for client in &self.clients {
            let (Some(lease), Some(known)) = (&client.lease, self.live()) else { continue };
            let is_holder = self.holder.is_some_and(|(token, _)| token == lease.token());
            let (revision, then) = (known.revision, Then::Release);
            let expected = Expected::Lease { lease, revision, then };
            let mut slot = self.slot.clone();
            let write = write(0, 1, None);
            let op = OpToken::from_bytes([9; 16]);
            let found = slot.save("test", write, expected, op, self.at());
            let found = found.map(drop).map_err(|error| error.kind());
            assert_eq!(found, if is_holder { Ok(()) } else { Err(ErrorKind::LockLost) });
            if is_holder && self.is_held() && client.revision.is_some() {
                assert_eq!(client.revision, Some(revision), "nobody commits under a live lease");
            }
        }
    }
}

impl How {
    fn with(self, lease: &Lease, revision: Revision) -> Expected<'_> {
        match self {
            Self::Any => Expected::Any,
            Self::Incarnation => Expected::Incarnation(revision.incarnation()),
            Self::Revision => Expected::Revision(revision),
            Self::Keep => Expected::Lease { lease, revision, then: Then::Keep },
            Self::Release => Expected::Lease { lease, revision, then: Then::Release },
        }
    }
}

fn ttl_of(millis: u64) -> Ttl {
    Duration::from_millis(millis).into()
}

fn write(payload: u64, ttl: u64, absolute: Option<u64>) -> Write {
    let meta = Meta::new().with_absolute_deadline(absolute.map(Timestamp::from_millis));
    Write::new(payload.to_le_bytes().to_vec(), ttl_of(ttl)).with_meta(meta)
}

/// Compares outcomes; returns the new revision if something was written. `Ok(None)` expects a new
/// one, `Ok(Some)` that of a commit that had been made before.
fn same(expected: Outcome<Option<Revision>>, found: Outcome<Revision>) -> Option<Revision> {
    match (expected, found) {
        (Ok(None), Ok(new)) => return Some(new),
        (Ok(Some(known)), Ok(again)) => assert_eq!(known, again),
        (expected, found) => assert_eq!(expected.map(drop), found.map(drop)),
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_slot_does_what_the_contract_says(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::default();
        for one in steps {
            world.step(one);
        }
    }
}

#[test]
fn an_operation_is_known_again_among_the_last_commits_and_no_longer() {
    let op = |n: u8| OpToken::from_bytes([n; 16]);
    let (now, write) = (Timestamp::from_millis(1), write(0, u64::MAX, None));
    for others in 1..=REMEMBERED_OPS {
        let mut slot = Slot::default();
        let first = slot.create("test", write.clone(), op(0), None, now).unwrap();
        for other in 1..=others {
            let op = op(u8::try_from(other).unwrap());
            slot.save("test", write.clone(), Expected::Any, op, now).unwrap();
        }
        let again = slot.create("test", write.clone(), op(0), None, now);
        let known = again.map_err(|error| error.kind());
        let expected =
            if others < REMEMBERED_OPS { Ok(first) } else { Err(ErrorKind::AlreadyExists) };
        assert_eq!(known, expected);
    }
}
