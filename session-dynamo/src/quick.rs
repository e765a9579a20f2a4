//! Writes that are judged by DynamoDB itself, in one request.
//!
//! Each holds a condition under which the contract's rule ([`Slot`](session_core::Slot)) is sure to
//! allow the operation, and what the rule then makes of the item. Whatever the condition does not
//! cover is refused, and judged by the rule itself on the item that comes with the refusal.

use std::time::Duration;

use session_core::{
    Deadline, Expected, Incarnation, Lease, Lineage, LockRequest, OpToken, Result, Revision,
    StoredRecord, Then, Timestamp, Ttl, Under, Write,
};

use crate::{
    expression::Expression,
    item::{
        ABSOLUTE, DEADLINE, EPOCH, EXPIRES, FORMAT, FORMAT_1, HOLDER, OF_RECORD, OPS, PRINCIPAL,
        UNFOLDED, UNTIL, bytes, deadline_millis, encode_commit, expires_at, number, place_of,
        seconds,
    },
    link::Statement,
};

/// There is no lease that excludes others.
const FREE: &str = "attribute_not_exists(h) OR u <= :now";
/// There is no live record.
const ABSENT: &str = "attribute_not_exists(x) OR x <= :now";

/// The commit is none of the last ones: one that is made again is the rule's to answer.
const NEW: &str = "NOT (o0 = :op OR o1 = :op OR o2 = :op OR o3 = :op)";

/// A write, and what the operation returns when it is done.
pub(crate) type Quick<T> = Option<(Statement, T)>;

/// See [`create`](session_core::SessionStore::create).
pub(crate) fn create(
    write: &Write,
    op: OpToken,
    under: Option<Under<'_>>,
    now: Timestamp,
) -> Result<Quick<Revision>> {
    let Some(record) = record(write, Incarnation::generate()?, 1, op, now) else {
        return Ok(None);
    };
    let set = Expression::default().set(FORMAT, number(FORMAT_1));
    let set = commit(set, &record, op).remove_others(&OF_RECORD);
    let now = || (":now", number(now.as_millis()));
    let format = (":f", number(FORMAT_1));
    let expression = match under {
        None => free(set).when(
            &format!("attribute_not_exists(id) OR f = :f AND ({ABSENT}) AND ({FREE})"),
            [format, now()],
        ),
        Some(under) => held(set, under.lease, under.then)
            .when(&format!("f = :f AND ({ABSENT})"), [format, now()]),
    };
    Ok(Some((Statement::Update(expression), record.revision())))
}

/// See [`save`](session_core::SessionStore::save).
pub(crate) fn save(
    write: &Write,
    expected: Expected<'_>,
    op: OpToken,
    now: Timestamp,
) -> Result<Quick<Revision>> {
    let (revision, lease) = match expected {
        Expected::Revision(revision) => (revision, None),
        Expected::Lease { lease, revision, then } => (revision, Some((lease, then))),
        _ => return Ok(None),
    };
    let (incarnation, version) = match write.lineage {
        Lineage::Restart => (Incarnation::generate()?, 1),
        _ => (revision.incarnation(), version_of(revision).saturating_add(1)),
    };
    let Some(record) = record(write, incarnation, version, op, now) else { return Ok(None) };
    let set = commit(Expression::default(), &record, op);
    let set = set.remove_others(&[ABSOLUTE, EPOCH, PRINCIPAL, UNFOLDED]);
    let set = if version == 1 { set.remove_others(&OPS) } else { set };
    let now = || (":now", number(now.as_millis()));
    let set = is_at(set, revision).when("x > :now", [now()]).when(NEW, [(":op", token(op))]);
    let expression = match lease {
        None => free(set).when(FREE, [now()]),
        Some((lease, then)) => held(set, lease, then),
    };
    Ok(Some((Statement::Update(expression), record.revision())))
}

/// See [`touch`](session_core::SessionStore::touch). Not where it would shorten the life or
/// pass the absolute deadline.
pub(crate) fn touch(ttl: Ttl, incarnation: Incarnation, now: Timestamp) -> Quick<()> {
    let later = Deadline::after(now, ttl, None);
    if later.has_passed(now) {
        return None;
    }
    let expression = Expression::default()
        .set(DEADLINE, number(deadline_millis(later)))
        .set(EXPIRES, number(expires_at(later)))
        .when("i = :i", [(":i", bytes(*incarnation.as_bytes()))])
        .when("x > :now AND x <= :s_x", [(":now", number(now.as_millis()))])
        .when("attribute_not_exists(a) OR a >= :s_x", [])
        .when("#t <= :s_t", []);
    Some((Statement::Update(expression), ()))
}

