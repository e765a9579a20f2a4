//! How sessions live and how they are saved: the settings of a [`SessionManager`].

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    events::{AuditHook, SessionEvent},
    limit::{OverLimit, SessionLimit},
};
use crate::{
    Clock, Error, ErrorKind, Format, IdForm, KeyHasher, LockQueue, MergeRule, NativeFormat,
    Operation, Result, SessionManager, SessionStore, SystemClock, Ttl,
};

/// How long a session lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lifetime {
    /// The longest time without activity.
    pub idle: Duration,
    /// The longest time from the creation on, whatever the activity; `None` for no limit.
    pub absolute: Option<Duration>,
}

impl Lifetime {
    /// A session that ends after `idle` without activity, and `absolute` after its creation.
    #[must_use]
    pub const fn new(idle: Duration, absolute: Option<Duration>) -> Self {
        Self { idle, absolute }
    }

    /// NIST SP 800-63B (revision 3, section 4.1.3), assurance level 1: up to 30 days.
    #[must_use]
    pub const fn aal1() -> Self {
        Self::new(Duration::from_secs(30 * DAY), Some(Duration::from_secs(30 * DAY)))
    }

    /// NIST SP 800-63B (revision 3, section 4.2.3), assurance level 2: 12 hours, 30 minutes idle.
    /// The default.
    #[must_use]
    pub const fn aal2() -> Self {
        Self::new(Duration::from_secs(30 * 60), Some(Duration::from_secs(DAY / 2)))
    }

    /// NIST SP 800-63B (revision 3, section 4.3.3), assurance level 3: 12 hours, 15 minutes idle.
    #[must_use]
    pub const fn aal3() -> Self {
        Self::new(Duration::from_secs(15 * 60), Some(Duration::from_secs(DAY / 2)))
    }

    /// OWASP's Session Management Cheat Sheet, for applications with much at stake: 4 hours,
    /// 5 minutes idle (it advises 2 to 5 minutes, and 4 to 8 hours).
    #[must_use]
    pub const fn high_value() -> Self {
        Self::new(Duration::from_secs(5 * 60), Some(Duration::from_secs(DAY / 6)))
    }

    /// OWASP's Session Management Cheat Sheet, for applications with little at stake: 8 hours,
    /// 30 minutes idle (it advises 15 to 30 minutes, and 4 to 8 hours).
    #[must_use]
    pub const fn low_value() -> Self {
        Self::new(Duration::from_secs(30 * 60), Some(Duration::from_secs(DAY / 3)))
    }
}

const DAY: u64 = 24 * 60 * 60;

/// Whether a session is checked against the revocation of its principal on each load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum EpochCheck {
    /// Not checked: a revoked session ends because [`PrincipalSessions`](crate::PrincipalSessions)
    /// deletes it. No cost. What the store's index has lost track of lives on to its deadline.
    #[default]
    Off,
    /// Checked on each load of a session that belongs to a principal, with one more read of the
    /// store. Needs a store with a [`PrincipalIndex`](crate::PrincipalIndex).
    EachLoad,
}

/// Which merge rule holds for which entry.
#[derive(Debug, Clone, Default)]
pub(super) struct MergeRules {
    default: MergeRule,
    by_name: HashMap<Box<str>, MergeRule>,
}

impl MergeRules {
    pub(super) fn of(&self, name: &str) -> MergeRule {
        self.by_name.get(name).copied().unwrap_or(self.default)
    }
}

#[derive(Debug)]
pub(super) struct Settings {
    pub(super) lifetime: Lifetime,
    pub(super) touch_after: Option<Duration>,
    pub(super) grace: Duration,
    pub(super) lock_lease: Duration,
    pub(super) max_hold: Duration,
    pub(super) commit_timeout: Duration,
    pub(super) read_staleness: Duration,
    pub(super) epoch_check: EpochCheck,
    pub(super) renew_id_after: Option<Duration>,
    pub(super) limit: Option<SessionLimit>,
    pub(super) audit: Option<AuditHook>,
    pub(super) rules: MergeRules,
    pub(super) id_form: IdForm,
}

impl Settings {
    /// The idle lifetime of a session that has this one of its own.
    pub(super) fn idle(&self, own: Option<Ttl>) -> Ttl {
        own.unwrap_or_else(|| self.lifetime.idle.into())
    }

