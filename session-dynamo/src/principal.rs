//! Principals: their epochs, and the list of their sessions where the table has an index for it.
//!
//! The index is DynamoDB's own, of the attribute that names the principal. It follows the items a
//! moment later, so every session that it names is looked at before it is told.

use async_trait::async_trait;
use session_core::{
    Cursor, Error, ErrorKind, Expected, Incarnation, Key, KeyPage, OpToken, Operation,
    PrincipalDigest, PrincipalIndex, Result, SessionStore, Support,
};

use crate::{
    BACKEND, DynamoStore,
    change::{Change, corrupt},
    config::wrong,
    expression::Expression,
    fault::Fault,
    item::{Attributes, EPOCH, FORMAT, FORMAT_1, bytes, number},
    link::{Listing, Outcome, Part, Statement},
    walk::{REQUESTS, name, start},
};

const INDEX: Operation = Operation::Index;
/// How many sessions are looked at for one request of the index.
const MOST: usize = 100;

impl DynamoStore {
    /// A page of the sessions of a principal that live, and the name after which the next begins.
    async fn sessions_of(
        &self,
        principal: &PrincipalDigest,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<(Vec<(Key, Incarnation)>, Option<String>)> {
        let index = self.0.index.as_deref().ok_or_else(unsupported)?;
        let limit = limit.max(1);
        let (mut sessions, mut after) = (Vec::new(), start(cursor));
        for _ in 0..REQUESTS {
            let listing = Listing {
                index,
                principal: bytes(*principal.as_bytes()),
                prefix: self.0.keys.prefix(),
                after: after.as_deref(),
                limit: (limit - sessions.len()).min(MOST),
            };
            let link = &self.0.link;
            let page = link.query(listing, link.call(INDEX)).await.map_err(failed)?;
            for item in page.items() {
                sessions.extend(self.verified(item, principal).await?);
            }
            after = page.last_evaluated_key().and_then(name).map(str::to_owned);
            if after.is_none() || sessions.len() >= limit {
                break;
            }
        }
        Ok((sessions, after))
    }

    /// The session that the index names, if it lives and is the principal's.
    async fn verified(
        &self,
        item: &Attributes,
        principal: &PrincipalDigest,
    ) -> Result<Option<(Key, Incarnation)>> {
        let Some(key) = name(item).and_then(|name| self.0.keys.key(name)) else { return Ok(None) };
        let change = Change::new(self, INDEX, &key);
        // What is damaged is nobody's.
        let Ok(slot) = change.slot(&change.read(Part::All).await?) else { return Ok(None) };
        let record = slot.load(self.now());
        let record = record.filter(|record| record.meta.principal.as_ref() == Some(principal));
        Ok(record.map(|record| (key, record.revision.incarnation())))
    }
}

#[async_trait]
impl PrincipalIndex for DynamoStore {
    async fn list(
        &self,
        principal: &PrincipalDigest,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<KeyPage> {
        let (sessions, after) = self.sessions_of(principal, cursor, limit).await?;
        let keys = sessions.into_iter().map(|(key, _)| key).collect();
        Ok(KeyPage::new(keys, after.map(|name| Cursor::new(name.into_bytes()))))
    }

    async fn epoch(&self, principal: &PrincipalDigest) -> Result<u64> {
        let (link, name) = (&self.0.link, self.0.keys.epoch_of(principal));
        let item = link.get(&name, Part::All, link.call(INDEX)).await.map_err(failed)?;
        epoch_in(&item)
    }

    async fn bump_epoch(&self, principal: &PrincipalDigest) -> Result<u64> {
        let (link, name) = (&self.0.link, self.0.keys.epoch_of(principal));
        let bump = Expression::default().set(FORMAT, number(FORMAT_1)).count(EPOCH).returning();
        let bumped = link.write(&name, &Statement::Update(bump), link.call(INDEX)).await;
        match bumped.map_err(|fault| fault.into_error(INDEX, true))?.outcome {
            Outcome::Done(item) | Outcome::Refused(item) => epoch_in(&item),
        }
    }

    async fn revoke(&self, principal: &PrincipalDigest, except: Option<&Key>) -> Result<usize> {
        let (mut deleted, mut cursor) = (0, None);
        loop {
            let (sessions, after) = self.sessions_of(principal, cursor.as_ref(), MOST).await?;
            for (key, incarnation) in sessions {
                if except.is_some_and(|except| except.digest() == key.digest()) {
                    continue;
                }
                match self
                    .delete(&key, Expected::Incarnation(incarnation), OpToken::generate()?)
                    .await
                {
                    Ok(()) => deleted += 1,
                    Err(error) if error.kind() == ErrorKind::Conflict => {}
                    Err(error) => return Err(error),
                }
            }
            match after {
                Some(name) => cursor = Some(Cursor::new(name.into_bytes())),
                None => return Ok(deleted),
            }
        }
    }
}

/// Refuses a table that has no such index, or whose index may not be used.
pub(crate) async fn check(store: &DynamoStore) -> Result<()> {
    if store.0.index.is_none() {
        return Ok(());
    }
    let nobody = PrincipalDigest::from_bytes([0; 32]);
    match store.sessions_of(&nobody, None, 1).await {
        Err(error) if error.kind() == ErrorKind::Backend => {
            Err(wrong("the table has no index of session.principal_index by the binary `p`"))
        }
        other => other.map(drop),
    }
}

pub(crate) fn listing(index: Option<&str>) -> Support {
    if index.is_some() { Support::Yes } else { Support::No }
}

fn epoch_in(item: &Attributes) -> Result<u64> {
    match item.get(EPOCH) {
        None => Ok(0),
        Some(told) => {
            let told = told.as_n().ok().and_then(|told| told.parse().ok());
            told.ok_or_else(|| corrupt(INDEX))
        }
    }
}

fn unsupported() -> Error {
    Error::new(ErrorKind::Unsupported, BACKEND, INDEX)
        .with_detail("sessions are listed with session.principal_index only")
}

fn failed(fault: Fault) -> Error {
    fault.into_error(INDEX, false)
}
