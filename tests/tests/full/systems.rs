//! Whole systems as images of the embedded engine: Debian's base system, imported from a tar, and it and
//! a stock tool pulled from a registry.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fileyard_tests::{
    LONG, docker,
    shell::fileyard,
    until, variable,
    yard::{Store, Yard},
};

/// What a system says of itself, to the log; who may become root, and that none of its files is missing.
const LOOK: &str = r#"entrypoint = ["sh", "-c"]
    command = ["""
      set -e
      . /etc/os-release && echo "$ID"
      getent passwd daemon
      stat -c '%a %U:%G' /usr/bin/passwd /etc/shadow /var/mail
      dpkg --audit && dpkg-query -W | wc -l
      cat /var/lib/dpkg/info/*.md5sums | grep -v -E ' usr/share/(doc|man|info|locale|lintian|bash-completion|icons)/' > /tmp/wanted
      cd / && md5sum --quiet -c /tmp/wanted && wc -l < /tmp/wanted"""]"#;

/// A registry's login, as `docker login` writes it.
fn docker_config(yard: &Yard, registry: &str) -> String {
    let login = format!(
        "{}:{}",
        variable("FILEYARD_TEST_REGISTRY_USER"),
        variable("FILEYARD_TEST_REGISTRY_PASSWORD")
    );
    let auths =
        format!(r#"{{"auths": {{"{registry}": {{"auth": "{}"}}}}}}"#, STANDARD.encode(login));
    std::fs::write(yard.path().join("config.json"), auths).unwrap();
    yard.path().display().to_string()
}

/// In a registry, as `whole/NAME`; its address there.
async fn pushed(name: &str) -> String {
    let to = format!("{}/whole/{name}", variable("FILEYARD_TEST_REGISTRY"));
    let user = variable("FILEYARD_TEST_REGISTRY_USER");
    let password = variable("FILEYARD_TEST_REGISTRY_PASSWORD");
    docker::push(&format!("fileyard/example-{name}:latest"), &to, &user, &password).await;
    to
}

/// What it says of itself as a container's log.
async fn looked_at(yard: &Yard) -> String {
    let server = yard.start().await;
    let job = server.accepted("whole/any.txt", "any").await;
    let ended = server.ended(&job, 5 * LONG).await;
    let said = server.log(&job).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}\n{said}");
    yard.nothing_left().await;
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn debian_s_base_system_is_the_same_imported_and_pulled() {
    let lines = |image: &str| format!("image = \"{image}\"\npull = \"never\"\n{LOOK}");
    let imported = Yard::with_oci(Store::Local)
        .with_example("debian-base")
        .processor("whole", &lines("fileyard/example-debian-base"));
    let said = looked_at(&imported).await;
    let said: Vec<&str> = said.lines().collect();
    let [id, daemon, passwd, shadow, mail, packages, files] = said[..] else { panic!("{said:?}") };
    assert_eq!((id, daemon.split(':').next()), ("debian", Some("daemon")));
    assert_eq!((passwd, shadow, mail), ("4755 root:root", "640 root:shadow", "2775 root:mail"));
    assert!(packages.parse::<u32>().unwrap() > 100, "{packages} packages");
    assert!(files.parse::<u32>().unwrap() > 2000, "{files} files are as they were packed");

    let image = pushed("debian-base").await;
    let pulled = Yard::with_oci(Store::Local).processor("whole", &lines(&image));
    let config = docker_config(&pulled, &variable("FILEYARD_TEST_REGISTRY"));
    let mut pull = fileyard_tests::yard::program(pulled.path());
    pull.args(["image", "pull", &image, "--data"]).arg(pulled.data()).env("DOCKER_CONFIG", &config);
    let done = pull.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let again = looked_at(&pulled).await;
    assert_eq!(again.lines().collect::<Vec<_>>(), said);

    let list =
        fileyard(pulled.path(), &["image", "list", "--data", pulled.data().to_str().unwrap()]);
    assert!(list.contains("whole/debian-base"), "{list}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_tool_is_pulled_by_the_server_that_needs_it() {
    let image = pushed("pandoc").await;
    let lines = format!(
        "image = \"{image}\"\ncommand = [\"pandoc\", \"{{input}}\", \"-t\", \"plain\", \"-o\", \"{{out}}/plain.txt\"]"
    );
    let yard = Yard::with_oci(Store::Local).processor("plain", &lines);
    let config = docker_config(&yard, &variable("FILEYARD_TEST_REGISTRY"));
    let server = yard.start_with(&[("DOCKER_CONFIG", &config)]).await;
    // Before anybody wants it.
    until("it is fetched", 5 * LONG, async || {
        server.process().said().contains("fetched an image in").then_some(())
    })
    .await;
    let job = server.accepted("plain/notes.md", "# A *heading*\n").await;
    let ended = server.ended(&job, 5 * LONG).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}\n{}", server.log(&job).await);
    assert!(server.output(&job, "plain.txt").await.starts_with(b"A heading"));
    yard.nothing_left().await;
}
