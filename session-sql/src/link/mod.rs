//! The way to the database: all that knows `sqlx`.
//!
//! A small pool of connections of its own (`sqlx`'s costs three round trips a statement), one statement
//! a call, each committed by itself: no transaction is held open.

use session_core::{Error, Operation};

use crate::{
    SqlConfig,
    engine::Engine,
    statement::{Arg, Statement, Value},
};

/// Connections to one database.
#[derive(Debug)]
pub(crate) struct Link {}

/// What the server is, as it said when the link was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) engine: Engine,
    pub(crate) version: String,
    /// The longest statement that it takes, with its values, in bytes.
    pub(crate) max_packet: Option<usize>,
}

/// What a statement said.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The rows that it returned.
    pub(crate) rows: Vec<Vec<Value>>,
    /// How many rows it matched, whether or not they changed by it. None when there is a row with
    /// the key already that it would insert.
    pub(crate) affected: u64,
    /// Whether it may have been carried out more than once.
    pub(crate) resent: bool,
}

impl Link {
    /// Connects.
    pub(crate) async fn open(config: &SqlConfig) -> Result<Self, Fault> {
        todo!("{config:?}")
    }

    pub(crate) fn server(&self) -> &Server {
        todo!()
    }

    /// Runs the statements of a schema, which change no rows.
    pub(crate) async fn define(&self, text: &str) -> Result<(), Fault> {
        todo!("{text}")
    }

    /// Runs a statement, with a value for each of its names in their order.
    pub(crate) async fn run(
        &self,
        statement: &Statement,
        values: &[Arg<'_>],
    ) -> Result<Answer, Fault> {
        todo!("{statement:?} {values:?}")
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Fault {}

impl Fault {
    /// The error of an operation. What is sent again by itself has failed for good by then; where it
    /// was a write (`writes`) that may have been carried out, the error says so.
    pub(crate) fn into_error(self, engine: Engine, operation: Operation, writes: bool) -> Error {
        todo!("{engine:?} {operation:?} {writes}")
    }
}
