//! The key, and the session that it opens for a browser.

use std::time::Duration;

use axum::body::Body;
use fileyard_ingress::Access;
use http::{Method, Request, StatusCode, header};
use url::form_urlencoded;

use crate::{
    who,
    yard::{Answer, BROWSER, Yard},
};

pub(crate) const KEY: &str = "the-key-of-this-yard";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn locked() -> Yard {
    of(None)
}

fn of(public_url: Option<&str>) -> Yard {
    who::yard(public_url, Access { key: Some(KEY.parse().unwrap()), ..Access::default() })
}

async fn ask(yard: &Yard, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    yard.ask(request.body(Body::empty()).unwrap()).await
}

async fn log_in(yard: &Yard, key: &str, next: &str) -> Answer {
    let fields = form_urlencoded::Serializer::new(String::new())
        .append_pair("key", key)
        .append_pair("next", next)
        .finish();
    let request = Request::post("/login").header(header::ACCEPT, BROWSER);
    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    yard.ask(request.body(fields.into()).unwrap()).await
}

/// `name=value` of the cookie that was set.
fn cookie(answer: &Answer) -> String {
    answer.header(header::SET_COOKIE).split(';').next().unwrap().to_owned()
}

async fn page(yard: &Yard, path: &str, cookie: &str) -> Answer {
    ask(yard, Method::GET, path, &[("accept", BROWSER), ("cookie", cookie)]).await
}

/// Everything that is behind the key, for a job of this id.
fn behind(id: &str) -> Vec<(Method, String)> {
    vec![
        (Method::GET, "/".into()),
        (Method::GET, "/jobs".into()),
        (Method::GET, "/processors".into()),
        (Method::GET, format!("/status/{id}")),
        (Method::GET, format!("/jobs/{id}")),
        (Method::HEAD, format!("/jobs/{id}/input")),
        (Method::GET, format!("/jobs/{id}/input")),
        (Method::GET, format!("/jobs/{id}/outputs/x")),
        (Method::GET, format!("/jobs/{id}/logs")),
        (Method::POST, format!("/jobs/{id}/cancel")),
        (Method::POST, "/upload".into()),
        (Method::PUT, "/upload/a".into()),
        (Method::PUT, "/upload/text/a".into()),
        (Method::GET, "/nothing".into()),
        (Method::OPTIONS, "/jobs".into()),
        (Method::DELETE, "/jobs".into()),
    ]
}

#[tokio::test]
async fn without_the_key_nothing_is_told_and_nothing_done() {
    let yard = locked();
    let put = Request::put("/upload/text/a").header(header::AUTHORIZATION, format!("Bearer {KEY}"));
    let job = yard.ask(put.body("secret".into()).unwrap()).await.json();
    let id = job["job_id"].as_str().unwrap();
    let wrong = ["", "Bearer", "Bearer wrong-key-of-this-yard", "Basic dGhlLWtleQ==", KEY];
    let longer = format!("Bearer {KEY}x");
    for (method, path) in
        behind(id).into_iter().chain(behind("01990000-0000-7000-8000-000000000001"))
    {
        let nothing = ask(&yard, method.clone(), &path, &[]).await;
        assert_eq!(nothing.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        assert!(nothing.header(header::WWW_AUTHENTICATE).starts_with("Bearer"), "{method} {path}");
        for sent in wrong.into_iter().chain([longer.as_str()]) {
            let answer = ask(&yard, method.clone(), &path, &[("authorization", sent)]).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path} {sent}");
        }
        if method == Method::GET {
            assert_eq!(nothing.code(), "unauthorized", "{path}");
            assert!(!nothing.text().contains("secret") && !nothing.text().contains(KEY));
        }
    }
    // A guessed id is answered as any other is.
    let told = async |id: &str| ask(&yard, Method::GET, &format!("/status/{id}"), &[]).await.text();
    assert_eq!(told(id).await, told("01990000-0000-7000-8000-000000000001").await);
    assert_eq!(yard.left_behind().await, (1, 0));
    assert_eq!(yard.row(id).await.state.name().as_str(), "queued");
}

