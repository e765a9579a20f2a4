//! Real servers for tests and benchmarks, started on free ports in directories of their own, and
//! the ways to break them.
//!
//! A handle owns its processes: they end when it is dropped, and also when the test program is
//! killed. Every wait has a deadline; an error quotes the server's log.
//!
//! | module | servers |
//! | --- | --- |
//! | [`dynamodb`] | Amazon's DynamoDB Local, and a proxy that throttles and fails |
//! | [`memcached`] | Memcached |
//! | [`redis`] | Redis and Valkey: one server, a pair under Sentinel, a cluster |
//! | [`sql`] | MariaDB, Oracle's MySQL, PostgreSQL; PgBouncer in front of it |
//! | [`haproxy`] | HAProxy, a load balancer |
//! | [`nfs`] | a file server of Linux and two clients of it, in a kernel that runs as a process |
//! | [`php`] | none; PHP that answers questions on its standard input, or HTTP |
//! | [`proxy`] | none; a proxy that stands between a client and any server and loses things |
//!
//! [`Program`] is any other program, which can be killed as well. [`trial`] makes tests that are ignored, with the reason, where a server is not installed.

mod certificates;
mod directory;
pub mod dynamodb;
mod error;
pub mod haproxy;
pub mod memcached;
pub mod nfs;
pub mod php;
mod ports;
mod proc;
mod process;
mod program;
mod programs;
pub mod proxy;
pub mod redis;
pub mod sql;
mod trial;
mod wait;

pub use error::{Error, Result};
pub use program::Program;
pub use trial::{TestResult, ignorable_trial, reason_to_ignore, trial};
pub use wait::until;
