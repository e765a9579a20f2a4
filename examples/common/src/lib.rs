//! What the shops have in common on every framework.
//!
//! Nothing here handles a session: how a framework does that is to be seen in its example.

mod config;
mod page;
mod shop;

use std::{
    error::Error,
    io::{IsTerminal, stderr},
    process::ExitCode,
};

use tracing_subscriber::EnvFilter;

pub use config::Config;
pub use page::{PAGE, PAGE_POLICY, PageFile};
pub use shop::{
    Cart, Count, Facts, Hold, ITEM, Item, Keys, LogIn, MAX_WAIT, Me, Name, Named, User, items,
};

/// Runs a shop with the settings of the environment until it ends, and says why when it cannot.
#[expect(clippy::future_not_send, reason = "actix's server stays on one thread")]
pub async fn run<F>(serve: impl FnOnce(Config) -> F) -> ExitCode
where
    F: Future<Output = Result<(), Box<dyn Error>>>,
{
    let filter = EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("warn,session=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr)
        .init();
    let served = match Config::from_env() {
        Ok(config) => serve(config).await,
        Err(error) => Err(error),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "cannot serve");
            ExitCode::FAILURE
        }
    }
}
