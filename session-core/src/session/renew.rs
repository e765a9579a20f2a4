//! The renewal timeout: an id that has grown old is replaced at the end of a request.

use super::{
    Session,
    rotate::Change,
    state::{Phase, Place, State},
};
use crate::{ErrorKind, Result};

impl Session {
    /// Replaces the id if it is due, with one attempt: who has to give way leaves it to the next
    /// request. Changes made so far are saved with it.
    pub(super) async fn renew_if_due(&self) -> Result<()> {
        // Somebody who commits or locks through this handle just now comes first.
        let Some(_alone) = self.alone_now() else { return Ok(()) };
        let state = &mut *self.0.state.lock().await;
        let Some(place) = self.due(state).cloned() else { return Ok(()) };
        match self.attempt(state, &place, &Change::Id).await {
            Ok(()) => self.end_if_revoked(state).await,
            Err(error) if error.maybe_applied() => Err(error),
            Err(error) => match error.kind() {
                ErrorKind::LockHeld => Ok(()),
                // The id was renewed by a parallel request, or the session was changed.
                ErrorKind::Conflict => self.read_again(state).await,
                _ => Err(self.note(state, &place.key, error)),
            },
        }
    }

    /// Where the session is whose id is older than it should become.
    fn due<'a>(&self, state: &'a State) -> Option<&'a Place> {
        let after = self.manager().settings().renew_id_after?;
        let Phase::Stored(place) = &state.phase else { return None };
        let made = state.header.rotated_at.unwrap_or(state.header.created_at);
        let is_due = state.engaged && !place.aliased && self.manager().now().since(made) >= after;
        is_due.then_some(place)
    }
}
