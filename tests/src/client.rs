//! What a client does, by HTTP.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::{Client, Method, RequestBuilder, redirect::Policy};
use serde_json::Value;

use crate::{LONG, answer::Answer, until};

/// Speaks to one server.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    http: Client,
}

/// A part of a form.
#[derive(Debug, Clone)]
pub struct Part {
    head: Vec<u8>,
    body: Bytes,
}

impl Api {
    /// A client of the server at `base`, an address without a slash at its end.
    ///
    /// # Panics
    /// When there can be no HTTP client at all.
    #[must_use]
    pub fn new(base: &str) -> Self {
        let http = Client::builder()
            .redirect(Policy::none())
            .timeout(Duration::from_secs(120))
            .no_proxy()
            .build()
            .unwrap();
        Self { base: base.to_owned(), http }
    }

    /// The server's address.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn host(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// A request that is still to be sent.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Sends it.
    ///
    /// # Errors
    /// When no whole answer came.
    pub async fn send(&self, request: RequestBuilder) -> reqwest::Result<Answer> {
        Answer::read(request.send().await?).await
    }

    /// Sends it and must be answered.
    ///
    /// # Panics
    /// When no whole answer came.
    pub async fn must(&self, request: RequestBuilder) -> Answer {
        self.send(request).await.expect("an answer")
    }

    /// `GET path`.
    pub async fn get(&self, path: &str) -> Answer {
        self.must(self.request(Method::GET, path)).await
    }

    /// `GET path` as a browser does.
    pub async fn page(&self, path: &str) -> Answer {
        let html = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";
        self.must(self.request(Method::GET, path).header("accept", html)).await
    }

    /// `PUT /upload/<to>` with these bytes.
    pub async fn put(&self, to: &str, body: impl Into<Bytes>) -> Answer {
        self.must(self.request(Method::PUT, &format!("/upload/{to}")).body(body.into())).await
    }

    /// An upload that must be accepted: its job's id.
    pub async fn accepted(&self, to: &str, body: impl Into<Bytes>) -> String {
        let answer = self.put(to, body).await;
        answer.expect(202);
        id(&answer.json())
    }

    /// `POST /upload` with these parts.
    pub async fn form(&self, parts: &[Part]) -> Answer {
        let (kind, body) = encode(parts);
        let request = self.request(Method::POST, "/upload").header("content-type", kind);
        self.must(request.body(body)).await
    }

    /// The job as it is now.
    pub async fn job(&self, id: &str) -> Value {
        self.get(&format!("/status/{id}")).await.expect(200).json()
    }

    /// All jobs, newest first, at most 1,000.
    pub async fn jobs(&self) -> Vec<Value> {
        let list = self.get("/jobs?limit=1000").await.expect(200).json();
        list["jobs"].as_array().expect("a list of jobs").clone()
    }

    /// The job once `wanted` is true of it.
    ///
    /// # Panics
    /// When that takes too long, or the job ended first.
    pub async fn job_until(&self, id: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(what, LONG, async || {
            let job = self.job(id).await;
            if wanted(&job) {
                return Some(job);
            }
            assert!(!has_ended(&job), "it ended before {what}: {job:#}");
            None
        })
        .await
    }

    /// The job once it has ended.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn ended(&self, id: &str, within: Duration) -> Value {
        let from = Instant::now();
        until(&format!("job {id} has ended"), within, async || {
            let job = self.job(id).await;
            if !has_ended(&job) && from.elapsed() + Duration::from_millis(100) >= within {
                panic!("not ended after {within:?}: {job:#}");
            }
            has_ended(&job).then_some(job)
        })
        .await
    }

    /// The job's log.
    pub async fn log(&self, id: &str) -> String {
        self.get(&format!("/jobs/{id}/logs")).await.expect(200).text()
    }

    /// An output's bytes.
    pub async fn output(&self, id: &str, name: &str) -> Bytes {
        self.get(&format!("/jobs/{id}/outputs/{name}")).await.expect(200).body.clone()
    }

    /// `POST /jobs/{id}/cancel`.
    pub async fn cancel(&self, id: &str) -> Answer {
        self.must(self.request(Method::POST, &format!("/jobs/{id}/cancel"))).await
    }

    /// `POST /jobs/{id}/retry`.
    pub async fn retry(&self, id: &str) -> Answer {
        self.must(self.request(Method::POST, &format!("/jobs/{id}/retry"))).await
    }
}

/// Whether nothing more can happen to this job.
#[must_use]
pub fn has_ended(job: &Value) -> bool {
    matches!(job["state"].as_str(), Some("succeeded" | "failed" | "cancelled"))
}

/// A job's id.
///
/// # Panics
/// When it has none.
#[must_use]
pub fn id(job: &Value) -> String {
    job["job_id"].as_str().unwrap_or_else(|| panic!("no job: {job}")).to_owned()
}

impl Part {
    /// A file.
    #[must_use]
    pub fn file(name: &str, body: impl Into<Bytes>) -> Self {
        Self::file_named(name.as_bytes(), body)
    }

    /// A file whose name is these bytes, exactly as they are.
    #[must_use]
    pub fn file_named(name: &[u8], body: impl Into<Bytes>) -> Self {
        let head = [b"form-data; name=\"file\"; filename=\"", name, b"\""].concat();
        Self { head, body: body.into() }
    }

    /// Any other field.
    #[must_use]
    pub fn field(name: &str, value: &str) -> Self {
        let head = format!("form-data; name=\"{name}\"").into_bytes();
        Self { head, body: Bytes::copy_from_slice(value.as_bytes()) }
    }
}

/// A form's content type and body.
#[must_use]
pub fn encode(parts: &[Part]) -> (String, Vec<u8>) {
    const BOUNDARY: &str = "boundary-of-a-story";
    let mut body = Vec::new();
    for part in parts {
        body.extend_from_slice(format!("--{BOUNDARY}\r\nContent-Disposition: ").as_bytes());
        body.extend_from_slice(&part.head);
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(&part.body);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={BOUNDARY}"), body)
}
