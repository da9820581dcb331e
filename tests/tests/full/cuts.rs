//! Uploads that are cut off anywhere leave nothing: no object, no part, no file, no job.

use std::time::Duration;

use fileyard_tests::{
    LONG,
    client::{Part, encode},
    raw::{cut_form, cut_put},
    until,
    yard::{On, Store, Yard},
};
use futures::{StreamExt, stream};
use rand::{Rng, SeedableRng, rngs::StdRng};

on_both_stores! { uploads_cut_at_a_thousand_random_bytes_by_each_way_in_leave_nothing }

/// By each of the ways in.
const CUTS: usize = 1000;

/// Waits until `uploads` have come and none is under way.
async fn come_and_gone(yard: &Yard, uploads: usize) {
    until("every upload has come and gone", Duration::from_secs(120), async || {
        let rows = yard.rows().uploads;
        let gone = rows.iter().all(|upload| upload["state"]["is"] != "receiving");
        (gone && rows.len() >= uploads).then_some(())
    })
    .await;
}

/// Not even half a part: a client that hangs up does not make the server do so.
async fn nothing_left(yard: &Yard) {
    yard.nothing_left().await;
    if let Store::MinIo(minio) = yard.store() {
        assert_eq!(minio.incoming(), [] as [String; 0]);
    }
}

async fn uploads_cut_at_a_thousand_random_bytes_by_each_way_in_leave_nothing(on: On) {
    let seed = std::env::var("FILEYARD_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| rand::rng().random());
    println!("FILEYARD_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let yard = Yard::new().on(on.open().await).processors();
    let server = yard.start().await;
    // A little more than a part of S3's.
    let body = vec![b'\n'; 9 << 20];
    let (kind, form) = encode(&[Part::file("a.txt", "say a"), Part::file("b.txt", body.clone())]);
    // Most of them small, where the heads and boundaries are, the others anywhere.
    let cuts: Vec<(bool, usize)> = (0..2 * CUTS)
        .map(|n| (n % 2 == 0, random.random_range(1..if n % 8 < 6 { 4096 } else { body.len() })))
        .collect();
    stream::iter(&cuts)
        .for_each_concurrent(4, |(put, cut)| async {
            if *put {
                cut_put(server.host(), "/upload/drill/cut.txt", &body, *cut).await;
            } else {
                cut_form(server.host(), &kind, &form, *cut).await;
            }
        })
        .await;
    // Every PUT has a row, and every form whose first file's head had come.
    come_and_gone(&yard, CUTS).await;
    nothing_left(&yard).await;
    assert_eq!(server.jobs().await.len(), 0);
    server.stop().await;
    nothing_left(&yard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_part_is_left_of_uploads_cut_at_nine_and_seventeen_megabytes() {
    let yard = Yard::new().on(On::MinIo.open().await).processors();
    let server = yard.start().await;
    let body = vec![7; 20_000_000];
    for cut in [9_000_000, 17_000_000] {
        cut_put(server.host(), "/upload/drill/cut.bin", &body, cut).await;
    }
    come_and_gone(&yard, 2).await;
    nothing_left(&yard).await;
    let whole = server.accepted("drill/whole.bin", body.clone()).await;
    let input = server.get(&format!("/jobs/{whole}/input")).await;
    assert!(input.expect(200).body == body, "a whole one is stored in parts and read back");
    server.cancel(&whole).await.expect(200);
    until("nothing is left", LONG, async || yard.violations().await.is_empty().then_some(())).await;
}
