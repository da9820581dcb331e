//! An S3-compatible service: how it is connected to, and what its errors mean to whoever runs it.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    client::{HttpError, HttpErrorKind},
};

use crate::blob::{BlobConfig, BlobError};

/// Who asks is somebody with a browser open: after this long they are told.
const RETRY_FOR: Duration = Duration::from_secs(15);

const CONNECT: Duration = Duration::from_secs(5);

/// A client that retries.
pub(super) fn patient(config: &BlobConfig, bucket: &str) -> Result<Arc<AmazonS3>, BlobError> {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(200),
        max_backoff: Duration::from_secs(3),
        base: 2.,
    };
    let retry = RetryConfig { backoff, max_retries: 10, retry_timeout: RETRY_FOR };
    Ok(Arc::new(client(config, bucket, retry)?))
}

/// A client that asks once.
pub(super) fn quick(config: &BlobConfig, bucket: &str) -> Result<Arc<AmazonS3>, BlobError> {
    let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    Ok(Arc::new(client(config, bucket, retry)?))
}

fn client(config: &BlobConfig, bucket: &str, retry: RetryConfig) -> Result<AmazonS3, BlobError> {
    for (value, key, variable) in [
        (&config.access_key_id, "access_key_id", "AWS_ACCESS_KEY_ID"),
        (&config.secret_access_key, "secret_access_key", "AWS_SECRET_ACCESS_KEY"),
    ] {
        if value.is_empty() {
            return Err(BlobError::Misconfigured(format!(
                "store.{key} is missing; set it, or {variable}"
            )));
        }
    }
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&config.region)
        .with_access_key_id(&config.access_key_id)
        .with_secret_access_key(&config.secret_access_key)
        .with_virtual_hosted_style_request(!config.path_style)
        .with_client_options(options(config))
        .with_unsigned_payload(!crosses_a_wire_in_the_clear(config))
        .with_retry(retry)
        // One DELETE an object: the other kind is not everywhere.
        .with_disable_bulk_delete(true);
    if !config.endpoint.is_empty() {
        builder = builder.with_endpoint(endpoint(config, bucket)?);
    }
    builder.build().map_err(|error| BlobError::Misconfigured(format!("[store]: {error}")))
}

/// No time limit of the client's own: it would count a whole download. Each call is bounded where
/// it is made.
pub(super) fn options(config: &BlobConfig) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(config.endpoint.starts_with("http://"))
        .with_connect_timeout(CONNECT)
        .with_timeout_disabled()
}

/// Whether a part's bytes could be changed between here and the service by something that neither
/// end would notice. Only there does a request's signature cover its body: that hashes every part
/// once more here and once more there, which costs each as much as our own digest of the whole.
/// Elsewhere TLS proves what arrives, or no wire lies between. In any case the row has the digest of
/// what a client sent, and an input is compared with it before a program gets to see it.
fn crosses_a_wire_in_the_clear(config: &BlobConfig) -> bool {
    let Ok(url) = url::Url::parse(&config.endpoint) else { return false };
    let loopback = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() != "https" && !loopback
}

