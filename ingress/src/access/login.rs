//! A person with a browser: the page that asks for the key, and the session that it opens.

use axum::{
    body::Body,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use url::Url;

use super::{session, tries::TooMany};
use crate::{
    App,
    error::{BEARER, Problem},
    page,
};

type Pairs = Vec<(String, String)>;

/// The largest form: a key, and where to go.
const LARGEST: usize = 16 * 1024;

/// `GET /login?next=PATH`: the form; for who has a session, the way on.
pub(crate) async fn form(
    State(app): State<App>,
    Query(query): Query<Pairs>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let next = next(&query, &app);
    let Some(key) = &app.door.key else { return Ok(see(&next)) };
    if session::is_valid(key, &headers, app.clock.now(), app.door.secure) {
        return Ok(see(&next));
    }
    // Who follows a link of another site brings no cookie that is SameSite=Strict, though there may
    // be one: the page then asks once more, by itself.
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let followed = matches!(site, Some(b"cross-site" | b"same-site"));
    let asked = query.iter().any(|(name, _)| name == "again");
    let again = (followed && !asked).then(|| app.pages.login_again(&next));
    page::login(&app, StatusCode::OK, &next, again, None)
}

/// `POST /login`, the form: the session, and the way on.
pub(crate) async fn enter(State(app): State<App>, body: Body) -> Result<Response, Problem> {
    let body = Limited::new(body, LARGEST).collect().await.map(|body| body.to_bytes());
    let fields = pairs(&body.unwrap_or_default());
    let next = next(&fields, &app);
    let Some(key) = &app.door.key else { return Ok(see(&next)) };
    let sent = value(&fields, "key").unwrap_or_default();
    if let Err(TooMany) = app.door.tries.turn().await {
        let why = "Too many keys are being tried right now. Wait a moment and try again.";
        let status = StatusCode::TOO_MANY_REQUESTS;
        let mut answer = page::login(&app, status, &next, None, Some(why))?;
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        return Ok(answer);
    }
    // Pasted with a space at its end, it is still the key.
    if !key.is(sent.trim().as_bytes()) {
        tracing::warn!("somebody tried to log in with a wrong key");
        let why = Some("That is not this server's key.");
        let mut answer = page::login(&app, StatusCode::UNAUTHORIZED, &next, None, why)?;
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, BEARER);
        return Ok(answer);
    }
    let mut answer = see(&next);
    let cookie = session::begin(key, app.clock.now(), app.door.secure);
    answer.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(answer)
}

/// `POST /logout`.
pub(crate) async fn leave(State(app): State<App>) -> Response {
    let mut answer = see(&app.pages.login(None));
    let headers = answer.headers_mut();
    headers.insert(header::SET_COOKIE, session::end(app.door.secure));
    // Files that were looked at are nobody else's business.
    headers.insert("clear-site-data", HeaderValue::from_static("\"cache\""));
    answer
}

fn see(path: &str) -> Response {
    let mut answer = Redirect::to(path).into_response();
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn pairs(body: &Bytes) -> Pairs {
    url::form_urlencoded::parse(body).into_owned().collect()
}

fn value<'a>(pairs: &'a Pairs, name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Where to go on: a path of this server, or its first page.
fn next(pairs: &Pairs, app: &App) -> String {
    let next = value(pairs, "next").filter(|next| is_ours(next));
    next.map_or_else(|| app.pages.home(), str::to_owned)
}

/// Whether a browser that is sent there stays here, whatever it makes of slashes and odd bytes.
fn is_ours(path: &str) -> bool {
    let plain = path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let absolute = path.starts_with('/') && !path.starts_with("//");
    let base = Url::parse("http://a.invalid/").expect("it is one");
    plain && absolute && base.join(path).is_ok_and(|url| url.origin() == base.origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_this_server_is_gone_on_to() {
        for path in ["/", "/status/1?x=%2F%2Fa", "/jobs?batch=1&limit=2", "/a//b", "/?next=//evil"]
        {
            assert!(is_ours(path), "{path}");
        }
        for path in [
            "",
            "status",
            "//evil.example",
            "//evil.example/..",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            " /",
            "https://evil.example/",
            "javascript:alert(1)",
            "/ü",
        ] {
            assert!(!is_ours(path), "{path:?}");
        }
    }
}
