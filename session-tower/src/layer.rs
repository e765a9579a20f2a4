//! The middleware.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use session_core::Error;
use session_http::{Exchange, WebSessions};
use tower_layer::Layer;
use tower_service::Service;

use crate::{Session, SessionBody, SessionError};

/// Gives every request its [`Session`], and saves it before the response is sent.
///
/// ```
/// use session_core::{MemoryStore, SessionManager};
/// use session_http::{SessionCookie, WebSessions};
/// use session_tower::SessionLayer;
///
/// # fn main() -> session_core::Result<()> {
/// let manager = SessionManager::new(MemoryStore::new())?;
/// let layer = SessionLayer::new(manager.clone());
///
/// // Or with settings of your own:
/// let cookie = SessionCookie::builder().name("__Host-shop").build()?;
/// let layer = SessionLayer::new(WebSessions::builder(manager).cookie(cookie).build());
/// # Ok(())
/// # }
/// ```
///
/// The layer serves what is inside of it. What changes the status of a response (a timeout, a
/// handler of panics) belongs inside, so that the session is saved or not by what the visitor
/// gets to see.
#[derive(Debug, Clone)]
pub struct SessionLayer {
    sessions: WebSessions,
}

impl SessionLayer {
    /// A layer of these sessions: a [`SessionManager`](session_core::SessionManager) for the
    /// default cookie and policies, or [`WebSessions`] with your own.
    #[must_use]
    pub fn new(sessions: impl Into<WebSessions>) -> Self {
        Self { sessions: sessions.into() }
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionMiddleware<S>;

    fn layer(&self, inner: S) -> SessionMiddleware<S> {
        SessionMiddleware { inner, sessions: self.sessions.clone() }
    }
}

/// A service within a [`SessionLayer`].
#[derive(Debug, Clone)]
pub struct SessionMiddleware<S> {
    inner: S,
    sessions: WebSessions,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SessionMiddleware<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Future: Send + 'static,
    ResBody: Send + 'static,
{
    type Response = Response<SessionBody<ResBody>>;
    type Error = S::Error;
    type Future = SessionFuture<ResBody, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> SessionFuture<ResBody, S::Error> {
        let exchange = self.sessions.begin(request.headers());
        request.extensions_mut().insert(Session(exchange.session().clone()));
        let handled = self.inner.call(request);
        SessionFuture(Box::pin(async move {
            let response = handled.await?;
            Ok(finish(&exchange, response).await)
        }))
    }
}

/// The response, or the page of the error that the handler or the save met.
async fn finish<B>(exchange: &Exchange, response: Response<B>) -> Response<SessionBody<B>> {
    if let Some(error) = response.extensions().get::<SessionError>() {
        return Box::pin(page(exchange, error.inner())).await;
    }
    let (mut parts, body) = response.into_parts();
    match exchange.finish(parts.status, &mut parts.headers).await {
        Ok(()) => Response::from_parts(parts, SessionBody::inner(body)),
        Err(error) => Box::pin(page(exchange, &error)).await,
    }
}

async fn page<B>(exchange: &Exchange, error: &Error) -> Response<SessionBody<B>> {
    exchange.error_response(error).await.map(SessionBody::page)
}

/// The response of a [`SessionMiddleware`].
pub struct SessionFuture<B, E>(BoxFuture<Result<Response<SessionBody<B>>, E>>);

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<B, E> Future for SessionFuture<B, E> {
    type Output = Result<Response<SessionBody<B>>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<B, E> fmt::Debug for SessionFuture<B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionFuture").finish_non_exhaustive()
    }
}
