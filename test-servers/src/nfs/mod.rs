//! A file server of Linux and two clients of it, in a kernel of their own that runs as a process.
//!
//! The kernel sees the machine's files, so that any program of the machine runs in it as it is. It
//! has one processor, and a system call takes about ten times as long.
//!
//! ```no_run
//! # async fn example() -> test_servers::Result<()> {
//! use test_servers::nfs::{CLIENTS, Guest};
//!
//! let guest = Guest::boot().await?;
//! let [one, two] = CLIENTS;
//! let done = guest.run(&format!("echo hello >{one}/file; cat {two}/file")).await?;
//! assert_eq!(done.output, "hello\n");
//! # Ok(()) }
//! ```

mod guest;

pub use guest::{Done, Guest, Running, missing};

/// The folder that the server exports, as the server sees it.
///
/// In it is a folder `small`: a file system of its own of 16 MiB, on the disk [`SMALL_DISK`], which
/// can bound what a user's files take.
pub const SERVER: &str = "/srv/x";

/// The disk of the small file system.
pub const SMALL_DISK: &str = "/dev/ubdb";

/// The folder as two clients have it mounted, with what Amazon recommends for EFS.
pub const CLIENTS: [&str; 2] = ["/mnt/c1", "/mnt/c2"];
