//! The blobs' stories over a real S3-compatible server, and what only such a one can do: refuse,
//! die, come back.
//!
//! Behind the feature `full-stack`, because it needs a MinIO. `script/test` starts one and says
//! where it is: FILEYARD_TEST_S3_ENDPOINT, FILEYARD_TEST_S3_ACCESS_KEY,
//! FILEYARD_TEST_S3_SECRET_KEY, and FILEYARD_TEST_S3_DIR, the directory that it keeps its data in,
//! which is looked into: no API shows what a server keeps of uploads that nobody ends.
#![cfg(feature = "full-stack")]
#![allow(clippy::unwrap_used)]

mod suite;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use fileyard_storage::{
    blob::{BlobConfig, BlobError, BlobKey, BlobStore},
    id::{AttemptNo, Fence, InstallId, JobId, Tenant},
    upload::Multipart,
};
use object_store::{
    ClientOptions,
    aws::{AmazonS3, AmazonS3Builder},
    client::{HttpConnector, HttpRequestBody, ReqwestConnector},
    multipart::MultipartStore,
    signer::Signer,
};
use suite::{
    Home, MAX, MIB, Notes, PART, chunks, content, files_below,
    gate::{Gate, Is},
    input, whole,
};
use tokio::sync::{Mutex, MutexGuard};

/// One at a time: the directory of open uploads is one for all buckets.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; script/test sets it"))
}

struct MinIo {
    config: BlobConfig,
    bucket: String,
    dir: PathBuf,
    home: Home,
    _alone: MutexGuard<'static, ()>,
}

async fn minio() -> MinIo {
    let alone = ONE_AT_A_TIME.lock().await;
    let bucket = format!("blobs-{}", InstallId::new());
    let config = BlobConfig {
        url: format!("s3://{bucket}/a/prefix"),
        endpoint: variable("FILEYARD_TEST_S3_ENDPOINT"),
        access_key_id: variable("FILEYARD_TEST_S3_ACCESS_KEY"),
        secret_access_key: variable("FILEYARD_TEST_S3_SECRET_KEY"),
        part_size: PART as u64,
        ..BlobConfig::default()
    };
    make_bucket(&config, &bucket).await;
    let dir = PathBuf::from(variable("FILEYARD_TEST_S3_DIR"));
    let home = home(&config, &dir, &bucket);
    home.assert_empty();
    MinIo { config, bucket, dir, home, _alone: alone }
}

fn home(config: &BlobConfig, dir: &Path, bucket: &str) -> Home {
    let unused = Path::new("/nonexistent");
    let store = BlobStore::open(config, unused).unwrap();
    let objects = dir.join(bucket);
    assert!(objects.is_dir(), "{} is not MinIO's own directory", dir.display());
    // Not its `tmp`: what it keeps there is its own, and comes and goes by itself.
    let parts = dir.join(".minio.sys/multipart");
    let files = move || [files_below(&objects), files_below(&parts)].concat();
    Home { store, files: Box::new(files), multipart: true }
}

/// The same place through a gate.
async fn gated(minio: &MinIo) -> (Gate, Home) {
    let behind = minio.config.endpoint.strip_prefix("http://").unwrap();
    let gate = Gate::before(behind.trim_end_matches('/')).await;
    let endpoint = format!("http://{}", gate.address);
    let config = BlobConfig { endpoint, ..minio.config.clone() };
    (gate, home(&config, &minio.dir, &minio.bucket))
}

/// `object_store` makes no buckets, but signs what does.
async fn make_bucket(config: &BlobConfig, bucket: &str) {
    let s3 = client(config, bucket);
    let root = object_store::path::Path::default();
    let url = s3.signed_url(http::Method::PUT, &root, Duration::from_secs(60)).await.unwrap();
    let client = ClientOptions::new().with_allow_http(true);
    let client = ReqwestConnector::default().connect(&client).unwrap();
    let request = http::Request::put(url.as_str()).body(HttpRequestBody::empty()).unwrap();
    let answer = client.execute(request).await.unwrap();
    assert_eq!(answer.status(), 200);
}

fn client(config: &BlobConfig, bucket: &str) -> AmazonS3 {
    AmazonS3Builder::new()
        .with_allow_http(true)
        .with_bucket_name(bucket)
        .with_endpoint(&config.endpoint)
        .with_access_key_id(&config.access_key_id)
        .with_secret_access_key(&config.secret_access_key)
        .build()
        .unwrap()
}

macro_rules! stories {
    ($($story:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $story() {
            suite::$story(&minio().await.home).await;
        })*
    };
}

stories! {
    what_is_written_is_read
    the_first_bytes_tell_the_type
    ranges_are_as_far_as_the_blob_goes
    the_recorder_is_told_before_the_first_part
    what_is_not_finished_leaves_nothing
    a_finish_that_nobody_waits_for_leaves_nothing
    a_refusal_of_the_recorder_ends_it
    more_than_was_said_is_refused
    what_is_gone_is_gone_without_a_word
    a_row_is_enough_to_end_an_upload
    an_attempt_has_what_all_its_owners_stored
    many_at_once
    a_store_belongs_to_one_install
}

