//! What can be wrong with `create`, and with what is written by it.

use std::borrow::Cow;

use async_trait::async_trait;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use session_core::{
    Error, ErrorKind, Expected, Key, KeyDigest, KeyHasher, OpToken, Operation, ReadOptions, Result,
    Revision, SessionId, Then, Under, Write,
};

use super::{
    broken,
    mischief::{Inner, Mischief, on_create, on_load, on_save},
};

broken! {
    DropsTheCreateRefusal: "C06_create_collision_is_reported";
    CreateOverwrites: "C06_create_collision_is_reported",
        "C07_concurrent_create_same_id_one_winner";
    CreateForgetsItsToken: "Z05_create_sent_again_takes_effect_once",
        "Z05_handle_creates_once_when_the_reply_is_lost",
        "Z05_handle_rotates_once_when_a_reply_is_lost";
    CreateKeepsTheLock: "L40_lock_on_missing_session_is_held";
    CreateBesideAHolder: "L40_lock_on_missing_session_is_held";
    WritesNoEmptyPayload: "C03_empty_payload_is_not_absence",
        "C21_unreadable_record_is_left_by_the_handle";
    WritesText: "C02_binary_payload_is_preserved";
    CutsAt64KiB: "C12_payload_at_exact_limit_succeeds";
    TakesTooMuch: "C10_oversized_payload_rejected_before_io", "L33_lock_released_when_save_fails";
    CaseBlind: "C13_id_case_variants_are_distinct", "X01_rotate_moves_data",
        "X02_rotate_twice_and_set_between", "X02_rotate_many_times_within_the_grace",
        "X03_rotate_unsaved_session", "X06_crash_between_rotation_steps",
        "X06_crash_between_log_in_steps";
    TrimsIds: "C14_id_trailing_space_and_unicode_distinct";
    CutsLongIds: "C16_longest_legal_id_works_everywhere";
    FindsItsOwnKeys: "SEC-06_stored_key_is_no_id",
        "SEC-06_stored_key_presented_as_an_id_finds_nothing";
    LeaksTheId: "SEC-44_errors_and_debug_show_no_secret",
        "SEC-44_handle_errors_and_debug_show_no_secret";
    LeaksThePayload: "SEC-44_errors_and_debug_show_no_secret";
}

/// Tells the caller that a refused create has worked: the flag of `SET NX` thrown away.
#[derive(Debug, Default)]
struct DropsTheCreateRefusal;

on_create!(DropsTheCreateRefusal, |_, inner, key, write, op, under| {
    match inner.create(key, write, op, under).await {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let record = inner.load(key, ReadOptions::latest()).await?;
            record.map(|record| record.revision).ok_or(error)
        }
        outcome => outcome,
    }
});

/// Takes over a session on an id that is taken: create is save.
#[derive(Debug, Default)]
struct CreateOverwrites;

on_create!(CreateOverwrites, |_, inner, key, write, op, under| {
    match inner.create(key, write.clone(), op, under).await {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            inner.save(key, write, Expected::Any, op).await
        }
        outcome => outcome,
    }
});

/// Does not know a create that is sent again.
#[derive(Debug, Default)]
struct CreateForgetsItsToken;

on_create!(CreateForgetsItsToken, |_, inner, key, write, _, under| {
    inner.create(key, write, OpToken::generate()?, under).await
});

/// Does not release the lock with the create.
#[derive(Debug, Default)]
struct CreateKeepsTheLock;

on_create!(CreateKeepsTheLock, |_, inner, key, write, op, under| {
    let under = under.map(|under| Under::new(under.lease, Then::Keep));
    inner.create(key, write, op, under).await
});

/// Creates although somebody holds the key.
#[derive(Debug, Default)]
struct CreateBesideAHolder;

on_create!(CreateBesideAHolder, |_, inner, key, write, op, under| {
    match inner.create(key, write.clone(), op, under).await {
        Err(error) if error.kind() == ErrorKind::LockHeld => {
            inner.delete(key, Expected::Any, op).await?;
            inner.create(key, write, op, None).await
        }
        outcome => outcome,
    }
});

/// Takes an empty payload for no session.
#[derive(Debug, Default)]
struct WritesNoEmptyPayload;

on_load!(WritesNoEmptyPayload, |_, inner, key| {
    let record = inner.load(key, ReadOptions::latest()).await?;
    Ok(record.filter(|record| !record.payload.is_empty()))
});

