//! The processors' sections, and their params': what a mistake in them would otherwise cost a job.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use fileyard_orchestrator::{
    engine::{Network, Pull, User},
    processor::{ParamSpec, Processor, Processors},
    template,
};
use fileyard_storage::{attempt::Contract, id::ProcessorName, job::ReasonCode};
use url::{Host, Url};

use super::{
    params,
    section::{Section, nearest},
};

/// The endings of a container that may be tried again; the others are not the processor's.
const RETRYABLE: [ReasonCode; 6] = [
    ReasonCode::Exit,
    ReasonCode::Signal,
    ReasonCode::OutOfMemory,
    ReasonCode::TimedOut,
    ReasonCode::BadOutput,
    ReasonCode::OutputLimit,
];

/// By `urls` every output is a change of its attempt's row, which lists them all.
const MAX_PUTS: usize = 10_000;

/// `[processors.*]`, and which of them is the default.
pub(super) fn read(root: &Section<'_>, default: &str, docker_host: &str) -> Processors {
    let sections = root.section("processors");
    let mut all = BTreeMap::new();
    for text in sections.names() {
        let section = sections.section(&text);
        match text.parse::<ProcessorName>() {
            Ok(name) => {
                let processor = processor(name.clone(), section);
                if processor.contract == Contract::Urls && is_elsewhere(docker_host) {
                    let message = format!(
                        "the `urls` contract needs a Docker daemon on this machine, whose containers \
                         can reach fileyard, and {docker_host:?} (engine.docker_host or DOCKER_HOST) \
                         is another one; use the `files` contract, or a daemon here"
                    );
                    sections.refuse(&text, message);
                }
                all.insert(name, Arc::new(processor));
            }
            Err(_) => sections.refuse(
                &text,
                "a processor's name has lower-case letters, digits and hyphens, at most 63, and \
                 does not begin with a hyphen"
                    .into(),
            ),
        }
    }
    let default = match default {
        "" if all.len() == 1 => all.keys().next().cloned(),
        "" => None,
        name => {
            let found = all.keys().find(|known| known.as_str() == name).cloned();
            if found.is_none() {
                let near = nearest(name, all.keys().map(ProcessorName::as_str));
                let meant = near.map(|near| format!("; did you mean {near:?}?"));
                let message =
                    format!("there is no processor {name:?}{}", meant.unwrap_or_default());
                root.refuse("default_processor", message);
            }
            found
        }
    };
    Processors { all, default }
}

fn processor(name: ProcessorName, section: Section<'_>) -> Processor {
    let params = params::read(&section);
    let contract = contract(&section);
    let timeout = section.duration("timeout", "10m");
    if timeout.is_zero() {
        section.refuse("timeout", "must be more than nothing".into());
    }
    let title = section.text("title", "");
    let processor = Processor {
        title: if title.is_empty() { name.to_string() } else { title },
        name,
        image: section.required_text("image", "example/ffmpeg:7"),
        pull: match section.word("pull", "missing", &["missing", "always", "never"]).as_str() {
            "always" => Pull::Always,
            "never" => Pull::Never,
            _ => Pull::Missing,
        },
        entrypoint: arguments(&section, "entrypoint", contract, &params),
        command: arguments(&section, "command", contract, &params),
        accepts: accepts(&section),
        timeout,
        grace: section.duration("grace", "10s"),
        memory: section.size("memory", "512MiB", "6MiB"),
        cpus: section.positive("cpus", 1.0),
        pids: section.integer("pids", 256, 1, 4_194_304),
        tmp: section.size("tmp", "64MiB", "4KiB"),
        user: user(&section),
        env: env(&section),
        concurrency: section.integer("concurrency", 0, 0, 10_000) as usize,
        retries: section.integer("retries", 2, 0, 100),
        retry_on: retry_on(&section),
        max_outputs: section.integer("max_outputs", 1000, 0, 100_000) as usize,
        max_output_size: section.size("max_output_size", "5GiB", "0B"),
        contract,
        network: match section.word("network", "none", &["none", "egress"]).as_str() {
            "egress" => Network::Egress,
            _ => Network::None,
        },
        params,
    };
    let whole: Vec<&str> =
        processor.entrypoint.iter().chain(&processor.command).map(String::as_str).collect();
    if let Err(message) = template::check_scripts(&whole, &processor.params) {
        section.refuse("command", message);
    }
    if processor.tmp > processor.memory {
        let memory = "must not be more than memory, in which a container's /tmp is counted";
        section.refuse("tmp", memory.into());
    }
    if contract == Contract::Urls && processor.max_outputs > MAX_PUTS {
        let message = format!("must be at most {MAX_PUTS} with the `urls` contract");
        section.refuse("max_outputs", message);
    }
    if processor.cpus < 0.01 {
        section.refuse("cpus", "must be at least 0.01, the least that can be set".into());
    }
    section.finish();
    processor
}

