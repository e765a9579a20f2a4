//! The shop: each route shows one way to use a session.

use std::{sync::Arc, time::Duration};

use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use session_core::{SessionManager, SessionStore};
use session_tower::{ReadOnlySession, Result, Session};

/// Each item of the cart is an entry of its own, so that parallel requests do not meet.
const ITEM: &str = "cart:";
const MAX_ITEM: usize = 80;
const MAX_HOLD: Duration = Duration::from_secs(10);
const MAX_WAIT: Duration = Duration::from_secs(30);

#[derive(Clone)]
struct Shop {
    store: Arc<dyn SessionStore>,
    instance: Arc<str>,
}

pub(crate) fn router(sessions: &SessionManager, instance: &str) -> Router {
    let store = Arc::clone(sessions.store());
    Router::new()
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .route("/me", get(me))
        .route("/facts", get(facts))
        .route("/cart", post(add_to_cart))
        .route("/count", post(count))
        .route("/exclusive", post(count_exclusively))
        .route("/healthz", get(health))
        .with_state(Shop { store, instance: instance.into() })
}

#[derive(Deserialize)]
struct LogIn {
    user: String,
}

#[derive(Serialize)]
struct User<'a> {
    user: &'a str,
}

/// A log-in: the session gets a new id, and whoever saw the old one holds nothing.
async fn log_in(session: Session, Form(form): Form<LogIn>) -> Result<Response> {
    let user = form.user.trim();
    if user.is_empty() || user.len() > MAX_ITEM {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, "who are you?").into_response());
    }
    session.login(user).await?;
    session.insert("user", user).await?;
    Ok(Json(User { user }).into_response())
}

/// A log-out: when the response is there, the session is gone, on every instance.
async fn log_out(session: Session) -> Result<StatusCode> {
    session.delete().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize)]
struct Me {
    user: Option<String>,
    count: u64,
    cart: Vec<String>,
    instance: String,
    store: &'static str,
}

/// Read-only: one read, and no write whatever the load.
async fn me(State(shop): State<Shop>, session: ReadOnlySession) -> Result<Json<Me>> {
    let names = session.names().await?;
    Ok(Json(Me {
        user: session.get("user").await?,
        count: session.get("count").await?.unwrap_or_default(),
        cart: items(&names),
        instance: shop.instance.to_string(),
        store: shop.store.capabilities().backend,
    }))
}

fn items(names: &[String]) -> Vec<String> {
    names.iter().filter_map(|name| name.strip_prefix(ITEM)).map(Into::into).collect()
}

/// What a visitor may know of his session; times in milliseconds.
#[derive(Serialize)]
struct Facts {
    log_id: String,
    created_at: u64,
    authenticated_at: Option<u64>,
    ends_at: Option<u64>,
    idle_for: Option<u64>,
}

async fn facts(session: ReadOnlySession) -> Result<Json<Option<Facts>>> {
    let millis = |left: Duration| u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    Ok(Json(session.facts().await?.map(|facts| Facts {
        log_id: facts.log_id.to_string(),
        created_at: facts.created_at.as_millis(),
        authenticated_at: facts.authenticated_at.map(|at| at.as_millis()),
        ends_at: facts.absolute_deadline.map(|at| at.as_millis()),
        idle_for: facts.remaining.duration().map(millis),
    })))
}

#[derive(Deserialize)]
struct Item {
    item: String,
}

#[derive(Serialize)]
struct Cart {
    cart: Vec<String>,
}

/// Merge, the usual way: parallel requests run in parallel, and all items survive.
async fn add_to_cart(session: Session, Form(form): Form<Item>) -> Result<Response> {
    let item = form.item.trim();
    if item.is_empty() || item.len() > MAX_ITEM {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, "which item?").into_response());
    }
    session.insert(&format!("{ITEM}{item}"), true).await?;
    Ok(Json(Cart { cart: items(&session.names().await?) }).into_response())
}

#[derive(Serialize)]
struct Count {
    count: u64,
}

/// Read-modify-write: the closure runs on the latest data, and again if somebody was faster.
async fn count(session: Session) -> Result<Json<Count>> {
    let count = session
        .update(|data| {
            let count = data.get::<u64>("count")?.unwrap_or_default() + 1;
            data.insert("count", count)?;
            Ok(count)
        })
        .await?;
    Ok(Json(Count { count }))
}

#[derive(Deserialize)]
struct Hold {
    #[serde(default)]
    ms: u64,
}

/// Exclusive, as PHP does it: nobody else changes the session between the read and the write.
async fn count_exclusively(session: Session, Query(hold): Query<Hold>) -> Result<Json<Count>> {
    let mut locked = session.lock(MAX_WAIT).await?;
    let count = locked.get::<u64>("count")?.unwrap_or_default() + 1;
    tokio::time::sleep(Duration::from_millis(hold.ms).min(MAX_HOLD)).await;
    locked.insert("count", count)?;
    locked.commit().await?;
    Ok(Json(Count { count }))
}

async fn health(State(shop): State<Shop>) -> (StatusCode, &'static str) {
    match shop.store.ping().await {
        Ok(()) => (StatusCode::OK, "ok"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "store unavailable"),
    }
}
