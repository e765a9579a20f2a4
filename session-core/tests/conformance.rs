//! The memory store keeps the contract.

use std::process::ExitCode;

use session_conformance::{MemoryBackend, Suite};

fn main() -> ExitCode {
    Suite::new().backend(MemoryBackend::new()).run()
}
