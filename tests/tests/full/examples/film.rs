//! ffmpeg: video to MP4, and how far it is.

use fileyard_tests::{client::has_ended, yard::Store};

use super::*;

/// A film with sound, made by the same image.
async fn film() -> Bytes {
    let lines = r#"image = "fileyard/example-ffmpeg:latest"
        pull = "never"
        timeout = "4m"
        command = ["ffmpeg", "-nostdin", "-loglevel", "error",
          "-f", "lavfi", "-i", "testsrc2=size=480x270:rate=25:duration=12", "-f", "lavfi", "-i", "sine=duration=12",
          "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-threads", "2", "{out}/film.mkv"]"#;
    let yard = Yard::with_engine(Store::Local).with_example("ffmpeg").processor("film", lines);
    let server = yard.start().await;
    let job = server.accepted("film/any.txt", "any").await;
    let job = succeeded(&server, &job).await;
    output(&server, &job).await.1
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffmpeg_makes_mp4_and_tells_how_far_it_is() {
    let film = film().await;
    let yard = Yard::of_example("ffmpeg");
    let server = yard.start().await;
    std::fs::write(yard.path().join("film.mkv"), &film).unwrap();
    form_has(
        &server,
        &[
            r#"<input type="number" id="param-height" name="param.height" value="720" min="144" max="1080" step="1">"#,
            r#"<input type="number" id="param-start" name="param.start" value="0.0" min="0" max="86400" step="any">"#,
            r#"<select id="param-speed" name="param.speed">"#,
            r#"<input type="text" id="param-title" name="param.title" value="" pattern="[^\x00-\x1f]{0,100}""#,
        ],
    )
    .await;
    let small = [("height", "145"), ("speed", "ultrafast")];
    let ways = three_ways(
        &yard,
        &server,
        "mp4",
        "film.mkv",
        [
            &[&small[..], &[("title", "-y")]].concat(),
            &[&small[..], &[("title", "$(id)"), ("start", "10.5")]].concat(),
            &[&small[..], &[("title", "'; touch /out/x #")]].concat(),
        ],
    )
    .await;
    for (job, title) in [(&ways.form, "-y"), (&ways.put, "$(id)")] {
        let (name, bytes) = output(&server, job).await;
        assert!(name == "film.mp4" && &bytes[4..8] == b"ftyp" && holds(&bytes, "moov"), "{name}");
        assert!(holds(&bytes, title), "{title}");
    }
    let [(name, bytes)] = &ways.written[..] else { panic!("one file") };
    assert!(name == "film.mp4" && holds(bytes, "'; touch /out/x #") && holds(bytes, "avc1"));
    assert_eq!(ways.submit["outputs"].as_array().unwrap().len(), 1);
    let bytes = |job: &Value| job["outputs"][0]["size"].as_u64().unwrap();
    assert!(bytes(&ways.put) < bytes(&ways.form) / 2, "most of it was left out");

    rises(&server, &film).await;
    names_are_data(&server, "mp4", "", &a_second_of(&server, &ways.put).await).await;
    let mut bad = vec![
        ("height", "143"),
        ("height", "720,drawtext=textfile=/etc/passwd"),
        ("speed", "placebo"),
        ("speed", "-y"),
        ("start", "-1"),
        ("start", "-i"),
        ("start", "NaN"),
        ("title", "two\nlines"),
    ];
    bad.extend(TEXTS.map(|text| ("height", text)));
    bad.extend(TEXTS.map(|text| ("start", text)));
    are_refused(&server, "mp4/a.mkv", &film, &bad).await;
    // What is no film is refused, and what only begins like one is told in the log.
    server
        .put("mp4/film.mkv", "#EXTM3U\nfile:///etc/passwd\n")
        .await
        .problem(415, "unsupported_type");
    let job = server.accepted("mp4/cut.mkv", film.slice(..100)).await;
    let job = server.ended(&job, LONG).await;
    assert_eq!(job["reason"]["code"], "exit", "{job:#}");
    assert!(!server.log(&id(&job)).await.is_empty());
    yard.nothing_left().await;
}

/// The output of a job that left out all but the end.
async fn a_second_of(server: &Server, job: &Value) -> Bytes {
    output(server, job).await.1
}

/// Seen from outside, its progress rises while it runs, and never falls.
async fn rises(server: &Server, film: &Bytes) {
    let job =
        server.accepted("mp4/film.mkv?param.height=720&param.speed=medium", film.clone()).await;
    let mut seen = Vec::new();
    fileyard_tests::until("the film is encoded", LONG, async || {
        let now = server.job(&job).await;
        if let Some(fraction) = now["progress"]["fraction"].as_f64() {
            seen.push(fraction);
        }
        has_ended(&now).then_some(())
    })
    .await;
    succeeded(server, &job).await;
    assert!(seen.is_sorted(), "{seen:?}");
    seen.dedup();
    assert!(seen.len() >= 3 && seen.iter().any(|f| *f > 0.0 && *f < 1.0), "{seen:?}");
}
