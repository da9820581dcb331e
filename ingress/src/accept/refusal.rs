//! What is said to a client whose request never reached the router.

use std::time::{Duration, SystemTime};

use crate::error::{Code, Problem};

use super::MAX_HEAD;

/// What hyper could not read.
pub(super) fn malformed(error: &hyper::Error) -> Problem {
    if error.is_parse_too_large() {
        let detail = format!(
            "a request's line and headers may have {MAX_HEAD} bytes and a hundred lines, all together"
        );
        return Problem::new(Code::HeadersTooLarge, detail);
    }
    Problem::new(Code::BadRequest, format!("this is no HTTP/1.1 request: {error}"))
}

/// A head that did not come to its end in time.
pub(super) fn slow(after: Duration) -> Problem {
    let detail = format!("the request's headers did not end within {after:?}");
    Problem::new(Code::SlowRequest, detail)
}

/// The whole answer, after which the connection is closed.
pub(super) fn answer(problem: &Problem) -> Vec<u8> {
    let (status, json) = (problem.status(), problem.json());
    let mut answer = format!(
        "HTTP/1.1 {status}\r\n\
         Content-Type: application/problem+json\r\n\
         Content-Length: {}\r\n\
         Cache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\n\
         Connection: close\r\n\
         Date: {}\r\n\r\n",
        json.len(),
        httpdate::fmt_http_date(SystemTime::now()),
    )
    .into_bytes();
    answer.extend_from_slice(&json);
    answer
}
