//! A small shop on axum: [`serve`] sets up the sessions, `shop.rs` uses them.

mod shop;

use std::{error::Error, sync::Arc};

use axum::{
    Router,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    routing::get,
};
use example_common::{Config, PAGE, PAGE_POLICY};
use session::{
    SessionManager,
    axum::SessionLayer,
    http::{SessionCookie, WebSessions},
    layers::{Readiness, Sweeper},
};
use shop::Shop;
use tokio::{net::TcpListener, signal};

/// Serves the shop until the program is asked to stop.
///
/// # Errors
/// When the store cannot be opened, or the port is taken.
pub async fn serve(config: Config) -> Result<(), Box<dyn Error>> {
    let store = session::connect(&config.store).await?;
    // Expired sessions are absent anyway; this removes what is left of them, on one instance of
    // all.
    let sweeper = Sweeper::start(Arc::clone(&store));

    // This program speaks plain HTTP, so that `curl` and every browser can try it at once. Behind
    // TLS, delete these two lines: the default cookie is `__Host-id`, `Secure`.
    let mut cookie = SessionCookie::builder().name("id").without_secure();
    if let Some(keys) = config.keys.clone() {
        cookie = cookie.signed(keys);
    }
    let manager = SessionManager::new(Arc::clone(&store))?;
    let sessions = WebSessions::builder(manager).cookie(cookie.build()?).build();

    let readiness = Readiness::new(Arc::clone(&store));
    let shop =
        Shop { store, sessions: sessions.clone(), readiness, config: Arc::new(config.clone()) };
    let app = shop::router(shop).layer(SessionLayer::new(sessions)).merge(page());

    let listener = TcpListener::bind((config.host.as_str(), config.port)).await?;
    config.announce(listener.local_addr()?)?;
    axum::serve(listener, app).with_graceful_shutdown(stop_signal()).await?;
    sweeper.shutdown().await;
    Ok(())
}

/// The page is outside of the layer: it needs no session.
fn page() -> Router {
    PAGE.into_iter().fold(Router::new(), |router, file| {
        let headers = [
            (CONTENT_TYPE, file.kind),
            (CACHE_CONTROL, "no-cache"),
            (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        ];
        router.route(file.path, get(move || async move { (headers, file.text) }))
    })
}

/// Returns when the program is asked to stop; requests in flight are finished then.
async fn stop_signal() {
    #[cfg(unix)]
    {
        use signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = signal::ctrl_c() => return,
            }
        }
    }
    if signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
