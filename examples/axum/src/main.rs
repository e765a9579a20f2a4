//! A small shop: log in, count, fill a cart. Start it twice on one directory, and both programs
//! serve the same visitors.
//!
//! ```text
//! cargo run -p example-axum                            # http://127.0.0.1:3000, sessions in .sessions/
//! PORT=3001 INSTANCE=two cargo run -p example-axum     # another one, on the same sessions
//! ```

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    example_common::run(example_axum::serve).await
}
