//! Requests of one session at the same time, through the handle: L17, L19, L41, L42.

use session_core::{ErrorKind, MergeRule, Result, Session, SessionData, SessionId};

use super::cases;
use crate::{
    context::Cx,
    outcome::{Failure, Outcome, ensure_eq, refused},
    server::{Server, ensure_entry, requests},
    together::{Effort, only_winner},
};

cases! {
    "L17" racing_saves_that_must_not_merge_have_one_winner;
    "L19" retry_closure_converges;
    "L19" a_thousand_updates_count_to_a_thousand;
    "L19" update_sees_what_was_saved_last;
    "L41" unlocked_parallel_disjoint_keys_merge;
    "L41" a_session_read_once_is_merged_again_and_again;
    "L42" unlocked_same_key_last_save_wins;
    "L42" unlocked_same_key_conflict_if_declared;
    "L42" unlocked_same_key_merges_if_declared;
}

/// Given 16 requests on two servers that have read one state, when all save an entry that must not
/// be merged, then one succeeds, the others are in conflict, and the entry is the winner's.
async fn racing_saves_that_must_not_merge_have_one_winner(cx: Cx) -> Outcome {
    let servers =
        Server::both_with(&cx, |settings| settings.merge_rule("choice", MergeRule::Fail)).await?;
    let [a, b] = &servers;
    let id = a.start().await?;
    let wanted = id.clone();
    let outcomes = requests(
        &servers,
        16,
        move |n, server| {
            let session = server.open(&wanted);
            async move { session.insert("choice", n).await.map(|()| session).map_err(Into::into) }
        },
        |_, session: Session| async move { Ok(session.save().await) },
    )
    .await?;
    let (winner, ()) = only_winner(outcomes, ErrorKind::Conflict, "saves of one entry")?;
    ensure_entry(&b.open(&id), "choice", Some(winner)).await
}

fn count_up(data: &mut SessionData) -> Result<u64> {
    let count = data.get::<u64>("count")?.unwrap_or_default() + 1;
    data.insert("count", count)?;
    Ok(count)
}

/// Counts up on two servers and checks that no count is lost or returned twice; returns the sum.
async fn count_together(
    cx: &Cx,
    workers: usize,
    goes_on: impl Fn(usize) -> bool + Clone + Send + Sync + 'static,
) -> Result<usize, Failure> {
    let servers = Server::both(cx).await?;
    let [a, b] = &servers;
    let id = a.start().await?;
    let wanted = id.clone();
    let counts = requests(
        &servers,
        workers,
        |_, server| async move { Ok(server) },
        move |_, server: Server| {
            let (id, goes_on) = (wanted.clone(), goes_on.clone());
            async move {
                let mut counts = Vec::new();
                while goes_on(counts.len()) {
                    counts.push(server.open(&id).update(count_up).await?);
                }
                Ok(counts)
            }
        },
    );
    let mut counts: Vec<_> = counts.await?.into_iter().flatten().collect();
    counts.sort_unstable();
    let sum = counts.len();
    ensure_entry(&b.open(&id), "count", u64::try_from(sum).ok()).await?;
    let all = (1..).take(sum).collect::<Vec<_>>();
    ensure_eq!(counts == all, true, "each count was returned once");
    Ok(sum)
}

/// Given 16 writers on two servers that count up by `update`, then all their effects are there.
async fn retry_closure_converges(cx: Cx) -> Outcome {
    let effort = Effort::times(1, 20);
    let sum = count_together(&cx, 16, move |done| effort.goes_on(done)).await?;
    cx.note(format!("{sum} updates by 16 writers"));
    Ok(())
}

/// Given a thousand updates on two servers, 20 at a time, then they count to a thousand: to as
/// many as a slow store gets done in half a minute.
async fn a_thousand_updates_count_to_a_thousand(cx: Cx) -> Outcome {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let goes_on = move |done| done < 50 && (done < 2 || std::time::Instant::now() < until);
    let sum = count_together(&cx, 20, goes_on).await?;
    cx.note(format!("{sum} updates by 20 writers"));
    Ok(())
}

/// Given a handle that has read the session, when others save and it then updates, then the closure
/// sees what was saved last, and the changes made through the handle before are saved along.
async fn update_sees_what_was_saved_last(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let id = a.start().await?;
    let session = a.open(&id);
    session.insert("before", 1).await?;
    b.open(&id).update(count_up).await?;
    ensure_eq!(session.update(count_up).await?, 2, "the count that the closure returned");
    let now = b.open(&id);
    ensure_entry(&now, "count", Some(2)).await?;
    ensure_entry(&now, "before", Some(1)).await?;
    // What fails is not saved.
    let outcome = session
        .update(|data| {
            count_up(data)?;
            data.get::<String>("count")
        })
        .await;
    refused(outcome, ErrorKind::Corrupt, "a closure that fails")?;
    ensure_entry(&b.open(&id), "count", Some(2)).await
}

/// Given 50 parallel requests on two servers, when each saves an entry of its own, then all 50 are
/// there.
async fn unlocked_parallel_disjoint_keys_merge(cx: Cx) -> Outcome {
    let servers = Server::both(&cx).await?;
    let [a, b] = &servers;
    let id = a.start().await?;
    let wanted = id.clone();
    requests(
        &servers,
        50,
        move |n, server| {
            let session = server.open(&wanted);
            async move {
                session.insert(&format!("item{n}"), n).await?;
                Ok(session)
            }
        },
        |_, session: Session| async move { Ok(session.save().await?) },
    )
    .await?;
    let now = b.open(&id);
    for n in 0..50 {
        ensure_entry(&now, &format!("item{n}"), Some(n)).await?;
    }
    ensure_entry(&now, "user", Some("ada".to_owned())).await
}