/// See [`delete`](session_core::SessionStore::delete).
pub(crate) fn delete(expected: Expected<'_>, now: Timestamp) -> Quick<()> {
    let expression = Expression::default();
    let expression = match expected {
        Expected::Any => expression,
        // Not of what has expired: a lease on it is another one's.
        Expected::Incarnation(incarnation) => expression
            .when("i = :i", [(":i", bytes(*incarnation.as_bytes()))])
            .when("x > :now", [(":now", number(now.as_millis()))]),
        Expected::Revision(revision) => {
            is_at(expression, revision).when(FREE, [(":now", number(now.as_millis()))])
        }
        Expected::Lease { lease, revision, then: Then::Release } => {
            is_at(expression, revision).when("h = :h", [(":h", token(lease.token()))])
        }
        _ => return None,
    };
    Some((Statement::Delete(expression), ()))
}

/// See [`lock`](session_core::SessionStore::lock). The lease lasts for `duration`.
pub(crate) fn lock(request: LockRequest, duration: Duration, now: Timestamp) -> Statement {
    let until = now.after(duration);
    let expression = Expression::default()
        .set(FORMAT, number(FORMAT_1))
        .set(HOLDER, token(request.op))
        .set(UNTIL, number(until.as_millis()))
        .set_absent(EXPIRES, number(seconds(until)))
        .when(
            "attribute_not_exists(id) OR f = :s_f AND #t >= :s_t \
             AND (attribute_not_exists(h) OR u <= :now OR h = :s_h)",
            [(":now", number(now.as_millis()))],
        )
        .returning();
    Statement::Update(expression)
}

/// See [`renew`](session_core::SessionStore::renew).
pub(crate) fn renew(lease: &Lease, duration: Duration, now: Timestamp) -> Quick<()> {
    let until = now.after(duration);
    let expression = Expression::default()
        .set(UNTIL, number(until.as_millis()))
        .when("h = :h", [(":h", token(lease.token()))])
        .when("#t >= :t", [(":t", number(seconds(until)))]);
    Some((Statement::Update(expression), ()))
}

/// See [`release`](session_core::SessionStore::release). Not where nothing else is in the item.
pub(crate) fn release(lease: &Lease) -> Quick<()> {
    let expression = free(Expression::default())
        .when("h = :h", [(":h", token(lease.token()))])
        .when("attribute_exists(i)", []);
    Some((Statement::Update(expression), ()))
}

/// The record that a write makes, if it lives at all.
fn record(
    write: &Write,
    incarnation: Incarnation,
    version: u64,
    op: OpToken,
    now: Timestamp,
) -> Option<StoredRecord> {
    let deadline = Deadline::after(now, write.ttl, write.meta.absolute_deadline);
    let payload = write.payload.clone();
    let ops = [op].into_iter().collect();
    let record = StoredRecord::new(payload, write.meta, incarnation, version, ops, deadline);
    (!deadline.has_passed(now)).then_some(record)
}

fn commit(set: Expression, record: &StoredRecord, op: OpToken) -> Expression {
    set.set_all(encode_commit(record))
        .set(place_of(record.version), token(op))
        .set(EXPIRES, number(expires_at(record.deadline)))
}

fn is_at(expression: Expression, revision: Revision) -> Expression {
    let incarnation = bytes(*revision.incarnation().as_bytes());
    let version = number(revision.version());
    expression.when("i = :i AND v = :v", [(":i", incarnation), (":v", version)])
}

fn free(expression: Expression) -> Expression {
    expression.remove(HOLDER).remove(UNTIL)
}

/// A write under a lease. One that goes on must not end with the item's expiry.
fn held(expression: Expression, lease: &Lease, then: Then) -> Expression {
    let expression = expression.when("h = :h", [(":h", token(lease.token()))]);
    if then == Then::Release { free(expression) } else { expression.when("#t <= :s_t", []) }
}

fn token(token: OpToken) -> aws_sdk_dynamodb::types::AttributeValue {
    bytes(*token.as_bytes())
}

fn version_of(revision: Revision) -> u64 {
    u64::try_from(revision.version()).unwrap_or(u64::MAX)
}
