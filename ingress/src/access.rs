//! Who may ask: what stands between a connection and every route.
//!
//! In this order: the name the server was asked by (`host.rs`), the page a write came from
//! (`origin.rs`), what other origins' scripts are told (`cors.rs`), and the key, or the session that
//! it opened. What is asked for is never looked at here: a route is open only because `router.rs`
//! puts it outside the lock.

mod cors;
mod host;
mod key;
mod login;
mod origin;
mod session;
mod tries;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
};
use http::Method;
use url::Url;

pub(crate) use self::login::{enter, form, leave};
use self::{
    host::{Authority, Hosts},
    origin::Origins,
    tries::Tries,
};
pub use self::{
    host::{HostRule, HostRuleError},
    key::{ApiKey, KeyError},
    origin::{Origin, OriginError},
};
use crate::{
    App,
    error::{Code, Problem},
    negotiate::prefers_html,
};

/// Who may ask, as it is configured.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// What a client must know; without one, whoever reaches the listener may ask.
    pub key: Option<ApiKey>,
    /// Names of this server, beside loopback's and those of the public URL.
    pub allowed_hosts: Vec<HostRule>,
    /// Origins whose pages may read and write.
    pub allowed_origins: Vec<Origin>,
    /// The listener can be reached from other machines.
    pub beyond_loopback: bool,
}

/// [`Access`] as it is applied.
#[derive(Debug)]
pub(crate) struct Door {
    key: Option<ApiKey>,
    hosts: Hosts,
    origins: Origins,
    tries: Tries,
    /// Browsers come by https, so a session's cookie never goes by anything else.
    secure: bool,
}

impl Door {
    pub(crate) fn new(access: Access, public_url: Option<&Url>) -> Self {
        let Access { key, allowed_hosts, allowed_origins, beyond_loopback } = access;
        Self {
            key,
            hosts: Hosts::new(allowed_hosts, public_url, beyond_loopback),
            origins: Origins::new(allowed_origins, public_url),
            tries: Tries::default(),
            secure: public_url.is_some_and(|url| url.scheme() == "https"),
        }
    }

    /// Whether a key is needed at all.
    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// What is refused whoever asks.
    fn address(&self, request: &Request) -> Result<(), Problem> {
        let own: Option<Authority> = self.hosts.check(request)?;
        self.origins.check(request.method(), request.headers(), own.as_ref())
    }
}

/// Puts routes behind the key.
pub(crate) fn locked(routes: Router<App>, app: &App) -> Router<App> {
    routes.layer(middleware::from_fn_with_state(app.clone(), lock))
}

/// Checks Host and Origin of whatever is asked, and lets other origins' scripts read the answers
/// that they may have.
pub(crate) fn guarded(routes: Router<App>, app: &App) -> Router<App> {
    let routes = match cors::layer(app.door.origins.named()) {
        Some(layer) => routes.layer(layer),
        None => routes,
    };
    routes.layer(middleware::from_fn_with_state(app.clone(), guard))
}

async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    match app.door.address(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            let host = request.headers().get(http::header::HOST);
            let origin = request.headers().get(http::header::ORIGIN);
            tracing::debug!(?host, ?origin, refused = problem.detail(), "not let in");
            problem.into_response()
        }
    }
}

async fn lock(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(key) = &app.door.key else { return next.run(request).await };
    let headers = request.headers();
    // A key that is sent and wrong is not made good by a session beside it.
    let may = match key::bearer(headers) {
        Some(sent) => key.is(sent),
        None => session::is_valid(key, headers, app.clock.now(), app.door.secure),
    };
    if may {
        return next.run(request).await;
    }
    if prefers_html(headers) {
        // Only what was looked at can be gone back to; a form that was sent can not be sent again.
        let looked = matches!(*request.method(), Method::GET | Method::HEAD);
        let back = looked.then(|| request.uri().path_and_query()).flatten();
        Redirect::to(&app.pages.login(back.map(|path| path.as_str()))).into_response()
    } else {
        let detail = match key::bearer(headers) {
            Some(_) => "the key that was sent is not this server's",
            None => "this server wants its API key, as in `Authorization: Bearer KEY`",
        };
        Problem::new(Code::Unauthorized, detail).into_response()
    }
}
