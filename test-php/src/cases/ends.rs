//! How sessions end: by destruction, rotation, expiry.

use std::time::Duration;

use super::{Case, Played, ensure};
use crate::{Command, Gc, Result, Worker, peer::LIFETIME};

const CANNOT_AGE: &str = "the fixture cannot make sessions older";
const STRICT: &str = "PHP has no strict mode here";

/// A session with one variable.
async fn made_by(side: &mut Worker) -> Result<String> {
    let id = side.must(&Command::start_new()).await?.id;
    side.must(&Command::set("a", 1)).await?;
    side.must(&Command::Close).await?;
    Ok(id)
}

/// Whether the side finds something in a session.
async fn finds(side: &mut Worker, id: &str) -> Result<bool> {
    let found = side.must(&Command::start(id)).await?;
    side.must(&Command::Abort).await?;
    Ok(found.id == id && found.vars.contains_key("a"))
}

async fn destroyed(destroyer: &mut Worker, other: &mut Worker) -> Result<Played> {
    let id = made_by(other).await?;
    destroyer.must(&Command::start(&id)).await?;
    destroyer.must(&Command::Destroy).await?;
    ensure!(!finds(other, &id).await?, "the session is there");
    Ok(Played::Yes)
}

pub(super) async fn rust_does_not_find_what_php_destroyed(case: Case) -> Result<Played> {
    let [mut php, mut rust] = case.both()?;
    destroyed(&mut php, &mut rust).await
}

pub(super) async fn php_does_not_find_what_rust_destroyed(case: Case) -> Result<Played> {
    let [mut php, mut rust] = case.both()?;
    destroyed(&mut rust, &mut php).await
}

/// Both rotate in both ways; says what is found under the old ids afterwards.
async fn rotated(case: &Case, delete: bool) -> Result<Vec<bool>> {
    let [mut php, mut rust] = case.both()?;
    let mut left = Vec::new();
    for php_rotates in [true, false] {
        let (rotator, other) =
            if php_rotates { (&mut php, &mut rust) } else { (&mut rust, &mut php) };
        let old = made_by(other).await?;
        rotator.must(&Command::start(&old)).await?;
        let new = rotator.must(&Command::Regenerate { delete }).await?.id;
        ensure!(new != old, "the id has stayed");
        rotator.must(&Command::Close).await?;
        ensure!(finds(other, &new).await?, "nothing under the new id");
        left.push(finds(other, &old).await?);
    }
    Ok(left)
}

pub(super) async fn both_follow_a_rotation_of_the_other(case: Case) -> Result<Played> {
    let left = rotated(&case, false).await?;
    ensure!(left == [true, true], "left under the old ids: {left:?}");
    Ok(Played::Yes)
}

pub(super) async fn what_a_rotation_deletes_is_gone_for_both(case: Case) -> Result<Played> {
    let left = rotated(&case, true).await?;
    ensure!(left == [false, false], "left under the old ids: {left:?}");
    Ok(Played::Yes)
}

pub(super) async fn strict_mode_knows_the_sessions_of_rust(case: Case) -> Result<Played> {
    if !case.promises.strict {
        return Ok(Played::No(STRICT));
    }
    let (mut php, mut rust) = (case.strict_php()?, case.rust()?);
    let id = made_by(&mut rust).await?;
    ensure!(finds(&mut php, &id).await?, "PHP did not take the id");
    let unknown = format!("{}0", id.get(1..).unwrap_or_default());
    let found = php.must(&Command::start(&unknown)).await?;
    ensure!(found.id != unknown, "PHP took an id that nobody made");
    Ok(Played::Yes)
}

pub(super) async fn gc_of_either_side_removes_what_has_expired_and_nothing_else(
    case: Case,
) -> Result<Played> {
    for php_cleans in [true, false] {
        if php_cleans && case.promises.gc == Gc::Nothing {
            continue;
        }
        let [mut php, mut rust] = case.both()?;
        let old = [made_by(&mut php).await?, made_by(&mut rust).await?];
        for id in &old {
            if !case.place.age(id, LIFETIME + Duration::from_secs(5)).await? {
                return Ok(Played::No(CANNOT_AGE));
            }
        }
        let live = [made_by(&mut php).await?, made_by(&mut rust).await?];
        let removed = if php_cleans {
            php.must(&Command::start_new()).await?;
            let removed = php.must(&Command::Gc).await?.number;
            php.must(&Command::Close).await?;
            removed
        } else {
            rust.must(&Command::Gc).await?.number
        };
        match case.promises.gc {
            Gc::Counts => ensure!(removed == 2, "{removed} removed, by PHP: {php_cleans}"),
            Gc::ByServer => {}
            Gc::Nothing => ensure!(php_cleans || removed == 2, "{removed} removed"),
            // Placeholders of sessions that were only looked at may have gone as well.
            Gc::AtClose => ensure!(php_cleans || removed >= 2, "{removed} removed"),
        }
        for id in old {
            // PHP reads what has expired for as long as it is stored.
            ensure!(!finds(&mut php, &id).await?, "it is stored; removed by PHP: {php_cleans}");
        }
        for id in live {
            ensure!(finds(&mut rust, &id).await? && finds(&mut php, &id).await?, "it is gone");
        }
    }
    Ok(Played::Yes)
}

pub(super) async fn an_expired_session_is_absent_for_rust(case: Case) -> Result<Played> {
    let [mut php, mut rust] = case.both()?;
    for id in [made_by(&mut php).await?, made_by(&mut rust).await?] {
        if !case.place.age(&id, LIFETIME / 2).await? {
            return Ok(Played::No(CANNOT_AGE));
        }
        ensure!(finds(&mut rust, &id).await?, "gone after half of its life");
        case.place.age(&id, LIFETIME / 2 + Duration::from_secs(5)).await?;
        ensure!(!finds(&mut rust, &id).await?, "there after its life");
    }
    Ok(Played::Yes)
}

pub(super) async fn either_side_keeps_a_session_alive(case: Case) -> Result<Played> {
    for php_touches in [true, false] {
        let [mut php, mut rust] = case.both()?;
        let id = made_by(&mut php).await?;
        if !case.place.age(&id, LIFETIME * 3 / 4).await? {
            return Ok(Played::No(CANNOT_AGE));
        }
        let side = if php_touches { &mut php } else { &mut rust };
        side.must(&Command::start(&id)).await?;
        side.must(&Command::Close).await?;
        case.place.age(&id, LIFETIME / 2).await?;
        ensure!(finds(&mut rust, &id).await?, "it has expired; touched by PHP: {php_touches}");
    }
    Ok(Played::Yes)
}
