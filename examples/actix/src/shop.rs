//! The shop: each route shows one way to use a session.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    web::{Data, Form, Json, Query, ServiceConfig, get, post},
};
use example_common::{
    Cart, Config, Count, Facts, Hold, Item, Keys, LogIn, MAX_WAIT, Me, Name, Named, User, items,
};
use session::{
    SessionStore,
    actix::{ReadOnlySession, Result, Session},
    http::WebSessions,
    layers::{Health, Readiness},
};

pub(crate) struct Shop {
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) sessions: WebSessions,
    pub(crate) readiness: Readiness,
    pub(crate) config: Config,
}

pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .route("/login", post().to(log_in))
        .route("/logout", post().to(log_out))
        .route("/me", get().to(me))
        .route("/facts", get().to(facts))
        .route("/cart", post().to(add_to_cart))
        .route("/count", post().to(count))
        .route("/exclusive", post().to(count_exclusively))
        .route("/test/index", get().to(name))
        .route("/healthz", get().to(health))
        .route("/keys", get().to(keys));
}

/// A log-in: the session gets a new id, and whoever saw the old one holds nothing.
async fn log_in(session: Session, form: Form<LogIn>) -> Result<HttpResponse> {
    let Some(user) = form.user() else {
        return Ok(HttpResponse::UnprocessableEntity().body("who are you?"));
    };
    session.login(user).await?;
    session.insert("user", user).await?;
    Ok(HttpResponse::Ok().json(User { user }))
}

/// A log-out: when the response is there, the session is gone, on every instance.
async fn log_out(session: Session) -> Result<HttpResponse> {
    session.delete().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Read-only: one read, and no write whatever the load.
async fn me(shop: Data<Shop>, session: ReadOnlySession) -> Result<Json<Me>> {
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
async fn add_to_cart(session: Session, item: Form<Item>) -> Result<HttpResponse> {
    let Some(entry) = item.entry() else {
        return Ok(HttpResponse::UnprocessableEntity().body("which item?"));
    };
    session.insert(&entry, true).await?;
    Ok(HttpResponse::Ok().json(Cart { cart: items(&session.names().await?) }))
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
async fn count_exclusively(session: Session, hold: Query<Hold>) -> Result<Json<Count>> {
    let mut locked = session.lock(MAX_WAIT).await?;
    let count = locked.get::<u64>("count")?.unwrap_or_default() + 1;
    tokio::time::sleep(hold.time()).await;
    locked.insert("count", count)?;
    locked.commit().await?;
    Ok(Json(Count { count }))
}

/// Stores a name, if one is given, and shows the one that is stored, in which session, and who
/// looked: ask again, and see whether all instances know it.
async fn name(shop: Data<Shop>, session: Session, given: Query<Name>) -> Result<Json<Named>> {
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
async fn keys(shop: Data<Shop>) -> Json<Keys> {
    let seen = shop.sessions.diagnostics();
    Json(Keys::of(&shop.config.instance, shop.config.keys.as_ref(), seen))
}

/// For the load balancer. Slow is better than not at all: going away would make it slower for the
/// others.
async fn health(shop: Data<Shop>) -> HttpResponse {
    let health = shop.readiness.check().await;
    match health {
        Health::Ready | Health::Slow => HttpResponse::Ok().body(health.to_string()),
        _ => HttpResponse::ServiceUnavailable().body(health.to_string()),
    }
}
