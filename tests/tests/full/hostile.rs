//! Forms made to hurt: each gets its 4xx, and costs the server next to nothing.

use std::time::Duration;

use fileyard_tests::{
    raw::endless_form,
    yard::{Store, Yard},
};

/// What one such form may cost.
const MEMORY: u64 = 16 << 20;
const TIME: Duration = Duration::from_secs(1);

const FORM: &str = "multipart/form-data; boundary=b";
const FILE: &str =
    "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nx\r\n";
const FIELD: &str = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_made_to_hurt_cost_next_to_nothing() {
    let yard = Yard::new().on(Store::Local).processors();
    let server = yard.start().await;
    // Whatever is made once and kept is made now.
    server.put("drill/first.txt", vec![b'\n'; 4 << 20]).await.expect(202);
    let part = |name: &str| format!("--b\r\nContent-Disposition: form-data; {name}\r\n\r\n");
    let long = "n".repeat(15 << 10);
    let two = format!("{FORM}; boundary=c");
    let wide = format!("multipart/form-data; boundary={}", "b".repeat(71));
    let nested = "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\
                  Content-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n\r\nx\r\n--bb--\r\n--b--";
    let forms: Vec<(&str, &str, String, String)> = vec![
        ("a million parts", FORM, String::new(), FIELD.into()),
        ("a million empty files", FORM, String::new(), FILE.replace("x\r\n", "\r\n")),
        ("a preamble without end", FORM, String::new(), "x".into()),
        ("a preamble of almost boundaries", FORM, String::new(), "\r\n-".into()),
        ("a header without end", FORM, "--b\r\nA: ".into(), "x".into()),
        ("headers without end", FORM, "--b\r\n".into(), "A: b\r\n".into()),
        (
            "folded lines without end",
            FORM,
            "--b\r\nContent-Disposition: x\r\n".into(),
            " y\r\n".into(),
        ),
        ("spaces behind a boundary without end", FORM, "--b".into(), " ".into()),
        ("an epilogue without end", FORM, format!("{FILE}--b--"), "x".into()),
        ("an epilogue of boundaries", FORM, format!("{FILE}--b--"), "\r\n--b--".into()),
        ("a value without end", FORM, part("name=\"param.a\""), "x".into()),
        (
            "values without end",
            FORM,
            String::new(),
            format!("{}{}\r\n", part("name=\"param.a\""), "x".repeat(60_000)),
        ),
        ("a boundary inside of another", FORM, nested.into(), "x".into()),
        ("two boundaries", &two, FILE.into(), "x".into()),
        ("a boundary that is too long", &wide, FILE.into(), "x".into()),
        ("no boundary", "multipart/form-data", FILE.into(), "x".into()),
        ("no name", FORM, part("filename=\"a\""), "x".into()),
        ("a NUL for a name", FORM, part("name=\"\0\""), "\0".into()),
        (
            "a name without end",
            FORM,
            "--b\r\nContent-Disposition: form-data; name=\"".into(),
            "n".into(),
        ),
        (
            "long names, many of them",
            FORM,
            String::new(),
            format!("{}\r\n", part(&format!("name=\"{long}\""))),
        ),
        (
            "names of quotes",
            FORM,
            "--b\r\nContent-Disposition: form-data; name=\"".into(),
            "\\\"".into(),
        ),
        (
            "params without end",
            FORM,
            "--b\r\nContent-Disposition: form-data".into(),
            "; a=b".into(),
        ),
        (
            "an encoding that grows",
            FORM,
            part("name=\"_charset_\"") + "utf-16le\r\n",
            format!("{}{}\r\n", part("name=\"a\""), "x".repeat(60_000)),
        ),
    ];
    for (what, kind, head, again) in forms {
        let (before, from) = (server.process().memory(), server.process().processor_time());
        server.process().forget_peak();
        let length = 60 << 20;
        let (status, body) =
            endless_form(server.host(), kind, head.as_bytes(), again.as_bytes(), length).await;
        // What is read on behind the answer is a cost as well: the next request waits it out.
        server.get("/healthz").await.expect(200);
        let memory = server.process().peak_memory().saturating_sub(before);
        let time = server.process().processor_time() - from;
        println!("{what}: {status}, {} KiB, {time:?}", memory >> 10);
        assert!((400..500).contains(&status), "{what}: {status} {body}");
        assert!(body.contains("\"code\""), "{what}: {body}");
        assert!(memory <= MEMORY, "{what}: {memory} bytes");
        assert!(time <= TIME, "{what}: {time:?}");
    }
    let jobs = server.jobs().await;
    assert_eq!(jobs.len(), 1, "{jobs:#?}");
    let first = jobs[0]["job_id"].as_str().unwrap();
    server.cancel(first).await.expect(200);
    yard.nothing_left().await;
}
