//! The one address: what begins with `/php/` goes to PHP. In production that is the task of nginx or HAProxy,
//! with PHP-FPM behind it; here it is PHP's own web server.

use std::{error::Error, net::SocketAddr, path::Path, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header::CONNECTION},
    response::Response,
    routing::any,
};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use test_servers::php::Site;
use tokio::net::TcpStream;

use crate::settings::Settings;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/php/index.php");

/// A PHP with the page.
#[derive(Debug, Clone)]
pub(crate) struct Php(Arc<Site>);

impl Php {
    pub(crate) async fn start(settings: &Settings) -> Result<Self, Box<dyn Error>> {
        let settings = settings.arguments();
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        Ok(Self(Arc::new(Site::start_as_installed(&[Path::new(PAGE)], &settings).await?)))
    }

    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/php/", any(forward))
            .route("/php/{*path}", any(forward))
            .with_state(self)
    }
}

/// Sends a request on as it is, cookies and all.
async fn forward(State(php): State<Php>, request: Request) -> Result<Response, StatusCode> {
    exchange(php.0.address(), request).await.map_err(|_error| StatusCode::BAD_GATEWAY)
}

async fn exchange(
    to: SocketAddr,
    mut request: Request,
) -> Result<Response, Box<dyn Error + Send + Sync>> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(TcpStream::connect(to).await?)).await?;
    tokio::spawn(connection);
    request.headers_mut().remove(CONNECTION);
    let mut response = sender.send_request(request).await?.map(Body::new);
    response.headers_mut().remove(CONNECTION);
    Ok(response)
}