    /// How much of an idle lifetime must have passed before it is extended. A session with a short
    /// one of its own must not end while it is used.
    pub(super) fn touch_after(&self, idle: Ttl) -> Duration {
        let idle = idle.duration().unwrap_or(Duration::MAX);
        self.touch_after.filter(|passed| *passed < idle).unwrap_or(idle / 10)
    }
}

/// Sets up a [`SessionManager`]; made by [`SessionManager::builder`].
#[derive(Debug)]
#[must_use]
pub struct SessionManagerBuilder {
    store: Arc<dyn SessionStore>,
    hasher: KeyHasher,
    clock: Arc<dyn Clock>,
    format: Arc<dyn Format>,
    settings: Settings,
}

impl SessionManagerBuilder {
    pub(super) fn new(store: Arc<dyn SessionStore>) -> Self {
        Self {
            store,
            hasher: KeyHasher::plain(),
            clock: Arc::new(SystemClock),
            format: Arc::new(NativeFormat::default()),
            settings: Settings {
                lifetime: Lifetime::aal2(),
                touch_after: None,
                grace: Duration::from_secs(30),
                lock_lease: Duration::from_secs(30),
                max_hold: Duration::from_secs(300),
                commit_timeout: Duration::from_secs(10),
                read_staleness: Duration::ZERO,
                epoch_check: EpochCheck::Off,
                renew_id_after: None,
                limit: None,
                audit: None,
                rules: MergeRules::default(),
                id_form: IdForm::default(),
            },
        }
    }

    /// How ids become keys. Default: SHA-256 without a pepper.
    pub fn key_hasher(mut self, hasher: KeyHasher) -> Self {
        self.hasher = hasher;
        self
    }

    /// The clock that creation times, absolute deadlines and alias graces are taken from. Default:
    /// the system's. Idle deadlines are judged by the store.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How payloads are written. Default: [`NativeFormat`] with MessagePack values.
    pub fn format(mut self, format: impl Format) -> Self {
        self.format = Arc::new(format);
        self
    }

