//! A PHP page and an axum service behind one address, with one session.
//!
//! ```text
//! cargo run -p example-php-and-rust      # http://127.0.0.1:3000, sessions in a temporary folder
//! ```

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    example_common::run(example_php_and_rust::serve).await
}
