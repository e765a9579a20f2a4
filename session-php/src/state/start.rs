//! `session_start`, `session_reset`, `session_decode`, `session_gc`.

use bytes::Bytes;
use session_core::Error;

use super::{
    Failure, Function, Outcome, PhpSession, Problem, SaveHandler, Status, Undecodable,
    machine::Superglobal,
};
use crate::{ErrorKind, SerializeHandler, SessionData, settings::PhpVersion};

/// The options of `session_start`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StartOptions {
    /// `read_and_close`: nothing will be changed, and the lock is given back at once.
    pub read_and_close: bool,
    /// Settings, without `session.` in front, for this and what follows in the request.
    pub settings: Vec<(String, String)>,
}

impl StartOptions {
    /// `['read_and_close' => true]`
    #[must_use]
    pub fn read_and_close() -> Self {
        Self { read_and_close: true, ..Self::default() }
    }

    /// With a setting.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl<H: SaveHandler> PhpSession<H> {
    /// `session_start()`. That a session is active already is only a notice.
    ///
    /// # Errors
    /// The handler fails, what is stored cannot be decoded, or the headers were sent.
    pub async fn start(&mut self) -> Outcome {
        self.start_with(&StartOptions::default()).await
    }

    /// `session_start($options)`
    ///
    /// # Errors
    /// As [`start`](Self::start). Options that are refused are only warned of.
    pub async fn start_with(&mut self, options: &StartOptions) -> Outcome {
        self.function = Function::Start;
        if self.status == Status::Active {
            self.say(Problem::AlreadyActive);
            return Ok(());
        }
        if self.settings.use_cookies && self.headers_sent {
            return self.refuse(Problem::StartAfterHeaders);
        }
        for (name, value) in &options.settings {
            if !self.change_setting(&format!("session.{name}"), value) {
                self.say(Problem::Option(name.clone()));
            }
        }
        self.find_id();
        let started = match self.initialize().await {
            Ok(()) => self.limit_caching().await,
            failed => failed,
        };
        if started.is_err() {
            self.id = None;
            self.clear();
        } else if options.read_and_close {
            self.close().await;
            self.status = Status::None;
        }
        started
    }

    /// `session_reset()`: reads the session again, without closing it first. A handler that locks
    /// meets its own lock.
    ///
    /// # Errors
    /// There is no active session. Where reading fails, PHP warns, returns true, and no session is
    /// active any more: [`Returned::True`](super::Returned::True).
    pub async fn reset(&mut self) -> Outcome {
        self.function = Function::Reset;
        self.must_be_active()?;
        let thrown = |failure: &Failure| failure.returned == super::Returned::Thrown;
        self.initialize().await.map_err(|failure| match thrown(&failure) {
            true => failure,
            false => Failure { returned: super::Returned::True, ..failure },
        })
    }

    /// The id that the request brings.
    fn find_id(&mut self) {
        let (settings, request) = (&self.settings, &self.request);
        self.define_sid = !settings.use_only_cookies;
        self.send_cookie = settings.use_cookies || settings.use_only_cookies;
        if self.id.is_none() {
            if let Some(found) = request.cookie(&settings.name).filter(|_| settings.use_cookies) {
                self.id = found.into_id();
                self.send_cookie = false;
                self.define_sid = false;
            }
            if !settings.use_only_cookies {
                for found in
                    [request.query_value(&settings.name), request.form_value(&settings.name)]
                {
                    if let (None, Some(found)) = (&self.id, found) {
                        self.id = found.into_id();
                        self.send_cookie = self.id.is_none();
                    }
                }
                self.id.take_if(|_| is_foreign(&settings.referer_check, &request.referer));
            }
        }
        self.id.take_if(|id| id.is_dangerous());
    }

    /// Opens, settles the id, reads and decodes.
    async fn initialize(&mut self) -> Outcome {
        self.status = Status::Active;
        let opened = self.handler.open(&self.settings.save_path, &self.settings.name).await;
        self.is_open = true;
        if let Err(cause) = opened {
            return self.give_up(Problem::Open(self.storage()), Some(cause)).await;
        }
        self.settle_id().await?;
        self.announce_id().await?;
        let serializer = self.settings.serialize_handler;
        self.variables = Superglobal::Array(SessionData::new(serializer));
        let Some(id) = self.id.clone() else { return Ok(()) };
        let stored = match self.handler.read(&id).await {
            Ok(stored) => stored,
            Err(cause) => return self.give_up(Problem::Read(self.storage()), Some(cause)).await,
        };
        self.collect_by_chance().await;
        self.original = self.settings.lazy_write.then(|| stored.clone());
        match read(serializer, stored) {
            Ok(data) => self.variables = Superglobal::Array(data),
            Err(error) => return self.cannot_decode(error.kind()).await,
        }
        Ok(())
    }

