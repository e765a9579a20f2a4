//! Requests that wait for replicas, all that wait in one batch.
//!
//! The wait holds up the connection, so while a batch is on its way, others line up, and all that wait
//! go together as soon as it has come back. There is no timer.

use std::{sync::Arc, time::Duration};

use session_core::ErrorKind;
use tokio::{
    sync::{mpsc, oneshot},
    task::yield_now,
    time::{Instant, timeout_at},
};

use super::{
    Command, Value,
    connection::{Health, Why, refusal},
    fault::Fault,
    wire::Wire,
};

/// How many requests are in one batch at most.
const BATCH: usize = 512;
/// How many requests wait at most, before callers wait for a place.
const LINE: usize = 4096;
/// How many bytes of commands are in one batch, beyond which it takes no more requests.
const BATCH_BYTES: usize = 1024 * 1024;

/// Where requests wait for the next batch.
pub(super) struct Line {
    jobs: mpsc::Sender<Job>,
    health: Arc<Health>,
}

/// The acknowledgement by replicas that each batch waits for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replicas {
    pub(super) count: u32,
    pub(super) within: Duration,
}

struct Job {
    commands: Vec<Command>,
    reply: oneshot::Sender<Result<Vec<Value>, Why>>,
}

impl Line {
    pub(super) fn new(
        wire: &Wire,
        health: &Arc<Health>,
        limit: Duration,
        replicas: Replicas,
    ) -> Self {
        let (jobs, waiting) = mpsc::channel(LINE);
        let health = Arc::clone(health);
        let flight = Flight { wire: wire.clone(), health: Arc::clone(&health), limit, replicas };
        tokio::spawn(flight.run(waiting));
        Self { jobs, health }
    }

    pub(super) async fn ask(
        &self,
        commands: Vec<Command>,
        deadline: Instant,
    ) -> Result<Vec<Value>, Why> {
        let (reply, answer) = oneshot::channel();
        let answer = async {
            if self.jobs.send(Job { commands, reply }).await.is_err() {
                // Its task has ended with its runtime.
                self.health.close();
                return Err(turned_back());
            }
            answer.await.unwrap_or_else(|_ended| {
                self.health.close();
                Err(Why::Unanswered(Fault::timeout()))
            })
        };
        let late = |_| Err(Why::Unanswered(Fault::timeout()));
        timeout_at(deadline, answer).await.unwrap_or_else(late)
    }
}

/// Another connection has to take it.
fn turned_back() -> Why {
    Why::Unsent(Fault::new(ErrorKind::Unavailable, ""))
}

/// Takes what waits, sends it as one batch, hands the replies out, and begins anew.
struct Flight {
    wire: Wire,
    health: Arc<Health>,
    limit: Duration,
    replicas: Replicas,
}

/// What is left of a job whose commands are in a batch.
struct Passenger {
    count: usize,
    reply: oneshot::Sender<Result<Vec<Value>, Why>>,
}

impl Flight {
    async fn run(self, mut jobs: mpsc::Receiver<Job>) {
        let mut waiting = Vec::with_capacity(BATCH);
        while let Some(job) = jobs.recv().await {
            waiting.push(job);
            // All callers that are ready to run get in.
            yield_now().await;
            let mut bytes = 0;
            while waiting.len() < BATCH
                && bytes < BATCH_BYTES
                && let Ok(job) = jobs.try_recv()
            {
                bytes += job.size();
                waiting.push(job);
            }
            if self.health.is_fit() {
                self.fly(&mut waiting).await;
            } else {
                for job in waiting.drain(..) {
                    drop(job.reply.send(Err(turned_back())));
                }
            }
        }
    }

    async fn fly(&self, jobs: &mut Vec<Job>) {
        let mut commands = Vec::with_capacity(jobs.len() + 1);
        let mut passengers = Vec::with_capacity(jobs.len());
        for Job { commands: theirs, reply } in jobs.drain(..) {
            if !reply.is_closed() {
                passengers.push(Passenger { count: theirs.len(), reply });
                commands.extend(theirs);
            }
        }
        if passengers.is_empty() {
            return;
        }
        commands.push(self.replicas.wait());
        let began = Instant::now();
        let replies = self.wire.ask(&commands, began + self.limit + self.replicas.within).await;
        match self.health.judge(replies, began) {
            Ok(replies) => self.arrive(passengers, replies),
            Err(lost) => {
                for passenger in passengers {
                    drop(passenger.reply.send(Err(lost.clone().into())));
                }
            }
        }
    }

    fn arrive(&self, passengers: Vec<Passenger>, mut replies: Vec<Value>) {
        let acknowledged = self.replicas.have_it(replies.pop());
        let mut replies = replies.into_iter();
        for Passenger { count, reply } in passengers {
            let mut mine: Vec<Value> = replies.by_ref().take(count).collect();
            let outcome = match refusal(&mut mine) {
                Some(error) => Err(Why::Refused(error)),
                None if !acknowledged => Err(Why::Unacknowledged(mine)),
                None => Ok(mine),
            };
            drop(reply.send(outcome));
        }
    }
}

impl Replicas {
    fn wait(self) -> Command {
        let millis = u64::try_from(self.within.as_millis()).unwrap_or(u64::MAX).max(1);
        let [count, millis] = [self.count.to_string(), millis.to_string()];
        Command::new("WAIT", &[count.as_bytes(), millis.as_bytes()])
    }

    fn have_it(self, reply: Option<Value>) -> bool {
        matches!(reply, Some(Value::Int(count)) if count >= i64::from(self.count))
    }
}

impl Job {
    fn size(&self) -> usize {
        self.commands.iter().map(|command| command.packed().len()).sum()
    }
}
