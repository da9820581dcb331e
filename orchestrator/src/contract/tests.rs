//! What a container is told.
#![allow(clippy::unwrap_used)]

use fileyard_storage::{
    blob::{BlobKey, Digest},
    clock::Timestamp,
    id::{JobId, Tenant, UploadId},
    job::{Input, NewJob},
};
use serde_json::json;

use super::*;
use crate::processor::{self, ParamKind, ParamSpec};

pub(crate) fn processor() -> Processor {
    Processor {
        title: "Video to MP4".into(),
        image: "example/ffmpeg:7".into(),
        cpus: 1.5,
        max_outputs: 10,
        ..processor::tests::processor("mp4")
    }
}

pub(crate) fn job(name: &str, content: &[u8], sha256: Digest) -> Job {
    let (tenant, upload) = (Tenant::default(), UploadId::from_u128(2));
    let key = BlobKey::Input { tenant: tenant.clone(), upload };
    let input = Input {
        name: name.into(),
        content_type: "video/x-matroska".into(),
        size: content.len() as u64,
        sha256,
        key,
    };
    let asked = NewJob {
        id: JobId::from_u128(1),
        tenant,
        processor: "mp4".parse().unwrap(),
        params: Params::new(),
        upload,
        input,
        batch: None,
        retry_of: None,
    };
    Job::new(asked, Timestamp(0))
}

pub(crate) fn spec_of(job: &Job, processor: &Processor) -> ContainerSpec {
    spec(InstallId::from_u128(9), job, AttemptNo(3), processor, None, None)
}

#[test]
fn a_spec_names_the_input_and_fills_the_command() {
    let mut processor = processor();
    processor.entrypoint = vec!["run-{stem}".into()];
    processor.command = ["-i", "{input}", "-vf", "scale=-2:{param.height}", "{out}/{stem}.mp4"]
        .map(String::from)
        .into();
    let mut job = job("My holiday.mkv", b"12345", Digest([7; 32]));
    job.asked.params.insert("height".into(), json!(720));
    let spec = spec_of(&job, &processor);
    assert_eq!(
        spec.command,
        ["-i", "/in/My_holiday.mkv", "-vf", "scale=-2:720", "/out/My_holiday.mp4"]
    );
    assert_eq!(spec.entrypoint, ["run-My_holiday"]);
    let input = spec.input.unwrap();
    assert_eq!(input.name, "My_holiday.mkv");
    assert_eq!((input.size, input.sha256), (5, Digest([7; 32])));
    assert_eq!((spec.limits.file_size, spec.limits.open_files), (5 << 30, 1024));
    assert_eq!(spec.id.attempt, AttemptNo(3));
}

#[test]
fn the_environment_tells_the_whole_story_and_nobody_can_change_it() {
    let mut processor = processor();
    processor.env = [
        ("LANG", "C.UTF-8"),
        ("HOME", "/out"),
        ("FILEYARD_JOB_ID", "another"),
        ("FILEYARD_SECRET", "x"),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .into();
    let later = ParamSpec { kind: ParamKind::Boolean, default: Some(json!(false)) };
    processor.params.insert("later".into(), later);
    let mut job = job("../a\0b\n\".mkv", b"12345", Digest([7; 32]));
    job.asked.params =
        [("height".to_owned(), json!(720)), ("title".to_owned(), json!("a \"b\" ü"))].into();
    let env = spec_of(&job, &processor).env;
    insta::assert_snapshot!(
        env.iter().map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn by_urls_it_is_handed_addresses_and_nothing_else() {
    let job = job("a.mkv", b"12345", Digest([7; 32]));
    let claims = urls::Claims {
        tenant: Tenant::default(),
        job: job.id(),
        attempt: AttemptNo(3),
        expires: Timestamp(5),
    };
    let key = urls::Key::new();
    let addresses = Addresses::new(([10, 213, 0, 1], 8788).into(), &claims, &key);
    let mut processor = processor();
    processor.env = [("FILEYARD_INPUT_URL".to_owned(), "mine".to_owned())].into();
    let of = |addresses| {
        spec(InstallId::from_u128(9), &job, AttemptNo(3), &processor, None, Some(addresses))
    };
    let spec = of(&addresses);
    assert_eq!(spec.input, None);
    let base = format!("http://10.213.0.1:8788/v1/{}", claims.sign(&key));
    for (name, what) in
        [("INPUT", "input"), ("OUTPUT", "output"), ("RESULT", "result"), ("PROGRESS", "progress")]
    {
        assert_eq!(spec.env[&format!("FILEYARD_{name}_URL")], format!("{base}/{what}"));
    }
    assert_eq!(spec.env["FILEYARD_INPUT_SIZE"], "5");
    assert!(!format!("{addresses:?}").contains(&claims.sign(&key)), "a token is never printed");
    let without = spec_of(&job, &processor);
    assert!(without.input.is_some() && !without.env.contains_key("FILEYARD_INPUT_URL"));
}

/// A recorder that remembers nothing.
pub(crate) struct Nobody;

#[async_trait::async_trait]
impl fileyard_storage::blob::Recorder for Nobody {
    async fn begun(
        &self,
        _: &fileyard_storage::upload::Multipart,
    ) -> Result<(), fileyard_storage::StoreError> {
        Ok(())
    }

    async fn advanced(&self, _: u64) -> Result<(), fileyard_storage::StoreError> {
        Ok(())
    }
}
