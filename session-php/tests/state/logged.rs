//! The handler of our side, which logs as that of PHP's does.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use bytes::Bytes;
use session_core::{Error, ErrorKind, Operation, Result};
use session_php::state::{HandlerName, PhpId, SaveHandler, Slots};

use crate::{draw::Handler, php::encoded};

#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) calls: Vec<String>,
    pub(crate) store: BTreeMap<Vec<u8>, Bytes>,
    pub(crate) ids: VecDeque<String>,
    pub(crate) fails: Vec<String>,
    pub(crate) counts: BTreeMap<&'static str, usize>,
}

#[derive(Debug, Clone)]
pub(crate) struct Logged {
    pub(crate) handler: Handler,
    pub(crate) log: Arc<Mutex<Log>>,
}

fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", encoded(bytes))
}

impl Logged {
    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }

    fn call(&self, slot: &'static str, arguments: &[String]) -> Result<MutexGuard<'_, Log>> {
        let mut log = self.log();
        let count = log.counts.entry(slot).or_default();
        *count += 1;
        let name = format!("{slot}:{count}");
        let fails = log.fails.contains(&name);
        let end = if fails { " fails" } else { "" };
        log.calls.push(format!("{slot}({}){end}", arguments.join(", ")));
        if fails { Err(Error::new(ErrorKind::Backend, "log", Operation::Save)) } else { Ok(log) }
    }
}

#[async_trait]
impl SaveHandler for Logged {
    fn name(&self) -> HandlerName {
        HandlerName::User(self.handler.class())
    }

    fn slots(&self) -> Slots {
        let mut slots = Slots::NONE;
        slots.create_sid = matches!(self.handler, Handler::WithIds | Handler::All);
        slots.validate_sid = matches!(self.handler, Handler::WithStamps | Handler::All);
        slots.update_timestamp = slots.validate_sid;
        slots
    }

    async fn open(&mut self, save_path: &str, name: &str) -> Result<()> {
        self.call("open", &[quoted(save_path.as_bytes()), quoted(name.as_bytes())]).map(drop)
    }

    async fn close(&mut self) -> Result<()> {
        self.call("close", &[]).map(drop)
    }

    async fn read(&mut self, id: &PhpId) -> Result<Bytes> {
        let log = self.call("read", &[quoted(id.expose())])?;
        Ok(log.store.get(id.expose()).cloned().unwrap_or_default())
    }

    async fn write(&mut self, id: &PhpId, data: &Bytes, _lifetime: i64) -> Result<()> {
        let mut log = self.call("write", &[quoted(id.expose()), quoted(data)])?;
        log.store.insert(id.expose().to_vec(), data.clone());
        Ok(())
    }

    async fn destroy(&mut self, id: &PhpId) -> Result<()> {
        let mut log = self.call("destroy", &[quoted(id.expose())])?;
        log.store.remove(id.expose());
        Ok(())
    }

    async fn gc(&mut self, lifetime: i64) -> Result<Option<u64>> {
        self.call("gc", &[lifetime.to_string()]).map(|_log| Some(7))
    }

    async fn create_sid(&mut self) -> Result<PhpId> {
        let mut log = self.call("create_sid", &[])?;
        Ok(PhpId::new(log.ids.pop_front().unwrap_or_else(|| "last".to_owned())))
    }

    async fn validate_sid(&mut self, id: &PhpId) -> Result<bool> {
        let log = self.call("validate_sid", &[quoted(id.expose())])?;
        Ok(log.store.contains_key(id.expose()))
    }

    async fn update_timestamp(&mut self, id: &PhpId, data: &Bytes, _lifetime: i64) -> Result<()> {
        self.call("update_timestamp", &[quoted(id.expose()), quoted(data)]).map(drop)
    }
}
