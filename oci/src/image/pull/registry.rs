//! A registry, asked for one image.

use std::{fs, net::IpAddr, time::Duration};

use oci_client::{
    Client, Reference, RegistryOperation,
    client::{ClientConfig, ClientProtocol},
    errors::OciDistributionError,
    manifest::{
        IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
        OCI_IMAGE_MEDIA_TYPE,
    },
    secrets::RegistryAuth,
};
use oci_spec::image::Descriptor;
use tokio::time::timeout;

use super::{PullOptions, described, download::Download, patience::Patience, refusal::Refusals};
use crate::{
    credentials::{self, Credentials, Found},
    image::{ImageError, digest::Digest, error::Context, limits::MOST_JSON, work::Work},
};

const MANIFESTS: [&str; 4] = [
    OCI_IMAGE_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
];

/// What is asked, and how.
pub(super) struct Registry<'a> {
    pub(super) client: Client,
    pub(super) reference: Reference,
    pub(super) options: &'a PullOptions,
    pub(super) refusals: Refusals,
    pub(super) progress: &'a (dyn Fn(String) + Send + Sync),
    auth: RegistryAuth,
}

impl<'a> Registry<'a> {
    pub(super) fn new(
        reference: Reference,
        options: &'a PullOptions,
        progress: &'a (dyn Fn(String) + Send + Sync),
    ) -> Result<Self, ImageError> {
        let host = host(&reference);
        let found = credentials::find(options.credentials.as_deref(), host);
        let found = found.map_err(|error| ImageError::Image(error.to_string()))?;
        let auth = authentication(&found)?;
        let config = ClientConfig {
            protocol: protocol(&reference),
            platform_resolver: None,
            read_timeout: Some(options.silence),
            connect_timeout: Some(options.silence.min(Duration::from_secs(10))),
            user_agent: concat!("fileyard/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config)
            .map_err(|error| ImageError::Passing(format!("no HTTP client: {error}")))?;
        let refusals = Refusals::new(host.to_owned(), found, options.silence);
        Ok(Self { client, reference, options, refusals, progress, auth })
    }

    /// Who is asked.
    pub(super) fn host(&self) -> &str {
        host(&self.reference)
    }

    /// What the image's name leads to.
    pub(super) async fn manifest(&self) -> Result<Vec<u8>, ImageError> {
        let pinned = self.reference.digest().map(Digest::parse).transpose()?;
        let text = self.asked_for(&self.reference).await?;
        match pinned {
            Some(pinned) if Digest::of(&text) != pinned => Err(not_so(&pinned)),
            _ => Ok(text),
        }
    }

    /// A manifest that a list speaks of.
    pub(super) async fn described(&self, descriptor: &Descriptor) -> Result<Vec<u8>, ImageError> {
        let (digest, _) = described(descriptor)?;
        let reference = self.reference.clone_with_digest(digest.to_string());
        let text = self.asked_for(&reference).await?;
        if Digest::of(&text) == digest { Ok(text) } else { Err(not_so(&digest)) }
    }

    /// A small blob.
    pub(super) async fn small(
        &self,
        work: &Work,
        descriptor: &Descriptor,
    ) -> Result<Vec<u8>, ImageError> {
        let (digest, size) = described(descriptor)?;
        if size > MOST_JSON {
            let words =
                format!("its config is said to have {size} bytes; {MOST_JSON} are the most");
            return Err(ImageError::Image(words));
        }
        let path = work.fresh("config");
        Download::new(self, digest, size, path.clone()).run(&|_| {}).await?;
        fs::read(&path).context(|| "its config")
    }

    async fn asked_for(&self, reference: &Reference) -> Result<Vec<u8>, ImageError> {
        let mut patience = Patience::of(self.options);
        loop {
            match self.ask(reference).await {
                Ok(text) => return Ok(text),
                Err(error) => patience.bear(error, self.progress).await?,
            }
        }
    }

    async fn ask(&self, reference: &Reference) -> Result<Vec<u8>, ImageError> {
        let asked = async {
            // The library forgets why there is no token, if it is not asked for one by itself.
            self.client.auth(reference, &self.auth, RegistryOperation::Pull).await?;
            let (text, _) =
                self.client.pull_manifest_raw(reference, &self.auth, &MANIFESTS).await?;
            Ok::<_, OciDistributionError>(text)
        };
        match timeout(self.options.silence * 2, asked).await {
            Ok(Ok(text)) if text.len() as u64 > MOST_JSON => {
                Err(ImageError::Image(format!("its manifest has more than {MOST_JSON} bytes")))
            }
            Ok(Ok(text)) => Ok(text.to_vec()),
            Ok(Err(error)) => Err(self.refusals.explain(&error)),
            Err(_) => Err(self.refusals.silent()),
        }
    }
}

/// As people call it: the library asks Docker Hub by another name.
fn host(reference: &Reference) -> &str {
    match reference.namespace() {
        Some(_) => reference.resolve_registry(),
        None => reference.registry(),
    }
}

fn authentication(found: &Found) -> Result<RegistryAuth, ImageError> {
    let Some(credentials) = found.credentials() else { return Ok(RegistryAuth::Anonymous) };
    match credentials.clone() {
        Credentials { registry_token: Some(token), .. } => Ok(RegistryAuth::Bearer(token)),
        Credentials { identity_token: Some(_), registry, .. } => Err(ImageError::Image(format!(
            "Docker's config has an identity token for {registry}, which fileyard can not use: log in \
             with `docker login --username NAME` and a password or an access token"
        ))),
        Credentials { username: Some(name), password, .. } => {
            Ok(RegistryAuth::Basic(name, password.unwrap_or_default()))
        }
        _ => Ok(RegistryAuth::Anonymous),
    }
}

/// Whoever is on this machine needs no encryption to be reached, and mostly has none.
fn protocol(reference: &Reference) -> ClientProtocol {
    let registry = reference.resolve_registry();
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let here = host == "localhost" || host.parse().is_ok_and(|it: IpAddr| it.is_loopback());
    if here {
        ClientProtocol::HttpsExcept(vec![registry.to_owned()])
    } else {
        ClientProtocol::Https
    }
}

/// What is not what its digest says.
pub(super) fn not_so(digest: &Digest) -> ImageError {
    ImageError::Image(format!(
        "what the registry has for {digest} is something else: it was damaged on its way, or there"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_alone_is_spoken_to_in_the_clear() {
        for (name, clear) in [
            ("127.0.0.1:5000/a", true),
            ("127.9.9.9:5000/a", true),
            ("localhost:5000/a", true),
            ("localhost/a", true),
            ("localhost.example:5000/a", false),
            ("10.0.0.1:5000/a", false),
            ("alpine", false),
        ] {
            let reference = name.parse().unwrap();
            let scheme = match protocol(&reference) {
                ClientProtocol::HttpsExcept(hosts) => hosts == [reference.resolve_registry()],
                _ => false,
            };
            assert_eq!(scheme, clear, "{name}");
        }
    }

    #[test]
    fn docker_hub_is_called_as_people_do() {
        let mut reference: Reference = "alpine".parse().unwrap();
        assert_eq!(host(&reference), "docker.io");
        reference.set_mirror_registry("mirror.example".into());
        assert_eq!(host(&reference), "mirror.example");
    }
}
