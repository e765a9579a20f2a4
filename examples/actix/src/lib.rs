//! A small shop on actix-web: [`serve`] sets up the sessions, `shop.rs` uses them.

#![expect(clippy::future_not_send, reason = "actix keeps a request on one thread")]

mod shop;

use std::{error::Error, net::TcpListener, sync::Arc};

use actix_web::{
    App, HttpResponse, HttpServer, Route,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    web,
};
use example_common::{Config, PAGE, PAGE_POLICY, PageFile};
use session::{
    SessionManager,
    actix::SessionMiddleware,
    http::{SessionCookie, WebSessions},
    layers::{Readiness, Sweeper},
};
use shop::Shop;

/// Serves the shop until the program is asked to stop; requests in flight are finished then.
///
/// # Errors
/// When the store cannot be opened, or the port is taken.
pub async fn serve(config: Config) -> Result<(), Box<dyn Error>> {
    let store = session::connect(&config.store).await?;
    // Expired sessions are absent anyway; this removes what is left of them, on one instance of
    // all.
    let sweeper = Sweeper::start(Arc::clone(&store));

    // This program speaks plain HTTP, so that `curl` and every browser can try it at once. Behind
    // TLS, delete these two lines: the default cookie is `__Host-id`, `Secure`.
    let mut cookie = SessionCookie::builder().name("id").without_secure();
    if let Some(keys) = config.keys.clone() {
        cookie = cookie.signed(keys);
    }
    let manager = SessionManager::new(Arc::clone(&store))?;
    let sessions = WebSessions::builder(manager).cookie(cookie.build()?).build();

    let readiness = Readiness::new(Arc::clone(&store));
    let shop = Shop { store, sessions: sessions.clone(), readiness, config: config.clone() };
    let (shop, sessions) = (web::Data::new(shop), SessionMiddleware::new(sessions));
    let server = HttpServer::new(move || {
        let app = App::new().app_data(shop.clone());
        let app = PAGE.into_iter().fold(app, |app, file| app.route(file.path, page(file)));
        app.service(web::scope("").wrap(sessions.clone()).configure(shop::routes))
    });

    let listener = TcpListener::bind((config.host.as_str(), config.port))?;
    config.announce(listener.local_addr()?)?;
    server.listen(listener)?.run().await?;
    sweeper.shutdown().await;
    Ok(())
}

/// The page is outside of the middleware: it needs no session.
fn page(file: PageFile) -> Route {
    web::get().to(move || async move {
        HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, file.kind))
            .insert_header((CACHE_CONTROL, "no-cache"))
            .insert_header((CONTENT_SECURITY_POLICY, PAGE_POLICY))
            .body(file.text)
    })
}
