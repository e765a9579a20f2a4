//! Sessions: named values, as PHP's session serialisers write them.

mod graphed;
mod handler;
mod names;
mod texts;

use std::{fmt, sync::OnceLock};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use self::{graphed::Graphed, texts::Texts};
pub use self::{handler::SerializeHandler, names::Names};
use crate::{Limits, Result, Value, ser};

/// The variables of a session, `$_SESSION`.
///
/// What is not touched goes back as it came, byte for byte, unless a change has to follow references
/// into other variables, or sets an enum beside another: then all is written as PHP writes it.
/// References between variables stay right: a variable that shares its value with another is
/// assigned as PHP assigns it, and what another variable still uses outlives the removal of the one
/// that had it.
#[derive(Clone)]
pub struct SessionData {
    handler: SerializeHandler,
    limits: Limits,
    /// What was read, until something is changed.
    source: Option<Bytes>,
    /// Each variable as its text.
    texts: Texts,
    /// All of them in one graph, instead: where a change has to follow references.
    graphed: Option<Graphed>,
    /// The graph of the texts as they are, once it was asked for.
    seen: OnceLock<Graphed>,
}

/// Names and values may be secrets.
impl fmt::Debug for SessionData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SessionData");
        debug.field("handler", &self.handler).field("len", &self.len()).finish_non_exhaustive()
    }
}

impl SessionData {
    /// A session without variables.
    #[must_use]
    pub fn new(handler: SerializeHandler) -> Self {
        let (limits, texts) = (Limits::new(), Texts::default());
        Self { handler, limits, source: None, texts, graphed: None, seen: OnceLock::new() }
    }

    /// Reads what a store has of a session. Nothing is an empty session.
    ///
    /// # Errors
    /// Where PHP would destroy the session, or the limits do not let it be read: as
    /// [`Value::parse`]. [`Unsupported`](crate::ErrorKind::Unsupported): what `php_serialize` wrote is
    /// not an array, or refers to itself as a whole; PHP would not save such a session.
    pub fn decode(handler: SerializeHandler, data: impl Into<Bytes>) -> Result<Self> {
        Self::decode_within(handler, data, Limits::new())
    }

