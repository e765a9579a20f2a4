//! Whether a session is presented by the client that logged in.

use super::{Session, events::SessionEvent, state::Phase};
use crate::Result;

/// What is done when a session is presented by a client with other properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnChange {
    /// It is told of ([`SessionEvent::ClientChanged`]), and the request goes on.
    Report,
    /// It is told of, and the session ends.
    End,
}

/// Whether a session is presented by a client with the properties of the one that logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientMatch {
    /// The session is bound to no properties.
    Unbound,
    /// The properties are the same.
    Same,
    /// The properties are others.
    Changed,
}

impl Session {
    /// Compares the client's properties with those to which the log-in bound the session
    /// ([`Login::bind`](crate::Login::bind)); the same properties, in the same order.
    ///
    /// Call it early in a request. It is a help to notice stolen ids, and never the only defence:
    /// properties can be imitated, and an address changes when a telephone leaves the house.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn check_client(
        &self,
        properties: &[&str],
        on_change: OnChange,
    ) -> Result<ClientMatch> {
        let state = self.ready().await?;
        let (Some(bound), Phase::Stored(place)) = (state.header.binding, &state.phase) else {
            return Ok(ClientMatch::Unbound);
        };
        if self.manager().key_hasher().binding(properties) == bound {
            return Ok(ClientMatch::Same);
        }
        self.manager().tell(SessionEvent::ClientChanged, &place.key);
        drop(state);
        if on_change == OnChange::End {
            self.delete().await?;
        }
        Ok(ClientMatch::Changed)
    }
}
