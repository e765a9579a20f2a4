//! The pages, with the session of each crate.
//!
//! | path | does |
//! | --- | --- |
//! | `/fill/TEXT` | begins a session with that payload |
//! | `/read` | answers one entry |
//! | `/write/TEXT` | sets one entry |
//! | `/add/NAME` | sets an entry of its own, and adds one to a count that all share |
//! | `/kept/N` | answers how many of the entries `k0` to `kN` there are, and the count |

use crate::measure::Result;

const NAME: &str = "name";
pub(crate) const READ: &str = "ada";
const PAYLOAD: &str = "payload";
const COUNT: &str = "count";

/// The last two words of a path: what to do, and with what.
fn words(path: &str) -> (&str, &str) {
    path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""))
}

fn names(argument: &str) -> Result<impl Iterator<Item = String>> {
    Ok((0..argument.parse::<usize>()?).map(|n| format!("k{n}")))
}

/// With no session at all.
pub(crate) fn bare(path: &str) -> String {
    if words(path).0 == "read" { READ.to_owned() } else { String::new() }
}

/// With ours, whatever the framework.
pub(crate) async fn ours(session: &session_core::Session, path: &str) -> Result<String> {
    let (page, argument) = words(path);
    match page {
        "fill" => {
            session.insert(PAYLOAD, argument).await?;
            session.insert(NAME, READ).await?;
        }
        "read" => return Ok(session.get(NAME).await?.unwrap_or_default()),
        "write" => session.insert("written", argument).await?,
        "add" => {
            session.insert(argument, true).await?;
            session
                .update(|data| data.insert(COUNT, data.get::<u64>(COUNT)?.unwrap_or_default() + 1))
                .await?;
        }
        _ => {
            let mut kept = 0;
            for name in names(argument)? {
                kept += usize::from(session.contains(&name).await?);
            }
            let count = session.get::<u64>(COUNT).await?.unwrap_or_default();
            return Ok(format!("{kept} {count}"));
        }
    }
    Ok(String::new())
}

/// With that of tower-sessions.
pub(crate) async fn tower(session: &tower_sessions::Session, path: &str) -> Result<String> {
    let (page, argument) = words(path);
    match page {
        "fill" => {
            session.insert(PAYLOAD, argument).await?;
            session.insert(NAME, READ).await?;
        }
        "read" => return Ok(session.get(NAME).await?.unwrap_or_default()),
        "write" => session.insert("written", argument).await?,
        "add" => {
            session.insert(argument, true).await?;
            let count: u64 = session.get(COUNT).await?.unwrap_or_default();
            session.insert(COUNT, count + 1).await?;
        }
        _ => {
            let mut kept = 0;
            for name in names(argument)? {
                kept += usize::from(session.get_value(&name).await?.is_some());
            }
            let count: u64 = session.get(COUNT).await?.unwrap_or_default();
            return Ok(format!("{kept} {count}"));
        }
    }
    Ok(String::new())
}

/// With that of actix-session.
pub(crate) fn actix(session: &actix_session::Session, path: &str) -> Result<String> {
    let (page, argument) = words(path);
    let count = || session.get::<u64>(COUNT).map(Option::unwrap_or_default).map_err(failed);
    match page {
        "fill" => {
            session.insert(PAYLOAD, argument).map_err(failed)?;
            session.insert(NAME, READ).map_err(failed)?;
        }
        "read" => return Ok(session.get(NAME).map_err(failed)?.unwrap_or_default()),
        "write" => session.insert("written", argument).map_err(failed)?,
        "add" => {
            session.insert(argument, true).map_err(failed)?;
            session.insert(COUNT, count()? + 1).map_err(failed)?;
        }
        _ => {
            let kept = names(argument)?.filter(|name| session.contains_key(name)).count();
            return Ok(format!("{kept} {}", count()?));
        }
    }
    Ok(String::new())
}

/// Its errors cannot be sent between threads.
fn failed(error: impl std::fmt::Display) -> String {
    error.to_string()
}
