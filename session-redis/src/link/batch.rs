//! One connection, on which what is asked at the same time goes in one write.
//!
//! A caller that is alone sends at once. While something is on its way, others line up, and all that
//! wait go together as soon as a batch has come back. There is no timer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{
    Cmd, Pipeline, PushInfo, PushKind, RedisError, ServerError, aio::MultiplexedConnection,
};
use session_core::ErrorKind;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::yield_now,
    time::{Instant, timeout, timeout_at},
};

use super::{Command, Script, Value, dial::OnPush, fault::Fault};

/// How many batches are on their way at most.
const FLIGHTS: usize = 2;
/// How many requests are in one batch at most.
const BATCH: usize = 512;
/// How many requests wait at most, before callers wait for a place.
const LINE: usize = 4096;
/// How many bytes of commands are in one batch, beyond which it takes no more requests.
const BATCH_BYTES: usize = 1024 * 1024;
/// So many tries in a row without an answer make a connection unfit.
const SILENCES: u32 = 3;

/// A connection, and whether it is fit for use.
pub(super) struct Connection {
    wire: MultiplexedConnection,
    line: mpsc::Sender<Job>,
    health: Arc<Health>,
    /// How long one try may take.
    limit: Duration,
    direct: bool,
}

/// What the users of a connection have seen of it.
#[derive(Debug, Default)]
pub(super) struct Health {
    closed: AtomicBool,
    silences: AtomicU32,
    /// Requests and batches on their way or in line.
    busy: AtomicUsize,
}

/// The acknowledgement by replicas that each batch waits for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replicas {
    pub(super) count: u32,
    pub(super) within: Duration,
}

/// A try without answers. The commands come back, so that they can be sent again.
pub(super) struct Failure {
    pub(super) commands: Vec<Command>,
    pub(super) why: Why,
}

/// Why a try failed.
pub(super) enum Why {
    /// A server said so; nothing was done.
    Refused(ServerError),
    /// The request did not leave.
    Unsent(Fault),
    /// The server may have got it.
    Unanswered(Fault),
    /// It was done, but too few replicas are known to have it.
    Unacknowledged(Vec<Value>),
}

impl Failure {
    pub(super) fn into_fault(self) -> Fault {
        self.why.into_fault()
    }
}

impl Why {
    pub(super) fn into_fault(self) -> Fault {
        match self {
            Self::Refused(error) => RedisError::from(error).into(),
            Self::Unsent(fault) | Self::Unanswered(fault) => fault,
            Self::Unacknowledged(_) => Fault::unacknowledged(),
        }
    }
}

struct Job {
    commands: Vec<Command>,
    reply: oneshot::Sender<Result<Vec<Value>, Failure>>,
}

impl Health {
    pub(super) fn is_fit(&self) -> bool {
        !self.closed.load(Ordering::Relaxed) && self.silences.load(Ordering::Relaxed) < SILENCES
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Passes on what comes between replies, and notes the end of the connection.
    pub(super) fn watch(self: &Arc<Self>, then: Option<OnPush>) -> OnPush {
        let health = Arc::downgrade(self);
        Arc::new(move |info: PushInfo| {
            if let (PushKind::Disconnection, Some(health)) = (&info.kind, health.upgrade()) {
                health.close();
            }
            if let Some(then) = &then {
                then(info);
            }
        })
    }

    fn answered(&self) {
        if self.silences.load(Ordering::Relaxed) != 0 {
            self.silences.store(0, Ordering::Relaxed);
        }
    }

    fn failed(&self, error: &RedisError) {
        if error.is_io_error() && !error.is_timeout() || error.is_unrecoverable_error() {
            self.close();
        }
    }
}

/// Something that is on its way.
struct Busy<'a>(&'a Health, usize);

impl<'a> Busy<'a> {
    /// If nothing else is.
    fn alone(health: &'a Health) -> Option<Self> {
        let alone = health.busy.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed);
        alone.is_ok().then(|| Self(health, 1))
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(self.1, Ordering::Relaxed);
    }
}

impl Connection {
    pub(super) fn new(
        wire: MultiplexedConnection,
        health: Arc<Health>,
        limit: Duration,
        replicas: Option<Replicas>,
    ) -> Self {
        let (line, jobs) = mpsc::channel(LINE);
        let jobs = Arc::new(Mutex::new(jobs));
        let flights = if replicas.is_some() { 1 } else { FLIGHTS };
        for _ in 0..flights {
            let flight =
                Flight { wire: wire.clone(), health: Arc::clone(&health), limit, replicas };
            tokio::spawn(flight.run(Arc::clone(&jobs)));
        }
        Self { wire, line, health, limit, direct: replicas.is_none() }
    }

    pub(super) fn is_fit(&self) -> bool {
        self.health.is_fit()
    }

    /// Lets nobody begin to use it.
    pub(super) fn retire(&self) {
        self.health.close();
    }

