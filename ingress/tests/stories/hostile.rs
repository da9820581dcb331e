//! Forms that nobody's browser sends: each is answered, and leaves nothing or plain data.

use http::StatusCode;

use crate::form::{Form, raw_form};
use crate::yard::Yard;

#[tokio::test]
async fn names_are_data_whatever_they_hold() {
    for (sent, kept) in [
        (&b"../../../etc/passwd"[..], "../../../etc/passwd"),
        (b"a\0b", "a\u{fffd}b"),
        (b"\xff\xfe.txt", "\u{fffd}\u{fffd}.txt"),
        (b"two%0D%0Alines", "two\r\nlines"),
        (b"X%22; name=%22processor", "X\"; name=\"processor"),
        (b"bare\nline", "bare\nline"),
        (b"<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("\u{202e}gpj.exe".as_bytes(), "\u{202e}gpj.exe"),
        ("ü".repeat(5000).as_bytes(), &"ü".repeat(512)),
    ] {
        let yard = Yard::new();
        let disposition = [b"form-data; name=\"file\"; filename=\"", sent, b"\""].concat();
        let answer = yard.post("/upload", Form::default().part(&disposition, b"x")).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        let job = &answer.json()["jobs"][0];
        assert_eq!(job["input"]["name"], kept);
        // Its own key, header, page and list are none the worse for it.
        let row = yard.row(job["job_id"].as_str().unwrap()).await;
        assert!(row.asked.input.key.path().is_ascii());
        assert!(!row.asked.input.key.path().contains(".."));
        let input = yard.get(job["input"]["url"].as_str().unwrap()).await;
        assert_eq!((input.status, &input.body[..]), (StatusCode::OK, &b"x"[..]));
        let page = yard.page(job["links"]["self"].as_str().unwrap()).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(!page.text().contains("<script>alert"));
        assert!(!yard.page("/jobs").await.text().contains("<script>alert"));
    }
}

#[tokio::test]
async fn a_form_in_another_encoding_is_read_in_it() {
    let yard = Yard::new();
    let name = b"form-data; name=\"file\"; filename=\"\x93\xfa.png\"";
    let form = Form::default().field("_charset_", "Shift_JIS").part(name, b"x");
    let answer = yard.post("/upload", form).await;
    assert_eq!(answer.json()["jobs"][0]["input"]["name"], "\u{65e5}.png", "{answer:?}");
    // The word itself is no field, and one that nobody knows changes nothing.
    let form = Form::default().field("_charset_", "no-such").file("na\u{ef}ve.png", "x");
    let answer = yard.post("/upload", form).await;
    assert_eq!(answer.json()["jobs"][0]["input"]["name"], "na\u{ef}ve.png", "{answer:?}");
}

#[tokio::test]
async fn forms_that_can_not_be_read_are_refused_and_leave_nothing() {
    let name = "x".repeat(64 * 1024);
    let long = format!("form-data; name=\"file\"; filename=\"{name}\"");
    let part = "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nx\r\n";
    let many = "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n".repeat(1100);
    let fields = Form::default().file("a", "x");
    let fields = (0..20).fold(fields, |form, _| form.field("param.a", &"x".repeat(60_000)));
    for (what, body) in [
        ("a name of 64 KiB", Form::default().part(long.as_bytes(), b"x").bytes()),
        ("nothing at all", vec![]),
        ("no boundary", b"just some text".to_vec()),
        ("a preamble without an end", vec![b'x'; 100_000]),
        ("an epilogue without an end", format!("{part}--XX--{}", "x".repeat(50_000)).into()),
        ("another boundary", part.replace("--XX", "--YY").into_bytes()),
        ("a boundary that goes on", format!("{part}--XXY\r\n\r\nx\r\n--XX--").into()),
        ("a header without an end", format!("--XX\r\nA: {}", "x".repeat(50_000)).into()),
        ("a header of many lines", format!("--XX\r\n{}", "A: b\r\n".repeat(9000)).into()),
        ("a quote without an end", part.replace("=\"a\"", "=\"a").into_bytes()),
        ("more parts than anybody sends", format!("{part}{many}--XX--").into()),
        ("more fields than anybody sends", fields.bytes()),
        ("bare line feeds", part.replace("\r\n", "\n").into_bytes()),
    ] {
        let yard = Yard::new();
        let answer = yard.ask(raw_form("/upload", body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{what}: {answer:?}");
        assert_eq!(answer.code(), "bad_multipart", "{what}");
        yard.nothing_is_left().await;
    }
}

#[tokio::test]
async fn an_answer_says_what_to_do_about_it() {
    let yard = Yard::new();
    let form = Form::default().field("photo", "x").field("other", "y");
    let detail = yard.post("/upload", form).await.json()["detail"].to_string();
    assert!(detail.contains("photo") && detail.contains("`file`"), "{detail}");
    let detail = yard.put("/upload/nope/a", "x").await.json()["detail"].to_string();
    assert!(detail.contains("nope") && detail.contains("pictures"), "{detail}");
}
