//! Every route, in one place, and what holds for all of them.

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use fileyard_orchestrator::contract::urls::Desk;
use http::{HeaderValue, Method, header};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    App, Services, access, assets, attempt, download,
    error::{Code, Problem},
    health, jobs, logs,
    negotiate::prefers_html,
    page, processors, status, upload,
};

/// The whole of fileyard over HTTP.
pub fn router(services: Services) -> Router {
    let app = App::new(services);
    let open = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/assets/{name}", get(assets::get))
        .route("/login", get(access::form).post(access::enter))
        .route("/logout", post(access::leave))
        .method_not_allowed_fallback(method_not_allowed);
    // What is not there is locked as well: only who may ask learns what is.
    let locked = Router::new()
        .route("/", get(page::home))
        .route("/upload", post(upload::form))
        .route("/upload/{name}", put(upload::raw))
        .route("/upload/{processor}/{name}", put(upload::raw))
        .route("/status/{id}", get(status::show))
        .route("/jobs", get(jobs::list))
        .route("/jobs/{id}", get(status::show))
        .route("/jobs/{id}/cancel", post(status::cancel))
        .route("/jobs/{id}/retry", post(status::retry))
        .route("/jobs/{id}/input", get(download::input))
        .route("/jobs/{id}/outputs/{*path}", get(download::output))
        .route("/jobs/{id}/logs", get(logs::read))
        .route("/processors", get(processors::list))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed);
    let routes = open.merge(access::locked(locked, &app));
    access::guarded(routes.layer(CatchPanicLayer::custom(panicked)), &app)
        .layer(middleware::from_fn_with_state(app.clone(), finish))
        .with_state(app)
}

/// All that one attempt's container reaches.
pub(crate) fn attempt(desk: Desk) -> Router {
    Router::new()
        .route("/v1/{token}/input", get(attempt::input))
        .route("/v1/{token}/output", put(attempt::nameless))
        .route("/v1/{token}/output/", put(attempt::nameless))
        .route("/v1/{token}/output/{*name}", put(attempt::output))
        .route("/v1/{token}/result", put(attempt::result))
        .route("/v1/{token}/progress", post(attempt::progress))
        .fallback(attempt::nowhere)
        .method_not_allowed_fallback(attempt::not_so)
        .layer(DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(desk)
}

async fn not_found(request: Request) -> Problem {
    let path: String = request.uri().path().chars().take(200).collect();
    Problem::new(Code::NotFound, format!("nothing is at {path}"))
}

async fn method_not_allowed(method: Method, request: Request) -> Problem {
    let path: String = request.uri().path().chars().take(200).collect();
    Problem::new(Code::MethodNotAllowed, format!("{path} does not answer to {method}"))
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    // The panic's own words are in the log, by the hook that every panic goes through.
    Problem::new(Code::Internal, "the server met a bug while it worked on this; its log has more")
        .into_response()
}

/// What every answer gets: a problem becomes a page for a browser, and caches learn what an answer
/// depends on.
async fn finish(State(app): State<App>, request: Request, next: Next) -> Response {
    let html = prefers_html(request.headers());
    let mut response = next.run(request).await;
    if html && let Some(problem) = response.extensions().get::<Problem>().cloned() {
        response = page::problem(&app, &problem, response);
    }
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Accept, Prefer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    let nosniff = HeaderValue::from_static("nosniff");
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(nosniff);
    // Never `no-referrer`: a browser would then send `Origin: null` with a form.
    let referrer = HeaderValue::from_static("same-origin");
    headers.entry(header::REFERRER_POLICY).or_insert(referrer);
    // No other site frames what is here, or embeds it.
    headers.entry(header::X_FRAME_OPTIONS).or_insert(HeaderValue::from_static("DENY"));
    let embedded = header::HeaderName::from_static("cross-origin-resource-policy");
    headers.entry(embedded).or_insert(HeaderValue::from_static("same-origin"));
    response
}
