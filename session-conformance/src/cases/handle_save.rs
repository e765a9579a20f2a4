//! What a save writes, and what it leaves alone: C24 to C28, SEC-25.

use std::{collections::BTreeMap, time::Duration};

use session_core::{CookieChange, Operation, Session, SessionData};

use super::cases;
use crate::{
    context::Cx,
    outcome::{Failure, Outcome, ensure, ensure_eq},
    server::{Server, ensure_entry, key},
};

cases! {
    "C24" unmodified_session_is_not_rewritten;
    "C25" in_place_mutation_is_saved;
    "C26" set_then_remove_same_key_nets_out;
    "C26" changes_taken_back_under_the_lock_net_out [Locking];
    "C27" delta_write_keeps_other_keys;
    "C28" save_mode_matrix;
    "SEC-25" session_without_data_is_not_stored;
}

/// Given a session that is read, also by a handler that writes the same values again, when it is
/// saved, then nothing is written.
async fn unmodified_session_is_not_rewritten(cx: Cx) -> Outcome {
    let server = Server::new(&cx, &cx.a)?;
    let id = server.start().await?;
    let before = cx.a.found(&key(&id)).await?;
    server.wire.clear();
    let session = server.open(&id);
    let user: Option<String> = session.get("user").await?;
    session.insert("user", user).await?;
    session.remove::<u8>("nothing").await?;
    session.save().await?;
    session.update(|data| data.get::<String>("user")).await?;
    let calls = server.wire.operations();
    ensure!(calls.iter().all(|call| *call == Operation::Load), "it cost {calls:?}");
    let after = cx.b().await?.found(&key(&id)).await?;
    ensure_eq!(after.revision, before.revision, "the revision");
    ensure_eq!(session.cookie_change(), CookieChange::None, "the cookie");
    Ok(())
}

type Cart = BTreeMap<String, Vec<u32>>;

/// Given a nested value that is changed in place, when it is put back and saved, then the change is
/// stored; in each of the ways to change a session.
async fn in_place_mutation_is_saved(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let id = a.start().await?;
    let mut wanted = Cart::from([("shoes".to_owned(), vec![1])]);
    let session = a.open(&id);
    session.insert("cart", &wanted).await?;
    session.save().await?;

    let session = b.open(&id);
    let mut cart: Cart = session.get("cart").await?.unwrap_or_default();
    push(&mut cart, 2);
    session.insert("cart", &cart).await?;
    session.save().await?;
    push(&mut wanted, 2);
    ensure_entry(&a.open(&id), "cart", Some(wanted.clone())).await?;

    a.open(&id).update(|data| add_to_cart(data, 3)).await?;
    push(&mut wanted, 3);
    ensure_entry(&b.open(&id), "cart", Some(wanted.clone())).await?;

    if cx.has().locking.is_yes() {
        let mut locked = b.open(&id).lock(Duration::ZERO).await?;
        add_to_cart(&mut locked, 4)?;
        locked.commit().await?;
        push(&mut wanted, 4);
        ensure_entry(&a.open(&id), "cart", Some(wanted)).await?;
    }
    Ok(())
}

fn push(cart: &mut Cart, item: u32) {
    cart.entry("shoes".to_owned()).or_default().push(item);
}

fn add_to_cart(data: &mut SessionData, item: u32) -> session_core::Result<()> {
    let mut cart: Cart = data.get("cart")?.unwrap_or_default();
    push(&mut cart, item);
    data.insert("cart", &cart)
}

type Steps = fn(&mut SessionData) -> session_core::Result<()>;

/// What a handler does to the entry `x`, which was `before`, what it is then, and whether there is
/// something to save.
struct Net {
    before: Option<u32>,
    steps: Steps,
    after: Option<u32>,
    saves: bool,
}

const NETS: &[Net] = &[
    Net {
        before: None,
        steps: |data| data.insert("x", 1).and_then(|()| data.remove::<u32>("x").map(drop)),
        after: None,
        saves: false,
    },
    Net {
        before: Some(1),
        steps: |data| data.insert("x", 2).and_then(|()| data.remove::<u32>("x").map(drop)),
        after: None,
        saves: true,
    },
    Net {
        before: Some(1),
        steps: |data| data.remove::<u32>("x").and_then(|_| data.insert("x", 1)),
        after: Some(1),
        saves: false,
    },
    Net {
        before: Some(1),
        steps: |data| data.remove::<u32>("x").and_then(|_| data.insert("x", 2)),
        after: Some(2),
        saves: true,
    },
    Net {
        before: Some(1),
        steps: |data| data.insert("x", 2).and_then(|()| data.insert("x", 1)),
        after: Some(1),
        saves: false,
    },
    Net {
        before: Some(1),
        steps: |data| {
            data.clear();
            data.insert("x", 1)?;
            data.insert("user", "ada")
        },
        after: Some(1),
        saves: true,
    },
    Net {
        before: None,
        steps: |data| {
            data.insert("x", 1)?;
            data.clear();
            data.insert("user", "ada")
        },
        after: None,
        saves: true,
    },
];

/// Given an entry that is set, changed and removed in any order, when it is saved, then the last
/// state counts, and nothing is written where it is the first one.
async fn set_then_remove_same_key_nets_out(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    for (n, net) in NETS.iter().enumerate() {
        let id = a.start().await?;
        if let Some(before) = net.before {
            a.open(&id).update(|data| data.insert("x", before)).await?;
        }
        a.wire.clear();
        a.open(&id).update(net.steps).await?;
        let saved = a.wire.count(Operation::Save) > 0;
        // A session that was cleared is saved, also when it has its entries again: what others
        // added meanwhile is to be gone.
        ensure_eq!(saved, net.saves, "whether row {n} was saved");
        let now = b.open(&id);
        ensure_eq!(now.get::<u32>("x").await?, net.after, "the entry after row {n}");
        ensure_entry(&now, "user", Some("ada".to_owned())).await?;
    }
    Ok(())
}

