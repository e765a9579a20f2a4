//! The middleware.

#![expect(clippy::future_not_send, reason = "actix keeps a request on one thread")]

use std::{
    fmt,
    future::{Future, Ready, ready},
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    Error, HttpMessage, HttpResponse, HttpResponseBuilder,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
    error::InternalError,
    http::StatusCode,
};
use bytes::Bytes;
use session_http::{Exchange, WebSessions};

use crate::{Session, SessionError, headers};

/// Gives every request its [`Session`], and saves it before the response is sent.
///
/// ```
/// use session_actix::SessionMiddleware;
/// use session_core::{MemoryStore, SessionManager};
/// use session_http::{SessionCookie, WebSessions};
///
/// # fn main() -> session_core::Result<()> {
/// let manager = SessionManager::new(MemoryStore::new())?;
/// let middleware = SessionMiddleware::new(manager.clone());
///
/// // Or with settings of your own:
/// let cookie = SessionCookie::builder().name("__Host-shop").build()?;
/// let middleware = SessionMiddleware::new(WebSessions::builder(manager).cookie(cookie).build());
/// # Ok(())
/// # }
/// ```
///
/// A clone goes on with the same sessions.
#[derive(Debug, Clone)]
pub struct SessionMiddleware {
    sessions: WebSessions,
}

impl SessionMiddleware {
    /// A middleware of these sessions: a [`SessionManager`](session_core::SessionManager) for the
    /// default cookie and policies, or [`WebSessions`] with your own.
    #[must_use]
    pub fn new(sessions: impl Into<WebSessions>) -> Self {
        Self { sessions: sessions.into() }
    }
}

impl<S, B> Transform<S, ServiceRequest> for SessionMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = SessionService<S>;
    type InitError = ();
    type Future = Ready<Result<SessionService<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(SessionService { service, sessions: self.sessions.clone() }))
    }
}

/// A service within a [`SessionMiddleware`].
pub struct SessionService<S> {
    service: S,
    sessions: WebSessions,
}

impl<S> fmt::Debug for SessionService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}

impl<S, B> Service<ServiceRequest> for SessionService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let exchange = self.sessions.begin(&headers::Request(request.headers()));
        request.extensions_mut().insert(Session(exchange.session().clone()));
        let handled = self.service.call(request);
        Box::pin(async move {
            match handled.await {
                Ok(response) => Ok(finish(&exchange, response).await),
                Err(error) => Err(Box::pin(finish_error(&exchange, error)).await),
            }
        })
    }
}

/// The response, or the page of the error that the handler or the save met.
async fn finish<B: MessageBody + 'static>(
    exchange: &Exchange,
    response: ServiceResponse<B>,
) -> ServiceResponse<EitherBody<B>> {
    let (request, mut response) = response.into_parts();
    if let Some(error) = response.error().and_then(Error::as_error::<SessionError>) {
        let page = Box::pin(page(exchange, error.inner())).await.map_into_right_body();
        return ServiceResponse::new(request, page);
    }
    let response = match save(exchange, &mut response).await {
        Ok(()) => response.map_into_left_body(),
        Err(error) => Box::pin(page(exchange, &error)).await.map_into_right_body(),
    };
    ServiceResponse::new(request, response)
}

/// The same for what a middleware within returned instead of a response.
async fn finish_error(exchange: &Exchange, error: Error) -> Error {
    if let Some(known) = error.as_error::<SessionError>() {
        let page = page(exchange, known.inner()).await;
        return InternalError::from_response(error, page).into();
    }
    if !exchange.session().was_used() {
        return error;
    }
    let mut response = error.error_response();
    let response = match save(exchange, &mut response).await {
        Ok(()) => response,
        Err(error) => page(exchange, &error).await,
    };
    InternalError::from_response(error, response).into()
}

/// Saves the session, and completes the headers.
async fn save<B>(exchange: &Exchange, response: &mut HttpResponse<B>) -> session_core::Result<()> {
    let status = http::StatusCode::from_u16(response.status().as_u16());
    let status = status.unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    exchange.finish(status, &mut headers::Response(response.headers_mut())).await
}

async fn page(exchange: &Exchange, error: &session_core::Error) -> HttpResponse<BoxBody> {
    let (parts, body) = exchange.error_response(error).await.into_parts();
    let status = StatusCode::from_u16(parts.status.as_u16());
    let mut page = HttpResponseBuilder::new(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    let mut page = page.body::<Bytes>(body);
    page.headers_mut().clear();
    for (name, value) in &parts.headers {
        if let Some((name, value)) = headers::to_actix(name, value) {
            page.headers_mut().append(name, value);
        }
    }
    page
}
