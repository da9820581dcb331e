//! What a config means, and what a wrong one is told.
#![allow(clippy::unwrap_used)]

mod precedence;
mod reference;

use fileyard_orchestrator::processor::Processor;

use super::*;

fn environment(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn read(text: &str) -> Result<Config, ConfigError> {
    Config::read(Some(("fileyard.toml", text)), &[], &Sources::default())
}

fn read_with(text: &str, pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment = environment(pairs);
    Config::read(Some(("fileyard.toml", text)), &environment, &Sources::default())
}

/// What a text is told, under each of the texts.
fn refusals(texts: &[&str]) -> String {
    let told = texts.iter().map(|text| match read(text) {
        Ok(_) => format!("{text}\n    => accepted"),
        Err(error) => format!("{text}\n    => {}", error.to_string().replace('\n', "\n       ")),
    });
    told.collect::<Vec<_>>().join("\n\n")
}

#[test]
fn nothing_written_is_the_defaults() {
    let config = read("").unwrap();
    assert_eq!(config.data, std::path::absolute("fileyard-data").unwrap());
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8787");
    assert_eq!(config.store.part_size, 8 << 20);
    assert_eq!((config.uploads.max_size, config.uploads.max_files), (10 << 30, 100));
    assert!(config.concurrency >= 2);
    assert_eq!(config.queue_timeout, None);
    assert_eq!(config.keep_jobs, None);
    assert!(config.processors.all.is_empty() && config.processors.default.is_none());
}

#[test]
fn mirrors_are_registries_as_they_stand_in_names() {
    let of = |text: &str| read_with(text, &[]);
    let mirrors = of("[engine.mirrors]\n'docker.io' = '127.0.0.1:5000'").unwrap().engine.mirrors;
    assert_eq!(mirrors["docker.io"], "127.0.0.1:5000");
    for wrong in ["https://mirror.example", "mirror", ""] {
        let said = of(&format!("[engine]\nmirrors = {{ 'docker.io' = '{wrong}' }}")).unwrap_err();
        let said = said.to_string();
        assert!(said.contains("is no registry") && said.contains("mirrors"), "{said}");
    }
}

#[test]
fn docker_host_is_the_environments_unless_written() {
    let host = [("DOCKER_HOST", "unix:///run/other.sock")];
    let of = |text: &str| read_with(text, &host).unwrap().engine.docker_host;
    assert_eq!(of(""), "unix:///run/other.sock");
    assert_eq!(of("[engine]\ndocker_host = 'unix:///x.sock'"), "unix:///x.sock");
}

#[test]
fn urls_need_a_daemon_on_this_machine() {
    let with = |host: &str| {
        read(&format!(
            "[engine]\ndocker_host = '{host}'\n[processors.a]\nimage = 'x'\ncontract = 'urls'"
        ))
    };
    for here in ["", "unix:///run/docker.sock", "tcp://127.0.0.1:2375", "tcp://localhost:2375"] {
        let config = with(here).unwrap();
        assert!(config.needs_networks(), "{here}");
        assert_eq!(config.processors.all.values().next().unwrap().contract, Contract::Urls);
    }
    for elsewhere in ["tcp://10.0.0.7:2376", "ssh://root@build.example.org"] {
        let told = with(elsewhere).unwrap_err().to_string();
        assert!(told.contains("needs a Docker daemon on this machine"), "{told}");
        assert!(told.contains("processors.a"), "{told}");
    }
    assert!(!read("[processors.a]\nimage = 'x'").unwrap().needs_networks());
}

#[test]
fn a_processor_reaches_the_internet_only_when_it_says_so() {
    let of = |line: &str| {
        let config = read(&format!("[processors.a]\nimage = 'x'\n{line}")).unwrap();
        (config.processors.all.values().next().unwrap().network, config.needs_networks())
    };
    assert_eq!(of(""), (Network::None, false));
    assert_eq!(of("network = 'none'"), (Network::None, false));
    assert_eq!(of("network = 'egress'"), (Network::Egress, true));
}

#[test]
fn the_only_processor_is_the_default_one() {
    let default = |text: &str| read(text).unwrap().processors.default.map(|name| name.to_string());
    let (a, b) = ("[processors.a]\nimage = 'x'\n", "[processors.b]\nimage = 'x'\n");
    assert_eq!(default(a), Some("a".into()));
    assert_eq!(default(&format!("{a}{b}")), None);
    assert_eq!(default(&format!("default_processor = 'b'\n{a}{b}")), Some("b".into()));
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("nowhere.toml");
    let sources = Sources { file: Some(file), ..Sources::default() };
    let told = Config::load(&sources).unwrap_err().to_string();
    assert!(told.contains("nowhere.toml: cannot be read: No such file"), "{told}");
}

#[test]
fn what_is_not_toml_is_told_by_its_line() {
    let told = refusals(&[
        "data = ",
        "\n\ndata = \"a\nb\"",
        "data = 'a'\ndata = 'b'",
        "[http\nlisten = 'x'",
        "concurrency = 99999999999999999999",
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn wrong_keys_and_values_are_told_with_what_was_meant() {
    let told = refusals(&[
        "dta = 'x'",
        "data = 3",
        "data = ''",
        "http = 'x'",
        "[htpp]\nlisten = ''",
        "[http]\nlisen = ''",
        "[http]\nentirely_different = ''",
        "concurrency = -1",
        "concurrency = '2'",
        "min_free = '1GB'",
        "queue_timeout = '5 minutes'",
        "retention.jobs = '0s'",
        "retention.jobs = '30 days'",
        "default_processor = 'mp5'\n[processors.mp4]\nimage = 'x'\n[processors.b]\nimage = 'x'",
        "[http]\nlisten = '8787'",
        "[http]\npublic_url = 'files.example.org'",
        "[store]\nurl = 'S3:bucket'",
        "[store]\nurl = 's3:///prefix'\naccess_key_id = 'a'\nsecret_access_key = 'b'",
        "[store]\nurl = 's3://b'",
        "[store]\nurl = 's3://b'\naccess_key_id = 'a'",
        "[store]\nendpoint = '127.0.0.1:9000'",
        "[store]\npart_size = '1MiB'",
        "[store]\npart_size = '6GiB'",
        "[store]\npath_style = 'yes'",
        "[uploads]\nmax_files = 0",
        "[urls]\nport = 0",
        "[urls]\nnetworks = '10.213.0.1/16'",
        "[urls]\nnetworks = '8.8.8.0/24'",
        "[uploads]\nmemory = '512KiB'",
        "[uploads]\nmemory = '7MiB'\n[store]\nurl = 'memory://'",
        "[uploads]\nmax_size = '5TiB'\n[store]\nurl = 's3://b'\naccess_key_id = 'a'\nsecret_access_key = 'b'",
        "[engine]\nkind = 'dokcer'",
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn what_this_version_does_not_have_is_refused_not_ignored() {
    let told = refusals(&[
        "[database]\nurl = 'postgres://a'",
        "[processors.a]\nimage = 'x'\ncontract = 'http'",
        "[processors.a]\nimage = 'x'\nenv = { A = 'kv:n/key' }",
    ]);
    insta::assert_snapshot!(told);
}

/// As good as any; none of it may ever be read in a message.
const KEY: &str = "correct-horse-battery";

#[test]
fn beyond_loopback_a_key_is_needed_or_its_lack_written_out() {
    let told = refusals(&[
        "[http]\nlisten = '0.0.0.0:8787'",
        "[http]\nlisten = '[::]:8787'",
        "[http]\nlisten = '192.0.2.1:80'\napi_key = ''",
        "[http]\nlisten = '0.0.0.0:8787'\nauth = 'none'",
        "[http]\nlisten = '0.0.0.0:8787'\napi_key = 'correct-horse-battery'",
        "[http]\nlisten = '[::1]:8787'",
        "[http]\nauth = 'none'",
        "[http]\napi_key = 'correct-horse-battery'\nauth = 'none'",
        "[http]\nauth = 'None'",
        "[http]\napi_key = 'short'",
        "[http]\napi_key = 'with a space in it'",
        "[http]\napi_key = 1234567890123456",
        "[http]\nlisten = '0.0.0.0:8787'\napi_key = 'short'",
        "[http]\nallowed_hosts = ['*', 'https://a', 'a:80', 'a/b', '', '*.192.0.2.1', 'a.example', '*.b.example', '192.0.2.1', '::1']",
        "[http]\nallowed_origins = ['*', 'a.example', 'https://a.example/path', 'ftp://a', 'null', 'https://a.example', 'http://b.example:81/']",
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn who_may_ask_is_said_in_a_sentence() {
    let who = |text: &str| {
        let http = read(text).unwrap().http;
        (http.who_may(), http.warning().is_some())
    };
    assert_eq!(who(""), ("everybody on this machine, without a key".into(), false));
    let open = who("[http]\nlisten = '0.0.0.0:8787'\nauth = 'none'");
    assert_eq!(open, ("everybody who reaches 0.0.0.0:8787, without a key".into(), true));
    for listen in ["127.0.0.1:8787", "0.0.0.0:8787"] {
        let locked = who(&format!("[http]\nlisten = '{listen}'\napi_key = '{KEY}'"));
        assert_eq!(locked, ("whoever has the API key".into(), false));
    }
}

#[test]
fn a_key_is_never_shown() {
    let shown = |text: &str, pairs: &[(&str, &str)]| match read_with(text, pairs) {
        Ok(config) => format!("{config:?}"),
        Err(error) => error.to_string(),
    };
    let key = [("FILEYARD_HTTP__API_KEY", KEY)];
    assert!(read_with("", &key).unwrap().http.access.key.is_some());
    for text in [
        shown("", &key),
        shown("dta = 1", &key),
        shown("[http]\nauth = 'none'", &key),
        shown(&format!("[http]\napi_key = ['{KEY}']"), &[]),
        shown(&format!("[http]\napi_key = '{KEY} '"), &[]),
        shown(&format!("[http]\napi_key = '{KEY}"), &[]),
        shown(&format!("[http]\napi_key = {KEY}"), &[]),
        shown(
            &format!("[store]\nurl = 's3://b'\naccess_key_id = 'a'\nsecret_access_key = ['{KEY}']"),
            &[],
        ),
    ] {
        assert!(!text.contains(KEY) && !text.contains("horse"), "{text}");
    }
}

#[test]
fn wrong_processors_are_told_at_start_not_by_their_first_job() {
    let wrong = [
        "[processors.MP4]\nimage = 'x'",
        "[processors.a]",
        "[processors.a]\nimage = ''",
        "[processors]\na = 'x'",
        "[processors.a]\nimgae = 'x'",
    ];
    let lines = [
        "pull = 'allways'",
        "command = 'ffmpeg -i'",
        "command = ['a', 1]",
        "command = [\"a\\u0000\"]",
        "command = ['{inptu}', '{param.height}', 'a{b', '{']",
        "entrypoint = ['{nothing}']",
        "contract = 'url'",
        "contract = 'urls'\nmax_outputs = 10001",
        "contract = 'urls'\ncommand = ['{stem}', '{input}', 'a{out}b']",
        "accepts = ['video', 'video/', '*/mp4', '.', 'a/b/c', '']",
        "timeout = '0s'",
        "grace = 10",
        "memory = '1MiB'",
        "cpus = 0",
        "cpus = 'two'",
        "pids = 0",
        "network = 'internet'",
        "user = 'nobody'",
        "user = '1:4294967295'",
        "env = { A = 1 }",
        "env = { FILEYARD_JOB_ID = 'x', 'A=B' = 'y' }",
        "retries = -1",
        "retry_on = ['timeout', 'infrastructure']",
    ];
    let lines: Vec<String> =
        lines.iter().map(|line| format!("[processors.a]\nimage = 'x'\n{line}")).collect();
    let all: Vec<&str> = wrong.into_iter().chain(lines.iter().map(String::as_str)).collect();
    let told = refusals(&all);
    insta::assert_snapshot!(told);
}

#[test]
fn wrong_params_are_told_at_start_not_by_their_first_job() {
    let bodies = [
        "Height = { type = 'integer' }",
        "h = {}",
        "h = { type = 'int' }",
        "h = { type = 'string' }",
        "h = { type = 'string', enum = [] }",
        "h = { type = 'string', enum = ['a', ''] }",
        "h = { type = 'string', enum = ['a'], pattern = 'a' }",
        "h = { type = 'string', pattern = '(' }",
        "h = { type = 'string', pattern = '[a-z]+', default = 'A' }",
        "h = { type = 'string', enum = ['a'], default = 'b', min = 1 }",
        "h = { type = 'integer', min = 2, max = 1 }",
        "h = { type = 'integer', min = 1.5 }",
        "h = { type = 'integer', min = 144, max = 2160, default = 100 }",
        "h = { type = 'integer', default = '5' }",
        "h = { type = 'number', max = 1, default = 1.5 }",
        "h = { type = 'number', min = 'a' }",
        "h = { type = 'boolean', default = 'true' }",
        "h = { type = 'boolean', enum = ['a'] }",
        "h = { type = 'boolean', defualt = true }",
    ];
    let texts: Vec<String> = bodies
        .iter()
        .map(|body| format!("[processors.a]\nimage = 'x'\n[processors.a.params]\n{body}"))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let told = refusals(&texts);
    insta::assert_snapshot!(told);
}

#[test]
fn a_command_in_which_a_stranger_could_write_an_option_or_a_shells_word_is_refused() {
    let lines = [
        "command = ['convert', '{param.any}', '{input}']",
        "entrypoint = ['run', '{param.any}']",
        "command = ['sh', '-c', 'echo {param.word}']",
        "entrypoint = ['/bin/sh', '-ec']\ncommand = ['echo {param.word}']",
        "command = ['sh', '-c', 'echo \"$1\"', 'sh', '{param.word}', 'x={param.any}', '{param.n}']",
    ];
    let texts: Vec<String> = lines
        .iter()
        .map(|line| {
            format!(
                "[processors.a]\nimage = 'x'\n{line}\n[processors.a.params]\n\
                 any = {{ type = 'string', pattern = '.*' }}\n\
                 word = {{ type = 'string', pattern = '[a-z]+' }}\n\
                 n = {{ type = 'integer' }}"
            )
        })
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    insta::assert_snapshot!(refusals(&texts));
}

#[test]
fn the_examples_are_configs() {
    let mut files = 0;
    for example in std::fs::read_dir("examples").unwrap() {
        let file = example.unwrap().path().join("fileyard.toml");
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        read(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        files += 1;
    }
    assert_eq!(files, 4);
}

#[test]
fn everything_wrong_is_told_at_once() {
    let told = read("dta = 1\nconcurrency = -1\n[store]\nurl = 'x'").unwrap_err();
    assert_eq!(told.to_string().lines().count(), 3);
}