/// At the moment the recorder is told, the upload is there and no part of it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_part_is_there_when_the_recorder_is_told() {
    let minio = minio().await;
    let (key, notes) = (input(), Notes::new());
    let (uploads, seen) = (minio.dir.join(".minio.sys/multipart"), std::sync::mpsc::channel());
    *notes.at_begin.lock().unwrap() = Some(Box::new(move || {
        seen.0.send(files_below(&uploads)).unwrap();
    }));
    let mut writer = minio.home.writer(&key, &notes);
    for chunk in chunks(&content(3 * PART), MIB) {
        writer.write(chunk).await.unwrap();
    }
    let at_begin = seen.1.try_recv().unwrap();
    assert_eq!(at_begin.len(), 1, "the upload's own description: {at_begin:?}");
    assert!(at_begin[0].ends_with("xl.meta"), "{at_begin:?}");
    let parts = |files: &[String]| files.iter().filter(|file| file.contains("part.")).count();
    assert!(parts(&(minio.home.files)()) > 0, "so a part would have been seen");
    writer.abort().await.unwrap();
    minio.home.assert_empty();
}

async fn refusal(config: &BlobConfig) -> String {
    let store = BlobStore::open(config, Path::new("/nonexistent")).unwrap();
    let from = Instant::now();
    let refused = store.claim(InstallId::new()).await.unwrap_err();
    assert!(from.elapsed() < Duration::from_secs(8), "{:?}", from.elapsed());
    assert!(matches!(refused, BlobError::Misconfigured(_)), "{refused:?}");
    let text = refused.to_string();
    assert!(!text.contains(&config.secret_access_key), "{text}");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_plainly() {
    let minio = minio().await;
    let (right, at) = (&minio.config, &minio.config.endpoint);
    let no_bucket = BlobConfig { url: "s3://there-is-none/x".into(), ..right.clone() };
    assert_eq!(
        refusal(&no_bucket).await,
        format!(
            "the store cannot be used: there is no bucket \"there-is-none\" at {at}; create it, or \
             correct store.url"
        )
    );
    let no_key = BlobConfig { access_key_id: "nobody".into(), ..right.clone() };
    assert_eq!(
        refusal(&no_key).await,
        format!(
            "the store cannot be used: {at} does not know the access key id \"nobody\"; correct \
             store.access_key_id"
        )
    );
    let no_secret = BlobConfig { secret_access_key: "wrong-secret".into(), ..right.clone() };
    assert_eq!(
        refusal(&no_secret).await,
        format!(
            "the store cannot be used: {at} refuses the signature: store.secret_access_key is not \
             the one of the access key id {:?}",
            right.access_key_id
        )
    );
    minio.home.assert_empty();
}

/// Two installs in one bucket, each with a prefix, leave each other alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_installs_share_a_bucket() {
    let minio = minio().await;
    let other = BlobConfig { url: format!("s3://{}/other", minio.bucket), ..minio.config.clone() };
    let other = BlobStore::open(&other, Path::new("/nonexistent")).unwrap();
    minio.home.store.claim(InstallId::new()).await.unwrap();
    other.claim(InstallId::new()).await.unwrap();
    let files = (minio.home.files)().join("\n");
    for prefix in ["a/prefix/", "other/"] {
        assert!(files.contains(&format!("{prefix}fileyard-install.json")), "{files}");
    }
}

fn output(index: u32) -> BlobKey {
    let (tenant, job) = (Tenant::default(), JobId::from_u128(7));
    BlobKey::Output { tenant, job, attempt: AttemptNo(1), fence: Fence(1), index }
}

/// The process died when the store had made an upload and no row named it yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_no_row_names_is_found_by_its_key() {
    let minio = minio().await;
    let s3 = client(&minio.config, &minio.bucket);
    let path = |key: &BlobKey| object_store::path::Path::from(format!("a/prefix/{}", key.path()));
    let (ours, other) = (output(1), output(10));
    for key in [&ours, &ours, &other] {
        let id = s3.create_multipart(&path(key)).await.unwrap();
        s3.put_part(&path(key), &id, 0, content(10).into()).await.unwrap();
    }
    let uploads = || (minio.home.files)().iter().filter(|file| file.ends_with("xl.meta")).count();
    assert_eq!(uploads(), 3);
    minio.home.store.abort_open(&ours).await.unwrap();
    assert_eq!(uploads(), 1, "another key's upload is not ours to end");
    minio.home.store.abort_open(&ours).await.unwrap();
    minio.home.store.abort_open(&other).await.unwrap();
    minio.home.assert_empty();
}