/// Given two handles that are kept, when they are saved by turns, then each save is merged onto the
/// other's.
async fn a_session_read_once_is_merged_again_and_again(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let id = a.start().await?;
    let (first, second) = (a.open(&id), b.open(&id));
    for n in 0..5 {
        first.insert(&format!("first{n}"), n).await?;
        second.insert(&format!("second{n}"), n).await?;
        first.save().await?;
        second.save().await?;
    }
    let now = a.open(&id);
    for n in 0..5 {
        ensure_entry(&now, &format!("first{n}"), Some(n)).await?;
        ensure_entry(&now, &format!("second{n}"), Some(n)).await?;
    }
    Ok(())
}

/// Two requests that have read one state of the entry `x`: the first to be saved, and the second.
async fn two_requests(
    servers: &[Server; 2],
    id: &SessionId,
    before: &Option<Vec<u32>>,
) -> Result<(Session, Session), Failure> {
    let [a, b] = servers;
    a.open(id).update(|data| set(data, before)).await?;
    let (first, second) = (a.open(id), b.open(id));
    first.names().await?;
    second.names().await?;
    Ok((first, second))
}

fn set(data: &mut SessionData, value: &Option<Vec<u32>>) -> Result<()> {
    match value {
        Some(value) => data.insert("x", value),
        None => data.remove::<Vec<u32>>("x").map(drop),
    }
}

async fn save(session: &Session, value: &Option<Vec<u32>>) -> Result<()> {
    match value {
        Some(value) => session.insert("x", value).await?,
        None => drop(session.remove::<Vec<u32>>("x").await?),
    }
    session.save().await
}

/// Given one entry that two requests change, when both are saved and no rule was set, then the
/// last save wins, also when it removes the entry or the other one did.
async fn unlocked_same_key_last_save_wins(cx: Cx) -> Outcome {
    let servers = Server::both(&cx).await?;
    let id = servers[0].start().await?;
    let (old, one, two) = (Some(vec![0]), Some(vec![1]), Some(vec![2]));
    for (before, mine, theirs) in
        [(&old, &one, &two), (&None, &one, &two), (&old, &one, &None), (&old, &None, &two)]
    {
        let (first, second) = two_requests(&servers, &id, before).await?;
        save(&first, mine).await?;
        save(&second, theirs).await?;
        ensure_entry(&servers[0].open(&id), "x", theirs.clone()).await?;
        // The handle that was saved first does not write its entry again.
        first.insert("more", 1).await?;
        first.save().await?;
        ensure_entry(&servers[1].open(&id), "x", theirs.clone()).await?;
    }
    Ok(())
}

/// Given one entry that two requests change, when conflicts are to fail, then the second save does,
/// nothing of it is written, and equal changes are none.
async fn unlocked_same_key_conflict_if_declared(cx: Cx) -> Outcome {
    let servers =
        Server::both_with(&cx, |settings| settings.default_merge_rule(MergeRule::Fail)).await?;
    let id = servers[0].start().await?;
    let (old, one, two) = (Some(vec![0]), Some(vec![1]), Some(vec![2]));
    for (mine, theirs) in [(&one, &two), (&one, &None), (&None, &two)] {
        let (first, second) = two_requests(&servers, &id, &old).await?;
        second.insert("beside", 1).await?;
        save(&first, mine).await?;
        refused(save(&second, theirs).await, ErrorKind::Conflict, "the second save")?;
        let now = servers[1].open(&id);
        ensure_entry(&now, "x", mine.clone()).await?;
        ensure_entry(&now, "beside", None::<u32>).await?;
    }
    let (first, second) = two_requests(&servers, &id, &old).await?;
    second.insert("beside", 1).await?;
    save(&first, &one).await?;
    save(&second, &one).await?;
    ensure_entry(&servers[0].open(&id), "x", one).await?;
    ensure_entry(&servers[0].open(&id), "beside", Some(1)).await
}

/// Given one entry that two requests change, when a rule merges it, then both changes count.
async fn unlocked_same_key_merges_if_declared(cx: Cx) -> Outcome {
    let servers = Server::both_with(&cx, |settings| {
        settings
            .merge_rule("hits", MergeRule::Counter)
            .merge_rule("record", MergeRule::Max)
            .merge_rule("tags", MergeRule::Union)
    })
    .await?;
    let [a, b] = &servers;
    let id = a.start().await?;
    a.open(&id)
        .update(|data| {
            data.insert("hits", 10)?;
            data.insert("record", 5)?;
            data.insert("tags", ["old", "stale"])
        })
        .await?;
    let (first, second) = (a.open(&id), b.open(&id));
    first.insert("hits", 13).await?;
    second.insert("hits", 11).await?;
    first.insert("record", 9).await?;
    second.insert("record", 7).await?;
    first.insert("tags", ["old", "first"]).await?;
    second.insert("tags", ["old", "stale", "second"]).await?;
    first.save().await?;
    second.save().await?;
    let now = a.open(&id);
    ensure_entry(&now, "hits", Some(14)).await?;
    ensure_entry(&now, "record", Some(9)).await?;
    let mut tags: Vec<String> = now.get("tags").await?.unwrap_or_default();
    tags.sort_unstable();
    ensure_eq!(tags, ["first", "old", "second"], "the set");
    Ok(())
}
