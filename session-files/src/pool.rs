//! The threads that do the blocking calls.
//!
//! A call into a file system can block for ever (a network mount whose server is gone). It then
//! blocks one of these threads, never the async runtime; and when all of them are blocked, new
//! operations are refused at once instead of piling up.

use std::{
    collections::VecDeque,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, time::timeout_at};

type Job = Box<dyn FnOnce() + Send>;

/// A few threads with a bounded queue in front. The threads end with the pool.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    max_queue: usize,
    patience: Duration,
}

struct Shared {
    state: Mutex<State>,
    ready: Condvar,
}

struct State {
    queue: VecDeque<Job>,
    /// For each thread, since when it has been at its present job.
    busy_since: Vec<Option<Instant>>,
    closed: bool,
}

/// Why a job has no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PoolError {
    /// The queue is full.
    Full,
    /// Every thread has been at its job for longer than any operation may take.
    Stuck,
    /// The deadline came first. A job that was not started never will be.
    TimedOut { started: bool },
    /// The job panicked.
    Lost,
}

impl Pool {
    /// Starts `threads` threads. A thread that is at one job for longer than `patience` counts as
    /// stuck.
    pub(crate) fn start(threads: usize, max_queue: usize, patience: Duration) -> io::Result<Self> {
        let state =
            State { queue: VecDeque::new(), busy_since: vec![None; threads], closed: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), ready: Condvar::new() });
        let pool = Self { shared, max_queue, patience };
        for number in 0..threads {
            let shared = Arc::clone(&pool.shared);
            let name = format!("session-files-{number}");
            thread::Builder::new().name(name).spawn(move || shared.work(number))?;
        }
        Ok(pool)
    }

    /// Runs `work` on one of the threads and waits for its outcome until `deadline`.
    ///
    /// Cancel safe in this sense: when the future is dropped, `work` is run as a whole or not at
    /// all, and its outcome is dropped.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        deadline: tokio::time::Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let (reply, outcome) = oneshot::channel();
        let claim = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&claim);
        self.submit(Box::new(move || {
            if !reply.is_closed() && take(&theirs) {
                // Nobody listens any more: the outcome is dropped.
                drop(reply.send(work()));
            }
        }))?;
        match timeout_at(deadline, outcome).await {
            Ok(outcome) => outcome.map_err(|_closed| PoolError::Lost),
            Err(_elapsed) => Err(PoolError::TimedOut { started: !take(&claim) }),
        }
    }

    fn submit(&self, job: Job) -> Result<(), PoolError> {
        let mut state = self.shared.state();
        if state.busy_since.iter().all(|since| since.is_some_and(|at| at.elapsed() > self.patience))
        {
            return Err(PoolError::Stuck);
        }
        if state.queue.len() >= self.max_queue {
            return Err(PoolError::Full);
        }
        state.queue.push_back(job);
        drop(state);
        self.shared.ready.notify_one();
        Ok(())
    }
}

impl Drop for Pool {
    /// What is queued is still done; nobody waits for it.
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.ready.notify_all();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state();
        f.debug_struct("Pool")
            .field("threads", &state.busy_since.len())
            .field("busy", &state.busy_since.iter().flatten().count())
            .field("queued", &state.queue.len())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn work(&self, number: usize) {
        while let Some(job) = self.next(number) {
            // The panic hook has reported it, and the caller learns of it by the lost reply.
            drop(catch_unwind(AssertUnwindSafe(job)));
        }
    }