    /// Sends commands, which no others come between, and waits for their replies. Ends by the
    /// deadline. Cancel safe: what was sent is sent, and its replies are thrown away.
    pub(super) async fn ask(
        &self,
        commands: Vec<Command>,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        if self.direct
            && let Some(_busy) = Busy::alone(&self.health)
        {
            return self.ask_alone(commands, deadline).await;
        }
        self.ask_in_line(commands, deadline).await
    }

    async fn ask_alone(
        &self,
        commands: Vec<Command>,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        let by = deadline.min(Instant::now() + self.limit);
        let replies = timeout_at(by, self.send(&commands)).await;
        match self.health.judge(replies.ok(), commands.len()) {
            Ok(mut replies) => match refusal(&mut replies) {
                Some(error) => Err(Failure { commands, why: Why::Refused(error) }),
                None => Ok(replies),
            },
            Err(fault) => Err(Failure { commands, why: Why::Unanswered(fault) }),
        }
    }

    async fn send(&self, commands: &[Command]) -> Result<Vec<Value>, RedisError> {
        let mut wire = self.wire.clone();
        if let [command] = commands {
            return Ok(vec![wire.send_packed_command(command.cmd()).await?]);
        }
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command.cmd().clone());
        }
        wire.send_packed_commands(&pipeline, 0, commands.len()).await
    }

    async fn ask_in_line(
        &self,
        commands: Vec<Command>,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        let (reply, answer) = oneshot::channel();
        let lost = || Failure { commands: Vec::new(), why: Why::Unanswered(Fault::timeout()) };
        let answer = async {
            if let Err(unsent) = self.line.send(Job { commands, reply }).await {
                // Its tasks have ended with their runtime.
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

/// The first error among replies.
fn refusal(replies: &mut [Value]) -> Option<ServerError> {
    let error = replies.iter_mut().find(|reply| matches!(reply, Value::ServerError(_)))?;
    match std::mem::take(error) {
        Value::ServerError(error) => Some(error),
        _ => None,
    }
}

impl Health {
    /// The replies, if they all came. `None` stands for a timeout.
    fn judge(
        &self,
        replies: Option<Result<Vec<Value>, RedisError>>,
        count: usize,
    ) -> Result<Vec<Value>, Fault> {
        match replies {
            Some(Ok(replies)) if replies.len() == count => {
                self.answered();
                Ok(replies)
            }
            Some(Ok(_)) => {
                self.close();
                Err(Fault::new(ErrorKind::Unavailable, "the replies do not match"))
            }
            Some(Err(error)) => {
                self.failed(&error);
                Err(error.into())
            }
            None => {
                self.silences.fetch_add(1, Ordering::Relaxed);
                Err(Fault::timeout())
            }
        }
    }
}

/// Takes what waits, sends it as one batch, hands the replies out, and begins anew.
struct Flight {
    wire: MultiplexedConnection,
    health: Arc<Health>,
    limit: Duration,
    replicas: Option<Replicas>,
}

/// What is left of a job whose commands are in a batch.
struct Passenger {
    scripts: Vec<Option<Script>>,
    reply: oneshot::Sender<Result<Vec<Value>, Failure>>,
}

impl Flight {
    async fn run(mut self, jobs: Arc<Mutex<mpsc::Receiver<Job>>>) {
        let mut waiting = Vec::with_capacity(BATCH);
        loop {
            {
                let mut jobs = jobs.lock().await;
                let Some(job) = jobs.recv().await else { return };
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
            }
            if self.health.is_fit() {
                self.fly(&mut waiting).await;
            } else {
                waiting.drain(..).for_each(Job::turn_back);
            }
        }
    }

    async fn fly(&mut self, jobs: &mut Vec<Job>) {
        self.health.busy.fetch_add(1, Ordering::Relaxed);
        let busy = Busy(&self.health, 1);
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
        let mut limit = self.limit;
        if let Some(replicas) = self.replicas {
            limit += replicas.within;
            let millis = u64::try_from(replicas.within.as_millis()).unwrap_or(u64::MAX);
            pipeline.cmd("WAIT").arg(replicas.count).arg(millis.max(1));
        }
        let count = pipeline.len();
        let mut wire = self.wire.clone();
        let replies = timeout(limit, wire.send_packed_commands(&pipeline, 0, count)).await;
        // Who gets a reply and asks again is alone, if he is the only one.
        drop(busy);
        match self.health.judge(replies.ok(), count) {
            Ok(replies) => self.arrive(passengers, &pipeline, replies),
            Err(fault) => give_back(passengers, &pipeline, &fault),
        }
    }

    fn arrive(&self, passengers: Vec<Passenger>, pipeline: &Pipeline, mut replies: Vec<Value>) {
        let acknowledged = self.replicas.is_none_or(|replicas| replicas.have_it(replies.pop()));
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
