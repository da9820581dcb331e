//! A processor with the internet: its attempt's network and rules come and go with it, through a
//! crash too; and where no rules can be written jobs run, and it is said what stays open.

use fileyard_tests::{
    LONG, firewall,
    server::Server,
    shell::through,
    until,
    yard::{Engine, Store, Yard},
};
use serde_json::Value;
use tokio::net::TcpListener;

fn with_egress(yard: Yard) -> Yard {
    yard.processor(
        "drill",
        "image = \"fileyard/drill:latest\"\npull = \"never\"\ngrace = \"1s\"\nnetwork = \"egress\"",
    )
}

async fn says(server: &Server, job: &str, line: &str) {
    until(&format!("it says {line}"), LONG, async || {
        server.log(job).await.lines().any(|said| said == line).then_some(())
    })
    .await;
}

async fn succeeded(server: &Server, job: &str) -> Value {
    let ended = server.ended(job, LONG).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    ended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_and_its_rules_come_and_go_with_the_attempt() {
    let yard = with_egress(Yard::with_engine(Store::Local));
    let server = yard.start().await;
    let host = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = host.local_addr().unwrap().port();
    let steps = format!("dial 172.17.0.1:{port}\ndial 169.254.169.254:80\nsay asked\nsleep 4s");
    let job = server.accepted("drill/a.txt", steps).await;
    says(&server, &job, "asked").await;
    let install = yard.rows().install;
    assert_eq!(yard.networks().await.len(), 1);
    assert!(!firewall::rules(&install).is_empty());
    succeeded(&server, &job).await;
    let log = server.log(&job).await;
    assert_eq!(log.matches("ECONNREFUSED").count(), 2, "{log}");
    yard.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_s_successor_finds_the_network_again_and_removes_it() {
    let yard = with_egress(Yard::with_engine(Store::Local));
    let server = yard.start().await;
    let job = server.accepted("drill/a.txt", "say begun\nsleep 6s\nsay ended").await;
    says(&server, &job, "begun").await;
    server.kill().await;
    assert_eq!(yard.networks().await.len(), 1, "it outlives the server, as its container does");

    let server = yard.start().await;
    let ended = succeeded(&server, &job).await;
    assert_eq!(ended["attempt"], 1);
    assert_eq!(server.log(&job).await, "begun\nended\n");
    yard.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_died_with_a_network_and_no_container_leaves_neither() {
    let yard = with_egress(Yard::with_engine(Store::Local));
    let server = yard.start_failing_at("created").await;
    let sent = server.accepted("drill/a.txt", "say begun").await;
    server.killed_by_failpoint().await;
    // The embedded engine's went with the server: nothing but that held it.
    if yard.engine() == Engine::Docker {
        assert_eq!(yard.networks().await.len(), 1);
    }
    let server = yard.start().await;
    succeeded(&server, &sent).await;
    yard.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_right_to_write_rules_jobs_run_and_what_stays_open_is_said_once() {
    let yard = with_egress(Yard::with_docker(Store::Local));
    let no_rights = ["setpriv", "--inh-caps=-net_admin", "--bounding-set=-net_admin"];
    let checked = through(&no_rights, &yard.check()).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success(), "{said}");
    assert!(said.contains("no firewall rules") && said.contains("169.254.169.254"), "{said}");

    let server = Server::ready(yard.spawn_as(through(&no_rights, &yard.serve()))).await;
    for _ in 0..2 {
        let job = server.accepted("drill/a.txt", "say begun").await;
        succeeded(&server, &job).await;
    }
    assert_eq!(firewall::rules(&yard.rows().install), Vec::<String>::new());
    let said = server.process().said();
    assert_eq!(said.matches("no firewall rules").count(), 1, "{said}");
    yard.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_from_another_network_says_that_the_daemon_s_are_not_here() {
    let yard = with_egress(Yard::with_docker(Store::Local));
    let checked = through(&["unshare", "--net"], &yard.check()).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(said.contains("the daemon's networks are not on this host"), "{said}");
}
