//! `session_write_close`, `session_abort`, `session_destroy`, and the end of the request.

use super::{
    Failure, Function, Outcome, PhpSession, Problem, Returned, SaveHandler, Status,
    machine::{Superglobal, encoded},
};
use crate::settings::PhpVersion;

impl<H: SaveHandler> PhpSession<H> {
    /// `session_write_close()`, also known as `session_commit()`: stores the session and ends it.
    ///
    /// # Errors
    /// There is no active session. Where storing fails, PHP warns and returns true; here it is a
    /// failure with [`Returned::True`]. The session is over either way.
    pub async fn write_close(&mut self) -> Outcome {
        self.function = Function::WriteClose;
        self.must_be_active()?;
        let written = self.write().await;
        self.close().await;
        self.status = Status::None;
        written
    }

    /// The end of the request: stores what is still open.
    ///
    /// # Errors
    /// As [`write_close`](Self::write_close); that there is no session is none.
    pub async fn shutdown(&mut self) -> Outcome {
        let written = match self.status {
            Status::Active => self.write_close().await,
            Status::None => Ok(()),
        };
        // A new id that could not be had leaves the handler open.
        self.close().await;
        written
    }

    /// `session_abort()`: ends the session without storing it.
    ///
    /// # Errors
    /// There is no active session.
    pub async fn abort(&mut self) -> Outcome {
        self.function = Function::Abort;
        self.must_be_active()?;
        self.close().await;
        self.status = Status::None;
        Ok(())
    }

    /// `session_destroy()`: removes what is stored. The variables stay, and the cookie.
    ///
    /// # Errors
    /// There is no active session, or the handler fails. The session is over either way.
    pub async fn destroy(&mut self) -> Outcome {
        self.function = Function::Destroy;
        if self.status == Status::None {
            return self.refuse(Problem::NotActive(Function::Destroy));
        }
        self.end_by_destroying().await
    }

    pub(super) async fn end_by_destroying(&mut self) -> Outcome {
        let destroyed = match &self.id {
            Some(id) => self.handler.destroy(id).await,
            None => Ok(()),
        };
        let outcome = match destroyed {
            Ok(()) => Ok(()),
            Err(cause) => Err(self.failure(Problem::Destroy, Some(cause))),
        };
        self.close().await;
        self.status = Status::None;
        self.id = None;
        self.original = None;
        self.define_sid = true;
        self.knows_class = false;
        let before = std::mem::replace(&mut self.variables, Superglobal::Undefined);
        self.variables = match before {
            Superglobal::Array(data) | Superglobal::Left(data) => Superglobal::Left(data),
            Superglobal::Undefined | Superglobal::Other => Superglobal::Undefined,
        };
        outcome
    }

    async fn write(&mut self) -> Outcome {
        let (Superglobal::Array(data), Some(id)) = (&self.variables, &self.id) else {
            return Ok(());
        };
        let Ok(bytes) = encoded(data, self.settings.serialize_handler) else {
            return self.refuse(Problem::BeyondLimits);
        };
        let lifetime = self.settings.gc_maxlifetime;
        // Before 8.6 there is no such thing as an empty session that has not changed.
        let comparable = !bytes.is_empty() || self.settings.version >= PhpVersion::V8_6;
        // Without `lazy_write` there is no original.
        let unchanged = comparable && self.original.as_ref() == Some(&bytes);
        let (written, method, plain) = if !unchanged {
            (self.handler.write(id, &bytes, lifetime).await, "write", "write")
        } else if self.handler.slots().update_timestamp {
            let touched = self.handler.update_timestamp(id, &bytes, lifetime).await;
            (touched, "updateTimestamp", "update_timestamp")
        } else {
            let written = self.handler.write(id, &bytes, lifetime).await;
            (written, "updateTimestamp", "update_timestamp")
        };
        match written {
            Ok(()) => Ok(()),
            Err(cause) => {
                let problem = Problem::Write(self.storage_for_write(method, plain));
                let failure = self.failure(problem, Some(cause));
                Err(Failure { returned: Returned::True, ..failure })
            }
        }
    }
}
