//! The page of the fleet: how each instance is, what happens, and buttons to make more happen.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Json, Router,
    extract::{Path, State as Shared},
    http::{
        HeaderMap, StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY},
    },
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use example_driver::Result;
use serde::Serialize;
use tokio::net::TcpListener;

use crate::{
    drive::Drive,
    fleet::{Fleet, View},
    plan::Plan,
    tally::Tally,
};

/// Where the balancer finds the page.
pub const PATH: &str = "/fleet";

const POLICY: &str = "default-src 'none'; connect-src 'self'; img-src data:; \
                      style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// A header that no form and no other site's script can send.
const OWN: &str = "x-fleet";

#[derive(Clone)]
struct Page {
    fleet: Arc<Fleet>,
    store: Arc<str>,
    /// The last time that users were sent.
    drive: Arc<Mutex<Option<Run>>>,
}

struct Run {
    drive: Arc<Drive>,
    /// How it ended, when it has.
    end: Arc<Mutex<Option<String>>>,
}

#[derive(Serialize)]
struct Report {
    store: String,
    instances: Vec<View>,
    diagnosis: Vec<String>,
    users: Option<Users>,
}

#[derive(Serialize)]
struct Users {
    end: Option<String>,
    story: Vec<String>,
    tally: Tally,
}

/// Serves the page of a fleet, for as long as it is polled.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, fleet: Arc<Fleet>, store: &str) -> Result {
    let scheme = store.split(':').next().unwrap_or_default();
    let page = Page { fleet, store: scheme.into(), drive: Arc::default() };
    let router = Router::new()
        .route("/", get(show))
        .route("/state", get(report))
        .route("/{index}/{action}", post(act))
        .route("/users", post(send_users))
        .with_state(page);
    Ok(axum::serve(listener, Router::new().nest(PATH, router)).await?)
}

async fn show() -> impl IntoResponse {
    let headers = [(CACHE_CONTROL, "no-cache"), (CONTENT_SECURITY_POLICY, POLICY)];
    (headers, Html(include_str!("page/index.html")))
}

async fn report(Shared(page): Shared<Page>) -> Response {
    let users = page.last_run(|run| Users {
        end: run.end.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        story: run.drive.story(),
        tally: run.drive.tally(),
    });
    // An instance that was killed just now has nothing to say.
    let diagnosis = page.fleet.diagnosis().await.unwrap_or_default();
    match page.fleet.views().await {
        Ok(instances) => {
            let store = page.store.to_string();
            Json(Report { store, instances, diagnosis, users }).into_response()
        }
        Err(error) => failure(&error.to_string()),
    }
}

async fn act(
    Shared(page): Shared<Page>,
    Path((index, action)): Path<(usize, String)>,
    headers: HeaderMap,
) -> Response {
    if !headers.contains_key(OWN) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let done = match action.as_str() {
        "kill" => page.fleet.kill(index),
        "start" => page.fleet.launch(index).await,
        "stop" => page.fleet.stop(index).await,
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    done.map_or_else(
        |error| failure(&error.to_string()),
        |()| StatusCode::NO_CONTENT.into_response(),
    )
}

/// Sends two hundred users, unless some are there.
async fn send_users(Shared(page): Shared<Page>, headers: HeaderMap) -> Response {
    if !headers.contains_key(OWN) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let mut last = page.drive.lock().unwrap_or_else(PoisonError::into_inner);
    let is_busy = |run: &Run| run.end.lock().unwrap_or_else(PoisonError::into_inner).is_none();
    if last.as_ref().is_some_and(is_busy) {
        return (StatusCode::CONFLICT, "users are clicking already").into_response();
    }
    let (drive, end) = (Drive::new(Plan::turbulent()), Arc::default());
    *last = Some(Run { drive: Arc::clone(&drive), end: Arc::clone(&end) });
    drop(last);
    let fleet = Arc::clone(&page.fleet);
    tokio::spawn(async move {
        let words = match drive.run(&fleet).await {
            Ok(tally) if tally.is_clean() => "nobody noticed anything".to_owned(),
            Ok(_) => "users noticed something".to_owned(),
            Err(error) => error.to_string(),
        };
        *end.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
    });
    StatusCode::ACCEPTED.into_response()
}

impl Page {
    fn last_run<T>(&self, look: impl FnOnce(&Run) -> T) -> Option<T> {
        self.drive.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(look)
    }
}

fn failure(words: &str) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, words.to_owned()).into_response()
}
