//! A request whose key was answered before: read and hashed, never stored, to know whether it is
//! the same one. What the config says by now is no concern of it.

use fileyard_orchestrator::intake::{Earlier, Intake, IntakeError, Order, Submitted};
use fileyard_storage::blob::Digest;

use crate::{
    digest::{self, Hash},
    error::Problem,
    incoming::Incoming,
    multipart::{Disposition, Form, display_name},
    upload::one_of,
};

/// A form; `announced` is the digest that its whole body must have.
pub(crate) async fn form(
    intake: &Intake,
    earlier: &Earlier,
    mut order: Order,
    body: &mut Incoming,
    boundary: &[u8],
    announced: Option<Digest>,
) -> Result<Submitted, Problem> {
    let mut form = Form::new(body, boundary, intake.limits().max_files);
    let mut files = Vec::new();
    while let Some(part) = form.part().await? {
        match part.name.as_str() {
            "file" => files.extend(file(intake, &mut form, &part).await?),
            "processor" => {
                let name = form.value("processor").await?;
                order.processor = one_of(order.processor, name)?;
            }
            name => {
                if let Some(param) = name.strip_prefix("param.") {
                    let value = form.value(name).await?;
                    order.params.insert(param.to_owned(), value);
                }
            }
        }
    }
    digest::verify("the body", announced, || body.digest())?;
    let files = files.iter().map(|(name, digest)| (name.as_str(), *digest));
    Ok(intake.repeat(earlier, order.fingerprint(files)).await?)
}

/// One part's file, as `upload` takes it: its name, and the digest of its content.
async fn file(
    intake: &Intake,
    form: &mut Form<'_>,
    part: &Disposition,
) -> Result<Option<(String, Digest)>, Problem> {
    let sent = part.filename.as_deref().unwrap_or_default();
    let (mut hash, mut size) = (Hash::default(), 0);
    while let Some(bytes) = form.data().await? {
        size += bytes.len() as u64;
        within(intake, size)?;
        hash.update(&bytes);
    }
    let is_there = !sent.is_empty() || size > 0;
    Ok(is_there.then(|| (display_name(sent.as_bytes()), hash.finish())))
}

/// A bare body, which is not read where its digest is known.
pub(crate) async fn raw(
    intake: &Intake,
    earlier: &Earlier,
    order: &Order,
    name: &str,
    body: &mut Incoming,
    announced: Option<Digest>,
) -> Result<Submitted, Problem> {
    let digest = match announced {
        Some(digest) => digest,
        None => {
            let (mut hash, mut size) = (Hash::default(), 0);
            while let Some(bytes) = body.chunk().await.map_err(|error| Problem::cut(&error))? {
                size += bytes.len() as u64;
                within(intake, size)?;
                hash.update(&bytes);
            }
            hash.finish()
        }
    };
    Ok(intake.repeat(earlier, order.fingerprint([(name, digest)])).await?)
}

fn within(intake: &Intake, size: u64) -> Result<(), IntakeError> {
    let limit = intake.limits().max_size;
    if size > limit { Err(IntakeError::TooLarge { limit }) } else { Ok(()) }
}
