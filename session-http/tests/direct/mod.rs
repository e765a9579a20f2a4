//! The life cycle as an adapter drives it, without any framework.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use session_http::{
    WebSessions,
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
        let session = exchange.session().clone();
        let mut response = match self.app.handle(session, request.uri().path()).await {
            Ok(response) => response,
            Err(error) => return exchange.error_response(&error),
        };
        match exchange.finish(response.status(), response.headers_mut()).await {
            Ok(()) => response,
            Err(error) => exchange.error_response(&error),
        }
    }
}
