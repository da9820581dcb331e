//! Of file, environment and command line, which one is heard.

use super::*;

#[test]
fn the_environment_beats_the_file_and_the_command_line_both() {
    let text = "data = 'file'\nconcurrency = 3\n[http]\nlisten = '127.0.0.1:1'";
    let environment = environment(&[
        ("FILEYARD_DATA", "environment"),
        ("FILEYARD_CONCURRENCY", "7"),
        ("FILEYARD_HTTP__LISTEN", "127.0.0.1:2"),
        ("FILEYARD_STORE__PATH_STYLE", "false"),
        ("FILEYARD_PROCESSORS__MP4__IMAGE", "example/a:1"),
        ("FILEYARD_PROCESSORS__MP4__COMMAND", r#"["-i", "{input}"]"#),
        ("FILEYARD_PROCESSORS__MP4__ENV__Mixed_Case", "x"),
        ("FILEYARD_PROCESSORS__MP4__PARAMS__N__TYPE", "integer"),
        ("FILEYARD_PROCESSORS__MP4__PARAMS__N__MAX", "5"),
        ("FILEYARD_PROCESSORS__MP4__PARAMS__N__DEFAULT", "4"),
        // Not ours.
        ("FILEYARD_SERVER", "http://elsewhere"),
        ("FILEYARD_STORE_PORT", "tcp://10.0.0.1:80"),
        ("FILEYARD_TEST__X", "1"),
        ("FILEYARD_DATA__X", "1"),
    ]);
    let sources = Sources { listen: Some("127.0.0.1:3".into()), ..Sources::default() };
    let config = Config::read(Some(("f", text)), &environment, &sources).unwrap();
    assert_eq!(config.data, std::path::absolute("environment").unwrap());
    assert_eq!(config.concurrency, 7);
    assert_eq!(config.http.listen.port(), 3);
    assert!(!config.store.path_style);
    let mp4 = config.processors.all.values().next().unwrap();
    assert_eq!(mp4.command, ["-i", "{input}"]);
    assert_eq!(mp4.env["Mixed_Case"], "x");
    assert_eq!(mp4.params["n"].default, Some(4.into()));
}

#[test]
fn a_wrong_override_is_told_by_its_name() {
    let told = read_with(
        "",
        &[
            ("FILEYARD_CONCURRENCY", "many"),
            ("FILEYARD_HTTP__ALLOWED_HOSTS", "a,b"),
            ("FILEYARD_HTTP__LISTEN__X", "1"),
            ("FILEYARD_STORE__URI", "s3://x"),
            ("FILEYARD_STORE__PATH_STYLE", "no"),
            ("FILEYARD_UPLOADS__MAX_SIZE", "big"),
        ],
    );
    insta::assert_snapshot!(told.unwrap_err());
}

#[test]
fn the_file_beats_the_standard_credentials() {
    let standard = [("AWS_ACCESS_KEY_ID", "env"), ("AWS_SECRET_ACCESS_KEY", "env-secret")];
    let key = |text: &str| read_with(text, &standard).unwrap().store.access_key_id;
    assert_eq!(key("[store]\nurl = 's3://b'"), "env");
    assert_eq!(
        key("[store]\nurl = 's3://b'\naccess_key_id = 'file'\nsecret_access_key = 's'"),
        "file"
    );
    // A half of each would be a puzzle.
    assert!(read_with("[store]\nurl = 's3://b'\naccess_key_id = 'file'", &standard).is_err());
    assert_eq!(key(""), "", "a store that needs none is given none");
}
