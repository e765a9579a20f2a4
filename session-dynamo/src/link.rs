//! All that speaks to DynamoDB: requests, their repetition within a deadline, and what they consume.

use std::{collections::HashMap, error::Error as StdError, fmt, sync::Arc, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        delete_item::DeleteItemError, query::QueryOutput, scan::ScanOutput,
        update_item::UpdateItemError,
    },
    types::{
        AttributeValue, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure,
    },
};
use session_core::{Clock, Jitter, Operation, instant_after};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{Dispatch, instrument::WithSubscriber};

use crate::{
    expression::Expression,
    fault::{Fault, REFUSED},
    item::{Attributes, EXPIRES, ID, MARK, PRINCIPAL, Values},
    meter::{Meter, Use},
};

/// The limits of the pauses before another attempt.
const FIRST: Duration = Duration::from_millis(25);
const MOST: Duration = Duration::from_secs(1);

/// A table, and the client to reach it.
pub(crate) struct Link {
    pub(crate) client: Client,
    pub(crate) table: String,
    /// The attribute of DynamoDB's own expiry.
    pub(crate) expires: String,
    pub(crate) timeout: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) meter: Meter,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The operation that a request is for: it pays for it, and has to end by its deadline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) operation: Operation,
    pub(crate) deadline: Instant,
}

/// A conditional write.
#[derive(Debug, Clone)]
pub(crate) enum Statement {
    Update(Expression),
    Delete(Expression),
}

/// What has come of a conditional write.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is done; with the item as it is now, where that was asked for.
    Done(Attributes),
    /// The condition was not met; with the item, which is empty where there is none.
    Refused(Attributes),
}

/// A conditional write that was answered.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) outcome: Outcome,
    /// Whether an earlier attempt may have been done.
    pub(crate) in_doubt: bool,
    /// What the answered attempt has consumed.
    pub(crate) units: f64,
}

/// Which part of an item is read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    All,
    /// Who holds the lock.
    Holder,
    /// Where the leases of the table are.
    Mark,
}

/// A page of a walk over the table.
pub(crate) struct Page<'a> {
    pub(crate) filter: &'a str,
    pub(crate) values: Values,
    /// Which segment of the table, of how many.
    pub(crate) segment: (u8, u8),
    pub(crate) after: Option<String>,
    pub(crate) limit: usize,
    pub(crate) consistent: bool,
}

/// A page of the sessions of a principal, by the index that lists them.
#[derive(Debug)]
pub(crate) struct Listing<'a> {
    pub(crate) index: &'a str,
    pub(crate) principal: AttributeValue,
    pub(crate) prefix: &'a str,
    pub(crate) after: Option<&'a str>,
    pub(crate) limit: usize,
}

/// An answer, or the refusal of a condition that was not met; and whether an earlier attempt may have been done
/// before.
pub(crate) type Answered<O, E> = (std::result::Result<O, SdkError<E>>, bool);

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("table", &self.table).finish_non_exhaustive()
    }
}

impl Link {
    /// An operation that begins now.
    pub(crate) fn call(&self, operation: Operation) -> Call {
        Call { operation, deadline: self.deadline() }
    }

    /// The moment by which an operation that begins now must have ended.
    pub(crate) fn deadline(&self) -> Instant {
        instant_after(self.timeout)
    }

    /// Reads an item, as it is now. It is empty where there is none.
    pub(crate) async fn get(
        &self,
        name: &str,
        part: Part,
        call: Call,
    ) -> Result<Attributes, Fault> {
        let projection = match part {
            Part::All => None,
            Part::Holder => Some("h, u"),
            Part::Mark => Some(MARK),
        };
        let attempt = || {
            self.client
                .get_item()
                .table_name(&self.table)
                .set_key(Some(key(name)))
                .consistent_read(true)
                .set_projection_expression(projection.map(ToOwned::to_owned))
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        };
        let (answer, _) = self.send(call.deadline, attempt).await?;
        let answer = answer.map_err(|error| Fault::of(&error))?;
        self.meter.add(call.operation, Use::Read, answer.consumed_capacity());
        Ok(self.named(answer.item.unwrap_or_default()))
    }

    /// Writes under a condition, which each attempt has judged by its own time.
    pub(crate) async fn write(
        &self,
        name: &str,
        statement: &Statement,
        call: Call,
    ) -> Result<Written, Fault> {
        match statement {
            Statement::Update(expression) => self.update(name, expression, call).await,
            Statement::Delete(expression) => self.delete(name, expression, call).await,
        }
    }

