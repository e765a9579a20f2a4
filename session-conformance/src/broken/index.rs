//! What can be wrong with the principal index and the enumeration.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use session_core::{
    Cursor, Key, KeyPage, OpToken, PrincipalDigest, Result, Revision, Under, Write,
};

use super::{
    broken,
    mischief::{Inner, Mischief, enumeration, index},
};

broken! {
    ListsTheDead: "U01_find_by_user_lists_live_only", "U03_index_self_heals_without_events",
        "U02_index_follows_user_change_and_removal", "X09_rotate_updates_user_index_atomically";
    ListsWithoutLimit: "U05_index_of_heavy_user_is_paged", "N01_enumerate_is_complete_and_bounded";
    ListsTheFirstPageOnly: "U05_index_of_heavy_user_is_paged",
        "N01_enumerate_is_complete_and_bounded";
    ListsTwice: "U05_index_of_heavy_user_is_paged", "N01_enumerate_is_complete_and_bounded";
    ListsEverybody: "U06_user_key_is_opaque_and_bounded", "U01_find_by_user_lists_live_only";
    LosesBumps: "U04_revoke_all_races_with_create",
        "SEC-21_revocation_ends_sessions_that_are_being_made";
    RevokesAll: "U04_revoke_deletes_all_but_one";
}

/// Lists what was once indexed, with no second look.
#[derive(Debug, Default)]
struct ListsTheDead(Mutex<Vec<(PrincipalDigest, Key)>>);

#[async_trait]
impl Mischief for ListsTheDead {
    async fn create(
        &self,
        inner: &Inner,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        let principal = write.meta.principal;
        let revision = inner.create(key, write, op, under).await?;
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.extend(principal.map(|principal| (principal, key.clone())));
        Ok(revision)
    }

    async fn list(
        &self,
        _: &Inner,
        principal: &PrincipalDigest,
        _: Option<&Cursor>,
        _: usize,
    ) -> Result<KeyPage> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let theirs = entries.iter().filter(|(owner, _)| owner == principal);
        Ok(KeyPage::new(theirs.map(|(_, key)| key.clone()).collect(), None))
    }
}

/// Changes pages of the index and of the enumeration alike.
macro_rules! rewrites_pages {
    ($mischief:ident, $ask:expr, $rewrite:expr) => {
        #[async_trait]
        impl Mischief for $mischief {
            async fn list(
                &self,
                inner: &Inner,
                principal: &PrincipalDigest,
                cursor: Option<&Cursor>,
                limit: usize,
            ) -> Result<KeyPage> {
                const ASK: fn(usize) -> usize = $ask;
                const REWRITE: fn(KeyPage) -> KeyPage = $rewrite;
                index(inner)?.list(principal, cursor, ASK(limit)).await.map(REWRITE)
            }

            async fn keys(
                &self,
                inner: &Inner,
                cursor: Option<&Cursor>,
                limit: usize,
            ) -> Result<KeyPage> {
                const ASK: fn(usize) -> usize = $ask;
                const REWRITE: fn(KeyPage) -> KeyPage = $rewrite;
                enumeration(inner)?.keys(cursor, ASK(limit)).await.map(REWRITE)
            }
        }
    };
}

/// Answers with all there is.
#[derive(Debug, Default)]
struct ListsWithoutLimit;

rewrites_pages!(ListsWithoutLimit, |_| usize::MAX, |page| page);

/// Has no second page.
#[derive(Debug, Default)]
struct ListsTheFirstPageOnly;

rewrites_pages!(ListsTheFirstPageOnly, |limit| limit, |page| KeyPage::new(page.keys, None));

/// Lists each session on two pages, as a scan may.
#[derive(Debug, Default)]
struct ListsTwice;

rewrites_pages!(ListsTwice, |limit| limit / 2, |page| KeyPage::new(
    [page.keys.clone(), page.keys].concat(),
    page.next
));

/// Lists the sessions of other principals too.
#[derive(Debug, Default)]
struct ListsEverybody;

#[async_trait]
impl Mischief for ListsEverybody {
    async fn list(
        &self,
        inner: &Inner,
        _: &PrincipalDigest,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<KeyPage> {
        enumeration(inner)?.keys(cursor, limit).await
    }
}

/// Reads the epoch, adds one, and tells nobody.
#[derive(Debug, Default)]
struct LosesBumps;

#[async_trait]
impl Mischief for LosesBumps {
    async fn bump_epoch(&self, inner: &Inner, principal: &PrincipalDigest) -> Result<u64> {
        index(inner)?.epoch(principal).await.map(|epoch| epoch + 1)
    }
}

/// Spares nobody.
#[derive(Debug, Default)]
struct RevokesAll;

#[async_trait]
impl Mischief for RevokesAll {
    async fn revoke(
        &self,
        inner: &Inner,
        principal: &PrincipalDigest,
        _: Option<&Key>,
    ) -> Result<usize> {
        index(inner)?.revoke(principal, None).await
    }
}
