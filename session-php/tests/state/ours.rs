//! Scripts in our state machine.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use session_core::{FrozenClock, Timestamp};
use session_php::{
    SerializeHandler, Settings, Value,
    state::{Failure, Level, Outcome, PhpSession, Random, Request, Returned, StartOptions, Status},
};

use crate::{
    draw::{KNOWN_IDS, Op, Script},
    logged::{Log, Logged},
    php::{Php, Played, Step, encoded},
};

/// Random bytes that lead to the ids that PHP has made of its own random bytes.
#[derive(Debug)]
struct Replayed(VecDeque<String>);

const ALPHABET: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ,-";

impl Random for Replayed {
    fn fill(&mut self, bytes: &mut [u8]) -> session_core::Result<()> {
        bytes.fill(0);
        // The draw for garbage is decided by the settings.
        if bytes.len() == 8 {
            return Ok(());
        }
        let id = self.0.pop_front().unwrap_or_default();
        let bits = bytes.len() * 8 / id.len().max(1);
        for (at, letter) in id.chars().enumerate() {
            let number = ALPHABET.find(letter).unwrap_or_default();
            for bit in (0..bits).filter(|bit| number >> bit & 1 == 1) {
                let place = at * bits + bit;
                if let Some(byte) = bytes.get_mut(place / 8) {
                    *byte |= 1 << (place % 8);
                }
            }
        }
        Ok(())
    }
}

/// The ids that PHP's generator has made, in their order.
fn generated(script: &Script, played: &Played) -> VecDeque<String> {
    let mut ids: Vec<String> = Vec::new();
    let known =
        |id: &str| KNOWN_IDS.contains(&id) || script.ids.iter().any(|it| it == id) || id == "last";
    let mut found = |text: &str| {
        let id = text.replace("%2C", ",");
        let made = (22..=256).contains(&id.len()) && id.chars().all(|it| ALPHABET.contains(it));
        if made && !known(&id) && !ids.contains(&id) {
            ids.push(id);
        }
    };
    for (at, step) in played.steps.iter().enumerate() {
        for call in &step.calls {
            let argument =
                ["read(\"", "validate_sid(\""].iter().find_map(|it| call.strip_prefix(it));
            argument.into_iter().for_each(|it| found(it.split('"').next().unwrap()));
        }
        if let Some(Op::CreateId(prefix)) = script.ops.get(at) {
            let id = step.gives.trim_matches('"');
            id.strip_prefix(&encoded(prefix.as_bytes())).into_iter().for_each(&mut found);
        }
    }
    ids.into()
}

/// Plays a script at the times at which PHP did, with the random ids that PHP has made.
pub(crate) async fn play(script: &Script, theirs: &Played, php: &Php) -> Played {
    let log = Log {
        store: script.store.iter().map(|(id, data)| (id.clone(), data.clone().into())).collect(),
        ids: script.ids.iter().cloned().collect(),
        fails: script.fails.clone(),
        ..Log::default()
    };
    let handler = Logged { handler: script.handler, log: Arc::new(Mutex::new(log)) };
    let clock = Arc::new(FrozenClock::new(Timestamp::from_millis(0)));
    let mut settings = Settings::new(php.version);
    settings.gc_probability = 0;
    let mut session =
        PhpSession::new(handler.clone(), settings, request(script, php.script_modified))
            .with_random(Replayed(generated(script, theirs)))
            .with_clock(Arc::clone(&clock));
    let mut steps = Vec::new();
    for (at, time) in theirs.times.iter().enumerate() {
        clock.set(Timestamp::from_millis(time * 1000));
        let (gives, state) = match script.ops.get(at) {
            Some(op) => (perform(&mut session, op).await, state(&session)),
            None => {
                session.shutdown().await.ok();
                Default::default()
            }
        };
        let said = session.take_diagnostics();
        let says = said.iter().map(|it| {
            format!("{} {}", level(it.problem.level()), encoded(it.to_string().as_bytes()))
        });
        let calls = std::mem::take(&mut handler.log().calls);
        steps.push(Step { calls, says: says.collect(), gives, state });
    }
    let headers = session.headers().map(|(name, value)| format!("{name}: {value}")).collect();
    Played { steps, headers, times: theirs.times.clone() }
}

