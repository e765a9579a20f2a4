//! What is in a row.

use std::time::Duration;

use bytes::Bytes;
use session_core::{Deadline, Meta, Record, Revision, Timestamp, Ttl, Write};

use super::layout::NEVER;
use crate::statement::Value;

/// The data and the second until which a session lives.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) data: Bytes,
    pub(super) lifetime: i64,
}

impl Row {
    pub(super) fn parse(values: Vec<Value>) -> Option<Self> {
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (Some(Value::Bytes(data)), Some(Value::Int(lifetime))) => {
                Some(Self { data: data.into(), lifetime })
            }
            _ => None,
        }
    }

    /// The record, unless it has expired, or is the placeholder of a page that has not written yet.
    pub(super) fn live(&self, now: Timestamp) -> Option<Record> {
        let deadline = self.deadline();
        if self.data.is_empty() || deadline.has_passed(now) {
            return None;
        }
        let left = deadline.remaining(now);
        Some(Record::new(self.data.clone(), Meta::new(), self.revision(), left))
    }

    pub(super) fn revision(&self) -> Revision {
        Revision::of_bytes(&self.data)
    }

    /// Whether such a write leaves a row.
    pub(super) fn keeps(write: &Write) -> bool {
        !write.payload.is_empty() && !write.ttl.is_zero()
    }

    /// Symfony's sessions live to the end of their last second.
    fn deadline(&self) -> Deadline {
        if self.lifetime >= NEVER {
            return Deadline::NEVER;
        }
        let last = u64::try_from(self.lifetime).unwrap_or_default();
        Deadline::at(Timestamp::from_millis(0).after(Duration::from_secs(last.saturating_add(1))))
    }
}

/// The second that it is.
pub(super) fn seconds(now: Timestamp) -> i64 {
    i64::try_from(now.as_millis() / 1_000).unwrap_or(NEVER)
}

/// The second until which what is written now lives.
pub(super) fn end(now: Timestamp, ttl: Ttl) -> i64 {
    ttl.duration().map_or(NEVER, |ttl| seconds(now.after(ttl)).min(NEVER))
}