    /// Ends a start that fails. What is wrong is said after the handler is closed.
    async fn give_up(&mut self, problem: Problem, cause: Option<Error>) -> Outcome {
        self.close().await;
        self.status = Status::None;
        Err(self.failure(problem, cause))
    }

    async fn settle_id(&mut self) -> Outcome {
        let slots = self.handler.slots();
        match self.id.clone().filter(|id| !id.text().is_empty()) {
            None => match self.new_id().await {
                Ok(id) => self.id = Some(id),
                Err(cause) => {
                    return self.give_up(Problem::CreateId(self.storage()), Some(cause)).await;
                }
            },
            Some(id) if self.settings.use_strict_mode && slots.validate_sid => {
                if self.handler.validate_sid(&id).await.unwrap_or(false) {
                    return Ok(());
                }
                let made = match self.new_id().await {
                    Err(_) => self.own_id(),
                    made => made,
                };
                match made {
                    Ok(id) => self.id = Some(id),
                    Err(cause) => {
                        return self.give_up(Problem::CreateId(self.storage()), Some(cause)).await;
                    }
                }
            }
            Some(_) => return Ok(()),
        }
        self.send_cookie |= self.settings.use_cookies;
        Ok(())
    }

    /// Sends the cookie if need be, and defines `SID`. Before 8.4 a cookie that cannot be sent is
    /// only warned of.
    async fn announce_id(&mut self) -> Outcome {
        if let Err(problem) = self.tell_id() {
            self.close().await;
            self.status = Status::None;
            return Err(problem);
        }
        Ok(())
    }

    pub(super) fn tell_id(&mut self) -> Outcome {
        let Some(id) = self.id.clone() else { return Ok(()) };
        if self.settings.use_cookies && self.send_cookie {
            let sent = match self.headers_sent {
                true => Err(Problem::CookieAfterHeaders),
                false => self.headers.set_cookie(&self.settings, &id, self.clock.now()),
            };
            if let Err(problem) = sent {
                let is_header = matches!(problem, Problem::HeaderLineBreak | Problem::HeaderNul);
                let failure = self.failure(problem, None);
                if self.settings.version >= PhpVersion::V8_4 && !is_header {
                    return Err(failure);
                }
            }
            self.send_cookie = false;
        }
        let sid = match self.define_sid {
            true => [self.settings.name.as_bytes(), b"=", id.expose()].concat(),
            false => Vec::new(),
        };
        self.sid = Some(super::PhpId::new(sid));
        Ok(())
    }

    async fn limit_caching(&mut self) -> Outcome {
        if self.settings.cache_limiter.is_empty() {
            return Ok(());
        }
        if self.headers_sent {
            return self.give_up(Problem::LimiterAfterHeaders, None).await;
        }
        let now = self.clock.now();
        self.headers.limit_caching(&self.settings, self.request.last_modified, now);
        Ok(())
    }

    async fn cannot_decode(&mut self, kind: ErrorKind) -> Outcome {
        match (kind, self.undecodable) {
            // It can be decoded, and is not an array.
            (ErrorKind::Unsupported, _) => {
                self.variables = Superglobal::Other;
                Ok(())
            }
            (ErrorKind::TooLarge | ErrorKind::TooDeep, _) => {
                self.give_up(Problem::BeyondLimits, None).await
            }
            (_, Undecodable::Keep) => self.give_up(Problem::Undecoded, None).await,
            (_, Undecodable::Destroy) => {
                // A failure is among the diagnostics; the start fails in any case.
                self.end_by_destroying().await.ok();
                let serializer = self.settings.serialize_handler;
                self.variables = Superglobal::Array(SessionData::new(serializer));
                self.refuse(Problem::Decode)
            }
        }
    }

