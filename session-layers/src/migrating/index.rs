//! Walks over both stores, the old one first: a session that moves meanwhile is met twice rather than
//! missed.

use async_trait::async_trait;
use session_core::{
    Cursor, Enumeration, ErrorKind, Expected, Key, KeyPage, OpToken, Operation, PrincipalDigest,
    PrincipalIndex, Result, SessionStore,
};

use super::Migrating;

/// How far apart the epochs of a principal may be in the two stores: revocations in the life of a user.
const MOST_EPOCHS: u64 = 10_000;
const PAGE: usize = 100;

/// Where a walk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Old,
    New,
}

/// Reads a cursor: the place, and the store's own cursor there.
pub(super) fn place_of(cursor: Option<&Cursor>) -> (Place, Option<Cursor>) {
    let Some((place, own)) = cursor.and_then(|cursor| cursor.as_bytes().split_first()) else {
        return (Place::Old, None);
    };
    let place = if *place == 0 { Place::Old } else { Place::New };
    (place, (!own.is_empty()).then(|| Cursor::new(own.to_vec())))
}

/// The cursor after a step that ended with the store's own cursor `next`.
pub(super) fn after(place: Place, next: Option<Cursor>) -> Option<Cursor> {
    let (tag, own) = match (place, next) {
        (Place::Old, Some(next)) => (0, next.as_bytes().to_vec()),
        (Place::Old, None) => (1, Vec::new()),
        (Place::New, Some(next)) => (1, next.as_bytes().to_vec()),
        (Place::New, None) => return None,
    };
    Some(Cursor::new([vec![tag], own].concat()))
}

impl<O: SessionStore, N: SessionStore> Migrating<O, N> {
    /// The principal's epoch: the later one of both stores, which the new store knows from then on, so
    /// that it still does when the old one is gone.
    pub(super) async fn same_epoch(&self, principal: &PrincipalDigest) -> Result<u64> {
        let (old, new) = (self.old.principal_index(), self.new.principal_index());
        let Some(new) = new else { return Ok(0) };
        let here = new.epoch(principal).await?;
        let there = match old {
            Some(old) => old.epoch(principal).await?,
            None => 0,
        };
        self.raise(principal, here, there).await
    }

    /// Raises the new store's epoch from `here` to `there`.
    async fn raise(&self, principal: &PrincipalDigest, mut here: u64, there: u64) -> Result<u64> {
        let Some(new) = self.new.principal_index() else { return Ok(there) };
        if there.saturating_sub(here) > MOST_EPOCHS {
            let error = self.error(ErrorKind::Backend, Operation::Index);
            return Err(error.with_detail("the epochs of the two stores are too far apart"));
        }
        while here < there {
            here = new.bump_epoch(principal).await?;
        }
        Ok(here)
    }

    async fn list_at(
        &self,
        place: Place,
        principal: &PrincipalDigest,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<KeyPage> {
        let index = match place {
            Place::Old => self.old.principal_index(),
            Place::New => self.new.principal_index(),
        };
        match index {
            Some(index) => index.list(principal, cursor, limit).await,
            None => Ok(KeyPage::default()),
        }
    }

    async fn keys_at(
        &self,
        place: Place,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<KeyPage> {
        let walk = match place {
            Place::Old => self.old.enumeration(),
            Place::New => self.new.enumeration(),
        };
        let walk = walk.ok_or_else(|| self.error(ErrorKind::Unsupported, Operation::Enumerate))?;
        walk.keys(cursor, limit).await
    }
}

/// How many keys a page of the old store leaves to the new one; `None` when its walk goes on, or has been
/// in the new store already.
fn room(place: Place, page: &KeyPage, limit: usize) -> Option<usize> {
    let ended = place == Place::Old && page.next.is_none();
    limit.checked_sub(page.keys.len()).filter(|room| ended && *room > 0)
}

fn joined(mut first: KeyPage, second: KeyPage) -> KeyPage {
    first.keys.extend(second.keys);
    KeyPage::new(first.keys, after(Place::New, second.next))
}

#[async_trait]
impl<O: SessionStore, N: SessionStore> PrincipalIndex for Migrating<O, N> {
    async fn list(
        &self,
        principal: &PrincipalDigest,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<KeyPage> {
        let (place, own) = place_of(cursor);
        let page = self.list_at(place, principal, own.as_ref(), limit).await?;
        match room(place, &page, limit) {
            Some(room) => Ok(joined(page, self.list_at(Place::New, principal, None, room).await?)),
            None => Ok(KeyPage::new(page.keys, after(place, page.next))),
        }
    }

    async fn epoch(&self, principal: &PrincipalDigest) -> Result<u64> {
        self.same_epoch(principal).await
    }

    async fn bump_epoch(&self, principal: &PrincipalDigest) -> Result<u64> {
        let mut there = 0;
        if let Some(old) = self.old.principal_index() {
            there = old.bump_epoch(principal).await?;
        }
        let Some(new) = self.new.principal_index() else { return Ok(there) };
        let here = new.bump_epoch(principal).await?;
        let raised = self.raise(principal, here, there).await?;
        Ok(raised)
    }

    async fn revoke(&self, principal: &PrincipalDigest, except: Option<&Key>) -> Result<usize> {
        let (mut cursor, mut revoked) = (None, 0);
        loop {
            let page = self.list(principal, cursor.as_ref(), PAGE).await?;
            for key in page.keys {
                if except.is_none_or(|spared| spared.digest() != key.digest()) {
                    self.delete(&key, Expected::Any, OpToken::generate()?).await?;
                    revoked += 1;
                }
            }
            let Some(next) = page.next else { return Ok(revoked) };
            cursor = Some(next);
        }
    }
}

#[async_trait]
impl<O: SessionStore, N: SessionStore> Enumeration for Migrating<O, N> {
    async fn keys(&self, cursor: Option<&Cursor>, limit: usize) -> Result<KeyPage> {
        let (place, own) = place_of(cursor);
        let page = self.keys_at(place, own.as_ref(), limit).await?;
        match room(place, &page, limit) {
            Some(room) => Ok(joined(page, self.keys_at(Place::New, None, room).await?)),
            None => Ok(KeyPage::new(page.keys, after(place, page.next))),
        }
    }
}
