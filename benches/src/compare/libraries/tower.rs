//! The handle of tower-sessions, over any store of its core 0.14 or 0.15.

/// The library on one version of the core.
macro_rules! tower {
    ($module:ident, $core:ident) => {
        pub(crate) mod $module {
            use std::{str::FromStr, sync::Arc};

            use async_trait::async_trait;
            use time::Duration;
            use $core::{Expiry, Session, SessionStore, session::Id};

            use crate::{
                compare::library::{
                    COUNT, Change, Kept, Library, Mode, Rotated, any_part, entries,
                },
                measure::Result,
            };

            const LIFE: Expiry = Expiry::OnInactivity(Duration::HOUR);

            pub(crate) struct Tower<S> {
                store: Arc<S>,
                bytes: usize,
            }

            impl<S: SessionStore> Tower<S> {
                pub(crate) fn new(store: S, bytes: usize) -> Self {
                    Self { store: Arc::new(store), bytes }
                }

                fn open(&self, id: &str) -> Result<Session> {
                    let id = Id::from_str(id)?;
                    Ok(Session::new(Some(id), Arc::clone(&self.store), Some(LIFE)))
                }
            }

            fn id_of(session: &Session) -> Result<String> {
                Ok(session.id().ok_or("no id")?.to_string())
            }

            #[async_trait]
            impl<S: SessionStore> Library for Tower<S> {
                fn modes(&self) -> &'static [Mode] {
                    &[Mode::Plain]
                }

                async fn create(&self) -> Result<String> {
                    let session = Session::new(None, Arc::clone(&self.store), Some(LIFE));
                    for (name, text) in entries(self.bytes) {
                        session.insert(&name, text).await?;
                    }
                    session.insert(COUNT, 0).await?;
                    session.save().await?;
                    id_of(&session)
                }

                async fn read(&self, id: &str) -> Result<bool> {
                    Ok(self.open(id)?.get::<String>(&any_part()).await?.is_some())
                }

                async fn change(
                    &self,
                    id: &str,
                    change: &Change,
                    _mode: Mode,
                ) -> Result<Option<String>> {
                    let session = self.open(id)?;
                    let count = session.get::<u64>(COUNT).await?.unwrap_or_default();
                    change.work().await;
                    session.insert(COUNT, count + 1).await?;
                    session.insert(&change.entry, 1).await?;
                    session.save().await?;
                    let now = id_of(&session)?;
                    Ok((now != id).then_some(now))
                }

                /// As with `always_save`, its only way.
                async fn touch(&self, id: &str) -> Result<()> {
                    let session = self.open(id)?;
                    session.get::<String>(&any_part()).await?;
                    session.set_expiry(Some(LIFE));
                    Ok(session.save().await?)
                }

                async fn destroy(&self, id: &str) -> Result<()> {
                    Ok(self.open(id)?.flush().await?)
                }

                async fn rotate(&self, id: &str) -> Result<Rotated> {
                    let session = self.open(id)?;
                    session.cycle_id().await?;
                    session.save().await?;
                    id_of(&session).map(Rotated::To)
                }

                async fn kept(&self, id: &str) -> Result<Option<Kept>> {
                    let record = self.store.load(&Id::from_str(id)?).await?;
                    Ok(record.and_then(|record| {
                        let count = record.data.get(COUNT).and_then(|count| count.as_u64());
                        Kept::of(count, record.data.keys())
                    }))
                }
            }
        }
    };
}

tower!(core_014, tower_sessions_core);
tower!(core_015, tower_sessions_core_015);