    /// How long sessions live. Default: [`Lifetime::aal2`], 30 minutes idle, 12 hours in all.
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.settings.lifetime = lifetime;
        self
    }

    /// How much of the idle lifetime must have passed before a request that changes nothing
    /// extends the session. Default: a tenth, so that a page of many requests costs one write. It
    /// is a tenth, too, for sessions whose idle lifetime is no longer than `passed`. Zero extends
    /// it with every request.
    pub fn touch_after(mut self, passed: Duration) -> Self {
        self.settings.touch_after = Some(passed);
        self
    }

    /// How long an id that was rotated away by [`Session::cycle_id`](crate::Session::cycle_id)
    /// still leads to the session. Default: 30 seconds, enough for the parallel requests of one
    /// page. Zero ends the old id at once, as [`Session::login`](crate::Session::login) does.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    /// The lease of an exclusive lock. It is renewed at a third of it while the holder lives, so
    /// it bounds only how long the lock of a dead holder blocks others. Default: 30 seconds.
    pub fn lock_lease(mut self, lease: Duration) -> Self {
        self.settings.lock_lease = lease;
        self
    }

    /// How long an exclusive lock is renewed at most, so that a stuck handler does not hold it
    /// for ever. Default: 5 minutes.
    pub fn max_hold(mut self, hold: Duration) -> Self {
        self.settings.max_hold = hold;
        self
    }

    /// How long a save goes on trying when others keep changing the session. Default: 10 seconds.
    pub fn commit_timeout(mut self, timeout: Duration) -> Self {
        self.settings.commit_timeout = timeout;
        self
    }

    /// How old the data of a [`ReadOnlySession`](crate::ReadOnlySession) may be, which lets some
    /// stores read from a replica. Default: zero, the latest committed state.
    pub fn read_staleness(mut self, bound: Duration) -> Self {
        self.settings.read_staleness = bound;
        self
    }

    /// Whether sessions are checked against the revocation of their principal. Default: off.
    pub fn epoch_check(mut self, check: EpochCheck) -> Self {
        self.settings.epoch_check = check;
        self
    }

    /// Replaces the id of a session by itself once it is this old, at the end of the request that
    /// finds it so: the renewal timeout, which bounds for how long a stolen id is of use. Default:
    /// off.
    ///
    /// It is [`Session::cycle_id`](crate::Session::cycle_id), with the same grace: parallel requests
    /// with the old id go on, and end on the same new one. Requests that do not use their session
    /// or only look at it renew nothing. While it is not due it costs nothing; when it is,
    /// one more write. A session that somebody has locked keeps its id until it is free.
    pub fn renew_id_after(mut self, age: Duration) -> Self {
        self.settings.renew_id_after = Some(age);
        self
    }

    /// How many sessions a principal may have at once, and what becomes of a log-in beyond. Default:
    /// no limit. Needs a store with a [`PrincipalIndex`](crate::PrincipalIndex); a log-in then
    /// looks through the principal's sessions.
    ///
    /// However many log in at the same moment, no more than `most` sessions are left: a log-in
    /// counts again once it is done. So of two that meet at the last place, both may be refused.
    pub fn session_limit(mut self, most: usize, beyond: OverLimit) -> Self {
        self.settings.limit = Some(SessionLimit { most, beyond });
        self
    }

    /// What is told of each turn in a session's life: for an audit trail, for counters, for an alarm
    /// when one client tries many ids ([`SessionEvent::UnknownId`],
    /// [`SessionEvent::IdRefused`]).
    ///
    /// The hook runs where the event happens, in the task of the request (but for a lock that is
    /// lost, which no request may be waiting for), so a task-local of the application tells it who
    /// the client is. It must neither block nor panic.
    pub fn audit(mut self, hook: impl Fn(&SessionEvent) + Send + Sync + 'static) -> Self {
        self.settings.audit = Some(AuditHook(Arc::new(hook)));
        self
    }

    /// How an entry that two requests changed at once is merged. Default: see
    /// [`default_merge_rule`](Self::default_merge_rule).
    pub fn merge_rule(mut self, name: impl Into<String>, rule: MergeRule) -> Self {
        self.settings.rules.by_name.insert(name.into().into_boxed_str(), rule);
        self
    }

    /// How entries without a rule of their own are merged. Default: the last save wins, entry by
    /// entry.
    pub fn default_merge_rule(mut self, rule: MergeRule) -> Self {
        self.settings.rules.default = rule;
        self
    }

    /// The form of the ids that new sessions get. Default: [`IdForm::Native`].
    pub fn id_form(mut self, form: IdForm) -> Self {
        self.settings.id_form = form;
        self
    }

    /// The manager.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when a duration is zero that must not be, or the idle lifetime
    /// is longer than the absolute one; [`Unsupported`](ErrorKind::Unsupported) when the store
    /// lacks what a setting needs.
    pub fn build(self) -> Result<SessionManager> {
        self.check()?;
        Ok(SessionManager::from_parts(super::manager::Parts {
            store: self.store,
            hasher: self.hasher,
            clock: self.clock,
            format: self.format,
            settings: self.settings,
            line: LockQueue::new(MAX_LINE),
        }))
    }

    fn check(&self) -> Result<()> {
        let error = |kind, detail: &str| {
            Err(Error::new(kind, "session", Operation::Open).with_detail(detail))
        };
        let settings = &self.settings;
        let lifetime = settings.lifetime;
        if lifetime.idle.is_zero() || settings.lock_lease.is_zero() || settings.max_hold.is_zero() {
            return error(ErrorKind::Config, "lifetime, lock lease and hold must not be zero");
        }
        if lifetime.absolute.is_some_and(|absolute| absolute < lifetime.idle) {
            return error(ErrorKind::Config, "the idle lifetime exceeds the absolute one");
        }
        if lifetime.absolute.is_some() && !self.store.capabilities().meta.is_yes() {
            return error(ErrorKind::Unsupported, "the store keeps no absolute deadline");
        }
        if settings.limit.as_ref().is_some_and(|limit| limit.most == 0) {
            return error(ErrorKind::Config, "the limit of sessions must not be zero");
        }
        if settings.renew_id_after.is_some_and(|age| age.is_zero() || age < settings.grace) {
            return error(ErrorKind::Config, "ids must not be renewed before their grace is over");
        }
        if settings.renew_id_after.is_some() && !self.format.capabilities().alias.is_yes() {
            return error(ErrorKind::Unsupported, "the format has no room for an alias");
        }
        let checked = settings.epoch_check == EpochCheck::EachLoad || settings.limit.is_some();
        if checked && self.store.principal_index().is_none() {
            return error(ErrorKind::Unsupported, "the store has no index of principals");
        }
        if settings.limit.is_some() && !self.store.capabilities().listing.is_yes() {
            return error(ErrorKind::Unsupported, "the store lists no sessions of a principal");
        }
        Ok(())
    }
}

/// The bound of the in-process line of committers of one session. They hold a request each, and
/// wait for milliseconds; what bounds them in practice is the commit timeout.
const MAX_LINE: usize = 10_000;
