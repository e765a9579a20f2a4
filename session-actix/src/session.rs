//! What handlers take and return.

session_http::handler_types! {
    "actix",
    /// The session of this request: a [`session_core::Session`], for handlers to take.
    ///
    /// Taking it costs nothing; the store is read when the session is first used. What was changed is
    /// saved before the response is sent.
    ///
    /// ```
    /// use actix_web::web;
    /// use session_actix::{Result, Session};
    ///
    /// async fn choose(session: Session) -> Result<&'static str> {
    ///     session.insert("theme", "dark").await?;
    ///     Ok("dark it is")
    /// }
    /// # let _ = web::post().to(choose);
    /// ```
}
