//! The application on axum, with the middleware of tower-sessions.

macro_rules! tower_app {
    ($module:ident, $tower_sessions:ident) => {
        pub(crate) mod $module {
            use axum::{Router, extract::State, http::Uri, response::IntoResponse};
            use serde_json::Value;
            use session_http::scenarios::Server;
            use $tower_sessions::{
                Expiry, Session, SessionManagerLayer, SessionStore, cookie::time::Duration,
            };

            use crate::{
                app::{App, Failed, Handle, Result},
                framework::LIFE,
                tower::Running,
            };

            impl Handle for Session {
                async fn get(&self, name: &str) -> Result<Option<Value>> {
                    self.get_value(name).await.map_err(|_told| Failed)
                }

                async fn insert(&self, name: &str, value: Value) -> Result<()> {
                    self.insert_value(name, value).await.map(drop).map_err(|_told| Failed)
                }

                async fn remove(&self, name: &str) -> Result<Option<Value>> {
                    self.remove_value(name).await.map_err(|_told| Failed)
                }

                async fn clear(&self) {
                    Session::clear(self).await;
                }

                async fn cycle(&self) -> Result<()> {
                    self.cycle_id().await.map_err(|_told| Failed)
                }

                async fn end(&self) -> Result<()> {
                    self.flush().await.map_err(|_told| Failed)
                }
            }

            async fn handle(
                State(app): State<App>,
                session: Session,
                uri: Uri,
            ) -> impl IntoResponse {
                app.answer(&session, uri.path()).await
            }

            pub(crate) fn serve(
                store: impl SessionStore + Clone,
                app: App,
                always_save: bool,
            ) -> Box<dyn Server> {
                let layer = SessionManagerLayer::new(store)
                    .with_name("__Host-id")
                    .with_expiry(Expiry::OnInactivity(Duration::seconds(LIFE)))
                    .with_always_save(always_save);
                let router = Router::new().fallback(handle).with_state(app).layer(layer);
                Box::new(Running(router))
            }
        }
    };
}

tower_app!(v014, tower_sessions_014);
tower_app!(v015, tower_sessions_015);

use async_trait::async_trait;
use axum::{Router, body::Body};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use session_http::scenarios::Server;
use tower::ServiceExt;

pub(crate) struct Running(pub(crate) Router);

#[async_trait(?Send)]
impl Server for Running {
    async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        let response = self.0.clone().oneshot(request.map(Body::from)).await.unwrap();
        let (parts, body) = response.into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    }
}
