//! pandoc, and a Python script.

use serde_json::json;

use super::*;

const NOTES: &str = "# Ünïcode *heading*\n\nA [link](https://example.org) and `code`.\n";
const PRICES: &str =
    "name,price,city\napple,1,\"Köln, DE\"\npear,2.5,Paris\nplum,4,\nplum,n/a,Paris\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pandoc_makes_html() {
    let yard = Yard::of_example("pandoc");
    let server = yard.start().await;
    std::fs::write(yard.path().join("notes.md"), NOTES).unwrap();
    form_has(
        &server,
        &[
            r#"<select id="param-from" name="param.from">"#,
            "<option selected>markdown</option>",
            r#"<input type="number" id="param-shift" name="param.shift" value="0" min="-5" max="5" step="1">"#,
            r#"name="param.title" value="Document" pattern="[^\x00-\x1f]{1,100}""#,
        ],
    )
    .await;
    let ways = three_ways(
        &yard,
        &server,
        "html",
        "notes.md",
        [&[("title", "-o/out/x")], &[("shift", "1"), ("from", "gfm")], &[("title", "Notes")]],
    )
    .await;
    let (name, bytes) = output(&server, &ways.form).await;
    let html = String::from_utf8(bytes.into()).unwrap();
    assert_eq!(name, "notes.html");
    assert!(html.contains(">Ünïcode <em>heading</em></h1>"), "{html}");
    assert!(html.contains("<title>-o/out/x</title>"), "{html}");
    let html = String::from_utf8(output(&server, &ways.put).await.1.into()).unwrap();
    assert!(html.contains(">Ünïcode <em>heading</em></h2>"), "{html}");
    let [(name, bytes)] = &ways.written[..] else { panic!("one file") };
    assert_eq!(name, "notes.html");
    assert!(String::from_utf8_lossy(bytes).contains("<title>Notes</title>"));

    names_are_data(&server, "html", ".md", NOTES.as_bytes()).await;
    let mut jobs = Vec::new();
    for text in TEXTS {
        let to = format!("html/a.md{}", query(&[("title", text)]));
        jobs.push((server.accepted(&to, NOTES).await, text));
    }
    for (job, text) in jobs {
        let job = succeeded(&server, &job).await;
        let html = String::from_utf8(output(&server, &job).await.1.into()).unwrap();
        let escaped = text.replace('>', "&gt;");
        let title = format!("<title>{escaped}</title>");
        assert!(html.contains(&title), "{title} in {html}");
    }
    let mut bad = vec![("shift", "6"), ("shift", "-x"), ("from", "Markdown"), ("title", "a\nb")];
    bad.extend(TEXTS.map(|text| ("from", text)));
    are_refused(&server, "html/a.md", NOTES.as_bytes(), &bad).await;

    // A document can not read what is in the container.
    let include =
        "Title\n=====\n\n.. include:: /etc/passwd\n\n.. raw:: html\n   :file: /etc/passwd\n";
    let job = server.accepted("html/a.rst?param.from=rst", include).await;
    let job = server.ended(&job, LONG).await;
    for output in job["outputs"].as_array().unwrap() {
        let html = server.output(&id(&job), output["name"].as_str().unwrap()).await;
        assert!(!String::from_utf8_lossy(&html).contains("root:"), "{html:?}");
    }
    yard.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_script_sums_up_a_column() {
    let yard = Yard::of_example("python");
    let server = yard.start().await;
    std::fs::write(yard.path().join("prices.csv"), PRICES).unwrap();
    form_has(
        &server,
        &[
            r#"<input type="text" id="param-column" name="param.column" value="" pattern="[^\x00-\x1f]{0,100}""#,
            r#"<input type="checkbox" id="param-header" name="param.header" value="true" checked>"#,
            r#"<input type="number" id="param-top" name="param.top" value="10" min="1" max="1000" step="1">"#,
        ],
    )
    .await;
    let ways = three_ways(
        &yard,
        &server,
        "summary",
        "prices.csv",
        [
            &[("column", "price")],
            &[("header", "false"), ("column", "2")],
            &[("column", "city"), ("top", "1")],
        ],
    )
    .await;
    assert_eq!(
        ways.form["result"],
        json!({"column": "price", "rows": 4, "empty": 0, "numbers": 3, "min": 1.0, "max": 4.0, "mean": 2.5,
               "distinct": 4, "not_counted": 0})
    );
    assert_eq!(
        (&ways.put["result"]["column"], &ways.put["result"]["rows"]),
        (&json!("2"), &json!(5))
    );
    assert_eq!(ways.submit["result"]["empty"], 1);
    assert!(ways.submit["progress"]["fraction"].as_f64().is_some_and(|fraction| fraction > 0.0));
    let [(name, bytes)] = &ways.written[..] else { panic!("one file") };
    assert_eq!((name.as_str(), &bytes[..]), ("top.csv", &b"value,count\r\nParis,2\r\n"[..]));

    names_are_data(&server, "summary", ".csv", PRICES.as_bytes()).await;
    // No text of a param is anything but the name of a column that is not there.
    for text in TEXTS.into_iter().chain(["--top=1", "--help"]) {
        let to = format!("summary/a.csv{}", query(&[("column", text)]));
        let job = server.accepted(&to, PRICES).await;
        let job = server.ended(&job, LONG).await;
        let log = server.log(&id(&job)).await;
        assert_eq!(job["reason"]["exit_code"], 1, "{job:#}");
        assert!(log.contains("there is no column"), "{text}: {log}");
    }
    let mut bad = vec![("top", "0"), ("header", "yes"), ("column", "a\nb")];
    bad.extend(TEXTS.map(|text| ("top", text)));
    bad.extend(TEXTS.map(|text| ("header", text)));
    are_refused(&server, "summary/a.csv", PRICES.as_bytes(), &bad).await;
    yard.nothing_left().await;
}
