//! The connection to a daemon: made when it is first needed, every call bounded in time.
//!
//! It never decides what a failure means for a container; it tells a daemon's answer from no answer.

use std::{future::Future, sync::Arc, time::Duration};

use bollard::{API_DEFAULT_VERSION, Docker, errors::Error, models::SystemInfo};
use fileyard_oci::causes::in_words;
use tokio::{sync::Mutex, time::timeout};

use super::{mounts::Ourselves, state};
use crate::engine::{ContainerId, ContainerState, EngineError};

/// How long a daemon may take for what it has at hand.
pub(super) const QUICK: Duration = Duration::from_secs(15);
/// How long it may take to create, start or remove a container when it is busy.
pub(super) const SLOW: Duration = Duration::from_secs(60);
const DEFAULT_SOCKET: &str = "unix:///var/run/docker.sock";

/// Finds the daemon, again and again if need be.
pub(super) struct Client {
    host: String,
    connected: Mutex<Option<Connected>>,
}

/// A daemon that answered.
#[derive(Clone)]
pub(super) struct Connected {
    /// With the version of the API that both speak.
    pub(super) docker: Docker,
    /// What it said of itself.
    pub(super) info: Arc<SystemInfo>,
    /// Whether we are in one of its containers.
    pub(super) ourselves: Arc<Ourselves>,
}

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The daemon's answer: HTTP status and its own words.
    Answer(u16, String),
    /// None that could be understood.
    Away(String),
}

impl Client {
    /// `host` is as in `docker_host`: empty for `DOCKER_HOST`, and without that the default socket.
    pub(super) fn new(host: &str) -> Result<Self, EngineError> {
        let host = match host {
            "" => std::env::var("DOCKER_HOST").unwrap_or_default(),
            host => host.to_owned(),
        };
        let host = if host.is_empty() { DEFAULT_SOCKET.to_owned() } else { host };
        let known = ["unix://", "tcp://", "http://"].iter().any(|scheme| host.starts_with(scheme));
        if !known {
            return Err(EngineError::Rejected(format!(
                "the Docker host {host} is not one fileyard can talk to: \
                 it takes unix://PATH and tcp://ADDRESS:PORT"
            )));
        }
        Ok(Self { host, connected: Mutex::new(None) })
    }

    /// The daemon; asks it for its version and itself if nobody has yet.
    pub(super) async fn connected(&self) -> Result<Connected, Failure> {
        let mut connected = self.connected.lock().await;
        if let Some(connected) = &*connected {
            return Ok(connected.clone());
        }
        let docker = self.connect().map_err(|error| self.away(error.into()))?;
        let docker = call(QUICK, docker.negotiate_version()).await.map_err(|f| self.away(f))?;
        let info = call(QUICK, docker.info()).await.map_err(|f| self.away(f))?;
        let ourselves = Ourselves::find(&docker).await.map_err(|f| self.away(f))?;
        let found = Connected { docker, info: info.into(), ourselves: ourselves.into() };
        *connected = Some(found.clone());
        Ok(found)
    }

    /// Its API, for one call.
    pub(super) async fn docker(&self) -> Result<Docker, Failure> {
        Ok(self.connected().await?.docker)
    }

    /// Asks it anew who it is before the next call: it may be back as another version.
    pub(super) async fn forget(&self) {
        *self.connected.lock().await = None;
    }

    /// How a container is now, by one question.
    pub(super) async fn ask(&self, id: &ContainerId) -> Result<Option<ContainerState>, Failure> {
        let docker = self.docker().await?;
        match call(QUICK, docker.inspect_container(&id.to_string(), None)).await {
            Ok(found) => Ok(found.state.as_ref().and_then(state::state)),
            Err(Failure::Answer(404, _)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    fn connect(&self) -> Result<Docker, Error> {
        let seconds = SLOW.as_secs();
        let docker = match self.host.strip_prefix("unix://") {
            Some(path) => Docker::connect_with_unix(path, seconds, API_DEFAULT_VERSION)?,
            None => Docker::connect_with_http(&self.host, seconds, API_DEFAULT_VERSION)?,
        };
        // The library encodes credentials in the other of the two base64 alphabets. A daemon takes
        // what it cannot decode for no credentials at all, and says nothing.
        Ok(docker.with_request_modifier(|mut request| {
            if let Some(auth) = request.headers_mut().get_mut("X-Registry-Auth")
                && let Ok(text) = auth.to_str()
                && let Ok(fixed) = text.replace('+', "-").replace('/', "_").parse()
            {
                *auth = fixed;
            }
            request
        }))
    }

    fn away(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Away(why) => Failure::Away(format!("Docker at {}: {why}", self.host)),
            answer @ Failure::Answer(..) => answer,
        }
    }
}

/// A call, bounded.
pub(super) async fn call<T>(
    limit: Duration,
    request: impl Future<Output = Result<T, Error>>,
) -> Result<T, Failure> {
    match timeout(limit, request).await {
        Ok(result) => result.map_err(Failure::from),
        Err(_) => Err(Failure::Away(format!("no answer within {} s", limit.as_secs()))),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::DockerResponseServerError { status_code, message } => {
                Self::Answer(status_code, message.trim().to_owned())
            }
            Error::DockerStreamError { error } => Self::Answer(500, error),
            Error::RequestTimeoutError => Self::Away("no answer in time".into()),
            Error::SocketNotFoundError(path) => {
                Self::Away(format!("there is no socket {path}; is Docker installed and running?"))
            }
            error => Self::Away(in_words(&error)),
        }
    }
}

impl From<Failure> for EngineError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Answer(_, words) | Failure::Away(words)
                if words.contains("no space left on device") =>
            {
                Self::NoSpace(words)
            }
            Failure::Answer(400, words) if words.contains("client version") => {
                Self::Unavailable(words)
            }
            Failure::Answer(400 | 401 | 403 | 404, words) => Self::Rejected(words),
            Failure::Answer(status, words) => Self::Trouble(format!("{words} ({status})")),
            Failure::Away(words) => Self::Unavailable(words),
        }
    }
}
