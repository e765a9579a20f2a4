//! A store with a layer around it keeps the contract as it does without, on memory, files and
//! Redis. The fixture of Redis is that of its own crate.

mod files;
#[expect(dead_code, reason = "it starts more kinds of servers than are needed here")]
#[path = "../../../session-redis/tests/conformance/lane.rs"]
mod lane;
#[path = "../../../session-redis/tests/conformance/monitor.rs"]
mod monitor;
mod moving;

use std::{process::ExitCode, sync::Arc};

use session_conformance::{Layered, MemoryBackend, Namespace, Suite};
use session_core::SessionStore;
use session_layers::{Encrypted, EncryptionKey, KeyRing, Observed, Phase};

use crate::{
    files::Files,
    lane::{Kind, Lane},
    moving::Moving,
};

#[expect(clippy::expect_used, reason = "a test may panic")]
fn encrypted(store: Arc<dyn SessionStore>, namespace: &Namespace) -> Arc<dyn SessionStore> {
    let key = EncryptionKey::from_bytes(b"a key of 32 bytes, or more of it").expect("a key");
    let keys = KeyRing::new([key]).expect("a ring");
    Arc::new(Encrypted::new(store, keys).namespace(namespace.as_str()))
}

fn observed(store: Arc<dyn SessionStore>, _: &Namespace) -> Arc<dyn SessionStore> {
    Arc::new(Observed::new(store))
}

fn main() -> ExitCode {
    let Ok(files) = Files::new() else { return ExitCode::FAILURE };
    let suite = Suite::new()
        .backend(Layered::new("observed-memory", MemoryBackend::new(), observed))
        .backend(Layered::new("encrypted-memory", MemoryBackend::new(), encrypted))
        .backend(Moving::new("migrating-prepared", Phase::Prepare))
        .backend(Moving::new("migrating", Phase::Move))
        .backend(Layered::new("encrypted-files", files, encrypted));
    match Kind::Redis.missing() {
        None => {
            let redis = Lane::new("redis", Kind::Redis);
            suite.backend(Layered::new("encrypted-redis", redis, encrypted))
        }
        Some(reason) => suite.missing("encrypted-redis", reason),
    }
    .run()
}
