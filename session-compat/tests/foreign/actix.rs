//! The application on actix-web, with the middleware of actix-session.

use std::{pin::Pin, rc::Rc};

use actix_session::{
    Session, SessionMiddleware,
    config::{PersistentSession, TtlExtensionPolicy},
    storage::SessionStore,
};
use actix_web::{
    App as Actix, HttpRequest, HttpResponse,
    body::to_bytes,
    cookie::{Cookie, CookieJar, Key, time::Duration},
    dev::ServiceResponse,
    http::{Method, StatusCode},
    test, web,
};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::Value;
use session_http::scenarios::Server;

use crate::{
    app::{App, Failed, Handle, Result},
    framework::LIFE,
};

type Call = dyn Fn(test::TestRequest) -> Pin<Box<dyn Future<Output = Reply>>>;
type Reply = std::result::Result<ServiceResponse, actix_web::Error>;

struct Running(Box<Call>);

impl Handle for Session {
    async fn get(&self, name: &str) -> Result<Option<Value>> {
        Self::get(self, name).map_err(|_told| Failed)
    }

    async fn insert(&self, name: &str, value: Value) -> Result<()> {
        Self::insert(self, name, value).map_err(|_told| Failed)
    }

    async fn remove(&self, name: &str) -> Result<Option<Value>> {
        self.remove_as(name).transpose().map_err(|_told| Failed)
    }

    async fn clear(&self) {
        Self::clear(self);
    }

    async fn cycle(&self) -> Result<()> {
        self.renew();
        Ok(())
    }

    async fn end(&self) -> Result<()> {
        self.purge();
        Ok(())
    }
}

/// All servers of a fleet have the same.
fn key() -> Key {
    Key::from(&[7; 64])
}

/// A cookie that the middleware accepts, for this session key.
pub(crate) fn cookie_of(id: &str) -> String {
    let mut jar = CookieJar::new();
    jar.private_mut(&key()).add(Cookie::new("__Host-id", id.to_owned()));
    jar.delta().next().unwrap().encoded().to_string()
}

/// The session key in such a cookie.
pub(crate) fn id_in(cookie: &str) -> String {
    let mut jar = CookieJar::new();
    jar.add_original(Cookie::parse_encoded(cookie.to_owned()).unwrap());
    jar.private(&key()).get("__Host-id").unwrap().value().to_owned()
}

async fn handle(app: web::Data<App>, session: Session, request: HttpRequest) -> HttpResponse {
    let (status, text) = app.answer(&session, request.path()).await;
    HttpResponse::build(StatusCode::from_u16(status.as_u16()).unwrap()).body(text)
}

pub(crate) async fn serve(
    store: impl SessionStore + 'static,
    app: App,
    every_request: bool,
) -> Box<dyn Server> {
    let extension = match every_request {
        true => TtlExtensionPolicy::OnEveryRequest,
        false => TtlExtensionPolicy::OnStateChanges,
    };
    let life = PersistentSession::default()
        .session_ttl(Duration::seconds(LIFE))
        .session_ttl_extension_policy(extension);
    let middleware = SessionMiddleware::builder(store, key())
        .cookie_name("__Host-id".to_owned())
        .session_lifecycle(life)
        .build();
    let app = Actix::new()
        .app_data(web::Data::new(app))
        .default_service(web::to(handle))
        .wrap(middleware);
    let service = Rc::new(test::init_service(app).await);
    Box::new(Running(Box::new(move |request| {
        let service = Rc::clone(&service);
        Box::pin(async move {
            let answered = test::try_call_service(&*service, request.to_request()).await;
            answered.map(ServiceResponse::map_into_boxed_body)
        })
    })))
}

#[async_trait(?Send)]
impl Server for Running {
    async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        let mut sent = test::TestRequest::with_uri(&parts.uri.to_string())
            .method(Method::from_bytes(parts.method.as_str().as_bytes()).unwrap())
            .set_payload(body);
        for (name, value) in &parts.headers {
            sent = sent.append_header((name.as_str(), value.as_bytes()));
        }
        // What the middleware refuses is turned into a response by the server.
        let answered = match (self.0)(sent).await {
            Ok(answered) => answered.into_parts().1,
            Err(error) => error.error_response(),
        };
        let mut response = Response::builder().status(answered.status().as_u16());
        for (name, value) in answered.headers() {
            response = response.header(name.as_str(), value.as_bytes());
        }
        let body = to_bytes(answered.into_body()).await.ok().unwrap();
        response.body(body).unwrap()
    }
}
