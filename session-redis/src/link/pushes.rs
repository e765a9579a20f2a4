//! Subscriptions: which channels are wanted, and on which connections they are subscribed.
//!
//! One task does all of it, so that nothing overtakes. It compares what is wanted with what is, and
//! does what is missing: after a new subscription, after the last one to a channel was dropped, and
//! after anything that may have lost subscriptions.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::Duration,
};

use session_core::ErrorKind;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout, timeout_at},
};

use super::{
    Command, OnMessage, Value,
    connection::{Connection, Why},
    fault::Fault,
    server::Server,
    topology::Topology,
    wire::Event,
};

/// How many channels can be subscribed to at most.
const CHANNELS: usize = 16 * 1024;
/// How many channels are subscribed to in one round trip at most.
const AT_ONCE: usize = 128;
/// How long a pass may take for one server.
const PATIENCE: Duration = Duration::from_secs(2);
/// The pause before what failed is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// The channels of a link.
pub(super) struct Channels {
    table: Mutex<HashMap<Vec<u8>, Entry>>,
    on_message: OnMessage,
    /// Wakes the task.
    changed: Notify,
    /// Counts the passes of the task.
    passes: watch::Sender<u64>,
    sharded: OnceLock<bool>,
}

struct Entry {
    wanted: usize,
    on: State,
}

/// Where a channel is subscribed.
enum State {
    Nowhere,
    On(Weak<Connection>),
    /// The last try failed.
    Failed(Fault),
}

impl Entry {
    fn is_on(&self, connection: &Arc<Connection>) -> bool {
        matches!(&self.on, State::On(on) if on.as_ptr() == Arc::as_ptr(connection))
    }

    fn is_live(&self) -> bool {
        matches!(&self.on, State::On(on) if on.upgrade().is_some_and(|on| on.is_fit()))
    }
}

impl Channels {
    pub(super) fn new(on_message: OnMessage) -> Arc<Self> {
        Arc::new(Self {
            table: Mutex::default(),
            on_message,
            changed: Notify::new(),
            passes: watch::Sender::new(0),
            sharded: OnceLock::new(),
        })
    }

    pub(super) fn set_sharded(&self, sharded: bool) {
        self.sharded.get_or_init(|| sharded);
    }