/// As the client wants it: with the bucket in the host, where that is the style.
fn endpoint(config: &BlobConfig, bucket: &str) -> Result<String, BlobError> {
    let wrong = |what: &str| {
        BlobError::Misconfigured(format!(
            "store.endpoint is {:?}: {what}. It is like \"http://127.0.0.1:9000\"",
            config.endpoint
        ))
    };
    let mut url = url::Url::parse(&config.endpoint).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it has to begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(wrong("a user or a query has no place in it"));
    }
    if !config.path_style {
        let host = url.host_str().ok_or_else(|| wrong("it has no host"))?;
        let host = format!("{bucket}.{host}");
        url.set_host(Some(&host)).map_err(|error| wrong(&error.to_string()))?;
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// A place as people know it, for saying what is wrong with it. It knows no secret.
pub(super) struct Place {
    name: String,
    bucket: String,
    endpoint: String,
    region: String,
    access_key_id: String,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Place {
    pub(super) fn memory() -> Self {
        let none = String::new;
        Self {
            name: "memory://".into(),
            bucket: none(),
            endpoint: "memory".into(),
            region: none(),
            access_key_id: none(),
        }
    }

    pub(super) fn s3(config: &BlobConfig, bucket: &str, prefix: &str) -> Self {
        let endpoint = if config.endpoint.is_empty() {
            format!("Amazon S3 ({})", config.region)
        } else {
            config.endpoint.clone()
        };
        let slash = if prefix.is_empty() { "" } else { "/" };
        Self {
            name: format!("s3://{bucket}{slash}{prefix} at {endpoint}"),
            bucket: bucket.to_owned(),
            endpoint,
            region: config.region.clone(),
            access_key_id: config.access_key_id.clone(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// No answer in time.
    pub(super) fn silent(&self, doing: &str, limit: Duration) -> BlobError {
        let (name, limit) = (&self.name, limit.as_secs());
        BlobError::Unavailable(format!("could not {doing} {name}: no answer in {limit} s"))
    }

    /// What `error` means; `doing` reads like "write".
    pub(super) fn explain(&self, doing: &str, error: &object_store::Error) -> BlobError {
        use BlobError::{Misconfigured, NoSpace, NotFound, Unavailable};
        let text = error.to_string();
        let said = |tag: &str| {
            let (_, rest) = text.split_once(&format!("<{tag}>"))?;
            rest.split_once(&format!("</{tag}>")).map(|(inside, _)| inside)
        };
        let (at, bucket, key) = (&self.endpoint, &self.bucket, &self.access_key_id);
        match said("Code") {
            Some("NoSuchBucket") => {
                return Misconfigured(format!(
                    "there is no bucket {bucket:?} at {at}; create it, or correct store.url"
                ));
            }
            Some("InvalidAccessKeyId") => {
                return Misconfigured(format!(
                    "{at} does not know the access key id {key:?}; correct store.access_key_id"
                ));
            }
            Some("SignatureDoesNotMatch") => {
                return Misconfigured(format!(
                    "{at} refuses the signature: store.secret_access_key is not the one of the \
                     access key id {key:?}"
                ));
            }
            Some("RequestTimeTooSkewed") => {
                return Misconfigured(format!(
                    "this machine's clock and the one of {at} are too far apart; set this \
                     machine's time"
                ));
            }
            Some("AccessDenied" | "AllAccessDisabled" | "AccountProblem") => {
                return Misconfigured(format!(
                    "{at} does not let the access key id {key:?} {doing} objects of the bucket \
                     {bucket:?}; it needs GetObject, PutObject, DeleteObject, ListBucket, \
                     ListBucketMultipartUploads and AbortMultipartUpload"
                ));
            }
            Some("AuthorizationHeaderMalformed" | "PermanentRedirect" | "InvalidRegion") => {
                let region = said("Region").map_or_else(String::new, |r| format!(", not {r:?}"));
                return Misconfigured(format!(
                    "{at} does not serve the bucket {bucket:?} under the region {:?}{region}; \
                     correct store.region or store.endpoint",
                    self.region
                ));
            }
            Some("XMinioStorageFull" | "QuotaExceeded" | "XMinioAdminBucketQuotaExceeded") => {
                return NoSpace(format!("{} is full", self.name));
            }
            _ => {}
        }
        match error {
            object_store::Error::NotFound { path, .. } => return NotFound(path.clone()),
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. } => {
                return Misconfigured(format!(
                    "{at} does not let the access key id {key:?} {doing} objects of the bucket \
                     {bucket:?}"
                ));
            }
            _ => {}
        }
        // The memory's way of saying NoSuchUpload.
        if text.contains("MultipartUpload not found") {
            return NotFound(format!("an upload in {}", self.name));
        }
        if text.contains("redirect without LOCATION") {
            let region = &self.region;
            return Misconfigured(format!(
                "{bucket:?} is not in the region {region:?}; correct store.region"
            ));
        }
        let cause = innermost(error);
        match transport(error) {
            Some(HttpErrorKind::Connect) => Unavailable(format!("{at} cannot be reached: {cause}")),
            Some(HttpErrorKind::Timeout) => Unavailable(format!("{at} does not answer: {cause}")),
            _ => {
                let cause = said("Message").unwrap_or(&cause);
                let code = said("Code").map_or_else(String::new, |code| format!("{code}: "));
                Unavailable(format!("could not {doing} {}: {code}{cause}", self.name))
            }
        }
    }
}

fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'e (dyn Error + 'static) = *error;
        error.source()
    })
}

fn transport(error: &object_store::Error) -> Option<HttpErrorKind> {
    chain(error).find_map(|error| error.downcast_ref::<HttpError>()).map(HttpError::kind)
}

/// The words at the bottom, without the request's own story around them.
fn innermost(error: &object_store::Error) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_signed_where_only_that_proves_what_arrives() {
        for (endpoint, signed) in [
            ("", false),
            ("https://minio.example", false),
            ("http://127.0.0.1:9000", false),
            ("http://[::1]:9000", false),
            ("http://localhost:9000", false),
            ("http://minio:9000", true),
            ("http://10.0.0.2:9000", true),
            ("http://localhost.example", true),
        ] {
            let config = BlobConfig { endpoint: endpoint.into(), ..BlobConfig::default() };
            assert_eq!(crosses_a_wire_in_the_clear(&config), signed, "{endpoint:?}");
        }
    }
}