fn request(script: &Script, modified: u64) -> Request {
    let bytes = |text: &Option<String>| text.clone().unwrap_or_default().into_bytes();
    let mut request = Request::with_cookies(bytes(&script.cookies));
    request.query = bytes(&script.query);
    request.form = bytes(&script.form);
    request.referer = bytes(&script.referer);
    request.last_modified = Some(Timestamp::from_millis(modified * 1000));
    request
}

const fn level(level: Level) -> u32 {
    match level {
        Level::Notice => 8,
        Level::Deprecated => 8192,
        Level::Error => 1,
        _ => 2,
    }
}

fn given<T>(outcome: Outcome<T>, shown: impl FnOnce(T) -> String) -> String {
    match outcome {
        Ok(value) => shown(value),
        Err(Failure { returned: Returned::False, .. }) => "false".to_owned(),
        Err(Failure { returned: Returned::True, .. }) => "true".to_owned(),
        Err(_) => "thrown".to_owned(),
    }
}

async fn perform(session: &mut PhpSession<Logged>, op: &Op) -> String {
    let done = |()| "true".to_owned();
    let text = |bytes: &[u8]| format!("\"{}\"", encoded(bytes));
    match op {
        Op::Start { read_and_close, settings } => {
            let mut options = StartOptions::default();
            options.read_and_close = *read_and_close;
            options.settings = settings.clone();
            given(session.start_with(&options).await, done)
        }
        Op::WriteClose => given(session.write_close().await, done),
        Op::Abort => given(session.abort().await, done),
        Op::Reset => given(session.reset().await, done),
        Op::Regenerate { delete: false } => given(session.regenerate_id().await, done),
        Op::Regenerate { delete: true } => given(session.regenerate_id_and_delete().await, done),
        Op::Destroy => given(session.destroy().await, done),
        Op::Unset => given(session.unset(), done),
        Op::Gc => given(session.gc().await, |count| count.to_string()),
        Op::Encode => given(session.encode(), |bytes| text(&bytes)),
        Op::SetId(id) => given(session.set_id(id), done),
        Op::CreateId(prefix) => given(session.create_id(prefix).await, |id| text(id.expose())),
        Op::SetName(name) => given(session.set_name(name), done),
        Op::Decode(data) => given(session.decode(data.clone().into_bytes()).await, done),
        Op::IniSet(name, value) => given(session.ini_set(name, value), done),
        Op::SendHeaders | Op::Set(..) | Op::Remove(_) => {
            if *op == Op::SendHeaders {
                session.headers_were_sent();
            }
            change(session, op);
            "null".to_owned()
        }
    }
}

fn change(session: &mut PhpSession<Logged>, op: &Op) {
    match (session.data_mut(), op) {
        (Some(data), Op::Set(name, value)) => {
            data.insert_value(name, &Value::parse(value.clone().into_bytes()).unwrap()).unwrap();
        }
        (Some(data), Op::Remove(name)) => {
            data.remove(name).unwrap();
        }
        _ => {}
    }
}

/// As `state()` of the page.
fn state(session: &PhpSession<Logged>) -> String {
    let text = |bytes: &[u8]| format!("\"{}\"", encoded(bytes));
    let status = if session.status() == Status::Active { 2 } else { 1 };
    let id = session.id().map_or(&b""[..], |id| id.expose());
    let data = session.data().map(|data| {
        let data = data.rewritten(SerializeHandler::PhpSerialize).unwrap();
        text(&data.encode().unwrap())
    });
    let settings = session.settings();
    [
        status.to_string(),
        text(id),
        text(session.name().as_bytes()),
        session.sid().map_or("null".to_owned(), text),
        data.unwrap_or_else(|| "null".to_owned()),
        settings.cache_expire.to_string(),
        text(settings.cache_limiter.as_bytes()),
        settings.cookie_lifetime.to_string(),
        settings.cookie_secure.to_string(),
        text(settings.cookie_samesite.as_bytes()),
    ]
    .join(" ")
}
