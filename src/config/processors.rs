//! The processors' sections, and their params': what a mistake in them would otherwise cost a job.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use fileyard_orchestrator::{
    engine::{Network, Pull, User},
    processor::{ParamKind, ParamSpec, Processor, Processors},
    template,
};
use fileyard_storage::{attempt::Contract, id::ProcessorName, job::ReasonCode};
use serde_json::Value as Json;
use url::{Host, Url};

use super::{
    section::{Section, nearest},
    tree::{Node, Value},
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
    let params = params(&section);
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

fn params(section: &Section<'_>) -> BTreeMap<String, ParamSpec> {
    let sections = section.section("params");
    let mut all = BTreeMap::new();
    for name in sections.names() {
        let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if !first || name.len() > 32 || !name.bytes().all(rest) {
            let message = "a param's name has lower-case letters, digits and underscores, at most \
                           32, and begins with a letter";
            sections.refuse(&name, message.into());
        }
        if let Some(spec) = param(sections.section(&name)) {
            all.insert(name, spec);
        }
    }
    all
}

fn param(section: Section<'_>) -> Option<ParamSpec> {
    let word = section.required_text("type", "integer");
    let types = ["string", "integer", "number", "boolean"];
    let kind = match word.as_str() {
        "string" => string(&section),
        "integer" => integer(&section),
        "number" => number(&section),
        "boolean" => Some(ParamKind::Boolean),
        "" => None,
        other => {
            let near = nearest(other, types.into_iter());
            let meant = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            let all = types.join(", ");
            section.refuse("type", format!("must be one of {all}, not {other:?}{meant}"));
            None
        }
    };
    let stray: &[&str] = match word.as_str() {
        "string" => &["min", "max"],
        "integer" | "number" => &["enum", "pattern"],
        "boolean" => &["min", "max", "enum", "pattern"],
        _ => &[],
    };
    for key in stray.iter().filter(|key| section.optional(key).is_some()) {
        section.refuse(key, format!("means nothing for a param of type {word:?}"));
    }
    let default = section.optional("default");
    if kind.is_none() {
        // What is wrong with the type was said; its bounds cannot be judged.
        for key in ["min", "max", "enum", "pattern"] {
            section.optional(key);
        }
    }
    let spec = kind.map(|kind| {
        let default = default.and_then(|node| default_value(&section, &kind, node));
        ParamSpec { kind, default }
    });
    section.finish();
    spec
}

fn string(section: &Section<'_>) -> Option<ParamKind> {
    let words = section.optional("enum").map(|_| section.list("enum"));
    let pattern = section.optional("pattern").map(|_| section.text("pattern", ""));
    match (words, pattern) {
        (Some(words), None) if !words.is_empty() => {
            if words.iter().any(|word| word.is_empty() || word.contains('\0')) {
                section.refuse("enum", "must not hold an empty word or a NUL".into());
            }
            Some(ParamKind::Choice(words))
        }
        (Some(_), None) => {
            section.refuse("enum", "must hold at least one word".into());
            None
        }
        (None, Some(pattern)) => ParamKind::text(&pattern)
            .map_err(|error| {
                let error = error.lines().last().unwrap_or_default().to_owned();
                section.refuse("pattern", format!("{pattern:?} is not a pattern: {error}"));
            })
            .ok(),
        (None, None) => {
            let message = "a string needs an enum or a pattern, which matches the whole value";
            section.refuse("type", message.into());
            None
        }
        (Some(_), Some(_)) => {
            section.refuse("pattern", "a string has an enum or a pattern, not both".into());
            None
        }
    }
}

fn integer(section: &Section<'_>) -> Option<ParamKind> {
    let bound = |key: &str| match &section.optional(key)?.value {
        Value::Integer(n) => Some(*n),
        Value::Bare(text) if text.trim().parse::<i64>().is_ok() => text.trim().parse().ok(),
        other => {
            section.refuse(key, format!("must be a whole number, not {}", other.shown()));
            None
        }
    };
    let (min, max) = (bound("min"), bound("max"));
    ordered(section, min, max)?;
    Some(ParamKind::Integer { min, max })
}

fn number(section: &Section<'_>) -> Option<ParamKind> {
    let bound = |key: &str| section.optional(key).and_then(|_| section.read_number(key));
    let (min, max) = (bound("min"), bound("max"));
    ordered(section, min, max)?;
    Some(ParamKind::Number { min, max })
}

fn ordered<T: PartialOrd + Copy>(
    section: &Section<'_>,
    min: Option<T>,
    max: Option<T>,
) -> Option<()> {
    // Not a number is neither more nor less than anything, and would admit nothing.
    let no_bound = |n: T| n.partial_cmp(&n).is_none();
    if min.is_some_and(no_bound) || max.is_some_and(no_bound) {
        section.refuse("min", "must be a number, and so must max".into());
        return None;
    }
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        section.refuse("min", "must not be more than max".into());
        return None;
    }
    Some(())
}

/// The default as a value of its param, which its own bounds must admit.
fn default_value(section: &Section<'_>, kind: &ParamKind, node: &Node) -> Option<Json> {
    let value = match (&node.value, kind) {
        (Value::Bare(text), kind) => kind.parse(text).ok(),
        (Value::Text(text), _) => Some(Json::from(text.as_str())),
        #[expect(clippy::cast_precision_loss, reason = "it was asked for as a number")]
        (Value::Integer(n), ParamKind::Number { .. }) => Some(Json::from(*n as f64)),
        (Value::Integer(n), _) => Some(Json::from(*n)),
        (Value::Float(n), _) => Some(Json::from(*n)),
        (Value::Boolean(yes), _) => Some(Json::from(*yes)),
        _ => None,
    };
    let value = value.filter(|value| kind.admits(value));
    if value.is_none() {
        section.refuse("default", format!("{}, not {}", kind.must_be(), node.value.shown()));
    }
    value
}
