//! compose.yaml as it is: fileyard in a container beside a store, with keys made at the first start,
//! whose processors' files lie where only the daemon knows.

use fileyard_tests::{
    LONG,
    client::{Api, id},
    compose::{Compose, words},
    docker, until,
};
use reqwest::Method;
use serde_json::Value;

const CHECK: [&str; 5] = ["exec", "-T", "fileyard", "/bin/sh", "/usr/local/lib/fileyard/entry.sh"];

/// The server as a client with the key sees it.
struct Front {
    api: Api,
    key: String,
}

impl Front {
    async fn ready(compose: &Compose) -> Self {
        let api = Api::new(&compose.base());
        until("fileyard is ready", LONG, async || {
            let answer = api.send(api.request(Method::GET, "/readyz")).await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
        let key = compose.must(&["exec", "-T", "fileyard", "cat", "/data/api-key"]);
        assert!(key.len() == 64 && key.bytes().all(|b| b.is_ascii_hexdigit()), "a key: {key:?}");
        Self { api, key }
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.api.request(Method::GET, path).bearer_auth(&self.key);
        self.api.must(request).await.expect(200).json()
    }

    /// A file of words to the sample, and its job's end.
    async fn job(&self, compose: &mut Compose) -> Value {
        let put = |key: &str| {
            let request = self.api.request(Method::PUT, "/upload/sample/words.txt");
            request.bearer_auth(key).body("the quick brown fox\n")
        };
        self.api.must(put("no key")).await.problem(401, "unauthorized");
        let job = self.api.must(put(&self.key)).await.expect(202).json();
        compose.started(&id(&job));
        until("the job has ended", LONG, async || {
            let job = self.get(&format!("/status/{}?wait=5", id(&job))).await;
            (!["queued", "running"].contains(&job["state"].as_str()?)).then_some(job)
        })
        .await
    }
}

fn check(compose: &Compose) -> String {
    let arguments: Vec<&str> =
        CHECK.into_iter().chain(["check", "--config", "/etc/fileyard.toml"]).collect();
    words(&compose.run(&arguments))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_comes_up_with_a_store_and_a_key_and_runs_a_job() {
    let mut compose = Compose::new(&[], "");
    let _ = compose.must(&["up", "-d", "--build"]);
    let front = Front::ready(&compose).await;
    let job = front.job(&mut compose).await;
    assert_eq!(job["state"], "succeeded", "{job:#}");
    assert_eq!(job["result"]["text"]["words"], 4);
    let said = check(&compose);
    assert!(said.contains("fileyard is in its container"), "{said}");

    // Reachable from this machine alone, and the store not even from there.
    assert!(compose.must(&["port", "fileyard", "8787"]).starts_with("127.0.0.1:"));
    let published = words(&compose.run(&["port", "minio", "9000"]));
    assert!(!published.contains("0.0.0.0") && !published.contains("127.0.0.1"), "{published}");

    // The keys are made once.
    let _ = compose.must(&["up", "-d", "--force-recreate"]);
    let again = Front::ready(&compose).await;
    assert_eq!(again.key, front.key);
    assert_eq!(again.get(&format!("/status/{}", id(&job))).await["state"], "succeeded");

    // What is not on a mount can be given to nobody, and the check says so before a job does.
    let elsewhere = compose.run(&[
        "run",
        "--rm",
        "--no-deps",
        "-T",
        "-e",
        "FILEYARD_DATA=/srv/elsewhere",
        "-e",
        "FILEYARD_STORE__URL=",
        "fileyard",
        "check",
        "--config",
        "/etc/fileyard.toml",
    ]);
    let said = words(&elsewhere);
    assert!(!elsewhere.status.success(), "{said}");
    assert!(said.contains("/srv/elsewhere") && said.contains("is on no volume"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_runs_as_nobody_on_a_directory_of_the_machine() {
    let dir = tempfile::tempdir().unwrap();
    let socket = std::os::unix::fs::MetadataExt::gid(&std::fs::metadata(docker::SOCKET).unwrap());
    let who = [("FILEYARD_USER", "65532:65532".to_owned()), ("DOCKER_GID", socket.to_string())];
    let data = dir.path().join("data");
    let more = format!(
        "services:\n  first-start:\n    volumes: [\"{0}:/data\"]\n  fileyard:\n    \
         volumes: [\"{0}:/data\"]\n    environment: {{ FILEYARD_STORE__URL: \"\" }}\n",
        data.display()
    );
    let mut compose = Compose::new(&who, &more);
    let _ = compose.must(&["up", "-d", "--build"]);
    let front = Front::ready(&compose).await;
    // The file itself is bound: it lies in the directory, as a blob.
    let job = front.job(&mut compose).await;
    assert_eq!(job["state"], "succeeded", "{job:#}");
    let owner =
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(data.join("blobs")).unwrap());
    assert_eq!(owner, 65532);
}
