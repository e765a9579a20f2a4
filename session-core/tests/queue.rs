//! The in-process line of waiters under every order of events: a model that is driven by hand, and
//! threads that do as they like.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use session_core::{KeyDigest, LockQueue, QueueError, instant_after};
use support::SOON;
use tokio::time::timeout;

const NEVER: Duration = Duration::MAX;

fn key() -> KeyDigest {
    KeyDigest::from_bytes([7; 32])
}

/// Whether a future asked to be polled.
#[derive(Default)]
struct Asked(AtomicBool);

impl Wake for Asked {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Somebody who wants the lock: enters, tries, and tries again whenever he is woken.
struct Waiter {
    name: usize,
    asked: Arc<Asked>,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

/// What is known from outside.
#[derive(Default)]
struct Seen {
    /// Who tried since he last had a reason to.
    tried: Vec<usize>,
}

struct Model {
    queue: LockQueue,
    seen: Arc<Mutex<Seen>>,
    /// In the order they came.
    line: Vec<Waiter>,
    /// Who is at the head and has had a reason to try since.
    due: Option<usize>,
    next_name: usize,
}

impl Model {
    fn new() -> Self {
        let (queue, seen) = (LockQueue::new(16), Arc::default());
        Self { queue, seen, line: Vec::new(), due: None, next_name: 0 }
    }

    fn arrive(&mut self) {
        let (name, queue, seen) = (self.next_name, self.queue.clone(), Arc::clone(&self.seen));
        self.next_name += 1;
        let future = Box::pin(async move {
            let turn = queue.enter(&key(), instant_after(NEVER)).await.unwrap();
            loop {
                seen.lock().unwrap().tried.push(name);
                turn.wait(NEVER).await;
            }
        });
        let asked = Arc::new(Asked(AtomicBool::new(true)));
        self.line.push(Waiter { name, asked, future });
        // He stands in line from his first poll on.
        self.poll(self.line.len() - 1);
        self.head_changed(self.line.len() == 1);
    }

    fn leave(&mut self, at: usize) {
        drop(self.line.remove(at));
        self.head_changed(at == 0);
    }

    fn wake(&mut self) {
        self.queue.wake(&key());
        self.head_changed(true);
    }

    fn head_changed(&mut self, has_reason: bool) {
        if has_reason {
            self.due = self.line.first().map(|head| head.name);
        }
        let tried = std::mem::take(&mut self.seen.lock().unwrap().tried);
        if has_reason && self.line.len() == 1 && tried == [self.line[0].name] {
            // Who comes to an empty line tries at once.
            self.due = None;
        }
        self.check(&tried);
    }

    fn poll(&mut self, at: usize) {
        let waiter = &mut self.line[at];
        if waiter.asked.0.swap(false, Ordering::SeqCst) {
            let waker = Waker::from(Arc::clone(&waiter.asked));
            let polled = waiter.future.as_mut().poll(&mut Context::from_waker(&waker));
            assert_eq!(polled, Poll::Pending);
        }
    }

    /// Polls one who asked for it.
    fn poll_some(&mut self, at: usize) {
        self.poll(at);
        let tried = std::mem::take(&mut self.seen.lock().unwrap().tried);
        self.check(&tried);
        if tried.iter().any(|name| self.due == Some(*name)) {
            self.due = None;
        }
    }

    /// Nobody but the head ever tries.
    fn check(&self, tried: &[usize]) {
        let head = self.line.first().map(|head| head.name);
        assert!(tried.iter().all(|name| Some(*name) == head), "{tried:?} tried, not {head:?}");
        assert_eq!(self.queue.waiting(&key()), self.line.len());
    }

    /// Lets everybody go on who asked for it; then the head must have tried since its last reason.
    fn settle(&mut self) {
        while let Some(at) = self.line.iter().position(|one| one.asked.0.load(Ordering::SeqCst)) {
            self.poll_some(at);
        }
        assert_eq!(self.due, None, "a waiter missed its wake-up");
    }
}

#[tokio::test]
async fn the_head_of_the_line_always_learns_that_it_may_try() {
    for seed in 0..20_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut model = Model::new();
        for _ in 0..random.usize(1..24) {
            let somebody = random.usize(..model.line.len().max(1));
            match random.u8(..6) {
                0 | 1 if model.line.len() < 4 => model.arrive(),
                2 if !model.line.is_empty() => model.leave(somebody),
                3 => model.wake(),
                4 if !model.line.is_empty() => model.poll_some(somebody),
                _ => model.settle(),
            }
        }
        model.settle();
        while !model.line.is_empty() {
            model.leave(0);
            model.settle();
        }
        assert_eq!(model.queue.waiting(&key()), 0, "seed {seed}");
    }
}

#[tokio::test]
async fn who_gives_up_further_back_makes_nobody_try() {
    let mut model = Model::new();
    for _ in 0..3 {
        model.arrive();
    }
    model.settle();
    model.leave(1);
    model.leave(1);
    assert!(!model.line[0].asked.0.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_threads_do_one_is_at_the_head_and_the_line_is_empty_in_the_end() {
    let queue = LockQueue::new(6);
    let at_head = Arc::new(AtomicBool::new(false));
    let tasks = (0..8).map(|n| {
        let (queue, at_head) = (queue.clone(), Arc::clone(&at_head));
        tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(n);
            let mut turns = 0;
            for _ in 0..2_000 {
                let patience = Duration::from_micros(random.u64(..300));
                let deadline = instant_after(if random.u8(..4) == 0 { patience } else { NEVER });
                let key = key();
                let entering = queue.enter(&key, deadline);
                let entered = if random.u8(..4) == 0 {
                    let Ok(entered) = timeout(patience, entering).await else { continue };
                    entered
                } else {
                    entering.await
                };
                match entered {
                    Ok(turn) => {
                        assert!(!at_head.swap(true, Ordering::SeqCst), "two at the head");
                        if random.u8(..8) == 0 {
                            turn.wait(patience).await;
                        }
                        assert!(at_head.swap(false, Ordering::SeqCst));
                        drop(turn);
                        turns += 1;
                    }
                    Err(QueueError::Full) => tokio::task::yield_now().await,
                    Err(_) => {}
                }
                if random.u8(..8) == 0 {
                    queue.wake(&key);
                }
            }
            turns
        })
    });
    let mut turns = 0;
    for task in tasks.collect::<Vec<_>>() {
        turns += timeout(SOON, task).await.unwrap().unwrap();
    }
    assert!(turns > 0);
    assert_eq!(queue.waiting(&key()), 0);
}
