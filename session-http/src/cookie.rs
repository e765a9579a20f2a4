//! The session cookie: its name, its attributes, and the rules that browsers hold it to.

use std::time::Duration;

use http::HeaderValue;
use session_core::{Result, SessionId, Ttl};

use crate::{
    Signing,
    failure::wrong_setting,
    token::{Ids, TokenForm},
};

/// The longest life that browsers grant a cookie: 400 days.
pub const MAX_COOKIE_AGE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// Browsers ignore a cookie whose name and value together are longer.
const MAX_NAME_AND_VALUE: usize = 4096;
/// Browsers ignore an attribute whose value is longer.
const MAX_ATTRIBUTE: usize = 1024;

/// With which requests from other sites the browser sends the cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SameSite {
    /// With none. A visitor who follows a link to the site arrives without his session, and so
    /// does one who returns from an OAuth provider.
    Strict,
    /// Only when the visitor follows a link (a top-level `GET`). The default.
    #[default]
    Lax,
    /// With all. The application needs its own protection against forged requests. Browsers
    /// demand `Secure` with it, and so does [`SessionCookieBuilder::build`].
    None,
}

impl SameSite {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// How the session cookie is written and read. Checked when it is built.
///
/// The default is `__Host-id=…; Path=/; Secure; HttpOnly; SameSite=Lax`: a cookie that no other
/// host can set or read, that scripts do not see, that goes with the browser session, and whose
/// name says nothing about the software behind it.
#[derive(Debug, Clone)]
pub struct SessionCookie {
    name: Box<str>,
    attributes: Box<str>,
    max_age: Option<Duration>,
    secure: bool,
    form: TokenForm,
}

impl SessionCookie {
    /// Starts from the default and changes it.
    ///
    /// ```
    /// use session_http::{SameSite, SessionCookie};
    ///
    /// let cookie = SessionCookie::builder().name("__Host-shop").same_site(SameSite::Strict).build()?;
    /// assert_eq!(cookie.name(), "__Host-shop");
    ///
    /// // A `__Host-` cookie with a domain is one that every browser would ignore.
    /// assert!(SessionCookie::builder().domain("example.com").build().is_err());
    /// # Ok::<(), session_core::Error>(())
    /// ```
    pub fn builder() -> SessionCookieBuilder {
        SessionCookieBuilder::default()
    }

    /// The cookie's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether browsers keep the cookie off plain HTTP.
    pub(crate) const fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether the browser keeps the cookie by an expiry that must be renewed.
    pub(crate) const fn is_persistent(&self) -> bool {
        self.max_age.is_some()
    }

    pub(crate) const fn form(&self) -> &TokenForm {
        &self.form
    }

    /// The `Set-Cookie` value that hands out `id`, whose session lives for `remaining` at most. A
    /// `remembered` session's cookie is persistent in any case, for as long as the session lives.
    pub(crate) fn set(
        &self,
        id: &SessionId,
        remaining: Ttl,
        remembered: bool,
    ) -> Result<HeaderValue> {
        let limit = if remembered { Some(MAX_COOKIE_AGE) } else { self.max_age };
        let life = limit.map(|limit| {
            let age = remaining.duration().map_or(limit, |remaining| remaining.min(limit));
            format!("; Max-Age={}", age.as_secs())
        });
        self.header(&self.form.write(&self.name, id), &life.unwrap_or_default())
    }

