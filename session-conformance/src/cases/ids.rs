//! Ids: C13 to C16, SEC-05, SEC-06, SEC-44.

use std::{error::Error as _, fmt};

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use session_core::{Error, ErrorKind, Expected, Key, SessionId};

use super::cases;
use crate::{
    Layout,
    client::{Client, HOUR},
    context::{Cx, key_of, new_key},
    outcome::{Failure, Outcome, ensure, ensure_eq, refused},
};

cases! {
    "C13" id_case_variants_are_distinct;
    "C14" id_trailing_space_and_unicode_distinct;
    "C15" hostile_ids_never_reach_backend;
    "C16" longest_legal_id_works_everywhere;
    "SEC-05" raw_id_appears_nowhere_in_the_backend [RawAccess, NativeLayout];
    "SEC-06" stored_key_is_no_id;
    "SEC-44" errors_and_debug_show_no_secret;
}

/// Checks that each of these ids is a session of its own. Another system's layout may refuse one.
async fn ensure_distinct(cx: &Cx, ids: &[String]) -> Outcome {
    let is_foreign = cx.backend().layout() == Layout::Foreign;
    let mut taken = Vec::new();
    for id in ids {
        match cx.a.get(&key_of(id)?).await {
            Err(error) if is_foreign && error.kind() == ErrorKind::InvalidId => {}
            _ => taken.push(id),
        }
    }
    ensure!(ids.len() <= taken.len() + 1, "only {} of these ids are taken", taken.len());
    let ids = taken;
    for id in &ids {
        let key = key_of(id)?;
        ensure_eq!(cx.b().await?.get(&key).await?, None, "an id finds another id's session");
        cx.a.put(&key, String::clone(id)).await?;
    }
    for id in &ids {
        let payload = cx.b().await?.found(&key_of(id)?).await?.payload;
        ensure!(payload == id.as_bytes(), "an id shows another id's data");
    }
    let Some((first, others)) = ids.split_first() else { return Ok(()) };
    cx.a.discard(&key_of(first)?).await?;
    for id in others {
        cx.b().await?.found(&key_of(id)?).await?;
    }
    Ok(())
}

/// Given ids that differ in case only, when stored, then they are different sessions.
async fn id_case_variants_are_distinct(cx: Cx) -> Outcome {
    let mixed = format!("AbC{}zZ", SessionId::generate()?.expose());
    let swapped = mixed.chars().map(|c| {
        if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
    });
    let swapped = swapped.collect();
    ensure_distinct(&cx, &[mixed.to_ascii_lowercase(), mixed.to_ascii_uppercase(), swapped, mixed])
        .await
}

/// Given an id, when its twins are used (trailing characters, Unicode forms), then they are other
/// sessions or no ids.
async fn id_trailing_space_and_unicode_distinct(cx: Cx) -> Outcome {
    let id = SessionId::generate()?.expose().to_owned();
    for twin in [" ", "\t", "\u{a0}", "\u{200b}", "\u{e9}", "e\u{301}", "\u{ff41}"] {
        let outcome = SessionId::parse(&format!("{id}{twin}"));
        refused(outcome, ErrorKind::InvalidId, format_args!("an id that ends in {twin:?}"))?;
    }
    let shorter = id.get(1..).unwrap_or_default().to_owned();
    let longer = ["-", "_", ",", "0", "--"].map(|end| format!("{id}{end}"));
    ensure_distinct(&cx, &[vec![shorter, id], longer.to_vec()].concat()).await
}

/// Given hostile ids, when used, then they are `InvalidId` before there is a key, so that no
/// backend ever sees them.
async fn hostile_ids_never_reach_backend(cx: Cx) -> Outcome {
    let before = cx.writes().await?;
    let long = "a".repeat(10 * 1024);
    let hostile = [
        "",
        ".",
        "..",
        "../a",
        "a/b",
        "/etc/passwd",
        "a\\b",
        "a\0b",
        "a\r\nset b",
        "*",
        "a*",
        "?",
        "{a}",
        "a:b",
        "a b",
        " a",
        "a ",
        "'; --",
        "\"",
        "$(id)",
        "%2e%2e",
        "\u{202e}",
        "é",
        &long,
    ];
    for id in hostile {
        let shown = id.get(..20.min(id.len())).unwrap_or("(a long one)");
        refused(SessionId::parse(id), ErrorKind::InvalidId, format_args!("the id {shown:?}"))?;
        refused(SessionId::parse_native(id), ErrorKind::InvalidId, format_args!("{shown:?}"))?;
    }
    ensure_eq!(cx.writes().await?, before, "a hostile id reached the backend");
    Ok(())
}

/// Given the longest legal ids, when everything is done to one of them, then all of it works and
/// its neighbour is untouched.
async fn longest_legal_id_works_everywhere(cx: Cx) -> Outcome {
    let room = cx.backend().longest_id() - 1;
    let stem = format!("{:a<room$}", SessionId::generate()?.expose());
    let (key, neighbour) = (key_of(&format!("{stem}x"))?, key_of(&format!("{stem}y"))?);
    let revision = cx.a.put(&key, "long").await?;
    let revision = cx.b().await?.update(&key, "longer", revision).await?;
    if cx.has().touch.is_yes() {
        cx.a.prolong(&key, HOUR * 2, revision).await?;
    }
    if cx.has().locking.is_yes() {
        let held = cx.a.hold(&key).await?;
        ensure!(cx.b().await?.is_locked(&key).await?, "the lock of a long id does not exclude");
        cx.a.renew(&key, &held.lease, HOUR).await?;
        cx.a.release(&key, &held.lease).await?;
    }
    ensure_eq!(cx.b().await?.get(&neighbour).await?, None, "the neighbour of a long id");
    cx.a.discard(&key).await?;
    ensure_eq!(cx.b().await?.get(&key).await?, None, "a deleted session with a long id");
    Ok(())
}

