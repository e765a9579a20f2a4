//! A server for each contender, in threads of its own.

use std::{
    future::Future,
    net::{SocketAddr, TcpListener},
    thread,
};

use actix_web::{App, HttpRequest, HttpServer, cookie::Key, web};
use axum::{
    Router,
    http::{StatusCode, Uri},
    serve::ListenerExt,
};
use session_compat::{ActixStore, TowerStore};
use session_core::{MergeRule, SessionManager};
use session_redis::RedisStore;
use tower_sessions::SessionManagerLayer;
use tower_sessions_redis_store::RedisStore as TowerRedisStore;

use super::pages;
use crate::{
    WORKERS,
    measure::{Error, Result},
    redis::fred,
};

/// An answer of axum's.
type Answer = std::result::Result<String, StatusCode>;

fn answer(outcome: Result<String>) -> Answer {
    outcome.map_err(|_error| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn manager(url: &str) -> Result<SessionManager> {
    Ok(SessionManager::new(RedisStore::open(url).await?)?)
}

pub(crate) fn bare_axum() -> Result<SocketAddr> {
    on_axum(async || Ok(Router::new().fallback(async |uri: Uri| pages::bare(uri.path()))))
}

pub(crate) fn bare_actix() -> Result<SocketAddr> {
    on_actix(async |listener| {
        let page = async |request: HttpRequest| pages::bare(request.path());
        let server = HttpServer::new(move || App::new().default_service(web::to(page)));
        Ok(server.workers(WORKERS).listen(listener)?.run().await?)
    })
}

pub(crate) fn session_tower(url: String) -> Result<SocketAddr> {
    on_axum(async move || {
        let page = async |session: session_tower::Session, uri: Uri| {
            answer(pages::ours(&session.into_inner(), uri.path()).await)
        };
        let layer = session_tower::SessionLayer::new(manager(&url).await?);
        Ok(Router::new().fallback(page).layer(layer))
    })
}

pub(crate) fn tower_sessions(url: String) -> Result<SocketAddr> {
    on_axum(async move || Ok(tower(TowerRedisStore::new(fred::connect(&url).await?))))
}

pub(crate) fn tower_sessions_on_ours(url: String) -> Result<SocketAddr> {
    on_axum(async move || {
        let manager = TowerStore::manager(RedisStore::open(&url).await?);
        let manager = manager.merge_rule("count", MergeRule::Counter).build()?;
        Ok(tower(TowerStore::from_manager(manager)?))
    })
}

fn tower(store: impl tower_sessions::SessionStore + Clone) -> Router {
    let page = async |session: tower_sessions::Session, uri: Uri| {
        answer(pages::tower(&session, uri.path()).await)
    };
    Router::new().fallback(page).layer(SessionManagerLayer::new(store))
}

pub(crate) fn session_actix(url: String) -> Result<SocketAddr> {
    on_actix(async move |listener| {
        let manager = manager(&url).await?;
        let server = HttpServer::new(move || {
            App::new().wrap(session_actix::SessionMiddleware::new(manager.clone())).default_service(
                web::to(async |session: session_actix::Session, request: HttpRequest| {
                    refused(pages::ours(&session.into_inner(), request.path()).await)
                }),
            )
        });
        Ok(server.workers(WORKERS).listen(listener)?.run().await?)
    })
}

pub(crate) fn actix_session(url: String) -> Result<SocketAddr> {
    on_actix(async move |listener| {
        let store = actix_session::storage::RedisSessionStore::new(url).await;
        actix(store.map_err(|error| error.to_string())?, listener).await
    })
}

pub(crate) fn actix_session_on_ours(url: String) -> Result<SocketAddr> {
    on_actix(async move |listener| {
        let manager = ActixStore::manager(RedisStore::open(&url).await?);
        let manager = manager.merge_rule("count", MergeRule::Counter).build()?;
        actix(ActixStore::from_manager(manager)?, listener).await
    })
}

async fn actix<S>(store: S, listener: TcpListener) -> Result<()>
where
    S: actix_session::storage::SessionStore + Clone + Send + 'static,
{
    let key = Key::generate();
    let server = HttpServer::new(move || {
        App::new()
            .wrap(actix_session::SessionMiddleware::new(store.clone(), key.clone()))
            .default_service(web::to(
                async |session: actix_session::Session, request: HttpRequest| {
                    refused(pages::actix(&session, request.path()))
                },
            ))
    });
    Ok(server.workers(WORKERS).listen(listener)?.run().await?)
}

fn refused(outcome: Result<String>) -> actix_web::Result<String> {
    outcome.map_err(actix_web::error::ErrorInternalServerError)
}

fn on_axum<F>(make: impl FnOnce() -> F + Send + 'static) -> Result<SocketAddr>
where
    F: Future<Output = Result<Router>>,
{
    in_threads(|listener| {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(WORKERS).enable_all().build()?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
            Ok(axum::serve(listener, make().await?).await?)
        })
    })
}

fn on_actix<F>(serve: impl FnOnce(TcpListener) -> F + Send + 'static) -> Result<SocketAddr>
where
    F: Future<Output = Result<()>>,
{
    in_threads(|listener| actix_web::rt::System::new().block_on(serve(listener)))
}

/// Until the end of the program. Who connects before it serves waits; if it cannot, he is told by a
/// closed connection, and why is printed.
fn in_threads(
    serve: impl FnOnce(TcpListener) -> std::result::Result<(), Error> + Send + 'static,
) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        if let Err(error) = serve(listener) {
            eprintln!("\na server ended: {error}");
        }
    });
    Ok(address)
}
