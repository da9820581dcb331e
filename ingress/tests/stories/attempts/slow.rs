//! A program that holds the memory of all uploads and does not fill it, while others wait.

use std::time::Duration;

use bytes::Bytes;
use fileyard_orchestrator::engine::fake::http::{Sending, ask};
use fileyard_storage::blob::{BlobConfig, Patience};
use tokio::time::{sleep, timeout};

use super::yard::Yard;

const PART: u64 = 8 << 20;

#[tokio::test]
async fn an_output_that_stalls_while_others_wait_is_told_so_and_can_be_sent_again() {
    let patience = Patience { slow_for: Duration::from_millis(300), ..Patience::default() };
    // Room for one part, which an output of unknown length takes.
    let url = "memory://".into();
    let config = BlobConfig { url, memory: PART, patience, ..BlobConfig::default() };
    let mut yard = Yard::on(&config);
    yard.processor.max_output_size = 2 * PART;
    let orchestrator = yard.orchestrator();
    let id = yard.at_the_gate(&orchestrator, "gate end").await;
    let url = format!("{}/a", yard.address(id, "OUTPUT"));
    let mut sending = Sending::put(&url).await.unwrap();
    sending.more(b"a few words").await.unwrap();
    // One after the other: the first may be there before the output's bytes are.
    let others = async {
        loop {
            let mut upload = yard.intake().begin("other.txt", None).await.unwrap();
            upload.write(Bytes::from_static(b"x")).await.expect("it has its turn in the end");
            upload.abandon().await;
            sleep(Duration::from_millis(10)).await;
        }
    };
    let told = tokio::select! {
        told = timeout(Duration::from_secs(20), sending.answer()) => told,
        () = others => unreachable!("there are always more"),
    };
    let told = told.expect("it is told to leave").unwrap();
    assert_eq!(told.status, 408, "{}", told.text());
    assert!(told.text().contains("slow_upload"), "{}", told.text());
    assert_eq!(ask("PUT", &url, &[], b"all at once").await.unwrap().status, 201);
    let job = yard.ended(&orchestrator, id).await;
    assert_eq!(yard.outputs(&job).await, [("a".to_owned(), "all at once".to_owned())]);
}
