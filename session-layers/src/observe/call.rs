//! One call of a store: its span, its time, and how it ended.

use std::time::Instant;

use session_core::{Error, Key, Operation, Result};
use tracing::{Instrument, Span, debug_span, field};

use super::metric;

/// A call that was begun. Dropped before it has ended, it was cancelled.
pub(super) struct Call {
    backend: &'static str,
    operation: Operation,
    start: Instant,
    span: Span,
    has_ended: bool,
}

impl Call {
    pub(super) fn begin(backend: &'static str, operation: Operation, key: Option<&Key>) -> Self {
        let span = debug_span!(
            target: "session::store",
            "session_store",
            verb = operation.as_str(),
            backend,
            session = key.map(|key| field::display(key.log_id())),
            outcome = field::Empty,
        );
        Self { backend, operation, start: Instant::now(), span, has_ended: false }
    }

    /// Carries out the call; `outcome` names its success.
    pub(super) async fn carry<T>(
        mut self,
        call: impl Future<Output = Result<T>> + Send,
        outcome: impl FnOnce(&T) -> &'static str + Send,
    ) -> Result<T> {
        let result = call.instrument(self.span.clone()).await;
        match &result {
            Ok(value) => self.end(outcome(value)),
            Err(error) => self.end(error.kind().as_str()),
        }
        if result.as_ref().is_err_and(Error::maybe_applied) {
            metric::unknown(self.backend, self.operation);
        }
        result
    }

    fn end(&mut self, outcome: &'static str) {
        self.has_ended = true;
        self.span.record("outcome", outcome);
        metric::operation(self.backend, self.operation, outcome, self.start.elapsed());
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.has_ended {
            self.end(metric::CANCELLED);
        }
    }
}
