//! The sweep: a paced walk that removes what has expired. DynamoDB's own expiry does the same, days
//! later at the latest; a sweep is for tables without it, and for the impatient.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use session_core::{
    Cursor, Key, Operation, Result, SweepBudget, SweepReport, Timestamp, instant_after,
};
use tokio::time::{Instant, sleep_until};

use crate::{
    DynamoStore, aside,
    change::Change,
    expression::Expression,
    item::{Attributes, DEADLINE, INCARNATION, number},
    link::{Outcome, Page, Part, Statement, Written},
    segments::{Segment, Segments},
    walk::{name, values},
};

/// How many items one request looks at, at most.
const MOST: usize = 100;
/// Items without a live record. Whether somebody holds the lock is compared as well when they go.
const DEAD: &str = "f = :f AND begins_with(id, :prefix) AND (attribute_not_exists(x) OR x <= :now) \
                    AND (attribute_not_exists(h) OR u <= :now)";

/// Keeps sweeps from consuming more than so many units a second, with all clones of a store.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: f64,
    /// When what was consumed is made up for.
    even: Mutex<Option<Instant>>,
}

impl Pace {
    pub(crate) fn new(rate: u32) -> Self {
        Self { rate: f64::from(rate.max(1)), even: Mutex::default() }
    }

    fn consume(&self, units: f64) {
        let mut even = self.even.lock().unwrap_or_else(PoisonError::into_inner);
        let since = even.map_or_else(Instant::now, |even| even.max(Instant::now()));
        *even = since.checked_add(Duration::from_secs_f64((units / self.rate).clamp(0.0, 3_600.0)));
    }

    fn even(&self) -> Option<Instant> {
        *self.even.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A step of a sweep.
struct Step<'a> {
    store: &'a DynamoStore,
    until: Instant,
    budget: SweepBudget,
    report: SweepReport,
}

/// See [`sweep`](session_core::SessionStore::sweep). The segments of the table take turns, so that no
/// part of it bears all the reads.
pub(crate) async fn sweep(
    store: &DynamoStore,
    cursor: Option<&Cursor>,
    budget: SweepBudget,
) -> Result<SweepReport> {
    let report = SweepReport::default();
    let mut step = Step { store, until: instant_after(budget.max_time), budget, report };
    let mut segments = Segments::at(cursor, store.0.sweep_segments);
    while step.may_go_on().await {
        let Some(mut segment) = segments.next() else { break };
        segment.after = step.page(&segment, segments.of).await?;
        if segment.after.is_some() {
            segments.put_back(segment);
        }
        if step.is_spent() {
            break;
        }
    }
    step.report.next = segments.cursor();
    Ok(step.report)
}

impl Step<'_> {
    /// Waits until what was consumed is made up for; false if that is beyond the step's time.
    async fn may_go_on(&self) -> bool {
        let Some(even) = self.store.0.pace.even() else { return true };
        sleep_until(even.min(self.until)).await;
        even <= self.until
    }

    fn is_spent(&self) -> bool {
        self.report.scanned >= self.budget.max_scanned || self.is_late()
    }

    /// Whether there is no time left once what was consumed is made up for.
    fn is_late(&self) -> bool {
        self.store.0.pace.even().max(Some(Instant::now())) >= Some(self.until)
    }

    /// Looks at the next items, and removes those that are dead. Returns where to go on.
    async fn page(&mut self, segment: &Segment, of: u8) -> Result<Option<String>> {
        let left = self.budget.max_scanned.max(1).saturating_sub(self.report.scanned);
        let page = Page {
            filter: DEAD,
            values: values(self.store),
            segment: (segment.number, of),
            after: segment.after.clone(),
            limit: left.clamp(1, MOST),
            consistent: false,
        };
        let link = &self.store.0.link;
        let scanned = link.scan(page, link.call(Operation::Sweep)).await;
        let (page, units) = scanned.map_err(|fault| fault.into_error(Operation::Sweep, false))?;
        self.store.0.pace.consume(units);
        self.report.scanned += usize::try_from(page.scanned_count()).unwrap_or_default();
        for item in page.items() {
            self.remove(item).await?;
            if self.is_late() {
                return Ok(name(item).map(str::to_owned));
            }
        }
        Ok(page.last_evaluated_key().and_then(name).map(str::to_owned))
    }

    /// Removes an item if it is still dead.
    async fn remove(&mut self, item: &Attributes) -> Result<()> {
        let (link, now, keys) = (&self.store.0.link, self.store.now(), &self.store.0.keys);
        let Some(name) = name(item) else { return Ok(()) };
        if let Some(key) = keys.locked(name) {
            return self.remove_lock(name, &key).await;
        }
        if name == keys.mark() {
            // It is of the table, and not of a session.
            self.report.scanned = self.report.scanned.saturating_sub(1);
        }
        if keys.key(name).is_none() {
            return Ok(());
        }
        let moment = || (":now", number(now.as_millis()));
        let dead = Expression::default()
            .when("attribute_exists(id)", [])
            .when("attribute_not_exists(x) OR x <= :now", [moment()])
            .when("attribute_not_exists(h) OR u <= :now", [moment()]);
        let removed = link.write(name, &Statement::Delete(dead), link.call(Operation::Sweep)).await;
        let Written { outcome, units, .. } =
            removed.map_err(|fault| fault.into_error(Operation::Sweep, false))?;
        self.store.0.pace.consume(units);
        match outcome {
            Outcome::Refused(item) if item.is_empty() => {}
            Outcome::Refused(_) => self.report.skipped += 1,
            Outcome::Done(_) if !item.contains_key(INCARNATION) => {}
            Outcome::Done(_) => {
                self.report.deleted += 1;
                self.report.oldest_lag = self.report.oldest_lag.max(lag(item, now));
            }
        }
        Ok(())
    }

    /// Removes a lock that nobody gave back: some time after it has lapsed, or at once if it is of
    /// nothing any more.
    async fn remove_lock(&self, name: &str, key: &Key) -> Result<()> {
        let (link, now) = (&self.store.0.link, self.store.now());
        let change = Change::new(self.store, Operation::Sweep, key);
        let slot = change.slot(&change.read(Part::All).await?);
        let is_over = slot.is_ok_and(|slot| slot.load(now).is_none());
        let lapsed = aside::lapsed(now, !is_over);
        let removed = link.write(name, &lapsed, link.call(Operation::Sweep)).await;
        let written = removed.map_err(|fault| fault.into_error(Operation::Sweep, false))?;
        self.store.0.pace.consume(written.units);
        Ok(())
    }
}

/// How long ago the record has expired.
fn lag(item: &Attributes, now: Timestamp) -> Option<Duration> {
    let deadline = item.get(DEADLINE)?.as_n().ok()?.parse().ok()?;
    Some(now.since(Timestamp::from_millis(deadline)))
}
