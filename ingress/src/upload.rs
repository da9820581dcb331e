//! Files on their way in: a form with any number of them, or one as a bare body.
//!
//! The whole of an upload runs in a task that nobody can hang up on: a client that is gone after
//! its last byte still gets its job, and one that is gone before it leaves nothing.

use axum::{
    Json,
    body::Body,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
};
use bytes::Bytes;
use fileyard_orchestrator::intake::{
    Intake, IntakeError, Once, Order, Received, Receiving, Submitted,
};
use fileyard_storage::{id::ProcessorName, idempotency::Route};
use futures::{FutureExt, future::BoxFuture};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use percent_encoding::percent_decode_str;
use tokio::sync::oneshot;

use crate::{
    App, again, digest,
    error::{Code, Problem},
    incoming::Incoming,
    json::{JobJson, SubmittedJson},
    multipart::{Disposition, Form, boundary, display_name},
    negotiate::prefers_html,
    once,
    status::locate,
    view::View,
};

type Pairs = Vec<(String, String)>;

/// `POST /upload`: `multipart/form-data`, its fields in any order, all of its files or none.
pub(crate) async fn form(
    State(app): State<App>,
    Query(query): Query<Pairs>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let html = prefers_html(&headers);
    let intake = app.intake.clone();
    let submitted = tracked(&app.intake, Incoming::new(body), move |body| {
        receive_form(intake, query, headers, body).boxed()
    })
    .await?;
    let (api, page) = (app.urls.clone(), &app.pages);
    if html {
        let mut response = Redirect::to(&location(&submitted, page)).into_response();
        tell_repeated(&mut response, &submitted);
        return Ok(response);
    }
    let json = SubmittedJson {
        batch_id: submitted.batch.map(|batch| batch.to_string()),
        jobs: submitted.jobs.iter().map(|job| JobJson::new(job, &api)).collect(),
    };
    let mut response = (StatusCode::ACCEPTED, Json(json)).into_response();
    locate(&mut response, &location(&submitted, &api));
    tell_repeated(&mut response, &submitted);
    Ok(response)
}

/// `PUT /upload/{name}` and `PUT /upload/{processor}/{name}`: the body is the file.
pub(crate) async fn raw(
    State(app): State<App>,
    Query(query): Query<Pairs>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let intake = app.intake.clone();
    let submitted = tracked(&app.intake, Incoming::new(body), move |body| {
        receive_raw(intake, query, uri, headers, body).boxed()
    })
    .await?;
    let job = submitted.jobs.first().ok_or_else(|| lost("no job came of an upload"))?;
    let address = app.urls.job(job.id());
    let mut response = View::new(job, &app.urls)?.made(StatusCode::ACCEPTED, &address);
    locate(&mut response, &address);
    tell_repeated(&mut response, &submitted);
    Ok(response)
}

fn tell_repeated(response: &mut Response, submitted: &Submitted) {
    if submitted.repeated {
        once::replayed(response.headers_mut());
    }
}

fn location(submitted: &Submitted, urls: &crate::urls::Urls) -> String {
    match (submitted.batch, submitted.jobs.as_slice()) {
        (None, [job, ..]) => urls.job(job.id()),
        (Some(batch), _) => urls.batch(batch),
        (None, []) => urls.jobs(),
    }
}

/// Runs `work` to its end, whoever still waits for it.
async fn tracked<F>(intake: &Intake, mut body: Incoming, work: F) -> Result<Submitted, Problem>
where
    F: for<'a> FnOnce(&'a mut Incoming) -> BoxFuture<'a, Result<Submitted, Problem>>
        + Send
        + 'static,
{
    let (answer, answered) = oneshot::channel();
    intake.spawn(async move {
        // Nobody may be waiting any more, and then nobody needs to know.
        let _ = answer.send(work(&mut body).await);
    });
    answered.await.unwrap_or_else(|_| Err(lost("an upload's task ended early")))
}

fn lost(what: &str) -> Problem {
    tracing::error!("{what}");
    Problem::new(Code::Internal, what)
}

