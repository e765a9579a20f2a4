//! Runs a statement until there is an answer, an error that stays, or no time left.

use std::time::Duration;

use session_core::{ErrorKind, instant_after};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::{
    Answer, Server,
    connection::DEFINING,
    fault::{Fault, Verdict},
    pool::{Lease, Pool},
};
use crate::statement::{Arg, Statement};

/// The pauses between tries begin with one of up to this and double.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// How long things may take, and how much may be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// A call, with all its tries.
    pub(super) call: Duration,
    /// One try.
    pub(super) one_try: Duration,
    /// The bytes of one reply.
    pub(super) reply: usize,
}

/// What has come of a statement so far.
struct Course<'a> {
    pool: &'a Pool,
    limits: Limits,
    deadline: Instant,
    tries: u32,
    /// Whether an earlier try may have been carried out.
    in_doubt: bool,
    /// Whether statements were taken for prepared too long ago.
    stale: bool,
    /// Why the last try failed.
    last: Option<Fault>,
}

/// Runs a statement, again if need be. Cancel safe: what was sent is sent, and its answer is thrown
/// away.
pub(super) async fn run(
    pool: &Pool,
    limits: Limits,
    deadline: Instant,
    statement: &Statement,
    values: &[Arg<'_>],
) -> Result<Answer, Fault> {
    let mut course = Course::new(pool, limits, deadline);
    loop {
        let lease = course.lease().await?;
        if let Some(answer) = course.run_once(lease, statement, values).await? {
            return Ok(Answer { resent: course.in_doubt, ..answer });
        }
    }
}

/// Runs the statements of a schema. They change no rows, and may run twice; no try is broken off at
/// the end of the call.
pub(super) async fn define(pool: &Pool, limits: Limits, text: &str) -> Result<(), Fault> {
    let mut course = Course::new(pool, limits, instant_after(limits.call));
    loop {
        let mut lease = course.lease().await?;
        let Some(wire) = lease.wire() else { continue };
        match timeout(DEFINING, wire.define(text)).await {
            Ok(Ok(())) => {
                lease.keep();
                return Ok(());
            }
            Ok(Err(verdict)) => course.follow(lease, verdict).await?,
            Err(_) => {
                drop(lease);
                return Err(Fault::timeout("the schema was not there in time"));
            }
        }
    }
}

/// Asks the server what it is.
pub(super) async fn server(pool: &Pool, limits: Limits) -> Result<Server, Fault> {
    let mut course = Course::new(pool, limits, instant_after(limits.call));
    loop {
        let mut lease = course.lease().await?;
        let by = course.deadline.min(Instant::now() + limits.one_try);
        let Some(wire) = lease.wire() else { continue };
        match timeout_at(by, wire.server()).await {
            Ok(Ok(server)) => {
                lease.keep();
                return Ok(server);
            }
            Ok(Err(verdict)) => course.follow(lease, verdict).await?,
            Err(_) => {
                drop(lease);
                course.pause(Fault::timeout("the server did not say what it is")).await?;
            }
        }
    }
}

impl<'a> Course<'a> {
    fn new(pool: &'a Pool, limits: Limits, deadline: Instant) -> Self {
        Self { pool, limits, deadline, tries: 0, in_doubt: false, stale: false, last: None }
    }

    async fn lease(&mut self) -> Result<Lease<'a>, Fault> {
        loop {
            if Instant::now() >= self.deadline {
                return Err(self.ends(Fault::timeout("there was no time left for the statement")));
            }
            match self.pool.take(self.deadline).await {
                Ok(lease) => return Ok(lease),
                Err(fault) if fault.passes() && self.pool.is_long_down() => {
                    return Err(self.ends(fault));
                }
                Err(fault) => self.pause(fault).await?,
            }
        }
    }

    /// The answer, or none where the statement is to be sent again.
    async fn run_once(
        &mut self,
        mut lease: Lease<'a>,
        statement: &Statement,
        values: &[Arg<'_>],
    ) -> Result<Option<Answer>, Fault> {
        let by = self.deadline.min(lease.since() + self.limits.one_try);
        let Some(wire) = lease.wire() else { return Ok(None) };
        let ran = timeout_at(by, wire.run(statement, values, self.limits.reply)).await;
        match ran {
            Ok(Ok(mut answer)) => {
                if statement.reads && answer.rows.is_empty() {
                    answer.affected = 0;
                }
                answer.took = lease.keep_answered(!statement.reads);
                return Ok(Some(answer));
            }
            Ok(Err(Verdict::Taken)) => {
                self.pool.answered(false);
                lease.keep();
                return Ok(Some(Answer::default()));
            }
            Ok(Err(verdict)) => self.follow(lease, verdict).await?,
            Err(_) => {
                let fault = Fault::timeout("the statement took too long");
                self.pool.fell_silent(&fault);
                drop(lease);
                self.in_doubt = true;
                self.pause(fault).await?;
            }
        }
        Ok(None)
    }

    /// Prepares for another try, or fails.
    async fn follow(&mut self, lease: Lease<'a>, verdict: Verdict) -> Result<(), Fault> {
        match verdict {
            // Only where two define the same thing at once, and get in each other's way.
            Verdict::Taken => {
                lease.keep();
                self.pause(Fault::passing(ErrorKind::Unavailable, "a name is taken")).await
            }
            Verdict::Again(fault) => {
                self.pool.answered(false);
                lease.keep();
                self.pause(fault).await
            }
            Verdict::Stale(fault) => {
                self.pool.answered(false);
                // What was prepared on the others is as old.
                lease.discard_all();
                if std::mem::replace(&mut self.stale, true) {
                    return Err(self.end(fault.for_good()));
                }
                self.pause(fault).await
            }
            Verdict::Lost(fault) => self.lost(lease, fault).await,
            Verdict::Elsewhere(fault) => self.elsewhere(lease, fault).await,
            Verdict::Never(fault) => {
                self.pool.answered(false);
                lease.keep();
                Err(self.end(fault))
            }
            Verdict::Closed(fault) => {
                self.pool.answered(false);
                drop(lease);
                Err(self.end(fault))
            }
            Verdict::Broken(fault) => {
                drop(lease);
                self.in_doubt = true;
                Err(self.end(fault))
            }
        }
    }

    /// The connection is gone, and nobody knows whether the statement was carried out.
    async fn lost(&mut self, lease: Lease<'a>, fault: Fault) -> Result<(), Fault> {
        let at_once = lease.is_reused() && self.tries == 0;
        lease.discard_all();
        self.in_doubt = true;
        if at_once {
            // It may have been closed while it rested.
            self.tries += 1;
            self.last = Some(fault);
            return Ok(());
        }
        self.pool.fell_silent(&fault);
        self.pause(fault).await
    }

    /// The server does not take it; another one may, under the same name.
    async fn elsewhere(&mut self, lease: Lease<'a>, fault: Fault) -> Result<(), Fault> {
        let refused = self.pool.refused();
        if refused.renew {
            lease.discard_all();
        } else {
            lease.keep();
        }
        if refused.for_long {
            return Err(self.end(fault));
        }
        self.pause(fault).await
    }

    fn end(&self, fault: Fault) -> Fault {
        fault.in_doubt(self.in_doubt)
    }

    /// Another try is not worth its time.
    fn ends(&mut self, fault: Fault) -> Fault {
        let fault = self.reason(fault);
        self.end(fault)
    }

    /// Why there is no answer: what was met before tells more than that a try took too long.
    fn reason(&mut self, fault: Fault) -> Fault {
        if fault.is_silence() { self.last.take().unwrap_or(fault) } else { fault }
    }

    /// Waits before the next try, if there is time for one.
    async fn pause(&mut self, fault: Fault) -> Result<(), Fault> {
        if !fault.passes() {
            return Err(self.end(fault));
        }
        let fault = self.reason(fault);
        let longest = FIRST_PAUSE * 2_u32.saturating_pow(self.tries.min(10));
        let until = Instant::now() + longest.min(LONGEST_PAUSE).mul_f64(fastrand::f64());
        self.tries += 1;
        if until >= self.deadline {
            return Err(self.end(fault));
        }
        self.last = Some(fault);
        self.pool.tries_again();
        sleep_until(until).await;
        Ok(())
    }
}