/// The store's answer with the id is lost. It is asked again, and the first upload does not stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_leaves_no_upload_behind() {
    let minio = minio().await;
    for back in [true, false] {
        let (gate, home) = gated(&minio).await;
        gate.turn(Is::Deaf);
        let (key, notes) = (input(), Notes::new());
        let mut writer = home.writer(&key, &notes);
        for chunk in chunks(&content(PART), MIB) {
            writer.write(chunk).await.unwrap();
        }
        // One byte more than a part: an upload is begun.
        let ending = async {
            writer.write(content(1)).await?;
            writer.finish().await
        };
        let meanwhile = async {
            gate.lost.notified().await;
            assert_ne!((home.files)(), Vec::<String>::new(), "the store made an upload");
            gate.turn(if back { Is::Open } else { Is::Shut });
        };
        let (ended, ()) = tokio::join!(ending, meanwhile);
        if back {
            assert_eq!(ended.unwrap().size, PART as u64 + 1);
            assert_eq!(notes.begun.lock().unwrap().len(), 1);
            home.store.delete(&key).await.unwrap();
        } else {
            assert!(matches!(ended, Err(BlobError::Unavailable(_))), "{ended:?}");
            gate.turn(Is::Open);
            home.store.abort_open(&key).await.unwrap();
        }
        home.store.settled().await;
        home.assert_empty();
    }
}

/// A writer takes no more than it may hold when the store takes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_stands_still_holds_up_the_sender() {
    let minio = minio().await;
    let (gate, home) = gated(&minio).await;
    let (gate, key, notes) = (Arc::new(gate), input(), Notes::new());
    let shut = Arc::clone(&gate);
    *notes.at_begin.lock().unwrap() = Some(Box::new(move || shut.turn(Is::Silent)));
    let mut writer = home.writer(&key, &notes);
    let chunk = content(MIB);
    // There is no event for "nothing more happens": a second without any stands for it.
    while let Ok(written) =
        tokio::time::timeout(Duration::from_secs(1), writer.write(chunk.clone())).await
    {
        written.unwrap();
    }
    let (taken, part) = (writer.offset(), PART as u64);
    let most = home.store.writer_memory(MAX);
    assert!((2 * part..=most).contains(&taken), "{taken} taken, at most {most}");
    assert!(most <= 2 * part + 4 * MIB as u64, "{most}");
    gate.turn(Is::Open);
    drop(writer);
    home.store.settled().await;
    home.assert_empty();
}

/// A store that dies while a blob goes in is said to be unavailable within a bound; once it is
/// back the same store value works again, and the row is enough to clear what the dead one kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_dies_comes_back() {
    let minio = minio().await;
    let (gate, home) = gated(&minio).await;
    home.store.claim(InstallId::new()).await.unwrap();
    home.store.ready().await.unwrap();

    let (whole_key, cut_key, notes) = (input(), input(), Notes::new());
    let bytes = content(6 * PART);
    home.write(&whole_key, &bytes).await;
    let mut reading = home.store.get(&whole_key, None).await.unwrap();
    let first = futures::StreamExt::next(&mut reading.stream).await.unwrap().unwrap();
    assert!(bytes.starts_with(&first));

    let mut writer = home.writer(&cut_key, &notes);
    for chunk in chunks(&bytes.slice(..3 * PART), MIB) {
        writer.write(chunk).await.unwrap();
    }
    gate.turn(Is::Shut);
    let from = Instant::now();
    let failed = async {
        for chunk in chunks(&bytes.slice(3 * PART..), MIB) {
            writer.write(chunk).await?;
        }
        writer.finish().await
    };
    let failed = failed.await.unwrap_err();
    assert!(matches!(failed, BlobError::Unavailable(_)), "{failed:?}");
    assert!(from.elapsed() < Duration::from_secs(60), "{:?}", from.elapsed());
    let ready = home.store.ready().await;
    assert!(matches!(ready, Err(BlobError::Unavailable(_))), "{ready:?}");
    gate.turn(Is::Silent);
    let from = Instant::now();
    let ready = home.store.ready().await;
    assert!(matches!(ready, Err(BlobError::Unavailable(_))), "{ready:?}");
    assert!(from.elapsed() < Duration::from_secs(5), "{:?}", from.elapsed());
    home.store.settled().await;

    gate.turn(Is::Open);
    home.store.ready().await.unwrap();
    let begun: Vec<Multipart> = notes.begun.lock().unwrap().clone();
    home.store.abort(&cut_key, &begun[0]).await.unwrap();
    // The reader lost its connection in the middle and goes on where it was.
    let rest = whole(reading).await.unwrap();
    assert!([first, rest].concat() == bytes);
    home.assert_absent(&cut_key).await;
    home.store.delete(&whole_key).await.unwrap();
    home.store.delete(&BlobKey::Marker).await.unwrap();
    home.assert_empty();
}