async fn receive_form(
    intake: Intake,
    query: Pairs,
    headers: HeaderMap,
    body: &mut Incoming,
) -> Result<Submitted, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let boundary = content_type.and_then(boundary).ok_or_else(|| {
        Problem::new(
            Code::BadMultipart,
            "POST /upload takes multipart/form-data with a boundary and a field named `file`; \
             to send a file as it is, use PUT /upload/PROCESSOR/NAME",
        )
    })?;
    let announced = digest::announced(&headers)?;
    if announced.is_some() {
        body.hash();
    }
    // Of the whole form, which no file in it can be longer than.
    let at_most = length(&headers)?;
    let mut order = ordered(query);
    if let Some(key) = once::key(&headers, Route::Form)? {
        let shortcut = announced.map(|digest| order.fingerprint([("", digest)]));
        if let Some(earlier) = intake.earlier(&key).await? {
            if earlier.is(shortcut) {
                return Ok(intake.answer_again(&earlier).await?);
            }
            return again::form(&intake, &earlier, order, body, &boundary, announced).await;
        }
        order.once = Some(Once::new(key, shortcut));
    }
    let mut processor = named(&intake, &order)?;
    let max_files = intake.limits().max_files;
    let mut form = Form::new(body, &boundary, max_files);
    let (mut files, mut ignored) = (Vec::new(), Vec::new());
    while let Some(part) = form.part().await? {
        match part.name.as_str() {
            "file" if files.len() == max_files => {
                let detail = format!("at most {max_files} files are taken in one request");
                return Err(Problem::new(Code::TooLarge, detail));
            }
            "file" => {
                let beginning = Beginning {
                    intake: &intake,
                    processor: processor.as_ref(),
                    once: order.once.as_ref(),
                    at_most,
                    // Only a request that has had no memory yet is refused where there is none.
                    patient: !files.is_empty(),
                };
                files.extend(receive(&mut form, &part, beginning).await?);
            }
            "processor" => {
                let name = form.value("processor").await?;
                order.processor = one_of(order.processor, name)?;
                processor = named(&intake, &order)?;
            }
            name => match name.strip_prefix("param.") {
                Some(param) => {
                    let value = form.value(name).await?;
                    order.params.insert(param.to_owned(), value);
                }
                None if ignored.len() < 5 => {
                    let name: String = name.chars().take(80).collect();
                    ignored.push(format!("{name:?}"));
                }
                None => {}
            },
        }
    }
    digest::verify("the body", announced, || body.digest())?;
    if files.is_empty() && !ignored.is_empty() {
        let ignored = ignored.join(", ");
        let detail = format!("the form has no file in a field named `file`; it has {ignored}");
        return Err(Problem::new(Code::NoFile, detail));
    }
    Ok(intake.submit(files, order).await?)
}

/// What is known of a file before its first byte.
struct Beginning<'a> {
    intake: &'a Intake,
    processor: Option<&'a ProcessorName>,
    once: Option<&'a Once>,
    /// In bytes.
    at_most: Option<u64>,
    patient: bool,
}

impl Beginning<'_> {
    async fn begin(&self, name: &str) -> Result<Receiving, IntakeError> {
        let receiving = self.intake.begin_once(name, self.processor, self.once).await?;
        Ok(receiving.announced(self.at_most).patient(self.patient))
    }
}

/// One part's file; `None` for a file field that was left empty.
async fn receive(
    form: &mut Form<'_>,
    part: &Disposition,
    beginning: Beginning<'_>,
) -> Result<Option<Received>, Problem> {
    let announced = part.digest.as_deref().map(digest::parse).transpose()?.flatten();
    let sent = part.filename.as_deref().unwrap_or_default();
    let name = display_name(sent.as_bytes());
    let mut receiving: Option<Receiving> = None;
    if !sent.is_empty() {
        receiving = Some(beginning.begin(&name).await?);
    }
    loop {
        let data = match &mut receiving {
            Some(receiving) => receiving.listen(form.data()).await?,
            None => form.data().await,
        };
        let Some(bytes) = data? else { break };
        let receiving = match &mut receiving {
            Some(receiving) => receiving,
            none => none.insert(beginning.begin(&name).await?),
        };
        receiving.write(bytes).await?;
    }
    match receiving {
        Some(receiving) => {
            let file = receiving.finish().await?;
            digest::verify("the file", announced, || file.input().sha256)?;
            Ok(Some(file))
        }
        None => Ok(None),
    }
}

