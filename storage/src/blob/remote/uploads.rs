//! The uploads that a service has open on one key.
//!
//! `object_store` has no such list. It is needed where the service made an upload and its id never
//! came to a row: the process died in between, or the answer was lost and asking again made a
//! second one. Asked for is always one exact key: MinIO lists no other way.

use std::{sync::Arc, time::Duration};

use object_store::{
    aws::AmazonS3,
    client::{HttpClient, HttpConnector, HttpRequestBody, ReqwestConnector},
    path::Path,
    signer::{SignedUrlOptions, Signer},
};

use super::s3;
use crate::blob::{BlobConfig, BlobError};

/// How long a signature holds.
const SIGNED_FOR: Duration = Duration::from_secs(60);

/// Asks a service for its open uploads.
#[derive(Debug)]
pub(super) struct Uploads {
    signer: Arc<AmazonS3>,
    client: HttpClient,
}

impl Uploads {
    pub(super) fn new(config: &BlobConfig, signer: Arc<AmazonS3>) -> Result<Self, BlobError> {
        let client = ReqwestConnector::default()
            .connect(&s3::options(config))
            .map_err(|error| BlobError::Misconfigured(format!("[store]: {error}")))?;
        Ok(Self { signer, client })
    }

    /// The ids of those on exactly `path`, at most 1,000 of them.
    pub(super) async fn open(&self, path: &Path) -> object_store::Result<Vec<String>> {
        let options =
            SignedUrlOptions::new().with_query([("uploads", ""), ("prefix", path.as_ref())]);
        let bucket = Path::default();
        let url =
            self.signer.signed_url_opts(http::Method::GET, &bucket, SIGNED_FOR, &options).await?;
        let request = http::Request::get(url.as_str())
            .body(HttpRequestBody::empty())
            .map_err(|error| wrong(error.into()))?;
        let answer = self.client.execute(request).await.map_err(|error| wrong(error.into()))?;
        let status = answer.status();
        let body = answer.into_body().bytes().await.map_err(|error| wrong(error.into()))?;
        let body = String::from_utf8_lossy(&body);
        if status.is_success() {
            Ok(of(&body, path.as_ref()))
        } else if body.contains("<Code>NotImplemented</Code>") {
            tracing::warn!(
                "this store does not list uploads: one whose id was lost in a crash stays there \
                 until the store's own rules end it"
            );
            Ok(Vec::new())
        } else {
            Err(wrong(format!("{status}: {body}").into()))
        }
    }
}

fn wrong(source: Box<dyn std::error::Error + Send + Sync>) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source }
}

/// The upload ids of `key` in a `ListMultipartUploadsResult`. Our keys and every service's ids are
/// plain ASCII, so that nothing in them is escaped.
fn of(list: &str, key: &str) -> Vec<String> {
    let inside = |text: &str, tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>")).map(|(inside, _)| inside.to_owned())
    };
    list.split("<Upload>")
        .skip(1)
        .filter(|upload| inside(upload, "Key").as_deref() == Some(key))
        .filter_map(|upload| inside(upload, "UploadId"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_list_is_read_for_one_exact_key() {
        let list = "<?xml version=\"1.0\"?><ListMultipartUploadsResult><Bucket>b</Bucket>\
            <Prefix>p/out/1</Prefix><IsTruncated>false</IsTruncated>\
            <Upload><Key>p/out/1</Key><UploadId>one</UploadId></Upload>\
            <Upload><UploadId>two</UploadId><Key>p/out/1</Key><Owner></Owner></Upload>\
            <Upload><Key>p/out/10</Key><UploadId>another</UploadId></Upload>\
            </ListMultipartUploadsResult>";
        assert_eq!(of(list, "p/out/1"), ["one", "two"]);
        assert_eq!(of(list, "p/out"), Vec::<String>::new());
    }
}
