//! A user, who notices whatever goes wrong with his session.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use example_driver::{
    Result,
    client::{Client, Method, Reply, StatusCode},
};
use futures_util::future::{join3, join4};
use serde_json::Value;
use test_servers::haproxy::SERVED_BY;
use tokio::time::{Duration, Instant, sleep};

use crate::{pace::Pace, plan::Click};

/// A user gives up after this. Nothing in a fleet that works takes so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// Whether a request may be sent twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// Twice is as good as once.
    Harmless,
    /// Once at the most.
    Never,
}

/// A user, and what he was told.
#[derive(Debug)]
pub(crate) struct User<'a> {
    pace: &'a Pace,
    balancer: SocketAddr,
    name: String,
    cookies: BTreeMap<String, String>,
    /// The last name that was acknowledged.
    said: Option<String>,
    /// Every item that was acknowledged.
    items: BTreeSet<String>,
    /// The counts that were acknowledged, and those of which nobody knows.
    counts: (u64, u64),
    changes: u32,
    logged_out: bool,
}

impl<'a> User<'a> {
    pub(crate) fn new(pace: &'a Pace, balancer: SocketAddr, number: usize) -> Self {
        Self {
            pace,
            balancer,
            name: format!("user-{number}"),
            cookies: BTreeMap::new(),
            said: None,
            items: BTreeSet::new(),
            counts: (0, 0),
            changes: 0,
            logged_out: false,
        }
    }

    /// Logs in. When the answer does not come, whoever sees the error page logs in again.
    pub(crate) async fn log_in(&mut self) -> Result {
        let form = format!("user={}", self.name);
        let reply = self.ask(Method::POST, "/login", &form, Repeat::Harmless).await?;
        self.keep_cookies(reply.as_ref());
        self.pace.count(|tally| tally.users += 1);
        Ok(())
    }

    /// Does one thing, and looks whether the answers fit to what he was told before.
    pub(crate) async fn click(&mut self, click: Click) -> Result {
        match click {
            Click::Add => {
                let item = self.next("item");
                let reply = self.add(&item).await?;
                self.keep_cookies(reply.as_ref());
                self.items.insert(item);
            }
            Click::Rename => {
                let name = self.next("name");
                let path = format!("/test/index?name={name}");
                let reply = self.ask(Method::GET, &path, "", Repeat::Harmless).await?;
                self.keep_cookies(reply.as_ref());
                self.said = Some(name);
                self.look_at_name().await?;
            }
            Click::Count => {
                let reply = self.count().await?;
                self.keep_cookies(reply.as_ref());
            }
            Click::Page => self.open_page().await?,
        }
        Ok(())
    }

    /// Four requests at once, as a page with parts sends them.
    async fn open_page(&mut self) -> Result {
        let (one, two) = (self.next("item"), self.next("item"));
        let name = self.next("name");
        let path = format!("/test/index?name={name}");
        let (me, first, second, named) = join4(
            self.me(),
            self.add(&one),
            self.add(&two),
            self.ask(Method::GET, &path, "", Repeat::Harmless),
        )
        .await;
        let (me, replies) = (me?, [first?, second?, named?]);
        self.compare(&me);
        replies.iter().for_each(|reply| self.keep_cookies(reply.as_ref()));
        self.items.extend([one, two]);
        self.said = Some(name);
        Ok(())
    }

    /// Counts what is missing in the end.
    pub(crate) async fn look_at_everything(&mut self) -> Result {
        let me = self.me().await?;
        self.compare(&me);
        let (cart, count) = (strings(&me), count_of(&me));
        let (told, unknown) = self.counts;
        let missing = self.items.difference(&cart).count() as u64 + told.saturating_sub(count);
        let doubled = count.saturating_sub(told + unknown);
        let named = self.named().await?;
        let lost = missing + u64::from(named != self.said);
        self.pace.count(|tally| {
            tally.lost += lost;
            tally.doubled += doubled;
        });
        Ok(())
    }

