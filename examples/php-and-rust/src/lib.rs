//! A PHP page and an axum service behind one address, with one session.
//!
//! [`serve`] starts both and opens PHP's sessions for the Rust side; `rust.rs` and `php/index.php` are
//! the two sides of the application, and do the same; `settings.rs` is what they must agree on;
//! `front.rs` is the one address.

mod front;
mod page;
mod rust;
mod settings;

use std::error::Error;

use axum::{Router, response::Redirect, routing::get};
use example_common::Config;
use session::{
    SessionManager,
    axum::SessionLayer,
    core::IdForm,
    http::WebSessions,
    php::{PhpFormat, SerializeHandler},
};
use tokio::{
    net::TcpListener,
    signal::{
        ctrl_c,
        unix::{SignalKind, signal},
    },
};

use crate::{front::Php, settings::Settings};

/// Serves both sides until the program is asked to stop.
///
/// # Errors
/// When there is no PHP, the store cannot be opened, or the port is taken.
pub async fn serve(config: Config) -> Result<(), Box<dyn Error>> {
    let settings = Settings::from_env()?;
    let php = Php::start(&settings).await?;

    // PHP's sessions: where it keeps them, as it writes them, under ids of its form.
    let store = session::php::connect(settings.ini()).await?;
    let manager = SessionManager::builder(store)
        .format(PhpFormat::new(SerializeHandler::Php))
        .id_form(IdForm::Php)
        .lifetime(settings::LIFETIME)
        .build()?;
    let sessions = WebSessions::builder(manager).cookie(settings::cookie()?).build();

    let app = Router::new()
        .route("/", get(|| async { Redirect::to("/rust/") }))
        .merge(rust::router().layer(SessionLayer::new(sessions)))
        .merge(page::style())
        .merge(php.router());
    let listener = TcpListener::bind((config.host.as_str(), config.port)).await?;
    config.announce(listener.local_addr()?)?;
    axum::serve(listener, app).with_graceful_shutdown(stop_signal()).await?;
    Ok(())
}

/// Returns when the program is asked to stop; requests in flight are finished then.
async fn stop_signal() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = ctrl_c() => {}
    }
}