/// Creates and saves another payload than it was given.
macro_rules! rewrites_payloads {
    ($mischief:ident, $rewrite:expr) => {
        #[async_trait]
        impl Mischief for $mischief {
            async fn create(
                &self,
                inner: &Inner,
                key: &Key,
                mut write: Write,
                op: OpToken,
                under: Option<Under<'_>>,
            ) -> Result<Revision> {
                const REWRITE: fn(&Inner, Bytes) -> Bytes = $rewrite;
                write.payload = REWRITE(inner, write.payload);
                inner.create(key, write, op, under).await
            }

            async fn save(
                &self,
                inner: &Inner,
                key: &Key,
                mut write: Write,
                expected: Expected<'_>,
                op: OpToken,
            ) -> Result<Revision> {
                const REWRITE: fn(&Inner, Bytes) -> Bytes = $rewrite;
                write.payload = REWRITE(inner, write.payload);
                inner.save(key, write, expected, op).await
            }
        }
    };
}

/// Keeps payloads in a column for text.
#[derive(Debug, Default)]
struct WritesText;

rewrites_payloads!(WritesText, |_, payload| {
    String::from_utf8_lossy(&payload).into_owned().into()
});

/// Keeps payloads in a column of 64 KiB, without strict mode.
#[derive(Debug, Default)]
struct CutsAt64KiB;

rewrites_payloads!(CutsAt64KiB, |_, payload| payload.slice(..payload.len().min(65_535)));

/// Cuts what is too large instead of refusing it.
#[derive(Debug, Default)]
struct TakesTooMuch;

rewrites_payloads!(TakesTooMuch, |inner, payload| {
    payload.slice(..payload.len().min(inner.capabilities().max_payload))
});

/// Uses another id than it was given.
macro_rules! rewrites_ids {
    ($mischief:ident, $rewrite:expr) => {
        #[async_trait]
        impl Mischief for $mischief {
            fn key<'a>(&self, key: &'a Key) -> Cow<'a, Key> {
                const REWRITE: fn(&str) -> String = $rewrite;
                let rewritten = key.secret().map(|id| SessionId::parse(&REWRITE(id.expose())));
                match rewritten {
                    Some(Ok(id)) => Cow::Owned(KeyHasher::plain().key(&id)),
                    _ => Cow::Borrowed(key),
                }
            }
        }
    };
}

/// Compares ids by a collation that knows no case.
#[derive(Debug, Default)]
struct CaseBlind;

rewrites_ids!(CaseBlind, str::to_ascii_lowercase);

/// Takes trailing characters for padding.
#[derive(Debug, Default)]
struct TrimsIds;

rewrites_ids!(TrimsIds, |id| id.trim_end_matches(['-', '_', ',']).to_owned());

/// Keeps ids in a column that is too short for them.
#[derive(Debug, Default)]
struct CutsLongIds;

rewrites_ids!(CutsLongIds, |id| id.get(..250).unwrap_or(id).to_owned());

/// Takes a stored key for an id, so that a copy of the store opens all sessions.
#[derive(Debug, Default)]
struct FindsItsOwnKeys;

#[async_trait]
impl Mischief for FindsItsOwnKeys {
    fn key<'a>(&self, key: &'a Key) -> Cow<'a, Key> {
        let text = key.secret().map(SessionId::expose).unwrap_or_default();
        let bytes = HEXLOWER.decode(text.as_bytes()).ok();
        match bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
            Some(digest) => Cow::Owned(Key::from_digest(KeyDigest::from_bytes(digest))),
            None => Cow::Borrowed(key),
        }
    }
}

/// Adds to every refusal what it is about.
macro_rules! leaks {
    ($mischief:ident, $detail:expr) => {
        on_save!($mischief, |_, inner, key, write, expected, op| {
            const DETAIL: fn(&Key, &Write) -> String = $detail;
            let detail = DETAIL(key, &write);
            let outcome = inner.save(key, write, expected, op).await;
            outcome.map_err(|error| {
                Error::new(error.kind(), "broken", Operation::Save).with_detail(detail)
            })
        });
    };
}

/// Names the session in its errors.
#[derive(Debug, Default)]
struct LeaksTheId;

leaks!(LeaksTheId, |key, _| {
    let id = key.secret().map(SessionId::expose);
    format!("session {} cannot be saved", id.unwrap_or_default())
});

/// Shows the statement with its values in its errors.
#[derive(Debug, Default)]
struct LeaksThePayload;

leaks!(LeaksThePayload, |_, write| format!("in UPDATE .. SET data = {:?}", write.payload));
