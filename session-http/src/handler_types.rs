//! The types that handlers take and return, for adapters: a framework's traits can only be
//! implemented for types of the adapter's own crate.

/// Makes the adapter's `Session`, `ReadOnlySession`, `ExclusiveSession`, `CsrfGuard`, `SessionError`
/// and `Result`. The attributes become those of `Session`.
#[doc(hidden)]
#[macro_export]
macro_rules! handler_types {
    ($framework:literal, $(#[$session:meta])*) => {
        $(#[$session])*
        #[derive(Debug, Clone)]
        pub struct Session(pub(crate) $crate::RequestSession);

        impl Session {
            #[doc = concat!("The handle itself, for code that knows no ", $framework, ".")]
            #[must_use]
            pub fn into_inner(self) -> ::session_core::Session {
                self.0.into_inner()
            }

            /// Takes the session's lock now and for the rest of the request; taking an
            /// [`ExclusiveSession`] does it before the handler begins. Wait first for what is slow,
            /// a client's upload for instance.
            ///
            /// # Errors
            /// Those of [`RequestSession::exclusive`](session_http::RequestSession::exclusive).
            pub async fn exclusive(&self) -> ::session_core::Result<ExclusiveSession> {
                self.0.exclusive().await.map(ExclusiveSession)
            }
        }

        impl ::std::ops::Deref for Session {
            type Target = ::session_core::Session;

            fn deref(&self) -> &::session_core::Session {
                &self.0
            }
        }

        /// The session of this request, to be read only: a [`session_core::ReadOnlySession`], for
        /// handlers to take.
        ///
        /// Such a request costs one read (two, when its id is to be signed again), and does not count as activity.
        #[derive(Debug, Clone)]
        pub struct ReadOnlySession(pub(crate) ::session_core::ReadOnlySession);

        impl ReadOnlySession {
            #[doc = concat!("The handle itself, for code that knows no ", $framework, ".")]
            #[must_use]
            pub fn into_inner(self) -> ::session_core::ReadOnlySession {
                self.0
            }
        }

        impl ::std::ops::Deref for ReadOnlySession {
            type Target = ::session_core::ReadOnlySession;

            fn deref(&self) -> &::session_core::ReadOnlySession {
                &self.0
            }
        }

        /// The session of this request, for this request alone: a
        /// [`session_http::ExclusiveSession`], for handlers to take. The lock is won before the
        /// handler begins, and what it changed is committed before the response is sent.
        ///
        /// One that is not won within
        /// [`lock_wait`](session_http::WebSessionsBuilder::lock_wait) answers the request with 503
        /// and `Retry-After`. Before the response is streamed, call
        /// [`commit`](Self::commit). A handler that takes the body as well holds the lock while a
        /// slow client sends it; see [`Session::exclusive`].
        #[derive(Debug)]
        pub struct ExclusiveSession($crate::ExclusiveSession);

        impl ExclusiveSession {
            /// Saves the changes and unlocks now, in one round trip: others need not wait until the
            /// response was sent.
            ///
            /// # Errors
            /// Those of [`LockedSession::commit`](session_core::LockedSession::commit).
            pub async fn commit(self) -> ::session_core::Result<()> {
                self.0.commit().await
            }

            /// Gives the changes up and unlocks now.
            ///
            /// # Errors
            /// Those of the transport.
            pub async fn rollback(self) -> ::session_core::Result<()> {
                self.0.rollback().await
            }

            #[doc = concat!("The session itself, for code that knows no ", $framework, ".")]
            #[must_use]
            pub fn into_inner(self) -> $crate::ExclusiveSession {
                self.0
            }
        }

        impl ::std::ops::Deref for ExclusiveSession {
            type Target = ::session_core::LockedSession;

            fn deref(&self) -> &::session_core::LockedSession {
                &self.0
            }
        }

        impl ::std::ops::DerefMut for ExclusiveSession {
            fn deref_mut(&mut self) -> &mut ::session_core::LockedSession {
                &mut self.0
            }
        }

        /// Lets a handler that takes it begin only when the request's `X-CSRF-Token` header holds a
        /// token of the session; others are answered with 403. A field of a form is not looked at: that
        /// is for [`session_http::csrf::check`]. See [`session_http::csrf`].
        #[derive(Debug, Clone, Copy)]
        #[non_exhaustive]
        pub struct CsrfGuard;

        /// What a handler returns that uses its session with `?`.
        pub type Result<T, E = SessionError> = ::std::result::Result<T, E>;

        #[doc = concat!("An error of the session, which ", $framework, " turns into a response.")]
        ///
        /// The response tells the visitor nothing but whether to try again; its status is that of
        /// [`session_http::status_of`], and
        /// [`on_error`](session_http::WebSessionsBuilder::on_error) may change it. The error itself
        /// is logged as an event.
        #[derive(Clone)]
        pub struct SessionError(::std::sync::Arc<::session_core::Error>);

        impl SessionError {
            /// The error of the session.
            #[must_use]
            pub fn inner(&self) -> &::session_core::Error {
                &self.0
            }
        }

        impl From<::session_core::Error> for SessionError {
            fn from(error: ::session_core::Error) -> Self {
                Self(::std::sync::Arc::new(error))
            }
        }

        impl ::std::fmt::Debug for SessionError {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl ::std::fmt::Display for SessionError {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&*self.0, f)
            }
        }

        impl ::std::error::Error for SessionError {
            fn source(&self) -> Option<&(dyn ::std::error::Error + 'static)> {
                ::std::error::Error::source(&*self.0)
            }
        }
    };
}