    /// The `Set-Cookie` value that makes the browser forget the cookie. Its attributes are those
    /// it was set with; with others the browser would keep it.
    pub(crate) fn clear(&self) -> Result<HeaderValue> {
        self.header("", "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
    }

    fn header(&self, value: &str, life: &str) -> Result<HeaderValue> {
        let text = format!("{}={value}{life}{}", self.name, self.attributes);
        let mut header = HeaderValue::try_from(text)
            .map_err(|source| wrong_setting("the cookie makes no header").with_source(source))?;
        header.set_sensitive(true);
        Ok(header)
    }
}

impl Default for SessionCookie {
    fn default() -> Self {
        let builder = SessionCookieBuilder::default();
        builder.build_unchecked()
    }
}

/// Sets up a [`SessionCookie`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct SessionCookieBuilder {
    name: String,
    path: String,
    domain: Option<String>,
    same_site: SameSite,
    max_age: Option<Duration>,
    secure: bool,
    http_only: bool,
    partitioned: bool,
    form: TokenForm,
}

impl Default for SessionCookieBuilder {
    fn default() -> Self {
        Self {
            name: "__Host-id".to_owned(),
            path: "/".to_owned(),
            domain: None,
            same_site: SameSite::default(),
            max_age: None,
            secure: true,
            http_only: true,
            partitioned: false,
            form: TokenForm::NATIVE,
        }
    }
}

impl SessionCookieBuilder {
    /// The cookie's name. Default: `__Host-id`.
    ///
    /// A prefix asks browsers to enforce what it stands for, and [`build`](Self::build) does too:
    /// `__Secure-` demands `Secure`; `__Host-` also `Path=/` and no domain; `__Http-` demands
    /// `Secure` and `HttpOnly`; `__Host-Http-` all of these. Older browsers take the last two for
    /// plain names.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sends the cookie only for paths below this one. Default: `/`. It is no protection: pages
    /// of one host can reach each other's cookies.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Shares the cookie with all hosts below `domain`. Every one of them can then read the
    /// session id, and plant another one. Default: this host only.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// With which requests from other sites the cookie is sent. Default: [`SameSite::Lax`].
    pub const fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Lets the browser keep the cookie when it is closed, for `max_age`, but never beyond the
    /// session's own life. Default: the cookie goes with the browser session.
    ///
    /// Nothing depends on it: a session ends by the store's clock.
    pub const fn persistent(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Lets the cookie travel over plain HTTP, where anybody on the way can read it. For
    /// development without TLS only; it needs a [`name`](Self::name) without a prefix.
    pub const fn without_secure(mut self) -> Self {
        self.secure = false;
        self
    }

    /// Lets scripts read the cookie: whoever injects one has the session.
    pub const fn without_http_only(mut self) -> Self {
        self.http_only = false;
        self
    }

    /// Also accepts ids that other software made (PHP's, for instance). Default: only ids of
    /// this library's own form, so that anything else is refused without asking the store.
    pub const fn foreign_ids(mut self) -> Self {
        self.form.ids = Ids::Foreign;
        self
    }

    /// Signs the id with a ring of keys that all nodes share; see [`Signing`]. Default: the bare
    /// id.
    pub fn signed(mut self, signing: impl Into<Signing>) -> Self {
        self.form.signing = Some(signing.into());
        self
    }

    /// Keeps a cookie of its own below each site that embeds this one (`Partitioned`, CHIPS). For
    /// sessions within foreign frames, with [`SameSite::None`]. Default: one for all.
    pub const fn partitioned(mut self) -> Self {
        self.partitioned = true;
        self
    }

    /// Checks the combination.
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) when browsers would ignore the cookie: an illegal name, path
    /// or domain, a prefix whose demands are not met, `SameSite=None` or `Partitioned` without
    /// `Secure`, a life beyond [`MAX_COOKIE_AGE`], or more bytes than a cookie may have.
    pub fn build(self) -> Result<SessionCookie> {
        self.check_syntax()?;
        self.check_prefix()?;
        if self.same_site == SameSite::None && !self.secure {
            return Err(wrong_setting("SameSite=None needs Secure"));
        }
        if self.partitioned && !self.secure {
            return Err(wrong_setting("Partitioned needs Secure"));
        }
        if self.max_age.is_some_and(|age| age > MAX_COOKIE_AGE) {
            return Err(wrong_setting("browsers keep no cookie longer than 400 days"));
        }
        Ok(self.build_unchecked())
    }

    fn check_syntax(&self) -> Result<()> {
        if self.name.is_empty() || !self.name.bytes().all(is_token) {
            return Err(wrong_setting(
                "a cookie name is one or more letters, digits or !#$%&'*+-.^_`|~",
            ));
        }
        if self.name.len() + self.form.max_len() > MAX_NAME_AND_VALUE {
            return Err(wrong_setting("the cookie's name and value exceed 4096 bytes"));
        }
        if !self.path.starts_with('/') || !is_attribute(&self.path) {
            return Err(wrong_setting(
                "a cookie path starts with / and holds no ; or control character",
            ));
        }
        if self.domain.as_deref().is_some_and(|domain| !is_domain(domain)) {
            return Err(wrong_setting("a cookie domain is a host name without a leading dot"));
        }
        Ok(())
    }

    /// Browsers compare prefixes without regard to case.
    fn check_prefix(&self) -> Result<()> {
        let has = |prefix| starts_with_ignore_case(&self.name, prefix);
        let host_http = has("__Host-Http-");
        let host = has("__Host-");
        let http = has("__Http-") || host_http;
        if (has("__Secure-") || host || http) && !self.secure {
            return Err(wrong_setting(
                "a cookie name with this prefix needs Secure; choose another name",
            ));
        }
        if host && (self.path != "/" || self.domain.is_some()) {
            return Err(wrong_setting("a __Host- cookie has the path / and no domain"));
        }
        if http && !self.http_only {
            return Err(wrong_setting("a cookie name with this prefix needs HttpOnly"));
        }
        Ok(())
    }

