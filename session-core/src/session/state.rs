//! What a handle knows of its session.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{config::MergeRules, data::SessionData, manager::SessionManager};
use crate::{
    Document, Entries, Header, Key, KeyDigest, Meta, OpToken, Result, Revision, SessionId, Ttl,
    Write,
};

/// The state behind a handle, which its clones share.
pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) header: Header,
    pub(super) meta: Meta,
    pub(super) data: SessionData,
    /// The last save that was sent, until it is known what came of it.
    attempt: Option<Attempt>,
    pub(super) new_idle: NewIdle,
    /// How long the session lives from the next save on, where a framework says so with each.
    pub(super) life: Option<Ttl>,
    /// Whether the session was used by more than a read-only handle: only then is it touched.
    pub(super) engaged: bool,
}

/// What the next save does to the idle lifetime of the session's own.
#[derive(Clone, Copy, Default)]
pub(super) enum NewIdle {
    #[default]
    AsBefore,
    Own(Ttl),
    /// None of its own.
    Managers,
}

/// A save that was sent.
struct Attempt {
    revision: Revision,
    payload: Bytes,
    op: OpToken,
}

pub(super) enum Phase {
    /// The store has not been asked yet.
    Unread,
    /// There is no record; a save makes one, under a new id.
    New,
    /// There is no record, and the id was rotated away a moment ago: a parallel request got a new
    /// one, under this key, which a cookie set here would overwrite. Nothing can be saved.
    JustRetired(KeyDigest),
    /// There is a record.
    Stored(Place),
    /// There was a record, and somebody deleted it while the handle was in use. Nothing can be
    /// saved.
    Gone,
}

/// Where the record is, and in which state it was read or written last.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) key: Key,
    pub(super) revision: Revision,
    /// Reached through an id that was rotated away.
    pub(super) aliased: bool,
    remaining: Ttl,
    as_of: Instant,
}

impl Place {
    pub(super) fn new(key: Key, revision: Revision, remaining: Ttl, aliased: bool) -> Self {
        Self { key, revision, aliased, remaining, as_of: Instant::now() }
    }

    /// The rest of the record's life, as far as the handle can tell.
    pub(super) fn remaining(&self) -> Ttl {
        let rest = |left: Duration| Ttl::from(left.saturating_sub(self.as_of.elapsed()));
        self.remaining.duration().map_or(Ttl::NEVER, rest)
    }

    pub(super) fn extended(&mut self, remaining: Ttl) {
        self.remaining = remaining;
        self.as_of = Instant::now();
    }
}

/// A live session as it was read.
#[derive(Clone)]
pub(super) struct Snapshot {
    pub(super) place: Place,
    pub(super) header: Header,
    pub(super) meta: Meta,
    pub(super) entries: Entries,
}

impl State {
    pub(super) fn unread(manager: &SessionManager) -> Self {
        let (header, meta, data) = blank(manager);
        let (phase, attempt, new_idle, life) = (Phase::Unread, None, NewIdle::AsBefore, None);
        Self { phase, header, meta, data, attempt, new_idle, life, engaged: false }
    }

    /// A session that another handle read.
    pub(super) fn resumed(manager: &SessionManager, snapshot: Snapshot) -> Self {
        let Snapshot { place, header, meta, entries } = snapshot;
        let data = SessionData::new(Arc::clone(manager.format()), header.codec, entries);
        let phase = Phase::Stored(place);
        Self { phase, header, meta, data, engaged: true, ..Self::unread(manager) }
    }

    /// Forgets the session that ended: what is inserted from now on belongs to a new one.
    pub(super) fn start_over(&mut self, manager: &SessionManager) {
        (self.header, self.meta, self.data) = blank(manager);
        (self.new_idle, self.life) = (NewIdle::AsBefore, None);
        self.phase = Phase::New;
    }

    /// Takes over what was read, and puts the changes made so far on top of it.
    pub(super) fn adopt(&mut self, snapshot: Snapshot, rules: &MergeRules) -> Result<()> {
        self.data = if snapshot.header.codec == self.data.codec() {
            self.data.rebased(Arc::new(snapshot.entries), rules)?
        } else {
            self.data.recoded(snapshot.header.codec, snapshot.entries)?
        };
        self.header = snapshot.header;
        self.meta = snapshot.meta;
        self.phase = Phase::Stored(snapshot.place);
        Ok(())
    }

    /// The token under which a save is sent: that of the last one if it is the same again, because
    /// its future was dropped or its reply was lost. Then it takes effect once.
    pub(super) fn token_of(&mut self, revision: Revision, write: &Write) -> Result<OpToken> {
        match &self.attempt {
            Some(last) if last.revision == revision && last.payload == write.payload => Ok(last.op),
            _ => {
                let (op, payload) = (OpToken::generate()?, write.payload.clone());
                self.attempt = Some(Attempt { revision, payload, op });
                Ok(op)
            }
        }
    }

    /// Takes over that `entries` were saved.
    pub(super) fn saved(&mut self, place: Place, entries: Entries) {
        self.attempt = None;
        self.data = self.data.saved(entries);
        self.header.idle = self.own_idle();
        self.new_idle = NewIdle::AsBefore;
        self.phase = Phase::Stored(place);
    }

    /// The idle lifetime of the session's own, from the next save on.
    pub(super) const fn own_idle(&self) -> Option<Ttl> {
        match self.new_idle {
            NewIdle::AsBefore => self.header.idle,
            NewIdle::Own(idle) => Some(idle),
            NewIdle::Managers => None,
        }
    }

    pub(super) fn document(&self, entries: Entries) -> Document {
        let mut header = self.header.clone();
        header.idle = self.own_idle();
        Document::from_parts(header, entries)
    }

    /// Whether there is something to save: changes, or a new session that became somebody's.
    pub(super) fn is_to_be_saved(&self) -> bool {
        let is_new = matches!(self.phase, Phase::New);
        let is_wanted = self.meta.principal.is_some() || self.life.is_some();
        self.data.is_changed() || (is_new && is_wanted)
    }

    /// A session without entries that belongs to nobody is not worth a record, unless it is to be
    /// kept.
    pub(super) fn is_worth_storing(&self, entries: &Entries) -> bool {
        !entries.is_empty() || self.meta.principal.is_some() || self.life.is_some()
    }
}

fn blank(manager: &SessionManager) -> (Header, Meta, SessionData) {
    let now = manager.now();
    let document = manager.format().new_document(now);
    let absolute = manager.settings().lifetime.absolute.map(|limit| now.after(limit));
    let data =
        SessionData::new(Arc::clone(manager.format()), document.header.codec, document.entries);
    (document.header, Meta::new().with_absolute_deadline(absolute), data)
}

/// What the response has to do about the session's cookie, once the session was saved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CookieChange {
    /// Nothing.
    #[default]
    None,
    /// The session has this id from now on: send it.
    Set {
        /// The new id.
        id: SessionId,
        /// How long the session lives without further activity.
        remaining: Ttl,
    },
    /// The id stays and the session lives longer: a cookie with an expiry of its own is to be
    /// sent again.
    Extend {
        /// The id that was presented.
        id: SessionId,
        /// How long the session lives without further activity.
        remaining: Ttl,
    },
    /// The session was ended: remove the cookie.
    Clear,
}