    /// `session_decode($data)`: sets the variables that `data` has.
    ///
    /// # Errors
    /// There is no active session, or `data` cannot be decoded: then the session is destroyed, or with
    /// [`Undecodable::Keep`] closed without being stored.
    pub async fn decode(&mut self, data: impl Into<Bytes>) -> Outcome {
        self.function = Function::Decode;
        if self.status == Status::None {
            return self.refuse(Problem::NotActive(Function::Decode));
        }
        let serializer = self.settings.serialize_handler;
        let decoded = match read(serializer, data.into()) {
            Ok(decoded) => decoded,
            Err(error) => return self.cannot_decode(error.kind()).await,
        };
        let replaces = serializer == SerializeHandler::PhpSerialize;
        let assigned = match &mut self.variables {
            Superglobal::Array(data) if !replaces && !data.is_empty() => assign_all(data, &decoded),
            variables => {
                if replaces || matches!(variables, Superglobal::Array(_)) {
                    *variables = Superglobal::Array(decoded);
                }
                Ok(())
            }
        };
        assigned.or_else(|_limit| self.refuse(Problem::BeyondLimits))
    }

    /// `session_gc()`: how many sessions were removed.
    ///
    /// # Errors
    /// There is no active session; or, without a diagnostic, the handler does not know the number:
    /// PHP returns false.
    pub async fn gc(&mut self) -> Outcome<u64> {
        self.function = Function::Gc;
        if self.status == Status::None {
            return self.refuse(Problem::NotActive(Function::Gc));
        }
        let removed = self.handler.gc(self.settings.gc_maxlifetime).await;
        let failure = Failure { returned: super::Returned::False, diagnostic: None };
        removed.ok().flatten().ok_or(failure)
    }

    /// The draw of each start.
    async fn collect_by_chance(&mut self) {
        let probability = self.settings.gc_probability;
        if probability <= 0 {
            return;
        }
        let mut bytes = [0; 8];
        if self.random.fill(&mut bytes).is_err() {
            return;
        }
        if draw(u64::from_le_bytes(bytes), &self.settings) < probability {
            // Whoever wants to know calls `gc`.
            self.handler.gc(self.settings.gc_maxlifetime).await.ok();
        }
    }
}

/// A number that is evenly drawn from those below the divisor.
fn draw(random: u64, settings: &crate::Settings) -> i64 {
    let divisor = i128::from(settings.gc_divisor);
    // Before 8.4 divisors may be negative: towards zero, as there.
    let drawn = i128::from(random) * divisor / (i128::from(u64::MAX) + 1);
    i64::try_from(drawn).unwrap_or_default()
}

/// Whether the referer is another site's.
fn is_foreign(check: &str, referer: &[u8]) -> bool {
    let (check, referer) = (check.as_bytes(), super::id::until_nul(referer));
    !check.is_empty()
        && !referer.is_empty()
        && !referer.windows(check.len()).any(|part| part == check)
}

/// No bytes are an empty session, which `php_serialize` writes in another way.
fn read(serializer: SerializeHandler, data: Bytes) -> crate::Result<SessionData> {
    match data.is_empty() {
        true => Ok(SessionData::new(serializer)),
        false => SessionData::decode(serializer, data),
    }
}

fn assign_all(to: &mut SessionData, from: &SessionData) -> crate::Result<()> {
    for name in from.names() {
        if let Some(value) = from.value(name)? {
            to.insert_value(name, &value)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::draw;
    use crate::{PhpVersion, Settings};

    #[test]
    fn every_number_below_the_divisor_is_drawn_equally_often() {
        let mut settings = Settings::new(PhpVersion::V8_2);
        settings.gc_divisor = 10;
        let mut counts = [0; 10];
        for step in 0..1000 {
            let drawn = draw(u64::MAX / 1000 * step, &settings);
            if let Some(count) = usize::try_from(drawn).ok().and_then(|at| counts.get_mut(at)) {
                *count += 1;
            }
        }
        assert!(counts.iter().all(|count| (99..=101).contains(count)), "{counts:?}");
        assert_eq!((draw(0, &settings), draw(u64::MAX, &settings)), (0, 9));
    }

    #[test]
    fn divisors_that_make_no_sense_draw_zero_or_less() {
        let mut settings = Settings::new(PhpVersion::V8_2);
        for divisor in [0, -1, -100, i64::MIN] {
            settings.gc_divisor = divisor;
            assert!(draw(u64::MAX, &settings) <= 0);
        }
    }
}
