//! Files come in by form and as bare bodies: all of a request, or nothing of it.

use axum::body::Body;
use bytes::Bytes;
use fileyard_orchestrator::hint::Hint;
use futures::stream;
use http::{Request, StatusCode, header};

use crate::form::{Form, raw_form};
use crate::yard::{BROWSER, LIMITS, Yard};

#[tokio::test]
async fn a_file_sent_by_form_is_a_job_and_can_be_read_back() {
    let yard = Yard::new();
    let answer = yard.post("/upload", Form::default().file("notes.txt", "hello\r\n--X")).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let json = answer.json();
    assert!(json["batch_id"].is_null());
    let job = &json["jobs"][0];
    assert_eq!(job["state"], "queued");
    assert_eq!(job["processor"], "text");
    assert_eq!(job["input"]["name"], "notes.txt");
    assert_eq!(job["input"]["size"], 10);
    assert_eq!(answer.header(header::LOCATION), job["links"]["self"]);
    let input = yard.get(job["links"]["input"].as_str().unwrap()).await;
    assert_eq!(input.text(), "hello\r\n--X");
    assert_eq!(yard.left_behind().await, (1, 0));
}

#[tokio::test]
async fn fields_come_in_any_order_and_a_forms_own_params_beat_the_query() {
    let yard = Yard::new();
    let png = "\u{1}png";
    let form = Form::default()
        .field("param.height", "480")
        .file("a.raw", png)
        .field("colour", "of no interest")
        .field("processor", "pictures")
        .field("param.keep_colours", "false")
        .field("param.keep_colours", "true");
    let answer =
        yard.post("/upload?processor=pictures&param.height=200&param.label=abc", form).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    let params = &answer.json()["jobs"][0]["params"];
    assert_eq!(params["height"], 480);
    assert_eq!(params["label"], "abc");
    assert_eq!(params["keep_colours"], true);
    assert_eq!(params["format"], "webp");
}

#[tokio::test]
async fn several_files_are_one_batch_in_their_order() {
    let yard = Yard::new();
    let form = Form::default().file("b", "1").file("", "").file("a", "").file("b", "2");
    let answer = yard.post("/upload", form).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    let json = answer.json();
    let batch = json["batch_id"].as_str().unwrap();
    assert_eq!(answer.header(header::LOCATION), format!("/jobs?batch={batch}"));
    let names: Vec<_> =
        json["jobs"].as_array().unwrap().iter().map(|j| &j["input"]["name"]).collect();
    assert_eq!(names, ["b", "a", "b"]);
    let list = yard.get(answer.header(header::LOCATION)).await.json();
    assert_eq!(list["jobs"].as_array().unwrap().len(), 3);
    assert!(list["jobs"].as_array().unwrap().iter().all(|job| job["batch_id"] == batch));
}

#[tokio::test]
async fn a_browser_is_sent_to_the_page_of_what_it_sent() {
    let yard = Yard::new();
    for (form, to) in [
        (Form::default().file("a", "1"), "/status/"),
        (Form::default().file("a", "1").file("b", "2"), "/jobs?batch="),
    ] {
        let mut request = form.request("/upload");
        request.headers_mut().insert(header::ACCEPT, BROWSER.parse().unwrap());
        let answer = yard.ask(request).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert!(answer.header(header::LOCATION).starts_with(to), "{answer:?}");
    }
}

#[tokio::test]
async fn a_file_without_a_byte_is_a_job_and_a_field_without_a_file_is_none() {
    let yard = Yard::new();
    let answer = yard.post("/upload", Form::default().file("empty.txt", "")).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.json()["jobs"][0]["input"]["size"], 0);
    let answer = yard.post("/upload", Form::default().file("", "")).await;
    assert_eq!(answer.code(), "no_file");
    let answer = yard.post("/upload", Form::default().file("", "bytes of no name")).await;
    assert_eq!(answer.json()["jobs"][0]["input"]["name"], "unnamed");
    assert_eq!(yard.left_behind().await, (2, 0));
}

#[tokio::test]
async fn a_form_with_one_bad_thing_leaves_nothing() {
    let large = "x".repeat(LIMITS.max_size as usize + 1);
    let two = || Form::default().file("a", "1").file("b", "2");
    for (form, status, code) in [
        (two().field("processor", "nope"), 404, "unknown_processor"),
        (two().field("param.height", "1"), 422, "bad_param"),
        (two().field("processor", "pictures").field("param.height", "1"), 422, "bad_param"),
        (two().field("processor", "pictures"), 415, "unsupported_type"),
        (two().field("processor", "text").field("processor", "pictures"), 422, "bad_param"),
        (two().file("c", &large), 413, "too_large"),
        (two().file("c", "3").file("d", "4"), 413, "too_large"),
        (two().field("param.x", &"x".repeat(70_000)), 400, "bad_multipart"),
        (two().part(b"attachment", b""), 400, "bad_multipart"),
        (Form::default().field("processor", "text"), 400, "no_file"),
        (Form::default().field("photo", "bytes"), 400, "no_file"),
    ] {
        let yard = Yard::new();
        let answer = yard.post("/upload", form).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{answer:?}");
        yard.nothing_is_left().await;
    }
}

