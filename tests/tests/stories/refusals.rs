//! What a server refuses to start with: each time with one sentence that says what to do.

use std::net::TcpListener;

use fileyard_tests::{LONG, server::Process, yard::Yard};
use rustix::process::Signal;

/// What `serve` says when it refuses to start.
async fn refused(yard: &Yard) -> (i32, String) {
    let mut process: Process = yard.spawn(&[]);
    let status = process.end(LONG).await;
    (status.code().expect("an exit status"), process.said())
}

#[tokio::test]
async fn a_bad_config_is_refused_with_place_key_and_what_was_meant() {
    for (section, lines, wanted) in [
        ("http", "listn = \"127.0.0.1:0\"", &["fileyard.toml:", "listn", "listen"][..]),
        ("http", "listen = 8787", &["fileyard.toml:", "listen"]),
        ("uploads", "max_size = \"10 parsecs\"", &["fileyard.toml:", "max_size", "10 parsecs"]),
        ("processors.x", "command = [\"a\"]", &["fileyard.toml:", "image"]),
        (
            "processors.x",
            "image = \"a\"\ncommand = [\"{inptu}\"]",
            &["fileyard.toml:", "command", "{inptu}"],
        ),
        ("processors.x", "image = \"a\"\ntimeout = \"soon\"", &["timeout", "soon"]),
        ("processors.\"A b\"", "image = \"a\"", &["A b"]),
        ("store", "url = \"ftp://x\"", &["store", "ftp://x"]),
    ] {
        let (status, said) = refused(&Yard::new().section(section, lines)).await;
        assert_eq!(status, 2, "{section} {lines}: {said}");
        for word in wanted {
            assert!(said.contains(word), "{section} {lines} must name {word}: {said}");
        }
    }
}

#[tokio::test]
async fn an_address_for_others_is_refused_without_a_key_or_its_waiver() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        let yard = Yard::new().section("http", &format!("listen = \"{address}\""));
        let (status, said) = refused(&yard).await;
        assert_eq!(status, 2, "{said}");
        for word in ["loopback", "http.api_key", "FILEYARD_HTTP__API_KEY", "auth = \"none\""] {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert!(!yard.data().join("fileyard.db").exists(), "nothing was begun");
    }
}

#[tokio::test]
async fn a_key_that_can_not_be_one_is_refused_and_not_repeated() {
    for lines in [
        "api_key = \"guess-me\"",
        "api_key = \"guess-me, it has spaces\"",
        "api_key = [\"guess-me-guess-me\"]",
        "api_key = \"guess-me-guess-me\"\nauth = \"none\"",
    ] {
        let yard = Yard::new().section("http", &format!("listen = \"127.0.0.1:0\"\n{lines}"));
        let (status, said) = refused(&yard).await;
        assert_eq!(status, 2, "{lines}: {said}");
        assert!(said.contains("fileyard.toml:") && said.contains("http."), "{lines}: {said}");
        assert!(!said.contains("guess-me"), "{lines}: {said}");
    }
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let yard = Yard::new().section("http", &format!("listen = \"{address}\""));
    let (status, said) = refused(&yard).await;
    assert_eq!(status, 1, "{said}");
    assert!(said.contains(&address) && said.contains("taken"), "{said}");
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused_naming_the_first() {
    let yard = Yard::new();
    let first = yard.start().await;
    let pid = first.process().pid().to_string();
    for stopped in [false, true] {
        if stopped {
            first.process().signal(Signal::STOP);
        }
        let (status, said) = refused(&yard).await;
        assert_eq!(status, 1, "{said}");
        assert!(said.contains("in use") && said.contains(&pid), "the first is {pid}: {said}");
    }
    first.process().signal(Signal::CONT);
    first.get("/readyz").await.expect(200);
    first.stop().await;
    yard.start().await.get("/readyz").await.expect(200);
}

#[tokio::test]
async fn a_damaged_or_newer_database_is_refused_and_left_as_it_is() {
    let yard = Yard::new().processors();
    let server = yard.start().await;
    let job = server.accepted("drill/a.txt", "say a").await;
    server.stop().await;
    let path = yard.data().join("fileyard.db");
    let good = std::fs::read(&path).unwrap();

    let mut damaged = good.clone();
    damaged[100..4096].fill(0x5a);
    std::fs::write(&path, &damaged).unwrap();
    let (status, said) = refused(&yard).await;
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("fileyard.db") && said.contains("damaged"), "{said}");
    assert_eq!(std::fs::read(&path).unwrap(), damaged, "it is left as it is");

    std::fs::write(&path, &good).unwrap();
    let db = rusqlite::Connection::open(&path).unwrap();
    let newer = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) \
                 VALUES (9999, 'of_tomorrow', '2030-01-01T00:00:00Z', '1')";
    db.execute(newer, []).unwrap();
    db.close().unwrap();
    let (status, said) = refused(&yard).await;
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("newer") && said.contains("9999"), "{said}");

    std::fs::write(&path, &good).unwrap();
    let server = yard.start().await;
    assert_eq!(server.job(&job).await["state"], "queued", "with the good file all is there");
}