    async fn update(
        &self,
        name: &str,
        expression: &Expression,
        call: Call,
    ) -> Result<Written, Fault> {
        let returns =
            if expression.returns_item() { ReturnValue::AllNew } else { ReturnValue::None };
        let attempt = || {
            self.client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key(name)))
                .set_update_expression(expression.update())
                .set_condition_expression(expression.condition())
                .set_expression_attribute_names(expression.names(&self.expires))
                .set_expression_attribute_values(expression.values_at(self.clock.now()))
                .return_values(returns.clone())
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                )
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        };
        let (answer, in_doubt) = self.send(call.deadline, attempt).await?;
        let (outcome, units) = match answer {
            Ok(answer) => {
                let units = self.meter.add(call.operation, Use::Write, answer.consumed_capacity());
                (Outcome::Done(self.named(answer.attributes.unwrap_or_default())), units)
            }
            Err(error) => match error.into_service_error() {
                UpdateItemError::ConditionalCheckFailedException(refused) => {
                    self.refused(call, refused.item)
                }
                _ => return Err(Fault::crowded()),
            },
        };
        Ok(Written { outcome, in_doubt, units })
    }

    async fn delete(
        &self,
        name: &str,
        expression: &Expression,
        call: Call,
    ) -> Result<Written, Fault> {
        let attempt = || {
            self.client
                .delete_item()
                .table_name(&self.table)
                .set_key(Some(key(name)))
                .set_condition_expression(expression.condition())
                .set_expression_attribute_names(expression.names(&self.expires))
                .set_expression_attribute_values(expression.values_at(self.clock.now()))
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                )
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        };
        let (answer, in_doubt) = self.send(call.deadline, attempt).await?;
        let (outcome, units) = match answer {
            Ok(answer) => {
                let units = self.meter.add(call.operation, Use::Write, answer.consumed_capacity());
                (Outcome::Done(Attributes::new()), units)
            }
            Err(error) => match error.into_service_error() {
                DeleteItemError::ConditionalCheckFailedException(refused) => {
                    self.refused(call, refused.item)
                }
                _ => return Err(Fault::crowded()),
            },
        };
        Ok(Written { outcome, in_doubt, units })
    }

    /// A page of the items of a table; also the units that it has consumed.
    pub(crate) async fn scan(
        &self,
        page: Page<'_>,
        call: Call,
    ) -> Result<(ScanOutput, f64), Fault> {
        let values = page.values.into_iter().map(|(name, value)| (name.to_owned(), value));
        let request = self
            .client
            .scan()
            .table_name(&self.table)
            .filter_expression(page.filter)
            .projection_expression("id, x, h, u, i")
            .set_expression_attribute_values(Some(values.collect()))
            .segment(page.segment.0.into())
            .total_segments(page.segment.1.into())
            .set_exclusive_start_key(page.after.as_deref().map(key))
            .limit(i32::try_from(page.limit).unwrap_or(i32::MAX))
            .consistent_read(page.consistent)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let (answer, _) = self.send(call.deadline, || request.clone().send()).await?;
        let answer = answer.map_err(|error| Fault::of(&error))?;
        let units = self.meter.add(call.operation, Use::Read, answer.consumed_capacity());
        Ok((answer, units))
    }

    /// A page of the names of a principal's sessions, as the index has them, which is a moment late.
    pub(crate) async fn query(&self, page: Listing<'_>, call: Call) -> Result<QueryOutput, Fault> {
        let after = page.after.map(|name| {
            let mut after = key(name);
            after.insert(PRINCIPAL.to_owned(), page.principal.clone());
            after
        });
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(page.index)
            .key_condition_expression("p = :p")
            .filter_expression("begins_with(id, :prefix)")
            .expression_attribute_values(":p", page.principal)
            .expression_attribute_values(":prefix", AttributeValue::S(page.prefix.to_owned()))
            .set_exclusive_start_key(after)
            .limit(i32::try_from(page.limit).unwrap_or(i32::MAX))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let (answer, _) = self.send(call.deadline, || request.clone().send()).await?;
        let answer = answer.map_err(|error| Fault::of(&error))?;
        self.meter.add(call.operation, Use::Read, answer.consumed_capacity());
        Ok(answer)
    }

    fn refused(&self, call: Call, item: Option<Attributes>) -> (Outcome, f64) {
        let units = self.meter.add_refused(call.operation, item.as_ref());
        (Outcome::Refused(self.named(item.unwrap_or_default())), units)
    }

    /// The item with our own name of the attribute of its expiry.
    fn named(&self, mut item: Attributes) -> Attributes {
        if let Some(expires) = item.remove(&self.expires) {
            item.insert(EXPIRES.to_owned(), expires);
        }
        item
    }

    /// Sends a request, and sends it again as long as that is worth it and there is time. The SDK's
    /// own repetition is turned off: it knows of no deadline, and not what was done in vain.
    pub(crate) async fn send<O, E, F>(
        &self,
        deadline: Instant,
        mut request: impl FnMut() -> F + Send,
    ) -> Result<Answered<O, E>, Fault>
    where
        E: ProvideErrorMetadata + StdError + Send,
        F: Future<Output = std::result::Result<O, SdkError<E>>> + Send,
        O: Send,
    {
        let (mut pauses, mut in_doubt, mut known) = (Jitter::new(FIRST, MOST), false, None);
        loop {
            // What the SDK tells of itself quotes requests and answers, with keys and payloads.
            let silent = request().with_subscriber(Dispatch::none());
            let fault = match timeout_at(deadline, silent).await {
                Ok(Ok(answer)) => return Ok((Ok(answer), in_doubt)),
                Ok(Err(error)) if error.code() == Some(REFUSED) => {
                    return Ok((Err(error), in_doubt));
                }
                Ok(Err(error)) => Fault::of(&error),
                Err(_elapsed) => Fault::timeout(),
            };
            in_doubt |= fault.in_doubt;
            // What was met before tells more than that an attempt took too long.
            let fault = known.take().filter(|_| fault.is_timeout()).unwrap_or(fault);
            let pause = pauses.pause();
            if !fault.again || instant_after(pause) >= deadline {
                return Err(fault.in_doubt(in_doubt));
            }
            known = Some(fault);
            sleep(pause).await;
        }
    }
}

/// The key of an item.
pub(crate) fn key(name: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([(ID.to_owned(), AttributeValue::S(name.to_owned()))])
}
