//! The sections that are no processors, each read into its own struct.

use std::{collections::BTreeMap, ffi::OsString, time::Duration};

use fileyard_oci::image::is_registry;
use fileyard_orchestrator::{
    engine::{BadRange, NetworkRange},
    intake::UploadLimits,
};
use fileyard_storage::blob::BlobConfig;
use url::Url;

use super::{EngineConfig, EngineKind, OutQuota, UrlsConfig, section::Section};

pub(super) fn store(section: Section<'_>, environment: &[(OsString, OsString)]) -> BlobConfig {
    let url = section.text("url", "");
    let s3 = url.starts_with("s3://");
    // `null://`, and `?hash=off` behind any: storage/src/blob/bench.rs.
    let bench = cfg!(feature = "bench") && (url.starts_with("null://") || url.starts_with('?'));
    if !(url.is_empty() || url == "memory://" || s3 || bench) {
        section.refuse(
            "url",
            format!("must be \"\" (files in `data`), \"s3://bucket/prefix\" or \"memory://\", not {url:?}"),
        );
    }
    if s3 && url["s3://".len()..].split('/').next().unwrap_or_default().is_empty() {
        section.refuse("url", format!("{url:?} names no bucket; write \"s3://bucket/prefix\""));
    }
    let endpoint = section.text("endpoint", "");
    let is_http = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    if !endpoint.is_empty() && !Url::parse(&endpoint).is_ok_and(|url| is_http(&url)) {
        section.refuse(
            "endpoint",
            format!("{endpoint:?} is not an address; write one such as \"http://127.0.0.1:9000\""),
        );
    }
    let mut access_key_id = section.text("access_key_id", "");
    let mut secret_access_key = section.secret("secret_access_key");
    if s3 && access_key_id.is_empty() && secret_access_key.is_empty() {
        access_key_id = variable(environment, "AWS_ACCESS_KEY_ID");
        secret_access_key = variable(environment, "AWS_SECRET_ACCESS_KEY");
        if !variable(environment, "AWS_SESSION_TOKEN").is_empty() {
            section.refuse(
                "access_key_id",
                "this version of fileyard takes no temporary credentials yet \
                 (AWS_SESSION_TOKEN is set); name lasting ones"
                    .into(),
            );
        }
    }
    if s3 && (access_key_id.is_empty() || secret_access_key.is_empty()) {
        let missing = if access_key_id.is_empty() { "access_key_id" } else { "secret_access_key" };
        section.refuse(
            missing,
            "is missing: set it here, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".into(),
        );
    }
    let part_size = section.size("part_size", "8MiB", "5MiB");
    if part_size > 5 << 30 {
        section.refuse("part_size", "must be at most \"5GiB\", the most S3 takes".into());
    }
    let config = BlobConfig {
        url,
        endpoint,
        region: section.text("region", "us-east-1"),
        path_style: section.boolean("path_style", true),
        access_key_id,
        secret_access_key,
        part_size,
        ..BlobConfig::default()
    };
    section.finish();
    config
}

/// The limits, and the memory of all uploads together, which has to hold one part at least.
pub(super) fn uploads(section: Section<'_>, store: &BlobConfig) -> (UploadLimits, u64) {
    let limits = UploadLimits {
        max_size: section.size("max_size", "10GiB", "1B"),
        max_files: section.integer("max_files", 100, 1, 10_000) as usize,
    };
    let memory = section.size("memory", "256MiB", "1MiB");
    if let Some(part) = store.part_in_memory(limits.max_size).filter(|part| *part > memory) {
        let part = format!("{}MiB", part >> 20);
        section.refuse(
            "memory",
            format!(
                "does not hold one part of {part}, which is what store.part_size comes to with \
                 this uploads.max_size (at most 10,000 parts a file); write at least {part:?}, or \
                 lower those"
            ),
        );
    }
    section.finish();
    (limits, memory)
}

pub(super) fn engine(section: Section<'_>, environment: &[(OsString, OsString)]) -> EngineConfig {
    let kind = match section.word("kind", "auto", &["auto", "docker", "oci"]).as_str() {
        "docker" => EngineKind::Docker,
        "oci" => EngineKind::Oci,
        _ => EngineKind::Auto,
    };
    let written = section.text("docker_host", "");
    let mirrors: BTreeMap<String, String> = section.map("mirrors").into_iter().collect();
    if let Some(wrong) = mirrors.iter().flat_map(|(of, by)| [of, by]).find(|it| !is_registry(it)) {
        section.refuse(
            "mirrors",
            format!(
                "{wrong:?} is no registry as it stands in an image's name; write \
                 {{ \"docker.io\" = \"mirror.example:5000\" }}"
            ),
        );
    }
    let out_quota = match section.word("out_quota", "auto", &["auto", "ext4", "none"]).as_str() {
        "ext4" => OutQuota::Ext4,
        "none" => OutQuota::None,
        _ => OutQuota::Auto,
    };
    section.finish();
    let docker_host =
        if written.is_empty() { variable(environment, "DOCKER_HOST") } else { written };
    EngineConfig { kind, docker_host, mirrors, out_quota }
}

pub(super) fn database(section: Section<'_>) {
    section.later(
        "url",
        "",
        "this version of fileyard has no other database than SQLite in `data` yet; leave it empty",
    );
    section.finish();
}

/// How long a job is kept once it has ended; for ever where there is none.
pub(super) fn retention(section: Section<'_>) -> Option<Duration> {
    let jobs = section.optional_duration("jobs");
    if jobs.is_some_and(|jobs| jobs < Duration::from_secs(1)) {
        section.refuse(
            "jobs",
            "must be at least \"1s\": who asked for a job is to see how it ended; \"\" keeps jobs \
             for ever"
                .into(),
        );
    }
    section.finish();
    jobs
}

pub(super) fn urls(section: Section<'_>) -> UrlsConfig {
    let port = section.integer("port", 8788, 1, 65_535);
    let text = section.text("networks", &NetworkRange::default().to_string());
    let networks = text.parse().unwrap_or_else(|error: BadRange| {
        section.refuse("networks", error.to_string());
        NetworkRange::default()
    });
    section.finish();
    UrlsConfig { port: u16::try_from(port).expect("it is in its range"), networks }
}

fn variable(environment: &[(OsString, OsString)], name: &str) -> String {
    let found = environment.iter().find(|(key, _)| key == name);
    found.and_then(|(_, value)| value.to_str()).unwrap_or_default().to_owned()
}
