//! The life cycle as an adapter drives it, without any framework.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use session_core::Result;
use session_http::{
    Exchange, WebSessions, csrf,
    scenarios::{Adapter, Server, TestApp},
};

pub(crate) struct Direct;

struct Running {
    sessions: WebSessions,
    app: TestApp,
}

#[async_trait(?Send)]
impl Adapter for Direct {
    async fn serve(&self, sessions: WebSessions, app: TestApp) -> Box<dyn Server> {
        Box::new(Running { sessions, app })
    }
}

#[async_trait(?Send)]
impl Server for Running {
    async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        let exchange = self.sessions.begin(request.headers());
        let mut response = match self.handle(&exchange, &request).await {
            Ok(response) => response,
            Err(error) => return exchange.error_response(&error).await,
        };
        match exchange.finish(response.status(), response.headers_mut()).await {
            Ok(()) => response,
            Err(error) => exchange.error_response(&error).await,
        }
    }
}

impl Running {
    async fn handle(
        &self,
        exchange: &Exchange,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>> {
        let (session, path) = (exchange.session(), request.uri().path());
        if path.starts_with("/exclusively/") {
            return self.app.handle_exclusive(session.exclusive().await?, path).await;
        }
        if path.starts_with("/reading/") {
            return self.app.handle_read_only(session.read_only(), path).await;
        }
        if path.starts_with("/guarded/") {
            csrf::check_header(session, request.headers()).await?;
        }
        self.app.handle(session.clone().into_inner(), path).await
    }
}
