//! The server as the client commands see it, over HTTP.
//!
//! Every address is made here from the server's own, so that a key never goes anywhere else.

mod job;

use std::{error::Error, net::IpAddr, time::Duration};

use futures::TryStream;
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode, header, redirect};
use serde::de::DeserializeOwned;
use url::{Host, Url};

pub(crate) use self::job::{File, Job, Page};
use crate::{
    command::To,
    failure::{Failure, Problem},
};

/// How long a connection may take, and how long an answer that is no file.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(60);

/// One server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    server: Url,
    key: Option<String>,
}

/// A JSON answer: as it came, and as it is understood.
#[derive(Debug, Clone)]
pub(crate) struct Answer<T> {
    pub(crate) text: String,
    pub(crate) value: T,
}

impl Client {
    /// Nothing is sent yet.
    pub(crate) fn new(to: &To) -> Result<Self, Failure> {
        let wrong = || {
            let example = "write one such as http://127.0.0.1:8787";
            Failure::Usage(format!(
                "--server: {:?} is not a server's address; {example}",
                to.server
            ))
        };
        let server = Url::parse(&to.server).map_err(|_| wrong())?;
        if !matches!(server.scheme(), "http" | "https") || !server.has_host() {
            return Err(wrong());
        }
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("fileyard/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .redirect(redirect::Policy::none());
        if is_loopback(&server) {
            // A proxy would look for the server on its own machine.
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| Failure::Usage(cause(&error)))?;
        Ok(Self { http, server, key: to.key.clone().filter(|key| !key.is_empty()) })
    }

    /// One job.
    pub(crate) async fn job(&self, id: &str) -> Result<Answer<Job>, Failure> {
        self.json(self.request(Method::GET, &["status", id], &[])?).await
    }

    /// One job at its next change after what `tag` names, or after `seconds`: what it is then, if
    /// that is something else, and the tag of it.
    pub(crate) async fn next_change(
        &self,
        id: &str,
        seconds: u64,
        tag: Option<&str>,
    ) -> Result<Option<(Answer<Job>, Option<String>)>, Failure> {
        let wait = seconds.to_string();
        let mut request = self.request(Method::GET, &["status", id], &[("wait", &wait)])?;
        if let Some(tag) = tag {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        let request = request.timeout(ANSWER + Duration::from_secs(seconds));
        let response = self.sent(request).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
        let tag = tag.map(str::to_owned);
        Ok(Some((self.understood(response).await?, tag)))
    }

    /// A page of jobs.
    pub(crate) async fn jobs(&self, query: &[(&str, &str)]) -> Result<Answer<Page>, Failure> {
        self.json(self.request(Method::GET, &["jobs"], query)?).await
    }

    /// Ends a job.
    pub(crate) async fn cancel(&self, id: &str) -> Result<Answer<Job>, Failure> {
        self.json(self.request(Method::POST, &["jobs", id, "cancel"], &[])?).await
    }

    /// Does an ended job again: the new one.
    pub(crate) async fn retry(&self, id: &str) -> Result<Answer<Job>, Failure> {
        self.json(self.request(Method::POST, &["jobs", id, "retry"], &[])?).await
    }

    /// Sends one file as it is; `length` where it is known beforehand, and `key` where the same may
    /// have to be sent again.
    pub(crate) async fn upload<S>(
        &self,
        processor: Option<&str>,
        name: &str,
        query: &[(&str, &str)],
        length: Option<u64>,
        key: Option<&str>,
        body: S,
    ) -> Result<Answer<Job>, Failure>
    where
        S: TryStream + Send + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        bytes::Bytes: From<S::Ok>,
    {
        let path: Vec<&str> =
            ["upload"].into_iter().chain(processor).chain(std::iter::once(name)).collect();
        let mut request = self.request(Method::PUT, &path, query)?.body(Body::wrap_stream(body));
        if let Some(length) = length {
            request = request.header(header::CONTENT_LENGTH, length);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        self.understood(self.sent(request).await?).await
    }

    /// What a job's program wrote, of one attempt, as a stream.
    pub(crate) async fn log(&self, id: &str, query: &[(&str, &str)]) -> Result<Response, Failure> {
        self.sent(self.request(Method::GET, &["jobs", id, "logs"], query)?).await
    }

    /// One output of a job, as a stream.
    pub(crate) async fn output(&self, id: &str, name: &str) -> Result<Response, Failure> {
        let path: Vec<&str> = ["jobs", id, "outputs"].into_iter().chain(name.split('/')).collect();
        self.sent(self.request(Method::GET, &path, &[])?).await
    }

    fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<RequestBuilder, Failure> {
        // A URL forgets such a segment, and would then mean something else.
        if let Some(odd) = path.iter().find(|part| matches!(**part, "" | "." | "..")) {
            return Err(Failure::Usage(format!("{odd:?} cannot be part of an address")));
        }
        let mut url = self.server.clone();
        url.set_query(None);
        url.set_fragment(None);
        url.path_segments_mut().expect("an http address has a path").pop_if_empty().extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request =
            self.http.request(method, url).header(header::ACCEPT, "application/json, */*;q=0.1");
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        Ok(request)
    }

    async fn json<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<Answer<T>, Failure> {
        self.understood(self.sent(request.timeout(ANSWER)).await?).await
    }

    async fn sent(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = response.status();
        // The second comes only to who asked for it.
        let good = status.is_success() || status == StatusCode::NOT_MODIFIED;
        if good { Ok(response) } else { Err(self.refused(status, response).await) }
    }

    async fn refused(&self, status: StatusCode, response: Response) -> Failure {
        let problem = response.json::<Problem>().await.ok();
        let mut problem =
            problem.filter(|problem| !problem.title.is_empty()).unwrap_or_else(|| {
                let detail = format!("{} answered {status}, and not as fileyard does", self.server);
                Problem { title: "Refused".into(), detail, ..Problem::default() }
            });
        problem.status = status.as_u16();
        if status == StatusCode::UNAUTHORIZED {
            let fix = match self.key {
                Some(_) => "what --key or FILEYARD_API_KEY gave is not its key",
                None => "give it with --key, or in FILEYARD_API_KEY",
            };
            problem.detail = format!("{}; {fix}", problem.detail);
        }
        Failure::Refused(problem)
    }

    async fn understood<T: DeserializeOwned>(
        &self,
        response: Response,
    ) -> Result<Answer<T>, Failure> {
        let status = response.status().as_u16();
        let text = response.text().await.map_err(|error| self.unreachable(error))?;
        match serde_json::from_str(&text) {
            Ok(value) => Ok(Answer { text, value }),
            Err(error) => Err(Failure::Refused(Problem {
                title: "Not understood".into(),
                status,
                detail: format!("{} did not answer as fileyard does: {error}", self.server),
                code: String::new(),
            })),
        }
    }

    /// Nobody answered, or not to the end.
    pub(crate) fn unreachable(&self, error: reqwest::Error) -> Failure {
        let hint = if error.is_connect() && is_loopback(&self.server) {
            "; does `fileyard serve` run?"
        } else {
            ""
        };
        let why = cause(&error.without_url());
        Failure::Unreachable(format!("{} could not be reached: {why}{hint}", self.server))
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        None => false,
    }
}

/// What is at the bottom of an error: the layers of HTTP above it only repeat that there is one.
fn cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