    fn build_unchecked(self) -> SessionCookie {
        let mut attributes = format!("; Path={}", self.path);
        if let Some(domain) = &self.domain {
            attributes.push_str("; Domain=");
            attributes.push_str(domain);
        }
        if self.secure {
            attributes.push_str("; Secure");
        }
        if self.http_only {
            attributes.push_str("; HttpOnly");
        }
        attributes.push_str("; SameSite=");
        attributes.push_str(self.same_site.as_str());
        if self.partitioned {
            attributes.push_str("; Partitioned");
        }
        SessionCookie {
            name: self.name.into(),
            attributes: attributes.into(),
            max_age: self.max_age,
            secure: self.secure,
            form: self.form,
        }
    }
}

fn starts_with_ignore_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_attribute(text: &str) -> bool {
    text.len() <= MAX_ATTRIBUTE && text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b';')
}

fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.len() <= MAX_ATTRIBUTE && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use session_core::{ErrorKind, Timestamp};

    use super::*;
    use crate::KeyRing;

    const ID: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn set(cookie: &SessionCookie, remaining: impl Into<Ttl>) -> String {
        let id = SessionId::parse_native(ID).unwrap();
        cookie.set(&id, remaining.into(), false).unwrap().to_str().unwrap().to_owned()
    }

    fn why(builder: SessionCookieBuilder) -> String {
        let error = builder.build().expect_err("the combination is wrong");
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    }

    #[test]
    fn sec_30_the_default_is_a_host_cookie_with_every_protection() {
        let expected = format!("__Host-id={ID}; Path=/; Secure; HttpOnly; SameSite=Lax");
        assert_eq!(set(&SessionCookie::default(), Ttl::NEVER), expected);
        let built = SessionCookie::builder().build().unwrap();
        assert_eq!(set(&built, Ttl::NEVER), expected, "the default passes its own checks");
    }

    #[test]
    fn sec_10_the_name_is_yours_and_the_default_names_no_framework() {
        assert_eq!(SessionCookie::default().name(), "__Host-id");
        let cookie = SessionCookie::builder().name("__Secure-shop").build().unwrap();
        assert!(set(&cookie, Ttl::NEVER).starts_with("__Secure-shop="));
    }

    #[test]
    fn sec_31_a_prefix_is_held_to_its_demands_in_any_case() {
        for name in ["__Host-id", "__host-id", "__HOST-ID"] {
            let builder = || SessionCookie::builder().name(name);
            assert!(builder().build().is_ok());
            assert!(why(builder().domain("example.com")).contains("no domain"));
            assert!(why(builder().path("/app")).contains("path /"));
            assert!(why(builder().without_secure()).contains("Secure"));
        }
        for name in ["__Secure-id", "__sEcUrE-id"] {
            let builder = || SessionCookie::builder().name(name);
            assert!(builder().domain("example.com").path("/app").build().is_ok());
            assert!(why(builder().without_secure()).contains("Secure"));
        }
        assert!(SessionCookie::builder().name("id").without_secure().build().is_ok());
    }

    #[test]
    fn sec_32_the_newer_http_prefixes_demand_http_only_as_well() {
        for name in ["__Http-id", "__http-id", "__Host-Http-id", "__HOST-HTTP-id"] {
            let builder = || SessionCookie::builder().name(name);
            assert!(builder().build().is_ok());
            assert!(why(builder().without_http_only()).contains("HttpOnly"));
            assert!(why(builder().without_secure()).contains("Secure"));
        }
        assert!(SessionCookie::builder().name("__Http-id").path("/app").build().is_ok());
        assert!(why(SessionCookie::builder().name("__Host-Http-id").path("/app")).contains("path"));
        assert!(SessionCookie::builder().without_http_only().build().is_ok());
    }

    #[test]
    fn sec_33_same_site_none_needs_secure() {
        let builder = || SessionCookie::builder().name("id").same_site(SameSite::None);
        assert!(builder().build().is_ok());
        assert!(why(builder().without_secure()).contains("SameSite=None"));
    }

    #[test]
    fn a_partitioned_cookie_needs_secure_too() {
        let builder = || SessionCookie::builder().same_site(SameSite::None).partitioned();
        let header = set(&builder().build().unwrap(), Ttl::NEVER);
        assert!(header.ends_with("; Secure; HttpOnly; SameSite=None; Partitioned"), "{header}");
        let plain = builder().name("id").same_site(SameSite::Lax).without_secure();
        assert!(why(plain).contains("Partitioned"));
    }

    #[test]
    fn sec_34_what_browsers_would_ignore_is_refused() {
        let ring = KeyRing::new([b"0123456789abcdef0123456789abcdef"]).unwrap();
        for builder in [SessionCookie::builder(), SessionCookie::builder().signed(ring)] {
            let value = set(&builder.clone().name("n").build().unwrap(), Ttl::NEVER);
            let value = value.split([';', '=']).nth(1).unwrap().len();
            let longest = MAX_NAME_AND_VALUE - value;
            assert!(builder.clone().name("n".repeat(longest)).build().is_ok());
            assert!(why(builder.name("n".repeat(longest + 1))).contains("4096"));
        }
        for name in ["", "a b", "a=b", "a;b", "a\r\nSet-Cookie: x", "naïve", "\"a\""] {
            assert!(why(SessionCookie::builder().name(name)).contains("name"), "{name:?}");
        }
        let plain = || SessionCookie::builder().name("id");
        for path in ["", "app", "/a;b", "/a\r\nb", "/\u{e9}", &format!("/{}", "p".repeat(1024))] {
            assert!(why(plain().path(path)).contains("path"), "{path:?}");
        }
        for domain in ["", ".example.com", "a..b", "a b", "a;b", "a\n", &"d".repeat(1025)] {
            assert!(why(plain().domain(domain)).contains("domain"), "{domain:?}");
        }
    }

    #[test]
    fn sec_35_a_persistent_cookie_outlives_neither_its_limit_nor_its_session() {
        let day = Duration::from_secs(86_400);
        assert!(!set(&SessionCookie::default(), day).contains("Max-Age"));
        let cookie = SessionCookie::builder().persistent(day * 30).build().unwrap();
        assert!(set(&cookie, Ttl::NEVER).contains("; Max-Age=2592000;"));
        assert!(set(&cookie, day).contains("; Max-Age=86400;"));
        assert!(set(&cookie, Duration::from_millis(1_999)).contains("; Max-Age=1;"));
        let id = SessionId::parse_native(ID).unwrap();
        let remembered = |remaining| {
            let header = SessionCookie::default().set(&id, remaining, true).unwrap();
            header.to_str().unwrap().to_owned()
        };
        assert!(remembered((day * 30).into()).contains("; Max-Age=2592000;"));
        assert!(remembered(Ttl::NEVER).contains("; Max-Age=34560000;"), "400 days");
        assert!(SessionCookie::builder().persistent(MAX_COOKIE_AGE).build().is_ok());
        let beyond = MAX_COOKIE_AGE + Duration::from_secs(1);
        assert!(why(SessionCookie::builder().persistent(beyond)).contains("400 days"));
    }

    #[test]
    fn sec_37_a_cookie_is_cleared_with_the_attributes_it_was_set_with() {
        let builder = SessionCookie::builder().name("__Secure-id").path("/app");
        let cookie = builder.domain("example.com").build().unwrap();
        let tail = "; Path=/app; Domain=example.com; Secure; HttpOnly; SameSite=Lax";
        assert!(set(&cookie, Ttl::NEVER).ends_with(tail));
        let clear = cookie.clear().unwrap();
        let expected = "__Secure-id=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
        assert_eq!(clear.to_str().unwrap(), format!("{expected}{tail}"));
    }

    #[test]
    fn the_header_value_keeps_the_id_out_of_debug_output() {
        let id = SessionId::parse_native(ID).unwrap();
        let header = SessionCookie::default().set(&id, Ttl::NEVER, false).unwrap();
        assert!(!format!("{header:?}").contains(ID));
    }

    #[test]
    fn foreign_ids_are_accepted_only_when_asked_for() {
        let php = b"cori67qk55clk31v1tcli1pj45";
        let read = |cookie: &SessionCookie, value: &[u8]| {
            let token = cookie.form().read(cookie.name(), value, Timestamp::default);
            token.ok().map(|token| token.id)
        };
        assert!(read(&SessionCookie::default(), php).is_none());
        let cookie = SessionCookie::builder().name("PHPSESSID").foreign_ids().build().unwrap();
        assert!(read(&cookie, php).is_some());
        assert_eq!(read(&cookie, b"a%2Cb%2cc").unwrap().expose(), "a,b,c");
        let id = SessionId::parse("a,b").unwrap();
        let header = cookie.set(&id, Ttl::NEVER, false).unwrap();
        assert!(header.to_str().unwrap().starts_with("PHPSESSID=a%2Cb;"));
        for hostile in ["", "../x", "a%00b", "a b", "%2e", &"%2C".repeat(257)] {
            assert!(read(&cookie, hostile.as_bytes()).is_none(), "{hostile:?}");
        }
    }
}