/// Whether a Docker daemon is on another machine.
fn is_elsewhere(docker_host: &str) -> bool {
    let Ok(url) = Url::parse(docker_host) else { return false };
    let here = match url.host() {
        // Of a scheme that it does not know, `Url` leaves an address as text.
        Some(Host::Domain(name)) => {
            name.eq_ignore_ascii_case("localhost")
                || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => true,
    };
    !here && !matches!(url.scheme(), "unix" | "npipe" | "fd")
}

fn contract(section: &Section<'_>) -> Contract {
    match section.word("contract", "files", &["files", "urls", "http"]).as_str() {
        "urls" => Contract::Urls,
        "http" => {
            let message = "this version of fileyard does not have the `http` contract yet";
            section.refuse("contract", message.into());
            Contract::Files
        }
        _ => Contract::Files,
    }
}

fn arguments(
    section: &Section<'_>,
    key: &str,
    contract: Contract,
    params: &BTreeMap<String, ParamSpec>,
) -> Vec<String> {
    let arguments = section.list(key);
    for argument in &arguments {
        if argument.contains('\0') {
            section.refuse(key, "must not hold a NUL".into());
        }
        let known = template::check(argument, params.keys().map(String::as_str));
        if let Err(message) = known.and_then(|()| template::check_start(argument, params)) {
            section.refuse(key, message);
        }
        if contract == Contract::Urls
            && let Some(path) = template::path_in(argument)
        {
            let message = format!(
                "`{{{path}}}` is a path, and the `urls` contract has none: its program finds \
                 addresses in its environment (FILEYARD_INPUT_URL, FILEYARD_OUTPUT_URL)"
            );
            section.refuse(key, message);
        }
    }
    arguments
}

fn accepts(section: &Section<'_>) -> Vec<String> {
    let patterns = section.list("accepts");
    for pattern in &patterns {
        let plain = |part: &str| !part.is_empty() && !part.contains(['/', ' ', '*', ';']);
        let good = match (pattern.strip_prefix('.'), pattern.split_once('/')) {
            (Some(ending), _) => plain(ending),
            (None, Some(("*", kind))) => kind == "*",
            (None, Some((family, kind))) => plain(family) && (kind == "*" || plain(kind)),
            (None, None) => false,
        };
        if !good {
            let message = format!(
                "{pattern:?} is neither a type such as \"video/*\" nor an ending such as \".mkv\""
            );
            section.refuse("accepts", message);
        }
    }
    patterns
}

fn user(section: &Section<'_>) -> User {
    let text = section.text("user", "65532:65532");
    let number = |text: &str| text.parse::<u32>().ok().filter(|n| *n < u32::MAX);
    let parsed = text.split_once(':').and_then(|(uid, gid)| {
        let (uid, gid) = (number(uid)?, number(gid)?);
        Some(User { uid, gid })
    });
    parsed.unwrap_or_else(|| {
        let message =
            format!("must be a user and a group by number, such as \"65532:65532\", not {text:?}");
        section.refuse("user", message);
        User { uid: 65532, gid: 65532 }
    })
}

fn env(section: &Section<'_>) -> BTreeMap<String, String> {
    let env: BTreeMap<String, String> = section.map("env").into_iter().collect();
    for (name, value) in &env {
        if name.is_empty() || name.contains(['=', '\0']) {
            section.refuse("env", format!("{name:?} cannot be the name of a variable"));
        }
        if name.starts_with("FILEYARD_") {
            section.refuse("env", format!("{name:?} is fileyard's own to set"));
        }
        if value.starts_with("kv:") {
            let message = format!(
                "{name}: this version of fileyard has no key-value store yet, so {value:?} would \
                 reach the container as it is written"
            );
            section.refuse("env", message);
        }
    }
    env
}

fn retry_on(section: &Section<'_>) -> Vec<ReasonCode> {
    let words = section.list("retry_on");
    let code = |word: &String| RETRYABLE.iter().find(|code| code.as_str() == word).copied();
    for word in words.iter().filter(|word| code(word).is_none()) {
        let all = RETRYABLE.map(ReasonCode::as_str);
        let near = nearest(word, all.into_iter());
        let meant = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        let all = all.join(", ");
        section.refuse("retry_on", format!("{word:?} is none of {all}{meant}"));
    }
    words.iter().filter_map(code).collect()
}