/// Given a change made before the lock and taken back under it, when committed and the session is
/// used on, then the entry is as it was, in the store and in the handle.
async fn changes_taken_back_under_the_lock_net_out(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let id = a.start().await?;
    let session = a.open(&id);
    session.insert("user", "eve").await?;
    let mut locked = session.lock(Duration::ZERO).await?;
    ensure_eq!(locked.get("user")?, Some("eve".to_owned()), "the change carried along");
    locked.insert("user", "ada")?;
    locked.commit().await?;
    ensure_entry(&session, "user", Some("ada".to_owned())).await?;
    session.insert("more", 1).await?;
    session.save().await?;
    ensure_entry(&b.open(&id), "user", Some("ada".to_owned())).await?;
    ensure_entry(&b.open(&id), "more", Some(1)).await?;

    let unsaved = a.open_new();
    unsaved.insert("x", 1).await?;
    let mut locked = unsaved.lock(Duration::ZERO).await?;
    locked.remove::<u32>("x")?;
    locked.commit().await?;
    ensure_entry(&unsaved, "x", None::<u32>).await?;
    unsaved.save().await?;
    ensure_eq!(unsaved.facts().await?, None, "a session without data");
    Ok(())
}

/// A value of the application that this program cannot decode as anything but itself.
#[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug, Clone)]
struct Profile {
    name: String,
    shoe_size: Option<u8>,
    tags: Vec<String>,
}

/// Given two entries, when one is changed, then the other one survives, also if it was changed
/// meanwhile on another server, and values that nobody has read are carried over as they are.
async fn delta_write_keeps_other_keys(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let id = a.start().await?;
    let profile = Profile {
        name: "Ada Lovelace".to_owned(),
        shoe_size: None,
        tags: vec!["\u{1f600}".to_owned(), String::new()],
    };
    a.open(&id).update(|data| data.insert("profile", &profile)).await?;
    let (first, second) = (a.open(&id), b.open(&id));
    first.insert("first", 1).await?;
    second.insert("second", 2).await?;
    second.save().await?;
    first.save().await?;
    let now = b.open(&id);
    ensure_entry(&now, "profile", Some(profile)).await?;
    ensure_entry(&now, "first", Some(1)).await?;
    ensure_entry(&now, "second", Some(2)).await?;
    ensure_entry(&now, "user", Some("ada".to_owned())).await
}

/// Given a request that reads, rewrites, changes, removes and adds entries, all of which another
/// server changes before it is saved, then exactly those are written that it changed, removed or
/// added; after a clear there is what it added.
async fn save_mode_matrix(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let names = ["read", "rewritten", "changed", "removed", "untouched"];
    for clears in [false, true] {
        let id = a.start().await?;
        a.open(&id).update(|data| names.iter().try_for_each(|name| data.insert(name, 0))).await?;
        let mine = a.open(&id);
        work(&mine, clears).await?;
        b.open(&id).update(|data| names.iter().try_for_each(|name| data.insert(name, 9))).await?;
        mine.save().await?;
        let now = b.open(&id);
        let kept = (!clears).then_some(9);
        ensure_entry(&now, "read", kept).await?;
        ensure_entry(&now, "untouched", kept).await?;
        ensure_entry(&now, "removed", None::<u32>).await?;
        ensure_entry(&now, "changed", Some(1)).await?;
        ensure_entry(&now, "added", Some(1)).await?;
        // To set the value that was read is no change; after a clear it is an addition.
        ensure_entry(&now, "rewritten", Some(if clears { 0 } else { 9 })).await?;
        ensure_eq!(now.contains("user").await?, !clears, "an entry that nobody touched");
    }
    Ok(())
}

async fn work(session: &Session, clears: bool) -> Result<(), Failure> {
    let read: Option<u32> = session.get("read").await?;
    let rewritten: Option<u32> = session.get("rewritten").await?;
    if clears {
        session.clear().await?;
    }
    ensure_eq!(read, Some(0), "the entry");
    session.insert("rewritten", rewritten.unwrap_or_default()).await?;
    session.insert("changed", 1).await?;
    session.remove::<u32>("removed").await?;
    session.insert("added", 1).await?;
    Ok(())
}

/// Given a request without a cookie that stores nothing, or takes back what it stored, when it is
/// saved, then nothing is sent, and no cookie is set.
async fn session_without_data_is_not_stored(cx: Cx) -> Outcome {
    let server = Server::new(&cx, &cx.a)?;
    let session = server.open_new();
    session.save().await?;
    ensure!(session.is_empty().await?, "a new session has entries");
    session.insert("x", 1).await?;
    session.remove::<u32>("x").await?;
    session.clear().await?;
    session.set_idle_lifetime(Duration::from_secs(60)).await?;
    session.save().await?;
    session.delete().await?;
    session.cycle_id().await?;
    session.save().await?;
    ensure_eq!(server.wire.operations(), [], "the calls for a session without data");
    ensure_eq!(session.cookie_change(), CookieChange::None, "the cookie");
    ensure_eq!(session.facts().await?, None, "facts of a session that is not stored");
    Ok(())
}
