//! Lists of jobs: by state, processor and batch, newest first, a page at a time.

use axum::{
    Json,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use fileyard_storage::{
    id::{BatchId, JobId, ProcessorName},
    job::{Job, JobFilter, StateName},
};
use http::HeaderMap;

use crate::{
    App,
    error::{Code, Problem},
    json::{JobJson, JobsJson},
    negotiate::prefers_html,
    page,
};

const LIMIT: usize = 50;
const MAX_LIMIT: usize = 1000;

/// Which page of which list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) filter: JobFilter,
    pub(crate) before: Option<JobId>,
    pub(crate) limit: usize,
    /// The limit was not given.
    pub(crate) is_default: bool,
}

/// `GET /jobs?state=&processor=&batch=&cursor=&limit=`.
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut asked = Asked::parse(&query)?;
    let html = prefers_html(&headers);
    if html && asked.is_default && asked.filter.batch.is_some() {
        // What was sent together is looked at together.
        asked.limit = MAX_LIMIT;
    }
    // One more than asked for tells whether there is a next page.
    let mut jobs = app.store.jobs(&asked.filter, asked.before, asked.limit + 1).await?;
    let mut more = jobs.len() > asked.limit;
    jobs.truncate(asked.limit);
    let last = jobs.last().map(Job::id);
    if jobs.len() < asked.limit && last.is_some() {
        // The list may have ended early because its rows are large.
        more = !app.store.jobs(&asked.filter, last, 1).await?.is_empty();
    }
    let next = last.filter(|_| more).map(cursor);
    if html {
        return page::jobs(&app, &asked, &jobs, next.as_deref()).await;
    }
    let jobs = jobs.iter().map(|job| JobJson::new(job, &app.urls)).collect();
    Ok(Json(JobsJson { jobs, next }).into_response())
}

impl Asked {
    /// Reads a query; what is left empty narrows nothing, so that a form can send it.
    fn parse(query: &[(String, String)]) -> Result<Self, Problem> {
        let mut asked =
            Self { filter: JobFilter::default(), before: None, limit: LIMIT, is_default: true };
        for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
            let bad = |must: &str| {
                let value: String = value.chars().take(80).collect();
                Problem::new(Code::BadParam, format!("`{name}={value}`: {must}"))
            };
            match name.as_str() {
                "state" => asked.filter.state = Some(state(value).ok_or_else(|| bad(STATES))?),
                "processor" => {
                    let processor: Result<ProcessorName, _> = value.parse();
                    asked.filter.processor = Some(processor.map_err(|_| bad("not a name"))?);
                }
                "batch" => {
                    let batch: Result<BatchId, _> = value.parse();
                    asked.filter.batch = Some(batch.map_err(|_| bad("not a batch's id"))?);
                }
                "cursor" => {
                    let before = uncursor(value).ok_or_else(|| bad("not a cursor of ours"))?;
                    asked.before = Some(before);
                }
                "limit" => {
                    let limit = value.parse().ok().filter(|n| (1..=MAX_LIMIT).contains(n));
                    asked.limit = limit.ok_or_else(|| bad("must be from 1 to 1000"))?;
                    asked.is_default = false;
                }
                _ => {}
            }
        }
        Ok(asked)
    }
}

const STATES: &str = "must be one of queued, running, succeeded, failed, cancelled";

fn state(text: &str) -> Option<StateName> {
    StateName::ALL.into_iter().find(|state| state.as_str() == text)
}

/// Where a page ended. Clients hand it back as it is; the letter is for the day it holds more.
fn cursor(last: JobId) -> String {
    format!("a{}", last.to_string().replace('-', ""))
}

fn uncursor(text: &str) -> Option<JobId> {
    let digits = text.strip_prefix('a').filter(|digits| digits.len() == 32)?;
    u128::from_str_radix(digits, 16).ok().map(JobId::from_u128)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parse(query: &[(&str, &str)]) -> Result<Asked, Problem> {
        let query: Vec<_> =
            query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Asked::parse(&query)
    }

    #[test]
    fn a_cursor_reads_back_and_is_url_safe() {
        let id = JobId::new();
        assert_eq!(uncursor(&cursor(id)), Some(id));
        assert!(cursor(id).bytes().all(|byte| byte.is_ascii_alphanumeric()));
        for wrong in ["", "a", "b00", &id.to_string(), &format!("a{}", "g".repeat(32)), "aü"] {
            assert_eq!(uncursor(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_query_narrows_and_what_is_empty_does_not() {
        let asked = parse(&[("state", "failed"), ("processor", ""), ("limit", "1000")]).unwrap();
        assert_eq!(asked.filter.state, Some(StateName::Failed));
        assert_eq!(asked.filter.processor, None);
        assert_eq!(asked.limit, 1000);
        assert_eq!(parse(&[]).unwrap().limit, 50);
    }

    #[test]
    fn what_can_not_be_meant_is_refused() {
        for (name, value) in [
            ("state", "done"),
            ("processor", "A/B"),
            ("batch", "1"),
            ("cursor", "x"),
            ("limit", "0"),
            ("limit", "1001"),
            ("limit", "-1"),
        ] {
            let problem = parse(&[(name, value)]).unwrap_err();
            assert_eq!(problem.status().as_u16(), 422, "{name}={value}");
            assert!(problem.detail().contains(value));
        }
    }
}