#[tokio::test]
async fn a_form_cut_anywhere_leaves_nothing() {
    let whole = Form::default().file("a", "some content").file("b", "more of it").bytes();
    let end = whole.len() - "\r\n".len();
    for cut in (0..end).step_by(7).chain([end - 1]) {
        let yard = Yard::new();
        let answer = yard.ask(raw_form("/upload", whole[..cut].to_vec())).await;
        assert_eq!(answer.code(), "bad_multipart", "cut at {cut}");
        yard.nothing_is_left().await;
    }
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_nothing() {
    let whole = Form::default().file("a", "some content").bytes();
    for body in [&whole[..70], &whole[..]] {
        let yard = Yard::new();
        // The last boundary alone does not make a request whole: its body has to end well.
        let broken = [Ok(Bytes::copy_from_slice(body)), Err(std::io::Error::other("reset"))];
        let answer = yard.ask(raw_form("/upload", Body::from_stream(stream::iter(broken)))).await;
        assert_eq!(answer.code(), "bad_multipart");
        yard.nothing_is_left().await;
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_after_its_last_byte_has_its_job() {
    use tower::Service;
    let yard = Yard::new();
    let request = Form::default().file("a", "content").request("/upload");
    let mut hints = yard.hints.listen();
    // Asked once and dropped: the answer never has a taker.
    let mut asked = yard.router.clone().call(request);
    assert!(futures::poll!(&mut asked).is_pending());
    drop(asked);
    assert!(matches!(hints.recv().await, Ok(Hint::Queued)));
    assert_eq!(yard.left_behind().await, (1, 0));
}

#[tokio::test]
async fn a_bare_body_is_a_file_with_the_name_of_its_path() {
    let yard = Yard::new();
    let answer = yard.put("/upload/text/a%20b%2Fc.txt", "content").await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let json = answer.json();
    assert_eq!(json["input"]["name"], "a b/c.txt");
    assert_eq!(answer.header(header::LOCATION), json["links"]["self"]);
    let answer = yard.put("/upload/shot.raw?processor=pictures&param.height=300", "x").await;
    assert_eq!(answer.json()["params"]["height"], 300);
    let answer = yard.put("/upload/%FF%00.bin", "x").await;
    assert_eq!(answer.json()["input"]["name"], "\u{fffd}\u{fffd}.bin");
}

#[tokio::test]
async fn a_bare_body_that_can_not_be_a_job_leaves_nothing() {
    let large = "x".repeat(LIMITS.max_size as usize + 1);
    for (path, body, length, status, code) in [
        ("/upload/nope/a", "x", None, 404, "unknown_processor"),
        ("/upload/a?processor=nope", "x", None, 404, "unknown_processor"),
        ("/upload/text/a?processor=pictures", "x", None, 422, "bad_param"),
        ("/upload/pictures/a.txt", "x", None, 415, "unsupported_type"),
        ("/upload/text/a?param.x=1", "x", None, 422, "bad_param"),
        ("/upload/text/a", large.as_str(), None, 413, "too_large"),
        ("/upload/text/a", "x", Some("99999999999"), 413, "too_large"),
        ("/upload/text/a", "x", Some("2"), 400, "length_mismatch"),
        ("/upload/text/a", "xxx", Some("2"), 400, "length_mismatch"),
        ("/upload/text/a", "x", Some("two"), 400, "length_mismatch"),
    ] {
        let yard = Yard::new();
        let mut request = Request::put(path).body(Body::from(body.to_owned())).unwrap();
        if let Some(length) = length {
            request.headers_mut().insert(header::CONTENT_LENGTH, length.parse().unwrap());
        }
        let answer = yard.ask(request).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{answer:?}");
        yard.nothing_is_left().await;
    }
}

#[tokio::test]
async fn what_is_no_form_is_told_so() {
    let yard = Yard::new();
    for content_type in ["application/json", "multipart/form-data", "multipart/mixed; boundary=a"] {
        let request = Request::post("/upload").header(header::CONTENT_TYPE, content_type);
        let answer = yard.ask(request.body(Body::from("{}")).unwrap()).await;
        assert_eq!(answer.code(), "bad_multipart", "{content_type}");
    }
    let answer = yard.ask(Request::post("/upload").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.code(), "bad_multipart");
}

#[tokio::test]
async fn without_a_default_the_processor_has_to_be_named() {
    let yard = Yard::of(
        [crate::processors::processor("a"), crate::processors::processor("b")],
        None,
        None,
    );
    let answer = yard.put("/upload/x", "x").await;
    assert_eq!(answer.code(), "unknown_processor");
    assert_eq!(answer.json()["known"], serde_json::json!(["a", "b"]));
    let answer = yard.post("/upload", Form::default().file("x", "x").field("processor", "b")).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn addresses_are_whole_where_a_public_url_is_set() {
    let yard =
        Yard::of([crate::processors::processor("text")], Some("text"), Some("https://f.example/y"));
    let answer = yard.put("/upload/x", "x").await;
    assert!(answer.header(header::LOCATION).starts_with("https://f.example/y/status/"));
}
