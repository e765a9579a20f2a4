//! Rust's side of the application; `php/index.php` is the other.

use axum::{
    Form, Router,
    response::{Html, Redirect},
    routing::{get, post},
};
use serde::Deserialize;
use session::axum::{ReadOnlySession, Result, Session};

use crate::page::{self, Shown};

/// Who changed the session last.
const BY: &str = "Rust";

pub(crate) fn router() -> Router {
    Router::new()
        .route("/rust/", get(show))
        .route("/rust/count", post(count))
        .route("/rust/login", post(log_in))
        .route("/rust/logout", post(log_out))
}

async fn show(session: ReadOnlySession) -> Result<Html<String>> {
    Ok(page::page(&Shown {
        user: session.get("user").await?,
        count: session.get("count").await?.unwrap_or_default(),
        by: session.get("by").await?,
        session: session.facts().await?.map(|facts| facts.log_id.to_string()),
    }))
}

/// Exactly once, whoever counts on either side at the same time: PHP holds its lock from `session_start`
/// on, which `update` waits for.
async fn count(session: Session) -> Result<Redirect> {
    session
        .update(|data| {
            let count = data.get::<u64>("count")?.unwrap_or_default() + 1;
            data.insert("count", count)?;
            data.insert("by", BY)
        })
        .await?;
    Ok(back())
}

#[derive(Deserialize)]
struct LogIn {
    user: String,
}

/// What PHP's side takes for a log-in: a variable. The session gets a new id, so that whoever saw the old
/// one holds nothing.
async fn log_in(session: Session, Form(LogIn { user }): Form<LogIn>) -> Result<Redirect> {
    let user = user.trim();
    if !user.is_empty() && user.len() <= 80 {
        session.insert("user", user).await?;
        session.insert("by", BY).await?;
        session.cycle_id().await?;
    }
    Ok(back())
}

async fn log_out(session: Session) -> Result<Redirect> {
    session.delete().await?;
    Ok(back())
}

fn back() -> Redirect {
    Redirect::to("/rust/")
}
