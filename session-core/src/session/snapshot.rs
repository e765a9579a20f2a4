//! Between two handles: what one knew of its session, for another to go on from.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    Session,
    data::SessionData,
    load::replaced,
    manager::SessionManager,
    state::{Phase, Place, Snapshot, State},
};
use crate::{
    Document, Error, ErrorKind, Format, Incarnation, Key, KeyDigest, Meta, Operation,
    PrincipalDigest, Result, Revision, Timestamp, Ttl,
};

/// What a handle knew of its session, as far as it was saved: enough for another handle to go on
/// from, without reading the session again.
///
/// It is for adapters to frameworks that load a session and save it by calls that know nothing of
/// each other. Between the two it can travel as bytes, which are for the same process only.
#[derive(Clone)]
pub struct SessionSnapshot {
    snapshot: Snapshot,
    format: Arc<dyn Format>,
}

impl SessionSnapshot {
    /// The entries.
    #[must_use]
    pub fn data(&self) -> SessionData {
        let Snapshot { header, entries, .. } = &self.snapshot;
        SessionData::new(Arc::clone(&self.format), header.codec, entries.clone())
    }

    /// The key under which the record is.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.snapshot.place.key
    }

    /// How long the session lives without further activity.
    #[must_use]
    pub fn remaining(&self) -> Ttl {
        self.snapshot.place.remaining()
    }

    /// The snapshot as bytes, for [`SessionManager::snapshot_from_bytes`].
    ///
    /// # Errors
    /// Those of the format.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let Snapshot { place, header, meta, entries } = &self.snapshot;
        let document = Document::from_parts(header.clone(), entries.clone());
        let payload = self.format.encode(&document)?;
        let head = rmp_serde::to_vec(&Head::new(place, *meta)).map_err(unwritable)?;
        let length = u16::try_from(head.len()).map_err(unwritable)?;
        // The payload comes first: what follows may fit into its memory.
        let mut bytes = Vec::from(payload);
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(&length.to_be_bytes());
        Ok(bytes)
    }
}

impl fmt::Debug for SessionSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.snapshot.place;
        f.debug_struct("SessionSnapshot")
            .field("key", &place.key)
            .field("revision", &place.revision)
            .finish_non_exhaustive()
    }
}

/// All of a snapshot but the document.
#[derive(Serialize, Deserialize)]
struct Head {
    key: [u8; 32],
    incarnation: [u8; 16],
    version: [u8; 16],
    aliased: bool,
    remaining: Option<Duration>,
    principal: Option<[u8; 32]>,
    epoch: u64,
    absolute_deadline: Option<u64>,
}

impl Head {
    fn new(place: &Place, meta: Meta) -> Self {
        let Meta { principal, epoch, absolute_deadline } = meta;
        Self {
            key: *place.key.digest().as_bytes(),
            incarnation: *place.revision.incarnation().as_bytes(),
            version: place.revision.version().to_be_bytes(),
            aliased: place.aliased,
            remaining: place.remaining().duration(),
            principal: principal.map(|principal| *principal.as_bytes()),
            epoch,
            absolute_deadline: absolute_deadline.map(Timestamp::as_millis),
        }
    }

    fn place(&self) -> Place {
        let key = Key::from_digest(KeyDigest::from_bytes(self.key));
        let incarnation = Incarnation::from_bytes(self.incarnation);
        let revision = Revision::from_parts(incarnation, u128::from_be_bytes(self.version));
        let remaining = self.remaining.map_or(Ttl::NEVER, Ttl::from);
        Place::new(key, revision, remaining, self.aliased)
    }

    fn meta(&self) -> Meta {
        Meta::new()
            .with_principal(self.principal.map(PrincipalDigest::from_bytes), self.epoch)
            .with_absolute_deadline(self.absolute_deadline.map(Timestamp::from_millis))
    }
}

impl Session {
    /// What is known of the session, without the changes that are not saved. `None` when there is
    /// no record.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict): the id that was presented was rotated away a moment ago,
    /// so no session can be begun with it. Otherwise those of the transport.
    pub async fn snapshot(&self) -> Result<Option<SessionSnapshot>> {
        let state = self.ready().await?;
        let place = match &state.phase {
            Phase::Stored(place) => place.clone(),
            Phase::JustRetired(_) => return Err(replaced(Operation::Load)),
            _ => return Ok(None),
        };
        let (header, entries) = (state.header.clone(), (**state.data.base()).clone());
        let snapshot = Snapshot { place, header, meta: state.meta, entries };
        Ok(Some(self.manager().snapshot(snapshot)))
    }

    /// Lets the session live for `life` from the next save on, whatever its idle lifetime, and lets
    /// that save store it even without entries.
    ///
    /// It is for frameworks that say with each save how long the session is to live: nothing of it
    /// is stored with the session. A life that ends sooner than the present one is a change.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn keep_for(&self, life: Duration) -> Result<()> {
        let mut state = self.ready().await?;
        let life = Ttl::from(life);
        state.life = Some(life);
        let precision = self.manager().backend().capabilities().expiry_precision;
        let sooner = |left: Duration| {
            life.duration().is_some_and(|life| life.saturating_add(precision + ROUNDING) < left)
        };
        if let Phase::Stored(place) = &state.phase
            && place.remaining().duration().map_or(life != Ttl::NEVER, sooner)
        {
            state.data.force();
        }
        Ok(())
    }

    /// Begins a new session, which goes on with the facts and entries of one that was
    /// [taken](Self::take). The changes made through this handle are merged onto them.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when a merge rule refuses.
    pub async fn reissue(&self, taken: SessionSnapshot) -> Result<()> {
        let mut state = self.state().await;
        state.adopt(taken.snapshot, &self.manager().settings().rules)?;
        state.data = state.data.unsaved();
        state.phase = Phase::New;
        Ok(())
    }
}

/// What lies between the moment when the store says how long a session lives, and the moment when
/// it is compared with a point in time.
const ROUNDING: Duration = Duration::from_secs(1);

impl SessionManager {
    /// Goes on from what another handle knew. No I/O: what has changed in the store since then is
    /// found at the save, and merged.
    #[must_use]
    pub fn resume(&self, snapshot: SessionSnapshot) -> Session {
        Session::with_state(self.clone(), None, State::resumed(self, snapshot.snapshot))
    }

    /// The snapshot of [`SessionSnapshot::to_bytes`], which goes on using their memory.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt): they are not such bytes.
    pub fn snapshot_from_bytes(&self, bytes: impl Into<Bytes>) -> Result<SessionSnapshot> {
        let bytes = bytes.into();
        let (rest, length) = bytes.split_last_chunk().ok_or_else(unreadable)?;
        let head_at = rest.len().checked_sub(u16::from_be_bytes(*length).into());
        let head_at = head_at.ok_or_else(unreadable)?;
        let head = rest.get(head_at..).unwrap_or_default();
        let head: Head = rmp_serde::from_slice(head).map_err(|_unreadable| unreadable())?;
        let document = self.format().decode(&bytes.slice(..head_at))?;
        let (header, entries) = (document.header, document.entries);
        Ok(self.snapshot(Snapshot { place: head.place(), header, meta: head.meta(), entries }))
    }

    pub(super) fn snapshot(&self, snapshot: Snapshot) -> SessionSnapshot {
        SessionSnapshot { snapshot, format: Arc::clone(self.format()) }
    }
}

fn unwritable(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unsupported, "session", Operation::Encode).with_source(source)
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Corrupt, "session", Operation::Decode).with_detail("no snapshot")
}