    /// Logs out, and looks whether any instance still knows the old cookie.
    pub(crate) async fn log_out(&mut self) -> Result {
        self.ask(Method::POST, "/logout", "", Repeat::Harmless).await?;
        let looks = join3(self.me(), self.me(), self.me()).await;
        let known = [looks.0?, looks.1?, looks.2?].iter().any(|me| user_of(me).is_some());
        self.pace.count(|tally| tally.came_back += u64::from(known));
        Ok(())
    }

    async fn look_at_name(&self) -> Result {
        let named = self.named().await?;
        let outdated = named != self.said;
        self.pace.count(|tally| tally.outdated += u64::from(outdated));
        Ok(())
    }

    async fn named(&self) -> Result<Option<String>> {
        let reply = self.ask(Method::GET, "/test/index", "", Repeat::Harmless).await?;
        let named = reply.ok_or("no answer")?.json()?;
        Ok(named.get("name").and_then(Value::as_str).map(str::to_owned))
    }

    async fn me(&self) -> Result<Value> {
        let reply = self.ask(Method::GET, "/me", "", Repeat::Harmless).await?;
        reply.ok_or("no answer")?.json()
    }

    async fn add(&self, item: &str) -> Result<Option<Reply>> {
        self.ask(Method::POST, "/cart", &format!("item={item}"), Repeat::Harmless).await
    }

    async fn count(&mut self) -> Result<Option<Reply>> {
        let reply = self.ask(Method::POST, "/count", "", Repeat::Never).await?;
        match reply {
            Some(_) => self.counts.0 += 1,
            None => self.counts.1 += 1,
        }
        Ok(reply)
    }

    /// Notices what he was told before and is not in an answer that he asked for afterwards.
    fn compare(&mut self, me: &Value) {
        if user_of(me) != Some(&self.name) && !self.logged_out {
            self.logged_out = true;
            self.pace.count_log_out();
        }
        let complete = self.items.is_subset(&strings(me)) && count_of(me) >= self.counts.0;
        self.pace.count(|tally| tally.outdated += u64::from(!complete));
    }

    /// Sends a request until it is answered by an instance; or once, if twice does harm and
    /// nobody knows whether it took effect.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        form: &str,
        repeat: Repeat,
    ) -> Result<Option<Reply>> {
        let deadline = Instant::now() + PATIENCE;
        let client = Client::presenting(self.cookie());
        loop {
            let turn = self.pace.turn().await;
            let reply = client.send(self.balancer, method.clone(), path, form).await;
            let reached = match reply {
                Ok(reply) if reply.header(SERVED_BY).is_some() && reply.status.is_success() => {
                    return Ok(Some(reply));
                }
                Ok(reply) if reply.header(SERVED_BY).is_some() => {
                    self.pace.failed(format!("{path}: {} {:?}", reply.status, reply.body));
                    true
                }
                // No instance was there: the balancer sent it to none.
                Ok(reply) => reply.status != StatusCode::SERVICE_UNAVAILABLE,
                Err(_) => true,
            };
            if Instant::now() > deadline {
                return Err(format!("{path} was not answered within {PATIENCE:?}").into());
            }
            let again = repeat == Repeat::Harmless || !reached;
            self.pace.count_broken(&turn, reached, again);
            drop(turn);
            if !again {
                return Ok(None);
            }
            sleep(PAUSE).await;
        }
    }

    fn cookie(&self) -> String {
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        cookies.collect::<Vec<_>>().join("; ")
    }

    fn keep_cookies(&mut self, reply: Option<&Reply>) {
        for (name, value) in reply.into_iter().flat_map(Reply::cookies) {
            if value.is_empty() {
                self.cookies.remove(&name);
            } else {
                self.cookies.insert(name, value);
            }
        }
    }

    /// Something that he never said before.
    fn next(&mut self, what: &str) -> String {
        self.changes += 1;
        format!("{what}-{}", self.changes)
    }
}

fn user_of(me: &Value) -> Option<&str> {
    me.get("user")?.as_str()
}

fn count_of(me: &Value) -> u64 {
    me.get("count").and_then(Value::as_u64).unwrap_or_default()
}

fn strings(me: &Value) -> BTreeSet<String> {
    let cart = me.get("cart").and_then(Value::as_array).into_iter().flatten();
    cart.filter_map(Value::as_str).map(str::to_owned).collect()
}
