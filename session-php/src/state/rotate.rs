//! `session_regenerate_id` and `session_create_id`.

use bytes::Bytes;
use session_core::{Error, Result};

use super::{
    Function, Outcome, PhpId, PhpSession, Problem, SaveHandler, Status, Storage,
    id::is_valid_key,
    machine::{Superglobal, encoded},
};

/// How often PHP tries another id when one is taken.
const ATTEMPTS: usize = 3;

impl<H: SaveHandler> PhpSession<H> {
    /// `session_regenerate_id(false)`: stores the session under the old id, where it stays, and goes
    /// on under a new one.
    ///
    /// # Errors
    /// There is no active session, the headers were sent, or the handler fails; then no session is
    /// active any more.
    pub async fn regenerate_id(&mut self) -> Outcome {
        self.regenerate(false).await
    }

    /// `session_regenerate_id(true)`: removes what is stored under the old id, and goes on under a
    /// new one.
    ///
    /// # Errors
    /// As [`regenerate_id`](Self::regenerate_id).
    pub async fn regenerate_id_and_delete(&mut self) -> Outcome {
        self.regenerate(true).await
    }

    async fn regenerate(&mut self, delete: bool) -> Outcome {
        self.function = Function::RegenerateId;
        let (Status::Active, Some(old)) = (self.status, self.id.clone()) else {
            return self.refuse(Problem::NotActive(Function::RegenerateId));
        };
        if self.headers_sent {
            return self.refuse(Problem::RegenerateAfterHeaders);
        }
        if delete {
            if let Err(cause) = self.handler.destroy(&old).await {
                return self.stop(Problem::RegenerateDestroy, cause, true).await;
            }
        } else if let Err(cause) = self.write_whole(&old).await {
            return self.stop(Problem::RegenerateWrite, cause, true).await;
        }
        self.close().await;
        self.original = None;
        self.id = None;
        self.go_on_under_new_id().await
    }

    async fn go_on_under_new_id(&mut self) -> Outcome {
        let opened = self.handler.open(&self.settings.save_path, &self.settings.name).await;
        self.is_open = true;
        if let Err(cause) = opened {
            return self.stop(Problem::RegenerateOpen, cause, false).await;
        }
        let mut id = match self.new_id().await {
            Ok(id) => id,
            Err(cause) => return self.stop(Problem::RegenerateCreate, cause, false).await,
        };
        let checks = self.settings.use_strict_mode && self.handler.slots().validate_sid;
        for _ in 0..ATTEMPTS {
            if !checks || !self.handler.validate_sid(&id).await.unwrap_or(false) {
                break;
            }
            id = match self.new_id().await {
                Ok(id) => id,
                Err(cause) => return self.stop(Problem::RegenerateCollision, cause, true).await,
            };
        }
        self.id = Some(id.clone());
        if let Err(cause) = self.handler.read(&id).await {
            return self.stop(Problem::RegenerateRead, cause, true).await;
        }
        self.send_cookie |= self.settings.use_cookies;
        self.tell_id()
    }

    /// Ends a session whose id could not be replaced.
    async fn stop(
        &mut self,
        problem: impl FnOnce(Storage) -> Problem,
        cause: Error,
        close: bool,
    ) -> Outcome {
        if close {
            self.close().await;
        }
        self.status = Status::None;
        Err(self.failure(problem(self.storage()), Some(cause)))
    }

    /// Stores the session whether or not it has changed.
    async fn write_whole(&mut self, id: &PhpId) -> Result<()> {
        let data = match &self.variables {
            Superglobal::Array(data) => encoded(data, self.settings.serialize_handler),
            _ => {
                self.say(Problem::NothingToEncode);
                Ok(Bytes::new())
            }
        };
        let data = data.map_err(|_kind| {
            Error::new(
                session_core::ErrorKind::TooLarge,
                "session",
                session_core::Operation::Encode,
            )
        })?;
        self.handler.write(id, &data, self.settings.gc_maxlifetime).await
    }

    /// `session_create_id($prefix)`: an id that no session has, as far as the handler can tell. Without
    /// an active session nobody is asked.
    ///
    /// # Errors
    /// The prefix has other characters than `A-Z a-z 0-9 , -`, or there is no id.
    pub async fn create_id(&mut self, prefix: &str) -> Outcome<PhpId> {
        self.function = Function::CreateId;
        if !prefix.is_empty() && !is_valid_key(prefix.as_bytes()) {
            return self.refuse(Problem::Prefix);
        }
        let made = match self.status {
            Status::Active => self.free_id().await,
            Status::None => self.own_id().map(Some),
        };
        match made {
            Ok(Some(id)) => Ok(PhpId::new([prefix.as_bytes(), id.expose()].concat())),
            Ok(None) => self.refuse(Problem::NoFreeId),
            Err(cause) => Err(self.failure(Problem::NoFreeId, Some(cause))),
        }
    }

    async fn free_id(&mut self) -> Result<Option<PhpId>> {
        for _ in 0..ATTEMPTS {
            let id = self.new_id().await?;
            let checks = self.handler.slots().validate_sid;
            if !checks || !self.handler.validate_sid(&id).await.unwrap_or(false) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }
}