    pub(super) fn are_sharded(&self) -> bool {
        self.sharded.get().copied().unwrap_or_default()
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Entry>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of what a connection for subscriptions tells.
    pub(super) fn happened(&self, event: &Event<'_>) {
        match event {
            Event::Push([Value::BulkString(kind), Value::BulkString(channel), ..]) => match &**kind
            {
                b"message" | b"smessage" => (self.on_message)(channel),
                b"unsubscribe" | b"sunsubscribe" => self.moved(channel),
                _ => {}
            },
            Event::Push(_) => {}
            Event::End => self.look_again(),
        }
    }

    /// Nobody asked for the end of the subscription.
    fn moved(&self, channel: &[u8]) {
        if let Some(entry) = self.table().get_mut(channel)
            && entry.wanted > 0
        {
            entry.on = State::Nowhere;
            self.look_again();
        }
    }

    /// Something may have lost subscriptions.
    pub(super) fn look_again(&self) {
        self.changed.notify_one();
    }

    /// Subscribes, by the deadline.
    pub(super) async fn subscribe(
        self: &Arc<Self>,
        channel: Vec<u8>,
        deadline: Instant,
    ) -> Result<Subscription, Fault> {
        let mut passes = self.passes.subscribe();
        let subscription = self.want(channel)?;
        loop {
            match self.table().get(&subscription.channel) {
                Some(entry) if entry.is_live() => break,
                Some(Entry { on: State::Failed(fault), .. }) => return Err(fault.clone()),
                _ => {}
            }
            match timeout_at(deadline, passes.changed()).await {
                Ok(Ok(())) => {}
                _ => return Err(Fault::timeout()),
            }
        }
        Ok(subscription)
    }

    fn want(self: &Arc<Self>, channel: Vec<u8>) -> Result<Subscription, Fault> {
        let mut table = self.table();
        if table.len() >= CHANNELS && !table.contains_key(&channel) {
            return Err(Fault::new(ErrorKind::Unavailable, "too many subscriptions"));
        }
        let entry = table.entry(channel.clone());
        let entry = entry.or_insert(Entry { wanted: 0, on: State::Nowhere });
        entry.wanted += 1;
        if !entry.is_live() {
            entry.on = State::Nowhere;
            self.changed.notify_one();
        }
        Ok(Subscription { channel, channels: Arc::clone(self) })
    }

    /// Keeps subscribed what is wanted, without end.
    pub(super) async fn keep(self: Arc<Self>, topology: Weak<Topology>) {
        let mut settled = true;
        loop {
            if settled {
                self.changed.notified().await;
            } else {
                // Whether woken or not: what failed is tried again.
                drop(timeout(PAUSE, self.changed.notified()).await);
            }
            let Some(topology) = topology.upgrade() else { return };
            settled = self.pass(&topology).await;
            self.passes.send_modify(|passes| *passes += 1);
        }
    }

    /// Whether all is as wanted now.
    async fn pass(&self, topology: &Topology) -> bool {
        let mut settled = self.subscribe_to_what_is_missing(topology).await;
        let unwanted: Vec<_> = {
            let table = self.table();
            let unwanted = table.iter().filter(|(_, entry)| entry.wanted == 0);
            unwanted.map(|(channel, entry)| (channel.clone(), connection(entry))).collect()
        };
        for (channel, on) in unwanted {
            if let Some(on) = on {
                self.unsubscribe(&on, &channel).await;
            }
            let mut table = self.table();
            match table.get_mut(&channel) {
                Some(entry) if entry.wanted == 0 => drop(table.remove(&channel)),
                Some(entry) => {
                    // Wanted again meanwhile, and we have just ended it.
                    entry.on = State::Nowhere;
                    settled = false;
                }
                None => {}
            }
        }
        settled
    }

    async fn subscribe_to_what_is_missing(&self, topology: &Topology) -> bool {
        let wanted: Vec<Vec<u8>> = {
            let table = self.table();
            let wanted = table.iter().filter(|(_, entry)| entry.wanted > 0);
            wanted.map(|(channel, _)| channel.clone()).collect()
        };
        let mut settled = true;
        let mut missing: Vec<(Arc<Connection>, Vec<Vec<u8>>)> = Vec::new();
        // Each is tried once, so that one that is down does not hold up the channels of the others.
        let mut down: Vec<(Arc<Server>, Fault)> = Vec::new();
        for channel in wanted {
            let deadline = Instant::now() + PATIENCE;
            let feed = match topology.server(&channel, false, deadline).await {
                Ok(server) => match down.iter().find(|(known, _)| Arc::ptr_eq(known, &server)) {
                    Some((_, fault)) => {
                        self.fail(&channel, fault.clone());
                        continue;
                    }
                    None => server.feed(deadline).await.inspect_err(|fault| {
                        down.push((Arc::clone(&server), fault.clone()));
                    }),
                },
                Err(fault) => Err(fault),
            };
            match feed {
                Ok(feed) if self.table().get(&channel).is_some_and(|entry| entry.is_on(&feed)) => {}
                Ok(feed) => {
                    let group = missing
                        .iter_mut()
                        .find(|(on, group)| Arc::ptr_eq(on, &feed) && group.len() < AT_ONCE);
                    match group {
                        Some((_, group)) => group.push(channel),
                        None => missing.push((feed, vec![channel])),
                    }
                }
                Err(fault) => {
                    self.fail(&channel, fault);
                    topology.look_again_for_channels(deadline).await;
                    settled = false;
                }
            }
        }
        for (feed, channels) in missing {
            settled &= self.subscribe_on(&feed, &channels, topology).await;
        }
        settled
    }

    async fn subscribe_on(
        &self,
        feed: &Arc<Connection>,
        channels: &[Vec<u8>],
        topology: &Topology,
    ) -> bool {
        let why = match self.try_to_subscribe(feed, channels).await {
            Ok(()) => return true,
            Err(why) => why,
        };
        if let (Why::Refused(_), [_, _, ..]) = (&why, channels) {
            let mut settled = true;
            for channel in channels.chunks(1) {
                settled &= Box::pin(self.subscribe_on(feed, channel, topology)).await;
            }
            return settled;
        }
        topology.look_again_for_channels(Instant::now() + PATIENCE).await;
        let fault = why.into_fault();
        for channel in channels {
            self.fail(channel, fault.clone());
        }
        false
    }

    async fn try_to_subscribe(
        &self,
        feed: &Arc<Connection>,
        channels: &[Vec<u8>],
    ) -> Result<(), Why> {
        let name = if self.are_sharded() { "SSUBSCRIBE" } else { "SUBSCRIBE" };
        let commands: Vec<_> =
            channels.iter().map(|channel| Command::new(name, &[channel])).collect();
        let replies = feed.ask(&commands, Instant::now() + PATIENCE).await?;
        if !replies.iter().zip(channels).all(|(reply, channel)| confirms(reply, channel)) {
            // Something was taken for a reply that was none.
            feed.retire();
            return Err(Why::Unsent(Fault::new(ErrorKind::Unavailable, "")));
        }
        let mut lost = Vec::new();
        for channel in channels {
            if let Some(entry) = self.table().get_mut(channel) {
                entry.on = State::On(Arc::downgrade(feed));
                lost.push(channel);
            }
        }
        for channel in lost {
            (self.on_message)(channel);
        }
        Ok(())
    }

    async fn unsubscribe(&self, on: &Connection, channel: &[u8]) {
        let name = if self.are_sharded() { "SUNSUBSCRIBE" } else { "UNSUBSCRIBE" };
        let command = Command::new(name, &[channel]);
        if on.ask(&[command], Instant::now() + PATIENCE).await.is_err() {
            on.retire();
        }
    }

    fn fail(&self, channel: &[u8], fault: Fault) {
        if let Some(entry) = self.table().get_mut(channel) {
            entry.on = State::Failed(fault);
        }
    }
}

fn connection(entry: &Entry) -> Option<Arc<Connection>> {
    match &entry.on {
        State::On(on) => on.upgrade().filter(|on| on.is_fit()),
        _ => None,
    }
}

fn confirms(reply: &Value, channel: &[u8]) -> bool {
    let Value::Push(parts) = reply else { return false };
    matches!(
        parts.as_slice(),
        [Value::BulkString(kind), Value::BulkString(name), ..]
            if (*kind == "subscribe" || *kind == "ssubscribe") && name == channel
    )
}

/// Keeps a channel subscribed.
pub(crate) struct Subscription {
    channel: Vec<u8>,
    channels: Arc<Channels>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(entry) = self.channels.table().get_mut(&self.channel) {
            entry.wanted -= 1;
            if entry.wanted == 0 {
                self.channels.changed.notify_one();
            }
        }
    }
}
