//! The form in a browser, to the result's page: with scripts, and without any. The pictures are in
//! `target/screenshots`, to be looked at.

use std::path::PathBuf;

use fileyard_tests::{
    binary::root,
    browser::Browser,
    yard::{Store, Yard},
};

const LOOKS: [(&str, u32, u32, bool); 3] =
    [("light", 1280, 900, false), ("dark", 1280, 900, true), ("phone", 390, 844, false)];

fn pictures(name: &str) -> PathBuf {
    root().join("target/screenshots").join(name)
}

pub(crate) async fn pictured(browser: &mut Browser, name: &str) {
    for (look, width, height, dark) in LOOKS {
        browser.look(width, height, dark).await;
        let wide = browser.eval("document.documentElement.scrollWidth").await;
        assert!(wide.as_u64().unwrap() <= u64::from(width), "{name} is {wide} wide on {look}");
        browser.picture(&pictures(&format!("{name}-{look}.png"))).await;
    }
    browser.look(1280, 900, false).await;
}

async fn through_the_form(scripts: bool) {
    let name = if scripts { "scripted" } else { "plain" };
    let yard = Yard::with_engine(Store::Local);
    let server = yard.start().await;
    let file = yard.path().join("prices <b>.csv");
    std::fs::write(&file, "name,price\napple,1\npear,2.5\nplum,4\n").unwrap();
    let mut browser = Browser::start().await;
    browser.scripts(scripts).await;
    browser.go(&format!("{}/?processor=sample", server.base())).await;
    pictured(&mut browser, &format!("form-{name}")).await;
    browser.choose("input[type=file]", &[&file]).await;
    browser.click("button[type=submit]").await;
    // Whatever leads there, a script or a plain redirect, it ends at the job's own page, which
    // renews itself until the result is there.
    browser.wait_for("location.pathname.startsWith('/status/')").await;
    browser.wait_for("document.body.innerText.includes('succeeded')").await;
    browser.wait_for("document.body.innerText.includes('\"rows\": 3')").await;
    let heading = browser.eval("document.querySelector('h1').innerText").await;
    assert_eq!(heading, "prices <b>.csv");
    pictured(&mut browser, &format!("result-{name}")).await;
    let loads = browser.eval("performance.getEntriesByType('resource').filter(e => !e.name.startsWith(location.origin)).length").await;
    assert_eq!(loads, 0, "nothing is loaded from elsewhere");
    assert_eq!(server.jobs().await.len(), 1);
    yard.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_scripts() {
    through_the_form(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_scripts() {
    through_the_form(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_files_lead_to_their_list_and_a_failure_is_shown() {
    let yard = Yard::with_engine(Store::Local);
    let server = yard.start().await;
    let (good, bad) = (yard.path().join("good.txt"), yard.path().join("bad.txt"));
    std::fs::write(&good, "say fileyard:progress 0.5 half\nwrite a.txt x").unwrap();
    std::fs::write(&bad, "say about to fail\nexit 3").unwrap();
    let mut browser = Browser::start().await;
    browser.go(&format!("{}/?processor=drill", server.base())).await;
    browser.choose("input[type=file]", &[&good, &bad]).await;
    browser.click("button[type=submit]").await;
    browser.wait_for("location.pathname === '/jobs'").await;
    browser.wait_for("document.body.innerText.includes('succeeded') && document.body.innerText.includes('failed')").await;
    pictured(&mut browser, "jobs").await;
    let failed = server.jobs().await.into_iter().find(|job| job["state"] == "failed").unwrap();
    browser.go(&format!("{}/status/{}", server.base(), failed["job_id"].as_str().unwrap())).await;
    browser.wait_for("document.body.innerText.includes('about to fail')").await;
    pictured(&mut browser, "failed").await;
    yard.nothing_left().await;
}
