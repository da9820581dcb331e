//! The image of an attempt: fetched when the server starts, looked up when its job is claimed, and the
//! same from then on, whatever becomes of its name.

use fileyard_tests::{
    LONG, oci,
    shell::{checked, fileyard},
    until,
    yard::{Engine, Store, Yard},
};
use serde_json::Value;

/// What a job's history says of the images that its attempts were made of.
fn images(job: &Value) -> Vec<String> {
    let claimed = job["events"].as_array().unwrap().iter().filter(|it| it["event"] == "claimed");
    claimed.map(|event| event["detail"].as_str().unwrap_or_default().to_owned()).collect()
}

/// From now on the drill's name means the sample.
fn rename(yard: &Yard) {
    let (tar, data) = (oci::packed("sample"), yard.data());
    let import = ["image", "import", tar.to_str().unwrap(), "--tag", "fileyard/drill:latest"];
    let said = fileyard(yard.path(), &[&import[..], &["--data", data.to_str().unwrap()]].concat());
    assert!(said.contains("fileyard/drill"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claimed_job_keeps_its_image_though_its_name_means_another() {
    let yard = Yard::with_oci(Store::Local);
    let server = yard.start_failing_at("claimed").await;
    let job = server.accepted("drill/a.txt", "say I am the drill").await;
    server.killed_by_failpoint().await;
    rename(&yard);

    let server = yard.start().await;
    let ended = server.ended(&job, LONG).await;
    assert_eq!((&ended["state"], &ended["attempt"]), (&"succeeded".into(), &1.into()), "{ended:#}");
    assert_eq!(server.log(&job).await, "I am the drill\n");
    let next = server.accepted("drill/a.txt", "say I am the drill").await;
    let next = server.ended(&next, LONG).await;
    assert_eq!(next["result"]["kind"], "text", "the sample looks at files: {next:#}");
    let (before, after) = (images(&ended), images(&next));
    assert!(before[0].starts_with("image sha256:"), "{before:?}");
    assert_ne!(before, after);
    yard.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_image_was_removed_is_tried_again_with_what_the_name_means_now() {
    let yard = Yard::with_oci(Store::Local);
    let server = yard.start_failing_at("claimed").await;
    let job = server.accepted("drill/a.txt", "say I am the drill").await;
    server.killed_by_failpoint().await;
    let data = yard.data();
    let remove = ["image", "rm", "fileyard/drill:latest", "--data", data.to_str().unwrap()];
    let said = fileyard(yard.path(), &remove);
    assert!(said.contains("fileyard/drill"), "{said}");
    rename(&yard);

    let server = yard.start().await;
    let ended = server.ended(&job, LONG).await;
    assert_eq!((&ended["state"], &ended["attempt"]), (&"succeeded".into(), &2.into()), "{ended:#}");
    let images = images(&ended);
    assert_eq!(images.len(), 2);
    assert_ne!(images[0], images[1]);
    yard.nothing_left().await;
}

/// One that nobody has is said at the start, and keeps no other from working.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_is_not_there_is_said_before_there_is_a_job() {
    let lines = "image = \"example/nobody-has-this:1\"\npull = \"never\"";
    let yard = Yard::with_oci(Store::Local).processor("nobody", lines);
    let server = yard.start().await;
    until("it is said", LONG, async || {
        let said = server.process().said();
        said.contains("example/nobody-has-this:1 is not there").then_some(())
    })
    .await;
    let job = server.accepted("drill/a.txt", "say done").await;
    assert_eq!(server.ended(&job, LONG).await["state"], "succeeded");
    let job = server.accepted("nobody/a.txt", "say done").await;
    let ended = server.ended(&job, LONG).await;
    assert_eq!(ended["reason"]["code"], "start_failed", "{ended:#}");
    yard.nothing_left().await;
}

#[test]
fn check_says_which_are_missing_and_how_they_come() {
    let other = |pull: &str| format!("image = \"127.0.0.1:9/other:1\"\npull = \"{pull}\"");
    for yard in [Yard::with_oci(Store::Local), Yard::with_docker(Store::Local)] {
        let found = checked(yard.check(), "images");
        assert_eq!((&found["ok"], &found["message"]), (&true.into(), &"2 there, 0 to come".into()));

        let yard = yard.processor("other", &other("missing"));
        let found = checked(yard.check(), "images");
        let warning = found["warnings"][0].as_str().unwrap();
        assert_eq!((&found["ok"], &found["message"]), (&true.into(), &"2 there, 1 to come".into()));
        assert!(warning.contains("127.0.0.1:9/other:1 is not there yet"), "{warning}");

        let yard = yard.processor("other", &other("never"));
        let found = checked(yard.check(), "images");
        let said = found["message"].as_str().unwrap();
        assert_eq!(found["ok"], false, "{found:#}");
        let way_in = if yard.engine() == Engine::Docker { "docker pull" } else { "docker save" };
        assert!(said.contains(&format!("{way_in} 127.0.0.1:9/other:1")), "{said}");
    }
}
