//! The scenarios that every shop is driven by, over plain HTTP and in a browser, on every store.

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let target = scratch.parent().unwrap_or(scratch);
    example_driver::Example::new("actix", env!("CARGO_BIN_EXE_example-actix"), target).test()
}
