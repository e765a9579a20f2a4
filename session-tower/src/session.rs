//! What handlers take and return.

session_http::handler_types! {
    "tower",
    /// The session of this request: a [`session_core::Session`], for axum's handlers to take.
    ///
    /// Taking it costs nothing; the store is read when the session is first used. What was changed is
    /// saved before the response is sent.
    ///
    /// ```
    /// # #[cfg(feature = "axum")] {
    /// use session_tower::{Result, Session};
    ///
    /// async fn choose(session: Session) -> Result<&'static str> {
    ///     session.insert("theme", "dark").await?;
    ///     Ok("dark it is")
    /// }
    /// # axum::Router::<()>::new().route("/", axum::routing::post(choose));
    /// # }
    /// ```
}
