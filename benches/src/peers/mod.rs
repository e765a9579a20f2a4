//! Other crates' stores, one module a crate.

mod actix_session;
mod axum_session;
mod tower_sessions;
mod tower_sessions_sql;

use crate::{
    measure::{Contender, Result},
    redis,
    setup::Setup,
    sql,
};

/// Why a crate that one may miss here is not here.
pub(crate) const LEFT_OUT: &[(&str, &str)] = &[
    ("ruts", "needs HEXPIRE of Redis 7.4, which neither Redis 7.0 nor Valkey 8 has"),
    ("pavex_session", "pins matchit and does not resolve together with the others"),
    ("rocket-session-store", "blocks, and opens a connection for each operation"),
    ("async-session", "unmaintained since 2021, on async-std"),
];

/// All stores of other crates that run on Redis.
pub(crate) async fn on_redis(place: &redis::Place, setup: &Setup) -> Result<Vec<Contender>> {
    let mut all = tower_sessions::contenders(place, setup).await?;
    if !place.is_cluster() {
        all.extend(actix_session::contenders(place, setup).await?);
        all.extend(axum_session::contenders(place, setup).await?);
    }
    Ok(all)
}

/// All stores of other crates that run on a database.
pub(crate) async fn on_sql(place: &sql::Place, setup: &Setup) -> Result<Vec<Contender>> {
    tower_sessions_sql::contenders(place, setup).await
}
