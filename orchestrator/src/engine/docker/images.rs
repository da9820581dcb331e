//! Images: there already, or fetched from their registry by the daemon.

use std::time::Duration;

use async_trait::async_trait;
use bollard::{
    auth::DockerCredentials, models::CreateImageInfo, query_parameters::CreateImageOptions,
};
use fileyard_oci::credentials::{self, Credentials, Found};
use futures::StreamExt;
use tokio::time::timeout;

use super::{
    DockerEngine,
    client::{Failure, QUICK, call},
};
use crate::engine::{EngineError, Images, Pull};

/// How long a pull may go without a word of progress.
const SILENCE: Duration = Duration::from_secs(120);

#[async_trait]
impl Images for DockerEngine {
    async fn ensure(
        &self,
        image: &str,
        pull: Pull,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), EngineError> {
        if pull != Pull::Always {
            match self.has_image(image).await {
                Ok(true) => return Ok(()),
                Ok(false) if pull == Pull::Never => {
                    return Err(EngineError::NoImage(image.to_owned()));
                }
                Ok(false) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        self.pull(image, progress).await
    }

    /// The id that the daemon gave it.
    async fn resolve(&self, image: &str) -> Result<Option<String>, EngineError> {
        Ok(self.image_id(image).await?)
    }
}

impl DockerEngine {
    async fn has_image(&self, image: &str) -> Result<bool, Failure> {
        self.image_id(image).await.map(|id| id.is_some())
    }

    async fn image_id(&self, image: &str) -> Result<Option<String>, Failure> {
        let docker = self.client.docker().await?;
        match call(QUICK, docker.inspect_image(image)).await {
            Ok(found) => Ok(found.id),
            Err(Failure::Answer(404, _)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn pull(
        &self,
        image: &str,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), EngineError> {
        let found = credentials::find(self.docker_config.as_deref(), registry(image));
        let found = found.map_err(|error| EngineError::Rejected(error.to_string()))?;
        let (name, tag) = parts(image);
        let options = CreateImageOptions {
            from_image: Some(name.to_owned()),
            tag: Some(tag.to_owned()),
            ..Default::default()
        };
        let docker = self.client.docker().await?;
        let credentials = found.credentials().map(for_the_daemon);
        let mut steps = docker.create_image(Some(options), None, credentials).boxed();
        loop {
            match timeout(SILENCE, steps.next()).await {
                Ok(Some(Ok(step))) => progress(words(&step)),
                Ok(Some(Err(error))) => return Err(refused(image, error.into(), &found)),
                Ok(None) => break,
                Err(_) => {
                    let silence = SILENCE.as_secs();
                    return Err(EngineError::Trouble(format!(
                        "pulling {image} has not gone on for {silence} s"
                    )));
                }
            }
        }
        // A stream that was cut looks like one that has ended.
        match self.has_image(image).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(EngineError::Trouble(format!("pulling {image} broke off"))),
            Err(failure) => Err(failure.into()),
        }
    }
}

fn for_the_daemon(credentials: &Credentials) -> DockerCredentials {
    let Credentials { registry, username, password, identity_token, registry_token } =
        credentials.clone();
    DockerCredentials {
        username,
        password,
        serveraddress: Some(registry),
        identitytoken: identity_token,
        registrytoken: registry_token,
        ..DockerCredentials::default()
    }
}

/// A registry that does not answer may do so later; one that refuses will refuse again.
fn refused(image: &str, failure: Failure, found: &Found) -> EngineError {
    const FINAL: [&str; 8] = [
        "unauthorized",
        "denied",
        "no basic auth credentials",
        "not found",
        "manifest unknown",
        "invalid reference format",
        "no matching manifest",
        "authentication required",
    ];
    let is_final = |words: &str| FINAL.iter().any(|phrase| words.contains(phrase));
    match failure {
        Failure::Answer(_, words) if is_final(&words) => {
            let hint = found.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
            EngineError::Rejected(format!("cannot pull {image}: {words}{hint}"))
        }
        failure => match EngineError::from(failure) {
            EngineError::Rejected(words) => {
                EngineError::Rejected(format!("cannot pull {image}: {words}"))
            }
            EngineError::Unavailable(words) => {
                EngineError::Unavailable(format!("cannot pull {image} now: {words}"))
            }
            EngineError::Trouble(words) => {
                EngineError::Trouble(format!("cannot pull {image} now: {words}"))
            }
            error => error,
        },
    }
}

/// One step, as a line for a person.
fn words(step: &CreateImageInfo) -> String {
    let status = step.status.as_deref().unwrap_or_default();
    let layer = step.id.as_deref().map(|id| format!("{id}: ")).unwrap_or_default();
    let amount = step.progress_detail.as_ref().and_then(|it| it.current.zip(it.total));
    let amount = amount.map(|(now, all)| format!(" {now}/{all}")).unwrap_or_default();
    format!("{layer}{status}{amount}")
}

/// A name and its tag or digest; without one it would be every tag there is.
fn parts(image: &str) -> (&str, &str) {
    if let Some(parts) = image.split_once('@') {
        return parts;
    }
    match image.rsplit_once(':') {
        // A colon before the last slash is a port's.
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

/// Whose image it is, by Docker's rule: a first part that looks like a host is one.
fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => credentials::DOCKER_HUB,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_s_name_is_taken_apart_as_docker_does() {
        let digest = "a/b@sha256:00";
        for (image, expected) in [
            ("a", ("a", "latest", "docker.io")),
            ("a/b:1", ("a/b", "1", "docker.io")),
            (digest, ("a/b", "sha256:00", "docker.io")),
            ("localhost/a", ("localhost/a", "latest", "localhost")),
            ("127.0.0.1:5000/a", ("127.0.0.1:5000/a", "latest", "127.0.0.1:5000")),
            ("reg.example/a/b:2.1", ("reg.example/a/b", "2.1", "reg.example")),
        ] {
            let (name, tag) = parts(image);
            assert_eq!((name, tag, registry(image)), expected, "{image}");
        }
    }

    #[test]
    fn a_refusal_is_final_and_a_silence_is_not() {
        let nobody = Found::Nothing;
        let answer = |words: &str| refused("x", Failure::Answer(500, words.into()), &nobody);
        assert!(matches!(answer("unauthorized: go away"), EngineError::Rejected(_)));
        assert!(matches!(answer("manifest unknown"), EngineError::Rejected(_)));
        let timeout = "Get \"https://x/v2/\": dial tcp: i/o timeout";
        assert!(matches!(answer(timeout), EngineError::Trouble(_)));
        assert!(matches!(answer("write: no space left on device"), EngineError::NoSpace(_)));
    }
}