async fn receive_raw(
    intake: Intake,
    query: Pairs,
    uri: Uri,
    headers: HeaderMap,
    body: &mut Incoming,
) -> Result<Submitted, Problem> {
    let (processor, name) = of_path(uri.path());
    let mut order = ordered(query);
    if let Some(processor) = processor {
        order.processor = one_of(order.processor, processor)?;
    }
    let content = digest::announced(&headers)?;
    if let Some(key) = once::key(&headers, Route::Raw)? {
        if let Some(earlier) = intake.earlier(&key).await? {
            return again::raw(&intake, &earlier, &order, &name, body, content).await;
        }
        order.once = Some(Once::new(key, None));
    }
    let processor = intake.processors().choose(order.processor.as_deref());
    let processor = processor.map_err(IntakeError::from)?;
    processor.check_params(&order.params).map_err(IntakeError::from)?;
    let announced = length(&headers)?;
    let limit = intake.limits().max_size;
    if announced.is_some_and(|length| length > limit) {
        return Err(IntakeError::TooLarge { limit }.into());
    }
    let receiving = intake.begin_once(&name, Some(&processor.name), order.once.as_ref()).await?;
    let mut receiving = receiving.announced(announced);
    let mut came = 0;
    while let Some(bytes) =
        receiving.listen(body.chunk()).await?.map_err(|error| Problem::cut(&error))?
    {
        came += bytes.len() as u64;
        if announced.is_some_and(|length| came > length) {
            break;
        }
        receiving.write(bytes).await?;
    }
    if let Some(length) = announced.filter(|length| *length != came) {
        let detail = format!("{length} bytes were announced and {came} came");
        return Err(Problem::new(Code::LengthMismatch, detail));
    }
    let file = receiving.finish().await?;
    digest::verify("the body", content, || file.input().sha256)?;
    Ok(intake.submit(vec![file], order).await?)
}

/// The processor that two places name: if they name one, it is the same one.
pub(crate) fn one_of(before: Option<String>, name: String) -> Result<Option<String>, Problem> {
    match before.filter(|before| !before.is_empty()) {
        Some(before) if !name.is_empty() && before != name => {
            let clip = |name: &str| -> String { name.chars().take(80).collect() };
            let detail =
                format!("two processors are named: {:?} and {:?}", clip(&before), clip(&name));
            Err(Problem::new(Code::BadParam, detail))
        }
        Some(before) => Ok(Some(before)),
        None => Ok(Some(name)),
    }
}

/// What the query asks for. A form's own params go before the query's.
fn ordered(query: Pairs) -> Order {
    let mut order = Order::default();
    for (name, value) in query {
        if name == "processor" {
            order.processor = Some(value);
        } else if let Some(param) = name.strip_prefix("param.") {
            order.params.insert(param.to_owned(), value);
        }
    }
    order
}

/// The processor that was named, refused at once where there is none of that name. Nothing is
/// chosen where none was named yet: a later field may do so.
fn named(intake: &Intake, order: &Order) -> Result<Option<ProcessorName>, IntakeError> {
    let name = order.processor.as_deref().filter(|name| !name.is_empty());
    let processor = name.map(|name| intake.processors().choose(Some(name))).transpose()?;
    Ok(processor.map(|processor| processor.name.clone()))
}

/// `/upload/{name}` or `/upload/{processor}/{name}`: read here, because a name is any bytes.
fn of_path(path: &str) -> (Option<String>, String) {
    let decoded = |text: &str| -> Bytes { percent_decode_str(text).collect() };
    let rest = path.split_once("/upload/").map_or("", |(_, rest)| rest);
    match rest.split_once('/') {
        Some((processor, name)) => {
            let processor = String::from_utf8_lossy(&decoded(processor)).into_owned();
            (Some(processor), display_name(&decoded(name)))
        }
        None => (None, display_name(&decoded(rest))),
    }
}

fn length(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(header::CONTENT_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|value| value.trim().parse().ok());
    length.map(Some).ok_or_else(|| {
        Problem::new(Code::LengthMismatch, "the Content-Length header is not a number of bytes")
    })
}
