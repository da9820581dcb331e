//! What a browser sends.

use axum::body::Body;
use http::{Method, Request, header};

/// A form, as bytes.
#[derive(Default)]
pub(crate) struct Form(Vec<u8>);

impl Form {
    pub(crate) fn field(self, name: &str, value: &str) -> Self {
        self.part(format!("form-data; name=\"{name}\"").as_bytes(), value.as_bytes())
    }

    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        let disposition = format!("form-data; name=\"file\"; filename=\"{name}\"");
        self.part(disposition.as_bytes(), content.as_bytes())
    }

    pub(crate) fn part(mut self, disposition: &[u8], content: &[u8]) -> Self {
        self.0.extend_from_slice(b"--XX\r\nContent-Disposition: ");
        self.0.extend_from_slice(disposition);
        self.0.extend_from_slice(b"\r\nContent-Type: application/x-lie\r\n\r\n");
        self.0.extend_from_slice(content);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [&self.0[..], b"--XX--\r\n"].concat()
    }

    pub(crate) fn request(&self, path: &str) -> Request<Body> {
        raw_form(path, self.bytes())
    }
}

pub(crate) fn raw_form(path: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::builder().method(Method::POST).uri(path);
    let request = request.header(header::CONTENT_TYPE, "multipart/form-data; boundary=XX");
    request.body(body.into()).unwrap()
}