#[tokio::test]
async fn with_the_key_all_is_as_without_a_lock() {
    let yard = locked();
    for scheme in ["Bearer", "bearer", "BEARER "] {
        let sent = format!("{scheme} {KEY}");
        let answer = ask(&yard, Method::PUT, "/upload/text/a", &[("authorization", &sent)]).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{sent}");
        let path = format!("/status/{}", answer.json()["job_id"].as_str().unwrap());
        let status = ask(&yard, Method::GET, &path, &[("authorization", &sent)]).await;
        assert_eq!(status.json()["state"], "queued");
    }
    let nothing = [("authorization", &*format!("Bearer {KEY}"))];
    assert_eq!(ask(&yard, Method::GET, "/nothing", &nothing).await.code(), "not_found");
}

#[tokio::test]
async fn health_and_what_the_login_page_needs_are_open() {
    let yard = locked();
    assert_eq!(yard.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(yard.get("/readyz").await.status, StatusCode::OK);
    let page = yard.page("/login").await;
    assert_eq!(page.status, StatusCode::OK);
    let text = page.text();
    let assets = text.split('"').filter(|part| part.starts_with("/assets/"));
    let mut seen = 0;
    for asset in assets {
        assert_eq!(yard.get(asset).await.status, StatusCode::OK, "{asset}");
        seen += 1;
    }
    assert!(seen >= 3, "a style, a script and an icon: {text}");
    assert!(!text.contains("/jobs") && !text.contains("Log out"), "{text}");
    assert_eq!(yard.get("/assets/none").await.code(), "not_found");
}

#[tokio::test]
async fn a_browser_is_asked_for_the_key_and_comes_back_to_where_it_wanted() {
    let yard = locked();
    let answer = yard.page("/jobs?state=queued&limit=2").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let login = answer.header(header::LOCATION);
    assert_eq!(login, "/login?next=%2Fjobs%3Fstate%3Dqueued%26limit%3D2");
    let form = yard.page(login).await.text();
    assert!(form.contains("value=\"/jobs?state=queued&#38;limit=2\""), "{form}");

    let wrong = log_in(&yard, "not-the-key-of-this-yard", "/jobs?state=queued").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(
        wrong.text().contains("not this server")
            && wrong.text().contains("value=\"/jobs?state=queued\"")
    );
    assert!(!wrong.text().contains("not-the-key"), "what was typed is not shown");
    assert!(!wrong.headers.contains_key(header::SET_COOKIE));
    assert_eq!(wrong.header(header::WWW_AUTHENTICATE), "Bearer realm=\"fileyard\"");

    let right = log_in(&yard, &format!(" {KEY}\n"), "/jobs?state=queued").await;
    assert_eq!(right.status, StatusCode::SEE_OTHER);
    assert_eq!(right.header(header::LOCATION), "/jobs?state=queued");
    let set = right.header(header::SET_COOKIE);
    assert!(set.contains("; HttpOnly; SameSite=Strict") && !set.contains("Secure"), "{set}");
    assert!(!set.contains(KEY));
    let cookie = cookie(&right);
    let jobs = page(&yard, "/jobs", &cookie).await;
    assert_eq!(jobs.status, StatusCode::OK);
    assert!(jobs.text().contains("Log out"));
    assert_eq!(page(&yard, "/login?next=%2Fjobs", &cookie).await.header(header::LOCATION), "/jobs");
    // A script of the page's asks for JSON with the same cookie.
    let put = ask(&yard, Method::PUT, "/upload/text/a", &[("cookie", &cookie)]).await;
    assert_eq!(put.status, StatusCode::ACCEPTED);
    let both = [("cookie", cookie.as_str()), ("authorization", "Bearer wrong-key-of-this-yard")];
    assert_eq!(ask(&yard, Method::GET, "/jobs", &both).await.code(), "unauthorized");
}

#[tokio::test]
async fn a_form_that_is_sent_without_a_session_leads_to_the_login_page() {
    let yard = locked();
    let answer = ask(&yard, Method::POST, "/upload", &[("accept", BROWSER)]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.header(header::LOCATION), "/login");
    assert_eq!(yard.left_behind().await, (0, 0));
}

#[tokio::test]
async fn a_session_ends_by_time_by_another_key_and_by_logging_out() {
    let yard = locked();
    let cookie = cookie(&log_in(&yard, KEY, "/").await);
    yard.clock.advance(29 * DAY);
    assert_eq!(page(&yard, "/jobs", &cookie).await.status, StatusCode::OK);
    yard.clock.advance(DAY);
    assert_eq!(page(&yard, "/jobs", &cookie).await.header(header::LOCATION), "/login?next=%2Fjobs");

    let fresh = self::cookie(&log_in(&yard, KEY, "/").await);
    let other = Access { key: Some("another-key-of-a-yard".parse().unwrap()), ..Access::default() };
    let other = who::yard(None, other);
    assert_eq!(page(&other, "/jobs", &fresh).await.status, StatusCode::SEE_OTHER);

    let out = ask(&yard, Method::POST, "/logout", &[("cookie", &fresh), ("accept", BROWSER)]).await;
    assert_eq!((out.status, out.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/login"));
    assert!(out.header(header::SET_COOKIE).starts_with("fileyard=; Path=/; Max-Age=0"));
    assert_eq!(yard.get("/logout").await.code(), "method_not_allowed");
}

#[tokio::test]
async fn a_login_leads_nowhere_else() {
    let yard = locked();
    for evil in ["//evil.example", "https://evil.example/", "/\\evil.example", "/\t/evil.example"] {
        let answer = log_in(&yard, KEY, evil).await;
        assert_eq!(answer.header(header::LOCATION), "/", "{evil:?}");
        let query: String = form_urlencoded::byte_serialize(evil.as_bytes()).collect();
        let form = yard.page(&format!("/login?next={query}")).await.text();
        assert!(form.contains("name=\"next\" value=\"/\""), "{evil:?}: {form}");
    }
    let odd = yard.page("/login?next=%2F%22%3E%3Cscript%3E").await.text();
    assert!(!odd.contains("<script>"), "{odd}");
}

#[tokio::test]
async fn by_https_a_session_is_for_https_alone() {
    let yard = of(Some("https://files.example.org/yard"));
    let set = log_in(&yard, KEY, "/yard/jobs").await;
    let text = set.header(header::SET_COOKIE);
    assert!(text.starts_with("__Host-fileyard=") && text.ends_with("; Secure"), "{text}");
    let cookie = cookie(&set);
    assert_eq!(page(&yard, "/jobs", &cookie).await.status, StatusCode::OK);
    let plain = cookie.replace("__Host-", "");
    let answer = page(&yard, "/jobs", &plain).await;
    assert_eq!(answer.header(header::LOCATION), "/yard/login?next=%2Fyard%2Fjobs");
}

#[tokio::test]
async fn a_link_of_another_site_is_followed_by_who_is_logged_in() {
    // The browser sends no cookie with it, so the page that it gets asks again by itself, once.
    let yard = locked();
    let headers = [("accept", BROWSER), ("sec-fetch-site", "cross-site")];
    let login = ask(&yard, Method::GET, "/login?next=%2Fjobs", &headers).await.text();
    assert!(login.contains("content=\"0;url=/login?again=1&#38;next=%2Fjobs\""), "{login}");
    let again = ask(&yard, Method::GET, "/login?again=1&next=%2Fjobs", &headers).await.text();
    assert!(!again.contains("http-equiv"), "{again}");
    let own = ask(&yard, Method::GET, "/login?next=%2Fjobs", &headers[..1]).await.text();
    assert!(!own.contains("http-equiv"), "{own}");
}

#[tokio::test]
async fn where_no_key_is_wanted_nobody_can_log_in() {
    let yard = who::yard(None, Access::default());
    assert_eq!(yard.page("/login?next=%2Fjobs").await.header(header::LOCATION), "/jobs");
    let answer = log_in(&yard, KEY, "/jobs").await;
    assert_eq!(answer.header(header::LOCATION), "/jobs");
    assert!(!answer.headers.contains_key(header::SET_COOKIE));
    assert!(!yard.page("/jobs").await.text().contains("Log out"));
    let bearer = [("authorization", "Bearer whatever-it-may-be")];
    assert_eq!(ask(&yard, Method::GET, "/jobs", &bearer).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_login_form_is_small() {
    let yard = locked();
    let answer = log_in(&yard, &"x".repeat(1 << 20), "/jobs").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}
