//! Pages hold what they should, without a script, and nothing that a policy would have to refuse.

use http::{StatusCode, header};
use serde_json::{Value, json};

use crate::form::Form;
use crate::processors::{pictures, processor};
use crate::yard::{Answer, Yard};

/// What holds for every page.
fn is_a_page(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.header(header::CONTENT_TYPE), "text/html; charset=utf-8");
    let policy = answer.header(header::CONTENT_SECURITY_POLICY);
    assert!(policy.contains("script-src 'self';") && policy.contains("form-action 'self'"));
    let html = answer.text();
    for refused in ["<style", " style=", " onclick=", "javascript:"] {
        assert!(!html.contains(refused), "{refused}");
    }
    html
}

#[tokio::test]
async fn the_form_has_the_chosen_processors_fields() {
    let yard = Yard::new();
    let html = is_a_page(&yard.page("/").await);
    assert!(html.contains("name=\"processor\" value=\"text\""));
    assert!(!html.contains("param.height"));
    let html = is_a_page(&yard.page("/?processor=pictures").await);
    for piece in [
        "name=\"processor\" value=\"pictures\"",
        "name=\"param.height\" value=\"720\" min=\"144\" max=\"2160\"",
        "<option selected>webp</option>",
        "name=\"param.keep_colours\" value=\"true\" checked",
        "pattern=\"[a-z]{0,8}\"",
        "accept=\"image/*,.raw\"",
    ] {
        assert!(html.contains(piece), "{piece} is not in {html}");
    }
    assert_eq!(yard.page("/?processor=nope").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn without_a_processor_the_page_shows_what_to_paste() {
    let yard = Yard::of([], None, None);
    let html = is_a_page(&yard.page("/").await);
    assert!(html.contains("[processors."));
    assert!(!html.contains("<form"));
}

#[tokio::test]
async fn a_jobs_page_shows_what_its_json_says() {
    let yard = Yard::new();
    let job = yard.job("notes.txt", "content").await;
    let path = format!("/status/{}", job.id());
    let html = is_a_page(&yard.page(&path).await);
    assert!(html.contains("Waits for its turn") && html.contains("/cancel"));
    assert!(html.contains("http-equiv=\"refresh\""));
    let outputs: [(&str, &str, &[u8]); 2] =
        [("thumb.png", "image/png", b"png"), ("x.svg", "image/svg+xml", b"<svg/>")];
    yard.succeeded(job.id(), json!({"lines": 12345}), &outputs).await;
    let html = is_a_page(&yard.page(&path).await);
    assert!(html.contains("12345") && html.contains("outputs/thumb.png"));
    let previews = html.matches("class=\"preview\"").count();
    assert_eq!(previews, 1, "a picture that can hold a script is never shown");
    assert!(!html.contains("/cancel") && !html.contains("data-poll"));
    assert!(!html.contains("http-equiv=\"refresh\""));
}

#[tokio::test]
async fn text_from_outside_stays_text() {
    let yard = Yard::new();
    let nasty = "</code><script>alert(1)</script>\"'<img src=x onerror=y>";
    let job = yard.job("x", "content").await;
    let outputs: [(&str, &str, &[u8]); 1] = [(nasty, "text/plain", b"x")];
    yard.succeeded(job.id(), json!({ nasty: nasty }), &outputs).await;
    let html = is_a_page(&yard.page(&format!("/status/{}", job.id())).await);
    assert!(!html.contains("<script>alert") && !html.contains("<img src=x"));
}

#[tokio::test]
async fn a_list_has_its_filters_and_its_next_page() {
    let yard = Yard::new();
    assert!(is_a_page(&yard.page("/jobs").await).contains("No file was sent yet"));
    for name in ["a", "b"] {
        yard.job(name, "x").await;
    }
    let html = is_a_page(&yard.page("/jobs?limit=1").await);
    assert!(html.contains("cursor="));
    assert!(is_a_page(&yard.page("/jobs?state=failed").await).contains("No job is like that"));
    yard.put("/upload/pictures/p.raw", "x").await;
    let html = is_a_page(&yard.page("/jobs?processor=pictures&state=queued").await);
    assert!(html.contains("method=\"get\" action=\"/jobs\"") && html.contains(">p.raw<"));
    assert!(html.contains("<option selected>pictures</option>") && !html.contains(">a<"));
    assert!(html.contains("<input type=\"hidden\" name=\"state\" value=\"queued\">"));
    // As a form sends it that was left as it is.
    let html = is_a_page(&yard.page("/jobs?state=&processor=&batch=").await);
    assert!(html.contains(">p.raw<") && html.contains(">a<"));
}

#[tokio::test]
async fn a_batchs_page_has_all_of_its_files_and_how_far_they_are() {
    let yard = Yard::new();
    let form = Form::default().file("one", "1").file("two", "2").file("three", "3");
    let sent = yard.post("/upload", form).await;
    let path = sent.header(header::LOCATION).to_owned();
    let first = sent.json()["jobs"][0]["job_id"].as_str().unwrap().to_owned();
    let html = is_a_page(&yard.page(&path).await);
    assert!(html.contains("0 of 3 have ended.") && html.contains("3 queued"));
    yard.intake.cancel(first.parse().unwrap()).await.unwrap();
    let html = is_a_page(&yard.page(&path).await);
    assert!(html.contains("1 of 3 have ended.") && html.contains("2 queued"));
    assert!(html.contains("1 cancelled") && html.contains("max=\"3\" value=\"1\""));
    for name in [">one<", ">two<", ">three<"] {
        assert!(html.contains(name), "{name}");
    }
    let html = is_a_page(&yard.page(&format!("{path}&limit=2")).await);
    assert!(html.contains("of those on this page") && html.contains("cursor="));
}

#[tokio::test]
async fn a_sick_part_is_said_on_every_page() {
    let yard = Yard::of([processor("text")], Some("text"), None);
    yard.health.0.lock().unwrap().push("engine");
    assert!(is_a_page(&yard.page("/").await).contains("engine does not answer"));
    assert!(is_a_page(&yard.page("/jobs").await).contains("engine does not answer"));
}

#[tokio::test]
async fn a_part_that_does_not_answer_keeps_no_page_waiting() {
    let yard = Yard::new();
    yard.health.0.lock().unwrap().push("hang");
    is_a_page(&yard.page("/jobs").await);
}

#[tokio::test]
async fn what_a_page_names_is_there_and_may_be_kept() {
    let yard = Yard::of([pictures()], None, None);
    let html = is_a_page(&yard.page("/").await);
    for (before, kind) in
        [("rel=\"stylesheet\" href=\"", "text/css"), ("script src=\"", "text/javascript")]
    {
        let (_, rest) = html.split_once(before).unwrap();
        let (path, _) = rest.split_once('"').unwrap();
        let asset = yard.get(path).await;
        assert_eq!(asset.status, StatusCode::OK);
        assert!(asset.header(header::CONTENT_TYPE).starts_with(kind));
        assert!(asset.header(header::CACHE_CONTROL).contains("immutable"));
    }
}

#[tokio::test]
async fn links_of_pages_keep_the_path_of_a_public_url() {
    let yard = Yard::of([processor("text")], Some("text"), Some("https://f.example/yard"));
    let html = is_a_page(&yard.page("/").await);
    assert!(html.contains("action=\"/yard/upload\"") && html.contains("href=\"/yard/jobs\""));
    let _: Value = yard.get("/processors").await.json();
}
