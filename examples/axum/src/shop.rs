//! The shop: each route shows one way to use a session.

use std::sync::Arc;

use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use example_common::{
    Cart, Config, Count, Facts, Hold, Item, Keys, LogIn, MAX_WAIT, Me, Name, Named, User, items,
};
use session::{
    SessionStore,
    axum::{ReadOnlySession, Result, Session},
    http::WebSessions,
    layers::{Health, Readiness},
};

#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) sessions: WebSessions,
    pub(crate) readiness: Readiness,
    pub(crate) config: Arc<Config>,
}

pub(crate) fn router(shop: Shop) -> Router {
    Router::new()
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .route("/me", get(me))
        .route("/facts", get(facts))
        .route("/cart", post(add_to_cart))
        .route("/count", post(count))
        .route("/exclusive", post(count_exclusively))
        .route("/test/index", get(name))
        .route("/healthz", get(health))
        .route("/keys", get(keys))
        .with_state(shop)
}

/// A log-in: the session gets a new id, and whoever saw the old one holds nothing.
async fn log_in(session: Session, Form(form): Form<LogIn>) -> Result<Response> {
    let Some(user) = form.user() else {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, "who are you?").into_response());
    };
    session.login(user).await?;
    session.insert("user", user).await?;
    Ok(Json(User { user }).into_response())
}

/// A log-out: when the response is there, the session is gone, on every instance.
async fn log_out(session: Session) -> Result<StatusCode> {
    session.delete().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Read-only: one read, and no write whatever the load.
async fn me(State(shop): State<Shop>, session: ReadOnlySession) -> Result<Json<Me>> {
    Ok(Json(Me {
        user: session.get("user").await?,
        count: session.get("count").await?.unwrap_or_default(),
        cart: items(&session.names().await?),
        instance: shop.config.instance.clone(),
        store: shop.store.capabilities().backend,
    }))
}

async fn facts(session: ReadOnlySession) -> Result<Json<Option<Facts>>> {
    Ok(Json(session.facts().await?.map(Facts::from)))
}

/// Merge, the usual way: parallel requests run in parallel, and all items survive.
async fn add_to_cart(session: Session, Form(item): Form<Item>) -> Result<Response> {
    let Some(entry) = item.entry() else {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, "which item?").into_response());
    };
    session.insert(&entry, true).await?;
    Ok(Json(Cart { cart: items(&session.names().await?) }).into_response())
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

/// Exclusive, as PHP does it: nobody else changes the session between the read and the write.
async fn count_exclusively(session: Session, Query(hold): Query<Hold>) -> Result<Json<Count>> {
    let mut locked = session.lock(MAX_WAIT).await?;
    let count = locked.get::<u64>("count")?.unwrap_or_default() + 1;
    tokio::time::sleep(hold.time()).await;
    locked.insert("count", count)?;
    locked.commit().await?;
    Ok(Json(Count { count }))
}

/// Stores a name, if one is given, and shows the one that is stored, in which session, and who
/// looked: ask again, and see whether all instances know it.
async fn name(
    State(shop): State<Shop>,
    session: Session,
    Query(given): Query<Name>,
) -> Result<Json<Named>> {
    if let Some(name) = given.name() {
        session.insert("name", name).await?;
        session.save().await?;
    }
    Ok(Json(Named {
        name: session.get("name").await?,
        session: session.facts().await?.map(|facts| facts.log_id.to_string()),
        instance: shop.config.instance.clone(),
    }))
}

/// Whether the instances share their keys. Only ids of keys are shown.
async fn keys(State(shop): State<Shop>) -> Json<Keys> {
    let seen = shop.sessions.diagnostics();
    Json(Keys::of(&shop.config.instance, shop.config.keys.as_ref(), seen))
}

/// For the load balancer. Slow is better than not at all: going away would make it slower for the
/// others.
async fn health(State(shop): State<Shop>) -> (StatusCode, String) {
    let health = shop.readiness.check().await;
    let status = match health {
        Health::Ready | Health::Slow => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, health.to_string())
}
