#![doc = include_str!("../README.md")]

#[cfg(feature = "actix-session-011")]
mod actix_session;
#[cfg(any(
    feature = "actix-session-011",
    feature = "tower-sessions-014",
    feature = "tower-sessions-015"
))]
mod bridge;
#[cfg(any(feature = "tower-sessions-014", feature = "tower-sessions-015"))]
mod tower_sessions;

#[cfg(feature = "actix-session-011")]
pub use actix_session::ActixStore;
#[cfg(any(feature = "tower-sessions-014", feature = "tower-sessions-015"))]
pub use tower_sessions::TowerStore;
