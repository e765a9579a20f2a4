//! Asks Sentinels for the primary.

use std::sync::{Mutex, PoisonError};

use session_core::ErrorKind;
use tokio::time::Instant;

use super::{
    Command, Value,
    dial::{Address, Dialer},
    fault::Fault,
    wire::{Lost, OnEvent, Wire},
};

/// The Sentinels that watch one primary.
pub(super) struct Sentinels {
    /// The one that answered last comes first.
    addresses: Mutex<Vec<Address>>,
    service: String,
    dialer: Dialer,
}

impl Sentinels {
    pub(super) fn new(addresses: Vec<Address>, service: String, dialer: Dialer) -> Self {
        Self { addresses: Mutex::new(addresses), service, dialer }
    }

    /// Connects to the server that a Sentinel names, if it agrees to be the primary.
    pub(super) async fn dial_primary(
        &self,
        dialer: &Dialer,
        on_event: Option<OnEvent>,
    ) -> Result<Wire, Fault> {
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut last = Fault::new(ErrorKind::Unavailable, "no Sentinel names a primary");
        for sentinel in addresses {
            // Should this one take all the time that the caller has, the next caller begins elsewhere.
            self.put_last(&sentinel);
            let primary = match self.primary(&sentinel).await {
                Ok(Some(primary)) => primary,
                Ok(None) => continue,
                Err(fault) => {
                    last = fault;
                    continue;
                }
            };
            match dial_a_primary(dialer, &primary, on_event.clone()).await {
                // One that hung meanwhile may have lost its part, and not know it yet.
                Ok(wire) if self.still_names(&sentinel, &primary).await => {
                    self.prefer(&sentinel);
                    return Ok(wire);
                }
                Ok(_) => {}
                // Another Sentinel may know of a newer one.
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    /// Connects to one of the replicas that a Sentinel finds well.
    pub(super) async fn dial_replica(
        &self,
        dialer: &Dialer,
        on_event: Option<OnEvent>,
    ) -> Result<Wire, Fault> {
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for sentinel in addresses {
            let Ok(Value::Array(replicas)) = self.ask(&sentinel, "REPLICAS").await else {
                continue;
            };
            let replicas: Vec<Address> = replicas.into_iter().filter_map(well).collect();
            if let Some(replica) = fastrand::choice(&replicas) {
                return dialer.dial(replica, on_event, true).await;
            }
        }
        Err(Fault::new(ErrorKind::Unavailable, "no Sentinel names a replica"))
    }

    async fn ask(&self, sentinel: &Address, what: &str) -> Result<Value, Fault> {
        let wire = self.dialer.dial(sentinel, None, false).await?;
        let command = Command::new("SENTINEL", &[what.as_bytes(), self.service.as_bytes()]);
        match ask(&self.dialer, &wire, command).await? {
            Value::Error(error) => Err((&error).into()),
            reply => Ok(reply),
        }
    }

    async fn primary(&self, sentinel: &Address) -> Result<Option<Address>, Fault> {
        let reply = self.ask(sentinel, "GET-MASTER-ADDR-BY-NAME").await?;
        let Value::Array(parts) = reply else { return Ok(None) };
        let [Value::BulkString(host), Value::BulkString(port)] = parts.as_slice() else {
            return Ok(None);
        };
        let host = String::from_utf8_lossy(host).into_owned();
        let port = std::str::from_utf8(port).ok().and_then(|port| port.parse().ok());
        Ok(port.map(|port| Address::Tcp(host, port)))
    }

    async fn still_names(&self, sentinel: &Address, primary: &Address) -> bool {
        self.primary(sentinel).await.is_ok_and(|named| named.as_ref() == Some(primary))
    }

    fn prefer(&self, sentinel: &Address) {
        self.put(sentinel, |addresses| addresses.rotate_right(1));
    }

    fn put_last(&self, sentinel: &Address) {
        self.put(sentinel, |_| {});
    }

    /// Puts it last, and then turns the row.
    fn put(&self, sentinel: &Address, turn: impl FnOnce(&mut Vec<Address>)) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = addresses.iter().position(|address| address == sentinel) {
            let moved = addresses.remove(place);
            addresses.push(moved);
            turn(&mut addresses);
        }
    }
}

/// The address of a replica that is up and follows its primary.
fn well(replica: Value) -> Option<Address> {
    let Value::Array(fields) = replica else { return None };
    let field = |name: &str| {
        let mut pairs = fields.chunks_exact(2).filter_map(|pair| match pair {
            [Value::BulkString(name), Value::BulkString(value)] => Some((name, value)),
            _ => None,
        });
        let value = pairs.find(|(field, _)| *field == name)?.1;
        std::str::from_utf8(value).ok()
    };
    let up = field("flags")? == "slave" && field("master-link-status")? == "ok";
    up.then_some(Address::Tcp(field("ip")?.to_owned(), field("port")?.parse().ok()?))
}

async fn dial_a_primary(
    dialer: &Dialer,
    address: &Address,
    on_event: Option<OnEvent>,
) -> Result<Wire, Fault> {
    let wire = dialer.dial(address, on_event, false).await?;
    match ask(dialer, &wire, Command::new("ROLE", &[])).await? {
        Value::Array(parts) if !is_named(parts.first(), b"master") => {
            Err(Fault::new(ErrorKind::Unavailable, "the server that Sentinel names is a replica"))
        }
        // A user without the right to ask finds out by the first write.
        _ => Ok(wire),
    }
}

fn is_named(part: Option<&Value>, name: &[u8]) -> bool {
    matches!(part, Some(Value::BulkString(told)) if told == name)
}

async fn ask(dialer: &Dialer, wire: &Wire, command: Command) -> Result<Value, Fault> {
    let asked = wire.ask(&[command], Instant::now() + dialer.timeout).await;
    asked.map_err(Lost::into_fault)?.pop().ok_or_else(Fault::timeout)
}