/// Given sessions in use, when everything that is stored is searched, then no raw id is found.
async fn raw_id_appears_nowhere_in_the_backend(cx: Cx) -> Outcome {
    let Some(raw) = cx.backend().raw() else { return Ok(()) };
    let key = new_key()?;
    let id = secret_of(&key)?;
    cx.a.put(&key, "something").await?;
    let held = match cx.has().locking.is_yes() {
        true => Some(cx.a.hold(&key).await?),
        false => None,
    };
    let stored = raw.dump(cx.namespace()).await?;
    ensure!(!stored.is_empty(), "the fixture shows no stored bytes although a session exists");
    for item in &stored {
        let found = item.windows(id.len()).any(|window| window == id.as_bytes());
        ensure!(!found, "the raw id is stored in an item of {} bytes", item.len());
    }
    if let Some(held) = held {
        cx.a.release(&key, &held.lease).await?;
    }
    Ok(())
}

/// Given a copy of the store, when a stored key is presented as an id, then it finds nothing.
async fn stored_key_is_no_id(cx: Cx) -> Outcome {
    let key = new_key()?;
    cx.a.put(&key, "not for thieves").await?;
    let digest = key.digest().as_bytes();
    for encoding in [HEXLOWER, HEXUPPER, BASE64URL_NOPAD] {
        let stolen = key_of(&encoding.encode(digest))?;
        ensure_eq!(cx.a.get(&stolen).await?, None, "a stored key opens its session");
    }
    Ok(())
}

/// Given every refusal there is, when its error and what `Debug` shows are searched, then there is
/// no id, digest or payload in them.
async fn errors_and_debug_show_no_secret(cx: Cx) -> Outcome {
    let key = new_key()?;
    let payload = format!("payload{}", SessionId::generate()?.expose());
    let mut shown = Vec::new();
    cx.a.put(&key, payload.clone()).await?;
    let record = cx.a.found(&key).await?;
    shown.push(texts(&(&record, &cx.a)));
    for error in refusals(&cx, &key, &payload).await? {
        shown.push(texts(&error));
        shown.push(error.to_string());
        let mut cause = error.source();
        while let Some(error) = cause {
            shown.push(format!("{error} {error:?}"));
            cause = error.source();
        }
    }
    let digest = key.digest().as_bytes();
    let secrets = [
        secret_of(&key)?.to_owned(),
        payload,
        HEXLOWER.encode(digest),
        BASE64URL_NOPAD.encode(digest),
        BASE64.encode(digest),
        format!("{digest:?}").trim_matches(['[', ']']).to_owned(),
    ];
    for text in shown {
        for secret in &secrets {
            let found = text.to_lowercase().contains(&secret.to_lowercase());
            ensure!(!found, "a secret is shown: {}", text.replace(secret, "(the secret)"));
        }
    }
    Ok(())
}

fn texts(value: &impl fmt::Debug) -> String {
    format!("{value:?} {value:#?}")
}

fn secret_of(key: &Key) -> Result<&str, Failure> {
    key.secret().map(SessionId::expose).ok_or_else(|| Failure::new("the key has no id"))
}

/// The errors of every operation that can be refused on the record of `key`.
async fn refusals(cx: &Cx, key: &Key, payload: &str) -> Result<Vec<Error>, Failure> {
    let (a, has) = (&cx.a, cx.has());
    let old = a.found(key).await?.revision;
    let revision = a.update(key, format!("{payload} again"), old).await?;
    let mut errors = Vec::new();
    let mut note = |error: Option<Error>| errors.extend(error);
    note(a.put(key, payload.to_owned()).await.err());
    note(a.update(key, payload.to_owned(), old).await.err());
    note(a.delete(key, Expected::Revision(old), session_core::OpToken::generate()?).await.err());
    if has.max_payload <= 16 << 20 {
        let large = payload.repeat(has.max_payload / payload.len() + 1);
        note(a.update(key, large, revision).await.err());
    }
    if has.locking.is_yes() {
        let held = a.hold(key).await?;
        note(a.request(key, HOUR, std::time::Duration::ZERO).await.err());
        note(a.update(key, payload.to_owned(), revision).await.err());
        a.release(key, &held.lease).await?;
        note(a.renew(key, &held.lease, HOUR).await.err());
    }
    note(gone(a, key, payload, revision).await?);
    ensure!(errors.len() >= 4, "only {} operations were refused", errors.len());
    Ok(errors)
}

async fn gone(
    a: &Client,
    key: &Key,
    payload: &str,
    revision: session_core::Revision,
) -> Result<Option<Error>, Failure> {
    a.discard(key).await?;
    Ok(a.update(key, payload.to_owned(), revision).await.err())
}
