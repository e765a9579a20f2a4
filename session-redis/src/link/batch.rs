//! Requests that wait for replicas, all that wait in one batch.
//!
//! The wait holds up the connection, so while a batch is on its way, others line up, and all that wait
//! go together as soon as it has come back. There is no timer.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, Pipeline};
use session_core::ErrorKind;
use tokio::{
    sync::{mpsc, oneshot},
    task::yield_now,
    time::{Instant, timeout, timeout_at},
};

use super::{
    Command, Script, Value,
    connection::{Failure, Health, Why, refusal},
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
    reply: oneshot::Sender<Result<Vec<Value>, Failure>>,
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
    ) -> Result<Vec<Value>, Failure> {
        let (reply, answer) = oneshot::channel();
        let lost = || Failure { commands: Vec::new(), why: Why::Unanswered(Fault::timeout()) };
        let answer = async {
            if let Err(unsent) = self.jobs.send(Job { commands, reply }).await {
                // Its task has ended with its runtime.
                self.health.close();
                let why = Why::Unsent(Fault::new(ErrorKind::Unavailable, ""));
                return Err(Failure { commands: unsent.0.commands, why });
            }
            answer.await.unwrap_or_else(|_ended| {
                self.health.close();
                Err(lost())
            })
        };
        timeout_at(deadline, answer).await.unwrap_or_else(|_| Err(lost()))
    }
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
    scripts: Vec<Option<Script>>,
    reply: oneshot::Sender<Result<Vec<Value>, Failure>>,
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
                waiting.drain(..).for_each(Job::turn_back);
            }
        }
    }

    async fn fly(&self, jobs: &mut Vec<Job>) {
        let mut pipeline = Pipeline::with_capacity(jobs.len() * 2);
        let mut passengers = Vec::with_capacity(jobs.len());
        for job in jobs.drain(..) {
            if !job.reply.is_closed() {
                passengers.push(job.board(&mut pipeline));
            }
        }
        if passengers.is_empty() {
            return;
        }
        let Replicas { count, within } = self.replicas;
        let millis = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        pipeline.cmd("WAIT").arg(count).arg(millis.max(1));
        let began = Instant::now();
        let replies = timeout(self.limit + within, self.wire.send_all(&pipeline)).await;
        match self.health.judge(replies.ok(), pipeline.len(), began) {
            Ok(replies) => self.arrive(passengers, &pipeline, replies),
            Err(fault) => give_back(passengers, &pipeline, &fault),
        }
    }

    fn arrive(&self, passengers: Vec<Passenger>, pipeline: &Pipeline, mut replies: Vec<Value>) {
        let acknowledged = self.replicas.have_it(replies.pop());
        let mut replies = replies.into_iter();
        let mut cmds = pipeline.cmd_iter();
        for passenger in passengers {
            let count = passenger.scripts.len();
            let mut mine: Vec<Value> = replies.by_ref().take(count).collect();
            let why = match refusal(&mut mine) {
                Some(error) => Why::Refused(error),
                None if !acknowledged => Why::Unacknowledged(mine),
                None => {
                    cmds.by_ref().take(count).for_each(drop);
                    drop(passenger.reply.send(Ok(mine)));
                    continue;
                }
            };
            passenger.turn_back(&mut cmds, why);
        }
    }
}

fn give_back(passengers: Vec<Passenger>, pipeline: &Pipeline, fault: &Fault) {
    let mut cmds = pipeline.cmd_iter();
    for passenger in passengers {
        passenger.turn_back(&mut cmds, Why::Unanswered(fault.clone()));
    }
}

impl Passenger {
    /// Takes its commands along.
    fn turn_back<'a>(self, cmds: &mut impl Iterator<Item = &'a Cmd>, why: Why) {
        let mut commands = Vec::with_capacity(self.scripts.len());
        for script in self.scripts {
            if let Some(cmd) = cmds.next() {
                commands.push(Command::from_parts(cmd.clone(), script));
            }
        }
        drop(self.reply.send(Err(Failure { commands, why })));
    }
}

impl Replicas {
    fn have_it(self, reply: Option<Value>) -> bool {
        matches!(reply, Some(Value::Int(count)) if count >= i64::from(self.count))
    }
}

impl Job {
    fn size(&self) -> usize {
        self.commands.iter().map(Command::size).sum()
    }

    /// Another connection has to take it.
    fn turn_back(self) {
        let why = Why::Unsent(Fault::new(ErrorKind::Unavailable, ""));
        drop(self.reply.send(Err(Failure { commands: self.commands, why })));
    }

    fn board(self, pipeline: &mut Pipeline) -> Passenger {
        let mut scripts = Vec::with_capacity(self.commands.len());
        for command in self.commands {
            let (cmd, script) = command.into_parts();
            pipeline.add_command(cmd);
            scripts.push(script);
        }
        Passenger { scripts, reply: self.reply }
    }
}
