//! A store for tower-sessions.

use std::time::Duration;

use session_core::{
    Clock, Error, ErrorKind, IdForm, Operation, Result, SessionId, SessionManager,
    SessionManagerBuilder, SessionStore, SweepBudget, SystemClock, Ttl,
};
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::bridge::{self, Bridge, CARRIED};

/// A store for `tower_sessions::SessionManagerLayer`. A clone is a handle to the same store.
///
/// ```
/// # #[cfg(feature = "tower-sessions-015")] {
/// use session_compat::TowerStore;
/// use session_core::MemoryStore;
/// # use tower_sessions_core_015 as tower_sessions_core;
/// # fn is_a_store(_: &impl tower_sessions_core::SessionStore) {}
///
/// # fn main() -> session_core::Result<()> {
/// let store = TowerStore::new(MemoryStore::new())?;
/// // let layer = SessionManagerLayer::new(store);
/// # is_a_store(&store);
/// # Ok(())
/// # }
/// # main();
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TowerStore {
    bridge: Bridge,
}

impl TowerStore {
    /// Keeps the sessions in `store`.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the operating system gives no random bytes.
    pub fn new(store: impl SessionStore) -> Result<Self> {
        Self::from_manager(Self::manager(store).build()?)
    }

    /// The settings that [`new`](Self::new) takes, to be changed: merge rules, a pepper, the format.
    ///
    /// How long sessions live is said by tower-sessions, so the idle lifetime is of no effect. There is
    /// no absolute one until you set one.
    pub fn manager(store: impl SessionStore) -> SessionManagerBuilder {
        bridge::manager(store).id_form(IdForm::Short)
    }

    /// Keeps the sessions as `manager` does, which may serve a layer of `session-tower` as well.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when its new ids are not such as tower-sessions knows: begin with
    /// [`manager`](Self::manager), or set [`IdForm::Short`].
    pub fn from_manager(manager: SessionManager) -> Result<Self> {
        if manager.id_form() != IdForm::Short {
            return Err(Error::new(ErrorKind::Config, "compat", Operation::Open)
                .with_detail("tower-sessions needs ids of the short form"));
        }
        Ok(Self { bridge: Bridge::new(manager)? })
    }

    async fn sweep(&self) -> Result<()> {
        let store = self.bridge.manager().store();
        let mut cursor = None;
        loop {
            let report = store.sweep(cursor.as_ref(), SweepBudget::default()).await?;
            cursor = report.next;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }
}

/// tower-sessions reads the system's clock, so a lifetime is the way to its date from there.
fn life(until: OffsetDateTime) -> Duration {
    let now = i128::from(SystemClock::default().now().as_millis());
    let millis = until.unix_timestamp_nanos() / 1_000_000 - now;
    Duration::from_millis(u64::try_from(millis.max(0)).unwrap_or(u64::MAX))
}

fn date(remaining: Ttl) -> OffsetDateTime {
    let millis =
        remaining.duration().map(|left| SystemClock::default().now().after(left).as_millis());
    millis
        .and_then(|millis| {
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()
        })
        .unwrap_or(PrimitiveDateTime::MAX.assume_utc())
}

macro_rules! store {
    ($core:ident) => {
        const _: () = {
            use $core::{
                ExpiredDeletion,
                session::{Id, Record},
                session_store::{Error as StoreError, Result as StoreResult},
            };

            #[async_trait::async_trait]
            impl $core::SessionStore for TowerStore {
                async fn create(&self, record: &mut Record) -> StoreResult<()> {
                    let created = self.bridge.create(&record.data, life(record.expiry_date)).await;
                    let (id, session) = created.map_err(refused)?;
                    record.id = id.expose().parse().map_err(|_unlikely| {
                        StoreError::Backend("the id is not of the short form".to_owned())
                    })?;
                    if let Some(snapshot) = session.snapshot().await.map_err(refused)? {
                        let carried = self.bridge.carried(&snapshot).map_err(refused)?;
                        record.data.insert(CARRIED.to_owned(), carried);
                    }
                    Ok(())
                }

                async fn save(&self, record: &Record) -> StoreResult<()> {
                    let (id, life) = (own(&record.id)?, life(record.expiry_date));
                    self.bridge.save(id, &record.data, life).await.map_err(refused)
                }

                async fn load(&self, id: &Id) -> StoreResult<Option<Record>> {
                    let loaded = self.bridge.load(own(id)?).await.map_err(refused)?;
                    Ok(loaded.map(|loaded| Record {
                        id: *id,
                        data: loaded.values,
                        expiry_date: date(loaded.snapshot.remaining()),
                    }))
                }

                async fn delete(&self, id: &Id) -> StoreResult<()> {
                    self.bridge.end(own(id)?).await.map_err(refused)
                }
            }

            #[async_trait::async_trait]
            impl ExpiredDeletion for TowerStore {
                async fn delete_expired(&self) -> StoreResult<()> {
                    self.sweep().await.map_err(refused)
                }
            }

            fn own(id: &Id) -> StoreResult<SessionId> {
                SessionId::parse(&id.to_string()).map_err(refused)
            }

            fn refused(error: Error) -> StoreError {
                bridge::report(&error);
                let text = error.to_string();
                match error.operation() {
                    Operation::Encode => StoreError::Encode(text),
                    Operation::Decode => StoreError::Decode(text),
                    _ => StoreError::Backend(text),
                }
            }
        };
    };
}

#[cfg(feature = "tower-sessions-014")]
store!(tower_sessions_core_014);
#[cfg(feature = "tower-sessions-015")]
store!(tower_sessions_core_015);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_in_the_past_is_no_life_and_one_beyond_all_dates_is_the_last() {
        assert_eq!(life(OffsetDateTime::UNIX_EPOCH), Duration::ZERO);
        assert_eq!(life(PrimitiveDateTime::MIN.assume_utc()), Duration::ZERO);
        assert_eq!(date(Ttl::NEVER), PrimitiveDateTime::MAX.assume_utc());
        assert_eq!(date(Duration::MAX.into()), PrimitiveDateTime::MAX.assume_utc());
        let hour = Duration::from_secs(3_600);
        let left = life(date(hour.into()));
        assert!(left <= hour + Duration::from_secs(1) && left + hour / 2 > hour, "{left:?}");
    }
}
