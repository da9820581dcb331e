//! Strangers, in a real browser: a person without the key, pages of other sites, a name that was
//! rebound, and files that would run. What is refused is let in next to it where it is allowed.

use fileyard_tests::{
    LONG,
    browser::Browser,
    client::id,
    elsewhere::Site,
    server::Server,
    until,
    yard::{Store, Yard},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::pictured;

const KEY: &str = "the-key-of-this-story";

/// With these lines in `[http]`.
fn http(yard: Yard, lines: &str) -> Yard {
    yard.section("http", &format!("listen = \"127.0.0.1:0\"\n{lines}"))
}

fn locked(yard: Yard, more: &str) -> Yard {
    http(yard, &format!("api_key = \"{KEY}\"\n{more}"))
}

/// A job that waits, sent by who has the key, whether it is needed or not.
async fn sent(server: &Server, name: &str, body: impl Into<reqwest::Body>) -> String {
    let put = server.request(Method::PUT, &format!("/upload/drill/{name}"));
    id(&server.must(put.bearer_auth(KEY).body(body)).await.expect(202).json())
}

async fn all_jobs(server: &Server) -> Vec<Value> {
    let list = server.must(server.request(Method::GET, "/jobs").bearer_auth(KEY)).await;
    list.expect(200).json()["jobs"].as_array().unwrap().clone()
}

async fn log_in(browser: &mut Browser, key: &str) {
    browser.wait_for("location.pathname === '/login' && document.getElementById('key')").await;
    browser.enter("#key", key).await;
    browser.click("main button[type=submit]").await;
}

/// The status of the page that is shown.
const STATUS: &str = "performance.getEntriesByType('navigation')[0].responseStatus";

/// A picture of one pixel.
const PIXEL: [u8; 67] = [
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0,
    1, 0, 0, 0, 1, 8, 0, 0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0, 10, b'I', b'D', b'A', b'T',
    0x78, 0x9c, 0x63, 0x60, 0, 0, 0, 2, 0, 1, 0x48, 0xaf, 0xa4, 0x71, 0, 0, 0, 0, b'I', b'E', b'N',
    b'D', 0xae, 0x42, 0x60, 0x82,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_logs_in_uploads_sees_the_result_and_logs_out() {
    let yard = locked(Yard::with_docker(Store::Local), "");
    let server = yard.start().await;
    let file = yard.path().join("prices.csv");
    std::fs::write(&file, "name,price\napple,1\npear,2.5\nplum,4\n").unwrap();
    let mut browser = Browser::start().await;
    browser.go(&format!("{}/?processor=sample", server.base())).await;
    browser.wait_for("location.pathname === '/login'").await;
    pictured(&mut browser, "login").await;
    log_in(&mut browser, "not-the-key-of-this-story").await;
    browser.wait_for("document.body.innerText.includes('not this server')").await;
    pictured(&mut browser, "login-wrong").await;
    log_in(&mut browser, KEY).await;
    browser.wait_for("location.search === '?processor=sample'").await;
    assert_eq!(browser.eval("document.cookie").await, "", "no script sees the session");
    browser.choose("input[type=file]", &[&file]).await;
    browser.click("#send").await;
    browser.wait_for("location.pathname.startsWith('/status/')").await;
    browser.wait_for("document.body.innerText.includes('\"rows\": 3')").await;
    pictured(&mut browser, "logged-in").await;
    browser.click(".leave").await;
    browser.wait_for("location.pathname === '/login'").await;
    browser.go(&format!("{}/jobs", server.base())).await;
    browser.wait_for("location.pathname === '/login'").await;
    let said: Vec<_> = browser.complaints().await;
    assert!(!said.iter().any(|said| said.contains("Content Security Policy")), "{said:?}");
    yard.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_leads_to_the_login_page_and_back() {
    let yard = locked(Yard::new().processors(), "");
    let server = yard.start().await;
    let job = sent(&server, "a.txt", "x").await;
    let mut browser = Browser::start().await;
    browser.go(&format!("{}/status/{job}", server.base())).await;
    log_in(&mut browser, KEY).await;
    browser.wait_for("document.body.innerText.includes('queued')").await;
    // The page renews itself, and finds that it may not any more.
    browser.forget().await;
    log_in(&mut browser, KEY).await;
    browser.wait_for(&format!("location.pathname === '/status/{job}'")).await;

    browser.go(&format!("{}/?processor=drill", server.base())).await;
    let file = yard.path().join("b.txt");
    std::fs::write(&file, "x").unwrap();
    browser.choose("input[type=file]", &[&file]).await;
    browser.forget().await;
    browser.click("#send").await;
    log_in(&mut browser, KEY).await;
    browser.wait_for("location.search === '?processor=drill'").await;
    assert_eq!(all_jobs(&server).await.len(), 1, "nothing was taken without a session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_of_another_site_finds_who_is_logged_in() {
    let yard = locked(Yard::new().processors(), "");
    let server = yard.start().await;
    let job = sent(&server, "a.txt", "x").await;
    let page = format!("{}/status/{job}", server.base());
    let site = Site::open(&format!("<a id=link href=\"{page}\">the job</a>")).await;
    let mut browser = Browser::start().await;
    browser.go(&page).await;
    log_in(&mut browser, KEY).await;
    browser.wait_for("document.body.innerText.includes('queued')").await;
    browser.go(&site.at("localhost")).await;
    browser.click("#link").await;
    browser.wait_for("document.body.innerText.includes('queued')").await;
    assert_eq!(browser.eval("location.href").await, page);
}

/// Everything that a page tries at `to`, with a job that is there: what each came to.
fn tries(to: &str, job: &str) -> String {
    const TRIES: &str = r"(async () => {
        const told = {};
        const attempt = async (name, work) => {
            try { told[name] = await work(); } catch { told[name] = 'refused'; }
        };
        const form = () => {
            const form = new FormData();
            form.append('processor', 'drill');
            form.append('file', new Blob(['say evil']), 'evil.txt');
            return form;
        };
        const send = async (path, more) => {
            const answer = await fetch('TO' + path, { credentials: 'include', ...more });
            return answer.status;
        };
        await attempt('put', () => send('/upload/drill/evil', { method: 'PUT', body: 'x' }));
        await attempt('post', () => send('/upload', { method: 'POST', body: form() }));
        await attempt('blind', () => send('/upload', { method: 'POST', body: form(), mode: 'no-cors' }));
        await attempt('read', () => send('/jobs', {}));
        await attempt('xhr', () => new Promise((done, fail) => {
            const request = new XMLHttpRequest();
            request.open('POST', 'TO/jobs/JOB/cancel');
            request.withCredentials = true;
            request.onload = () => done(request.status);
            request.onerror = fail;
            request.send('x');
        }));
        await attempt('picture', () => new Promise((done, fail) => {
            const picture = new Image();
            picture.onload = () => done('shown');
            picture.onerror = fail;
            picture.src = 'TO/jobs/JOB/input';
        }));
        return told;
    })()";
    TRIES.replace("TO", to).replace("JOB", job)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_origin_does_nothing_and_sees_nothing() {
    let site = Site::open("<h1>Elsewhere</h1>").await;
    let yard = locked(Yard::new().processors(), "");
    let server = yard.start().await;
    let job = sent(&server, "pixel.png", PIXEL.to_vec()).await;
    let mut browser =
        Browser::start_with(&["--host-resolver-rules=MAP evil.example 127.0.0.1"]).await;
    browser.go(server.base()).await;
    log_in(&mut browser, KEY).await;
    browser.wait_for("document.getElementById('upload')").await;
    // A site of its own, one that is on this machine, and one to which the cookie is sent.
    for name in ["evil.example", "localhost", "127.0.0.1"] {
        browser.go(&site.at(name)).await;
        let told = browser.eval(&tries(server.base(), &job)).await;
        let nothing = json!({"put": "refused", "post": "refused", "blind": "refused",
            "read": "refused", "xhr": "refused", "picture": "refused"});
        assert_eq!(told, nothing, "{name}");

        browser.go(&site.at(name)).await;
        let framed = format!(
            "new Promise(done => {{ const frame = document.createElement('iframe'); \
             frame.onload = () => done('loaded'); frame.src = '{}/'; document.body.append(frame) }})",
            server.base()
        );
        browser.eval(&framed).await;
        let said = browser.complaints().await;
        let refused = |said: &String| said.contains("frame-ancestors") || said.contains("frame");
        assert!(said.iter().any(refused), "{name} must not frame a page: {said:?}");

        let form = format!(
            "(() => {{ const form = document.createElement('form'); form.method = 'post'; \
             form.action = '{}/jobs/{job}/cancel'; document.body.append(form); form.submit() }})()",
            server.base()
        );
        browser.eval(&form).await;
        browser
            .wait_for(&format!("location.port === '{}' && {STATUS} === 403", port(&server)))
            .await;
    }
    let jobs = all_jobs(&server).await;
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    assert_eq!(jobs[0]["state"], "queued");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_a_named_origin_does_what_it_is_for() {
    let site = Site::open("<h1>The developer's own site</h1>").await;
    let origin = site.at("127.0.0.1");
    let yard = locked(Yard::new().processors(), &format!("allowed_origins = [\"{origin}\"]"));
    let server = yard.start().await;
    let job = sent(&server, "pixel.png", PIXEL.to_vec()).await;
    let mut browser = Browser::start().await;
    browser.go(server.base()).await;
    log_in(&mut browser, KEY).await;
    browser.wait_for("document.getElementById('upload')").await;
    browser.go(&origin).await;
    let told = browser.eval(&tries(server.base(), &job)).await;
    // What is asked blindly is done and not shown; a picture would have to be asked for by CORS.
    let all = json!({"put": 202, "post": 202, "blind": "refused", "read": 200, "xhr": 200,
        "picture": "refused"});
    assert_eq!(told, all);
    assert_eq!(all_jobs(&server).await.len(), 4);
    // By another name the same page is of another origin.
    browser.go(&site.at("localhost")).await;
    assert_eq!(browser.eval(&tries(server.base(), &job)).await["put"], "refused");
    assert_eq!(all_jobs(&server).await.len(), 4);
}

fn port(server: &Server) -> &str {
    server.host().rsplit(':').next().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebound_name_is_not_answered_to() {
    let yard = http(Yard::new().processors(), "allowed_hosts = [\"good.example\"]");
    let server = yard.start().await;
    let rules = "--host-resolver-rules=MAP evil.example 127.0.0.1, MAP good.example 127.0.0.1";
    let mut browser = Browser::start_with(&[rules]).await;
    let ask = "(async () => [(await fetch('/jobs')).status, \
               (await fetch('/upload/drill/a', {method: 'PUT', body: 'x'})).status])()";
    for (name, page, asked, jobs) in
        [("evil.example", 421, json!([421, 421]), 0), ("good.example", 200, json!([200, 202]), 1)]
    {
        browser.go(&format!("http://{name}:{}/", port(&server))).await;
        assert_eq!(browser.eval(STATUS).await, page, "{name}");
        assert_eq!(browser.eval("location.hostname").await, name);
        // The page and what it asks are of one origin: nothing but the name gives it away.
        assert_eq!(browser.eval(ask).await, asked, "{name}");
        assert_eq!(all_jobs(&server).await.len(), jobs, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_uploaded_page_picture_or_script_does_not_run() {
    let ear = Site::open("").await;
    let script = format!("new Image().src = '{}/ran';", ear.at("localhost"));
    let html = format!("<!doctype html><title>a page</title><script>{script}</script>");
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\"><script>{script}</script></svg>"
    );
    let ran = || ear.asked().iter().filter(|path| *path == "/ran").count();
    let mut browser = Browser::start().await;
    // Where nobody keeps them from it, both run.
    for (count, page) in [(1, &html), (2, &svg)] {
        let proof = Site::open(page).await;
        browser.go(&proof.at("localhost")).await;
        until("it runs", LONG, async || (ran() == count).then_some(())).await;
    }

    let yard = Yard::new().processors();
    let server = yard.start().await;
    let mut inputs = Vec::new();
    for (name, body) in [("a.html", &html), ("a.svg", &svg), ("a.js", &script)] {
        let job = sent(&server, name, body.clone()).await;
        inputs.push(format!("{}/jobs/{job}/input", server.base()));
    }
    browser.go(server.base()).await;
    for input in &inputs {
        browser.follow(input).await;
        let begun = browser.hear("Page.downloadWillBegin").await;
        assert_eq!(begun["url"], input.as_str(), "it is a download");
        // From within the server's own page, as if markup had got into it.
        let framed = format!(
            "(() => {{ const frame = document.createElement('iframe'); frame.src = '{input}'; \
             document.body.append(frame) }})()"
        );
        browser.eval(&framed).await;
        let as_script = format!(
            "new Promise(done => {{ const script = document.createElement('script'); \
             script.onload = () => done('ran'); script.onerror = () => done('refused'); \
             script.src = '{input}'; document.body.append(script) }})"
        );
        assert_eq!(browser.eval(&as_script).await, "refused", "{input}");
    }
    let shown = format!(
        "new Promise(done => {{ const picture = new Image(); picture.onload = () => done('shown'); \
         picture.onerror = () => done('refused'); picture.src = '{}' }})",
        inputs[1]
    );
    assert_eq!(browser.eval(&shown).await, "shown", "as a picture an SVG is still one");
    // Whatever was asked for before is heard by then.
    browser.go(&format!("{}/last", ear.at("localhost"))).await;
    until("the last is heard", LONG, async || ear.asked().contains(&"/last".into()).then_some(()))
        .await;
    assert_eq!(ran(), 2, "nothing has run: {:?}", ear.asked());
    assert_eq!(server.jobs().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_nothing_to_run_is_shown() {
    let yard = Yard::new().processors();
    let server = yard.start().await;
    let picture = sent(&server, "pixel.png", PIXEL.to_vec()).await;
    let text = sent(&server, "a.txt", "nothing but text").await;
    let mut browser = Browser::start().await;
    browser.go(&format!("{}/jobs/{picture}/input", server.base())).await;
    browser.wait_for("document.images[0].naturalWidth === 1").await;
    browser.go(&format!("{}/jobs/{text}/input", server.base())).await;
    browser.wait_for("document.body.innerText.includes('nothing but text')").await;
    assert_eq!(browser.eval("document.contentType").await, "text/plain");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_breaks_its_own_policy() {
    let yard = Yard::new().processors();
    let server = yard.start().await;
    let job = sent(&server, "a <b>.txt", "x").await;
    let mut browser = Browser::start().await;
    let broken = |said: Vec<String>| {
        said.into_iter().filter(|said| said.contains("Content Security Policy")).collect::<Vec<_>>()
    };
    for path in ["/", "/?processor=sample", "/jobs", &format!("/status/{job}"), "/nothing/here"] {
        browser.go(&format!("{}{path}", server.base())).await;
        browser.wait_for("document.documentElement.classList.contains('scripted')").await;
        let said = broken(browser.complaints().await);
        assert!(said.is_empty(), "{path}: {said:?}");
    }
    // What gets into a page by mistake does not run, and is complained of.
    let inline = "(() => { for (const [name, text] of [['script', 'window.ran = 1'], ['style', 'h1 { color: red }']]) \
                  { const one = document.createElement(name); one.textContent = text; document.body.append(one) } \
                  return typeof window.ran })()";
    assert_eq!(browser.eval(inline).await, "undefined");
    assert_eq!(broken(browser.complaints().await).len(), 2);
}
