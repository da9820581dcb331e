//! What a store's refusals are called: a server that always answers the same, and what `claim`
//! makes of it.
#![allow(clippy::unwrap_used)]

mod suite;

use std::path::Path;

use fileyard_storage::{
    blob::{BlobConfig, BlobError, BlobStore},
    id::InstallId,
};
use suite::gate::always;

fn config(endpoint: String) -> BlobConfig {
    BlobConfig {
        url: "s3://files/yard".into(),
        endpoint,
        access_key_id: "AKIA".into(),
        secret_access_key: "hunter2".into(),
        ..BlobConfig::default()
    }
}

async fn claim(config: &BlobConfig) -> BlobError {
    let store = BlobStore::open(config, Path::new("/nonexistent")).unwrap();
    let refused = store.claim(InstallId::new()).await.unwrap_err();
    assert!(!format!("{refused} {refused:?} {store:?} {config:?}").contains("hunter2"));
    refused
}

/// The error, with the address that changes from run to run taken out.
async fn said(status: &'static str, code: &'static str) -> BlobError {
    let (address, server) = always(status, code).await;
    let refused = claim(&config(format!("http://{address}"))).await;
    server.abort();
    let plain = |text: String| text.replace(&address.to_string(), "STORE");
    match refused {
        BlobError::Misconfigured(text) => BlobError::Misconfigured(plain(text)),
        BlobError::Unavailable(text) => BlobError::Unavailable(plain(text)),
        BlobError::NoSpace(text) => BlobError::NoSpace(plain(text)),
        other => other,
    }
}

#[tokio::test]
async fn what_somebody_must_change_is_named() {
    for (status, code, words) in [
        (
            "403 Forbidden",
            "RequestTimeTooSkewed",
            "this machine's clock and the one of http://STORE are too far apart; set this \
             machine's time",
        ),
        (
            "403 Forbidden",
            "AccessDenied",
            "http://STORE does not let the access key id \"AKIA\" read objects of the bucket \
             \"files\"; it needs GetObject, PutObject, DeleteObject, ListBucket, \
             ListBucketMultipartUploads and AbortMultipartUpload",
        ),
        (
            "400 Bad Request",
            "AuthorizationHeaderMalformed",
            "http://STORE does not serve the bucket \"files\" under the region \"us-east-1\"; \
             correct store.region or store.endpoint",
        ),
        (
            "301 Moved Permanently",
            "PermanentRedirect",
            "\"files\" is not in the region \"us-east-1\"; correct store.region",
        ),
        (
            "404 Not Found",
            "",
            "s3://files/yard at http://STORE answers \"not found\" to a write: is that an \
             S3-compatible store?",
        ),
    ] {
        assert_eq!(said(status, code).await, BlobError::Misconfigured(words.into()), "{code}");
    }
}

#[tokio::test]
async fn what_may_pass_by_itself_is_only_unavailable() {
    let slow = said("503 Slow Down", "SlowDown").await;
    let words = "could not read s3://files/yard at http://STORE: SlowDown: in its words";
    assert_eq!(slow, BlobError::Unavailable(words.into()));
    let full = said("507 Insufficient Storage", "XMinioStorageFull").await;
    assert_eq!(full, BlobError::NoSpace("s3://files/yard at http://STORE is full".into()));
}

#[tokio::test]
async fn a_place_where_nobody_is_cannot_be_reached() {
    // Bound and let go: nobody is there now.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for endpoint in [format!("http://127.0.0.1:{port}"), "http://no-such-host.invalid:9".into()] {
        let refused = claim(&config(endpoint.clone())).await;
        let BlobError::Unavailable(text) = &refused else { panic!("{refused:?}") };
        assert!(text.starts_with(&format!("{endpoint} cannot be reached: ")), "{text}");
    }
    let (address, server) = always("200 OK", "").await;
    let refused = claim(&config(format!("https://{address}"))).await;
    server.abort();
    let BlobError::Unavailable(text) = &refused else { panic!("{refused:?}") };
    assert!(text.contains("cannot be reached"), "TLS spoken to who speaks none: {text}");
}

#[test]
fn what_is_missing_in_the_config_is_named() {
    let right = config("http://127.0.0.1:9000".into());
    let no_id = BlobConfig { access_key_id: String::new(), ..right.clone() };
    let no_secret = BlobConfig { secret_access_key: String::new(), ..right.clone() };
    let no_scheme = BlobConfig { endpoint: "127.0.0.1:9000".into(), ..right.clone() };
    let ftp = BlobConfig { endpoint: "ftp://127.0.0.1".into(), ..right.clone() };
    let small = BlobConfig { part_size: 1 << 20, ..right };
    for (config, key) in [
        (no_id, "store.access_key_id"),
        (no_secret, "store.secret_access_key"),
        (no_scheme, "store.endpoint"),
        (ftp, "store.endpoint"),
        (small, "store.part_size"),
    ] {
        let refused = BlobStore::open(&config, Path::new("/nonexistent")).unwrap_err();
        let BlobError::Misconfigured(text) = &refused else { panic!("{refused:?}") };
        assert!(text.contains(key) && !text.contains("hunter2"), "{text}");
    }
}
