//! A gigabyte of log: kept as its ends, and neither the server nor the disk notices.

use std::{os::unix::fs::MetadataExt as _, time::Duration};

use fileyard_tests::{
    client::has_ended,
    docker,
    yard::{Store, Yard},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gigabyte_of_log_is_kept_as_its_ends() {
    let yard = Yard::with_docker(Store::Local);
    let server = yard.start().await;
    let job = server.accepted("drill/steps.txt", "spew 1GiB").await;
    let install = yard.rows().install;
    let (mut most, mut ours, mut seen) = (0, 0, false);
    let ended = fileyard_tests::until("the flood is over", Duration::from_secs(400), async || {
        for container in docker::containers(&install).await {
            most = most.max(docker::log_on_disk(&container.id).await);
        }
        ours = ours.max(directory_size(&yard.data().join("tmp")));
        assert!(ours < 96 << 20, "{ours} bytes below data/tmp");
        let job = server.job(&job).await;
        if job["phase"] == "running" && !seen {
            seen = server.log(job["job_id"].as_str().unwrap()).await.starts_with("first\n");
        }
        has_ended(&job).then_some(job)
    })
    .await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    assert!(seen, "its beginning was there while it ran");
    assert!(most < 256 << 20, "the engine kept {most} bytes of it");
    let said = server.log(ended["job_id"].as_str().unwrap()).await;
    assert!(said.starts_with("first\nline 000000000001 "), "{}", &said[..100]);
    assert!(said.ends_with("\nlast\n"), "{}", &said[said.len() - 100..]);
    assert!((8 << 20..17 << 20).contains(&said.len()), "{} bytes are kept", said.len());
    let memory = server.process().peak_memory();
    println!(
        "a 1 GiB log: {} bytes kept; at most {most} at the engine, {ours} below data/tmp, and {memory} \
         of the server's memory",
        said.len()
    );
    assert!(memory < 192 << 20, "the server took {memory} bytes");
    yard.nothing_left().await;
}

/// What it takes of the disk: holes are nothing.
fn directory_size(dir: &std::path::Path) -> u64 {
    let files = fileyard_tests::server::files_below(dir);
    files.iter().filter_map(|file| dir.join(file).metadata().ok()).map(|it| it.blocks() * 512).sum()
}
