//! A small shop: log in, count, fill a cart. Start it twice on one directory, and both programs
//! serve the same visitors.
//!
//! ```text
//! cargo run -p example-axum                            # http://127.0.0.1:3000, sessions in .sessions/
//! PORT=3001 INSTANCE=two cargo run -p example-axum     # another one, on the same sessions
//! ```

mod config;
mod page;
mod shop;
mod sweep;

use std::{
    error::Error,
    io::{IsTerminal, Write, stderr, stdout},
    process::ExitCode,
};

use config::Config;
use session_core::SessionManager;
use session_http::{SessionCookie, WebSessions};
use session_tower::SessionLayer;
use tokio::{net::TcpListener, signal};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("warn,session=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr)
        .init();
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "cannot serve");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let config = Config::from_env()?;
    let store = config.store.open().await?;
    sweep::start(&store);

    // This program speaks plain HTTP, so that `curl` and every browser can try it at once. Behind
    // TLS, delete these two lines: the default cookie is `__Host-id`, `Secure`.
    let cookie = SessionCookie::builder().name("id").without_secure().build()?;
    let sessions = WebSessions::builder(SessionManager::new(store)?).cookie(cookie).build();

    let app = shop::router(sessions.manager(), &config.instance);
    let app = app.layer(SessionLayer::new(sessions)).merge(page::router());

    let listener = TcpListener::bind((config.host.as_str(), config.port)).await?;
    writeln!(stdout(), "listening on http://{}", listener.local_addr()?)?;
    axum::serve(listener, app).with_graceful_shutdown(stop_signal()).await?;
    Ok(())
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