    /// As [`decode`](Self::decode), within limits.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_within(
        handler: SerializeHandler,
        data: impl Into<Bytes>,
        limits: Limits,
    ) -> Result<Self> {
        let source = data.into();
        let is_text = handler == handler.text_form();
        let texts = if is_text { Texts::read(handler, &source, limits)? } else { Texts::default() };
        let (source, seen) = (Some(source), OnceLock::new());
        let mut session = Self { handler, limits, source, texts, graphed: None, seen };
        if !is_text {
            session.graphed = Some(session.make_graph()?);
        }
        if session.texts.has_references() {
            // Only the graph shows what may refer to what.
            let graphed = session.make_graph()?;
            session.graphed = (!session.texts.is_closed()).then_some(graphed);
        }
        Ok(session)
    }

    /// Which serialiser it is for.
    #[must_use]
    pub fn handler(&self) -> SerializeHandler {
        self.handler
    }

    /// How many variables it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names().len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of its variables, in their order.
    #[must_use]
    pub fn names(&self) -> Names<'_> {
        self.graphed.as_ref().map_or_else(|| self.texts.names(), Graphed::names)
    }

    /// Whether there is a variable of this name.
    #[must_use]
    pub fn contains(&self, name: impl AsRef<[u8]>) -> bool {
        let name = name.as_ref();
        self.names().any(|found| found == name)
    }

    /// A variable as a `T`. `None` where there is no such variable; a `null` is there.
    ///
    /// # Errors
    /// As [`View::to`](crate::View::to).
    pub fn get<T: DeserializeOwned>(&self, name: impl AsRef<[u8]>) -> Result<Option<T>> {
        self.value(name)?.map(|value| value.to()).transpose()
    }

    /// A variable as it is.
    ///
    /// # Errors
    /// [`TooLarge`](crate::ErrorKind::TooLarge) where changes made the session larger than its limits.
    pub fn value(&self, name: impl AsRef<[u8]>) -> Result<Option<Value>> {
        let name = name.as_ref();
        match (&self.graphed, self.texts.lone_text(name)) {
            (Some(graphed), _) => Ok(graphed.value(name)),
            (None, None) => Ok(None),
            (None, Some(Some(text))) => Value::parse_within(text, self.limits).map(Some),
            (None, Some(None)) => Ok(self.seen()?.value(name)),
        }
    }

    /// `$_SESSION[$name] = $value`. Where the variable shares its value with another by reference,
    /// both change.
    ///
    /// # Errors
    /// [`Name`](crate::ErrorKind::Name): the serialiser cannot write the name. PHP would lose the
    /// variable, or all of them. As [`to_vec`](crate::to_vec).
    pub fn insert<T: Serialize + ?Sized>(
        &mut self,
        name: impl AsRef<[u8]>,
        value: &T,
    ) -> Result<()> {
        self.handler.check_name(name.as_ref())?;
        self.assign(name.as_ref(), ser::to_vec(value)?.into())
    }

    /// As [`insert`](Self::insert), with a PHP value.
    ///
    /// # Errors
    /// As [`insert`](Self::insert), and [`TooLarge`](crate::ErrorKind::TooLarge).
    pub fn insert_value(&mut self, name: impl AsRef<[u8]>, value: &Value) -> Result<()> {
        self.handler.check_name(name.as_ref())?;
        self.assign(name.as_ref(), value.serialize()?)
    }

    /// As [`insert`](Self::insert), with what `serialize` wrote.
    pub(crate) fn insert_text(&mut self, name: &[u8], text: Bytes) -> Result<()> {
        self.handler.check_name(name)?;
        self.assign(name, text)
    }

    /// Each variable as a text that stands alone. Those that refer to others are followed as far as
    /// `work` goes.
    pub(crate) fn lone_texts(&self, work: usize) -> Result<Vec<(Bytes, Bytes)>> {
        if self.graphed.is_none() {
            return self.texts.lone(|| self.seen(), work);
        }
        let text = self.rewritten(SerializeHandler::PhpSerialize)?.encode()?;
        let session = Self::decode_within(SerializeHandler::PhpSerialize, text, self.limits)?;
        session.texts.lone(|| session.seen(), work)
    }

    fn assign(&mut self, name: &[u8], text: Bytes) -> Result<()> {
        let limits = self.limits;
        if self.graphed.is_some() || !self.texts.assign(name, &text, limits)? {
            self.graph()?.assign(name, &text, limits)?;
        }
        (self.source, self.seen) = (None, OnceLock::new());
        Ok(())
    }

    /// `unset($_SESSION[$name])`; whether it was there.
    ///
    /// # Errors
    /// [`TooLarge`](crate::ErrorKind::TooLarge) where changes made the session larger than its limits.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) -> Result<bool> {
        let name = name.as_ref();
        if !self.contains(name) {
            return Ok(false);
        }
        if self.graphed.is_none() && !self.texts.is_used(name) {
            self.texts.remove(name);
        } else {
            self.graph()?.remove(name);
        }
        (self.source, self.seen) = (None, OnceLock::new());
        Ok(true)
    }

    /// Removes all variables, as `session_unset()` does.
    pub fn clear(&mut self) {
        let (texts, seen) = (Texts::default(), OnceLock::new());
        (self.source, self.texts, self.graphed, self.seen) = (None, texts, None, seen);
    }

    /// What is to be stored. An empty session is empty bytes for `php` and `php_binary`, which PHP
    /// stores as well.
    ///
    /// # Errors
    /// [`TooLarge`](crate::ErrorKind::TooLarge) and [`TooDeep`](crate::ErrorKind::TooDeep) beyond the
    /// limits, where the text could not be read again: `php_serialize` nests values a level deeper.
    pub fn encode(&self) -> Result<Bytes> {
        if let Some(source) = &self.source {
            return Ok(source.clone());
        }
        let bytes = match &self.graphed {
            None if self.handler == self.handler.text_form() => {
                self.texts.fit(self.limits, self.handler.slots_ahead() as usize)?;
                self.texts.write(self.handler)
            }
            None => self.make_graph()?.write(self.handler, self.limits)?,
            Some(graphed) => graphed.write(self.handler, self.limits)?,
        };
        self.limits.check_length(bytes.len())?;
        let bytes = Bytes::from(bytes);
        if self.graphed.is_some()
            && self.handler == self.handler.text_form()
            && self.limits.may_refuse(bytes.len())
        {
            Texts::read(self.handler, &bytes, self.limits)?;
        }
        Ok(bytes)
    }

    /// The same session for a serialiser, each value written as PHP writes it. With the
    /// serialiser that it has, this is what PHP makes of it by loading and saving it.
    ///
    /// # Errors
    /// [`Name`](crate::ErrorKind::Name) where the serialiser cannot write a name.
    pub fn rewritten(&self, handler: SerializeHandler) -> Result<Self> {
        if handler != self.handler {
            self.names().try_for_each(|name| handler.check_name(name))?;
        }
        let graphed = match &self.graphed {
            Some(graphed) => graphed.clone(),
            None => self.seen.get().cloned().map_or_else(|| self.make_graph(), Ok)?,
        };
        let (limits, texts) = (self.limits, Texts::default());
        let (graphed, seen) = (Some(graphed), OnceLock::new());
        Ok(Self { handler, limits, source: None, texts, graphed, seen })
    }

    fn make_graph(&self) -> Result<Graphed> {
        let (handler, source) = match &self.source {
            Some(source)
                if self.handler == self.handler.text_form() && !self.texts.has_references() =>
            {
                return Graphed::read_texts(source, &self.texts, self.limits);
            }
            Some(source) => (self.handler, source.clone()),
            None => {
                let text = self.handler.text_form();
                (text, self.texts.write(text).into())
            }
        };
        Graphed::read(handler, &source, self.limits, self.texts.values() + 1)
    }

    /// The graph, kept for those who ask again.
    fn seen(&self) -> Result<&Graphed> {
        if let Some(seen) = self.seen.get() {
            return Ok(seen);
        }
        let graphed = self.make_graph()?;
        Ok(self.seen.get_or_init(|| graphed))
    }

    /// From here on all variables are in one graph.
    fn graph(&mut self) -> Result<&mut Graphed> {
        let graphed = match self.graphed.take().or_else(|| self.seen.take()) {
            Some(graphed) => graphed,
            None => self.make_graph()?,
        };
        Ok(self.graphed.insert(graphed))
    }
}