    fn next(&self, number: usize) -> Option<Job> {
        let mut state = self.state();
        mark(&mut state, number, None);
        loop {
            if let Some(job) = state.queue.pop_front() {
                mark(&mut state, number, Some(Instant::now()));
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// No job runs under this lock, so a panic leaves the state whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn mark(state: &mut State, number: usize, since: Option<Instant>) {
    if let Some(mark) = state.busy_since.get_mut(number) {
        *mark = since;
    }
}

/// Whoever takes the claim first decides: the thread, that the job runs; the caller, that it never
/// does.
fn take(claim: &AtomicBool) -> bool {
    !claim.swap(true, Ordering::AcqRel)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::time::Instant as Deadline;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(30);

    fn pool(threads: usize, max_queue: usize) -> Arc<Pool> {
        Arc::new(Pool::start(threads, max_queue, LONG).unwrap())
    }

    fn impatient(threads: usize) -> Arc<Pool> {
        Arc::new(Pool::start(threads, 16, SHORT).unwrap())
    }

    /// Makes a thread block until the sender is dropped.
    async fn block(pool: &Arc<Pool>) -> mpsc::Sender<()> {
        let (release, blocked) = mpsc::channel::<()>();
        let (started, running) = oneshot::channel();
        let theirs = Arc::clone(pool);
        tokio::spawn(async move {
            theirs
                .run(Deadline::now() + LONG, move || {
                    started.send(()).unwrap();
                    blocked.recv().unwrap_err();
                })
                .await
        });
        running.await.unwrap();
        release
    }

    #[tokio::test]
    async fn a_stuck_pool_times_out_then_refuses_at_once_then_recovers() {
        let pool = impatient(2);
        let blocked = [block(&pool).await, block(&pool).await];
        let deadline = Instant::now() + LONG;
        loop {
            match pool.run(Deadline::now() + SHORT, || ()).await {
                Err(PoolError::Stuck) => break,
                late => assert_eq!(late, Err(PoolError::TimedOut { started: false })),
            }
            assert!(Instant::now() < deadline);
        }
        drop(blocked);
        while pool.run(Deadline::now() + LONG, || ()).await.is_err() {
            assert!(Instant::now() < deadline);
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn one_stuck_thread_leaves_the_others_at_work() {
        let pool = impatient(2);
        let _blocked = block(&pool).await;
        tokio::time::sleep(SHORT * 2).await;
        assert_eq!(pool.run(Deadline::now() + LONG, || 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_job_that_timed_out_in_the_queue_is_never_run() {
        let pool = pool(1, 16);
        let blocked = block(&pool).await;
        let (ran, runs) = mpsc::channel();
        let late = pool.run(Deadline::now() + SHORT / 3, move || ran.send(())).await;
        assert_eq!(late.err(), Some(PoolError::TimedOut { started: false }));
        drop(blocked);
        // The job is gone without having sent anything.
        assert!(runs.recv_timeout(LONG).is_err_and(|e| e == mpsc::RecvTimeoutError::Disconnected));
    }

    #[tokio::test]
    async fn a_job_that_was_started_says_so_when_it_is_late() {
        let pool = pool(1, 16);
        let late = |patience| {
            let (release, blocked) = mpsc::channel::<()>();
            let job = pool.run(Deadline::now() + patience, move || blocked.recv().is_err());
            async move { (job.await, drop(release)).0 }
        };
        let mut patience = SHORT;
        // Where the thread is late, there is more time for it.
        while late(patience).await == Err(PoolError::TimedOut { started: false }) {
            assert!(patience < LONG);
            patience *= 2;
        }
        assert_eq!(late(patience).await, Err(PoolError::TimedOut { started: true }));
    }

    #[tokio::test]
    async fn the_queue_is_bounded() {
        let pool = pool(1, 1);
        let _blocked = block(&pool).await;
        let (first, second) = tokio::join!(
            pool.run(Deadline::now() + SHORT / 3, || ()),
            pool.run(Deadline::now() + SHORT / 3, || ()),
        );
        assert_eq!(first, Err(PoolError::TimedOut { started: false }));
        assert_eq!(second, Err(PoolError::Full));
    }

    #[tokio::test]
    async fn a_panic_costs_neither_the_thread_nor_the_pool() {
        let pool = Pool::start(1, 16, LONG).unwrap();
        let lost = pool.run(Deadline::now() + LONG, || panic!("for the test")).await;
        assert_eq!(lost, Err::<(), _>(PoolError::Lost));
        assert_eq!(pool.run(Deadline::now() + LONG, || 7).await, Ok(7));
    }

    #[tokio::test]
    async fn threads_end_with_the_pool() {
        let pool = pool(2, 16);
        let shared = Arc::downgrade(&pool.shared);
        drop(pool);
        let deadline = Instant::now() + LONG;
        while shared.upgrade().is_some() {
            assert!(Instant::now() < deadline);
            tokio::task::yield_now().await;
        }
    }
}
