//! The index of sessions by principal, and the walk over all of them.

use async_trait::async_trait;
use session_core::{
    Cursor, Enumeration, ErrorKind, Key, KeyDigest, KeyPage, Operation, PrincipalDigest,
    PrincipalIndex, Result,
};

use crate::{
    SqlStore,
    call::Call,
    statement::{Given, Statement, Value},
};

/// The most sessions of one page.
const PAGE: usize = 1_000;

impl SqlStore {
    /// A page of rows that begin with a digest, and where the next one starts.
    async fn page(
        &self,
        operation: Operation,
        statement: &Statement,
        given: Given<'_>,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<(Vec<(Key, Vec<Value>)>, Option<Cursor>)> {
        let limit = limit.clamp(1, PAGE);
        let given = Given {
            after: cursor.map_or(&[], Cursor::as_bytes),
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
            ..given
        };
        let rows = self.call(operation).run(statement, given).await?.rows;
        let keys: Option<Vec<_>> = rows.into_iter().map(key).collect();
        let keys = keys.ok_or_else(|| self.nonsense(operation))?;
        let last = keys.last().filter(|_| keys.len() == limit);
        let next = last.map(|(key, _)| Cursor::new(key.digest().as_bytes().to_vec()));
        Ok((keys, next))
    }

    async fn epoch_of(&self, call: Call<'_>, principal: &PrincipalDigest) -> Result<u64> {
        let answer = call.run(&self.0.statements.epoch, of(principal)).await?;
        match answer.rows.first().map(Vec::as_slice) {
            None => Ok(0),
            Some([Value::Int(epoch)]) => Ok(epoch.cast_unsigned()),
            Some(_) => Err(self.nonsense(Operation::Index)),
        }
    }

    /// Raises an epoch from what it was; whether it was that still.
    async fn raise(&self, call: Call<'_>, principal: &PrincipalDigest, from: u64) -> Result<bool> {
        let epoch = i64::try_from(from.saturating_add(1)).unwrap_or(i64::MAX);
        let given = Given { epoch, ..of(principal) };
        let statements = &self.0.statements;
        let raise = if from == 0 { &statements.first_epoch } else { &statements.next_epoch };
        Ok(call.run(raise, given).await?.affected > 0)
    }
}

fn key(mut row: Vec<Value>) -> Option<(Key, Vec<Value>)> {
    if row.is_empty() {
        return None;
    }
    let Value::Bytes(digest) = row.remove(0) else { return None };
    Some((Key::from_digest(KeyDigest::from_bytes(digest.try_into().ok()?)), row))
}

fn of(principal: &PrincipalDigest) -> Given<'_> {
    Given { principal: Some(principal.as_bytes()), ..Given::default() }
}

#[async_trait]
impl PrincipalIndex for SqlStore {
    async fn list(
        &self,
        principal: &PrincipalDigest,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<KeyPage> {
        let list = &self.0.statements.list;
        let (rows, next) = self.page(Operation::Index, list, of(principal), cursor, limit).await?;
        Ok(KeyPage::new(rows.into_iter().map(|(key, _)| key).collect(), next))
    }

    async fn epoch(&self, principal: &PrincipalDigest) -> Result<u64> {
        self.epoch_of(self.call(Operation::Index), principal).await
    }

    async fn bump_epoch(&self, principal: &PrincipalDigest) -> Result<u64> {
        let call = self.call(Operation::Index);
        loop {
            let epoch = self.epoch_of(call, principal).await?;
            if self.raise(call, principal, epoch).await? {
                return Ok(epoch + 1);
            }
            if call.is_over() {
                return Err(self.error(ErrorKind::Timeout, Operation::Index));
            }
        }
    }

    async fn revoke(&self, principal: &PrincipalDigest, except: Option<&Key>) -> Result<usize> {
        let operation = Operation::Index;
        let (mut revoked, mut cursor) = (0, None);
        loop {
            let list = &self.0.statements.list;
            let (rows, next) =
                self.page(operation, list, of(principal), cursor.as_ref(), PAGE).await?;
            let spared = except.map(Key::digest);
            for (key, rest) in rows.iter().filter(|(key, _)| Some(key.digest()) != spared) {
                let incarnation = match rest.as_slice() {
                    [Value::Bytes(bytes)] => <[u8; 16]>::try_from(bytes.as_slice()).ok(),
                    _ => None,
                };
                let incarnation = incarnation.ok_or_else(|| self.nonsense(operation))?;
                // Another one by now, or none, is not theirs to end.
                let digest = key.digest().as_bytes();
                let given = Given { digest, incarnation: &incarnation, ..Given::default() };
                let delete = &self.0.statements.delete_incarnation;
                if self.call(operation).run(delete, given).await?.affected > 0 {
                    revoked += 1;
                    self.freed(key);
                }
            }
            if next.is_none() {
                return Ok(revoked);
            }
            cursor = next;
        }
    }
}

#[async_trait]
impl Enumeration for SqlStore {
    async fn keys(&self, cursor: Option<&Cursor>, limit: usize) -> Result<KeyPage> {
        let keys = &self.0.statements.keys;
        let (rows, next) =
            self.page(Operation::Enumerate, keys, Given::default(), cursor, limit).await?;
        Ok(KeyPage::new(rows.into_iter().map(|(key, _)| key).collect(), next))
    }
}
