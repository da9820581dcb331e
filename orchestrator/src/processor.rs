//! A processor: a named kind of work, as the config declares it and checked once.

mod params;
mod pattern;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use fileyard_storage::{
    attempt::Contract,
    id::ProcessorName,
    job::{Params, ReasonCode},
};

pub use self::params::{BadParam, MAX_PARAM, ParamKind, ParamSpec};

use crate::engine::{Network, Pull, User};

/// The configured processors, by name.
#[derive(Debug, Clone, Default)]
pub struct Processors {
    /// All of them.
    pub all: BTreeMap<ProcessorName, Arc<Processor>>,
    /// The one that works where nobody names one.
    pub default: Option<ProcessorName>,
}

/// One processor.
#[derive(Debug, Clone)]
pub struct Processor {
    /// Its name.
    pub name: ProcessorName,
    /// For a page.
    pub title: String,
    /// The OCI image.
    pub image: String,
    /// When the image is fetched.
    pub pull: Pull,
    /// Replaces the image's ENTRYPOINT, unless empty.
    pub entrypoint: Vec<String>,
    /// Replaces the image's CMD, unless empty; may hold placeholders.
    pub command: Vec<String>,
    /// How it is given its work.
    pub contract: Contract,
    /// MIME types (`video/*`) and extensions (`.mkv`); empty accepts everything.
    pub accepts: Vec<String>,
    /// From start to SIGTERM.
    pub timeout: Duration,
    /// From SIGTERM to SIGKILL.
    pub grace: Duration,
    /// In bytes; swap included.
    pub memory: u64,
    /// How many cores' worth of time.
    pub cpus: f64,
    /// Processes and threads.
    pub pids: u32,
    /// Of `/tmp`, in bytes.
    pub tmp: u64,
    /// Who the program is.
    pub user: User,
    /// Beside what the contract gives.
    pub env: BTreeMap<String, String>,
    /// Containers at once; 0 has no limit of its own.
    pub concurrency: usize,
    /// How often an attempt that asks for it is repeated.
    pub retries: u32,
    /// Endings that are retried beside exit 75.
    pub retry_on: Vec<ReasonCode>,
    /// How many files it may give back.
    pub max_outputs: usize,
    /// How many bytes, all of them together.
    pub max_output_size: u64,
    /// What it can reach.
    pub network: Network,
    /// Its declared params, by name.
    pub params: BTreeMap<String, ParamSpec>,
}

/// Why no processor could be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchProcessor {
    /// The one that was named is not there.
    #[error("there is no processor {asked:?}; {}", known_ones(known))]
    Unknown {
        /// What was asked for, cut to a sensible length.
        asked: String,
        /// Those that are there.
        known: Vec<String>,
    },
    /// None was named, and there is not one that goes without saying.
    #[error("no processor was named; {}", known_ones(known))]
    Unnamed {
        /// Those that are there.
        known: Vec<String>,
    },
}

impl Processors {
    /// The one named, or the default where nobody names one. An empty name is no name: that is
    /// what a form sends whose field was left alone.
    ///
    /// # Errors
    /// [`NoSuchProcessor`], with the names of those that are there.
    pub fn choose(&self, asked: Option<&str>) -> Result<&Arc<Processor>, NoSuchProcessor> {
        let known = || self.all.keys().map(ToString::to_string).collect();
        match asked.filter(|name| !name.is_empty()) {
            Some(name) => {
                name.parse::<ProcessorName>().ok().and_then(|name| self.all.get(&name)).ok_or_else(
                    || NoSuchProcessor::Unknown {
                        asked: name.chars().take(80).collect(),
                        known: known(),
                    },
                )
            }
            None => self
                .default
                .as_ref()
                .and_then(|name| self.all.get(name))
                .ok_or_else(|| NoSuchProcessor::Unnamed { known: known() }),
        }
    }

    /// One of them by its exact name.
    #[must_use]
    pub fn get(&self, name: &ProcessorName) -> Option<&Arc<Processor>> {
        self.all.get(name)
    }

    /// The images of all of them, each to be fetched as the keenest of its processors wants it.
    #[must_use]
    pub fn images(&self) -> BTreeMap<&str, Pull> {
        let mut images = BTreeMap::new();
        for processor in self.all.values() {
            let keenest = images.entry(processor.image.as_str()).or_insert(processor.pull);
            *keenest = processor.pull.min(*keenest);
        }
        images
    }
}

/// From SIGTERM to SIGKILL where the config no longer says.
pub(crate) const STAND_IN_GRACE: Duration = Duration::from_secs(10);

impl Processor {
    /// Minds what still runs of a processor that is no longer configured: with the config's own
    /// defaults, and nothing is started with it.
    pub(crate) fn stand_in(name: ProcessorName) -> Self {
        Self {
            title: name.to_string(),
            name,
            image: String::new(),
            pull: Pull::Never,
            entrypoint: Vec::new(),
            command: Vec::new(),
            accepts: Vec::new(),
            timeout: Duration::from_secs(600),
            grace: STAND_IN_GRACE,
            memory: 512 << 20,
            cpus: 1.0,
            pids: 256,
            tmp: 64 << 20,
            user: User { uid: 65532, gid: 65532 },
            env: BTreeMap::new(),
            concurrency: 0,
            retries: 0,
            retry_on: Vec::new(),
            max_outputs: 1000,
            max_output_size: 5 << 30,
            contract: Contract::Files,
            network: Network::None,
            params: BTreeMap::new(),
        }
    }

    /// Whether it takes a file of this type and name: by the type, or else by the name's ending.
    /// The type is what the content was sniffed to be, never a client's header alone.
    #[must_use]
    pub fn accepts(&self, content_type: &str, name: &str) -> bool {
        if self.accepts.is_empty() {
            return true;
        }
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let name = name.to_lowercase();
        self.accepts.iter().any(|pattern| {
            let pattern = pattern.to_lowercase();
            match pattern.strip_suffix("/*") {
                Some("*") => true,
                Some(family) => kind.split_once('/').is_some_and(|(of, _)| of == family),
                None if pattern.starts_with('.') => {
                    name.len() > pattern.len() && name.ends_with(&pattern)
                }
                None => kind == pattern,
            }
        })
    }

    /// The params of a job, from what its sender wrote: each parsed and within its bounds, those
    /// left out filled with their defaults.
    ///
    /// A boolean, a number or a choice that is sent empty counts as left out, because that is what
    /// a form sends for a field that nobody touched.
    ///
    /// # Errors
    /// [`BadParam`] for the first that is undeclared, missing or out of its bounds.
    pub fn check_params(&self, sent: &BTreeMap<String, String>) -> Result<Params, BadParam> {
        params::check(&self.params, sent)
    }

    /// The params of a job that is to be done again: those it had, checked against what is declared
    /// today; what is declared since then has its default.
    ///
    /// # Errors
    /// [`BadParam`] for the first that is declared no longer, missing or out of its bounds.
    pub fn recheck_params(&self, stored: &Params) -> Result<Params, BadParam> {
        params::recheck(&self.params, stored)
    }
}

fn known_ones(known: &[String]) -> String {
    if known.is_empty() {
        "none is configured".into()
    } else {
        format!("there is {}", known.join(", "))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    //! Which processor, and whether it takes a file.
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// One that takes everything and has no params.
    pub(crate) fn processor(name: &str) -> Processor {
        Processor {
            name: name.parse().unwrap(),
            title: name.into(),
            image: "example/image:1".into(),
            pull: Pull::Missing,
            entrypoint: vec![],
            command: vec![],
            accepts: vec![],
            timeout: Duration::from_secs(600),
            grace: Duration::from_secs(10),
            memory: 512 << 20,
            cpus: 1.0,
            pids: 256,
            tmp: 64 << 20,
            user: User { uid: 65532, gid: 65532 },
            env: BTreeMap::new(),
            concurrency: 0,
            retries: 2,
            retry_on: vec![],
            max_outputs: 1000,
            max_output_size: 5 << 30,
            contract: Contract::Files,
            network: Network::None,
            params: BTreeMap::new(),
        }
    }

    fn processors(names: &[&str], default: Option<&str>) -> Processors {
        Processors {
            all: names.iter().map(|n| (n.parse().unwrap(), Arc::new(processor(n)))).collect(),
            default: default.map(|n| n.parse().unwrap()),
        }
    }

    #[test]
    fn a_processor_is_chosen_by_name_or_by_default() {
        let two = processors(&["mp4", "pdf"], Some("pdf"));
        assert_eq!(two.choose(Some("mp4")).unwrap().name.as_str(), "mp4");
        assert_eq!(two.choose(None).unwrap().name.as_str(), "pdf");
        assert_eq!(two.choose(Some("")).unwrap().name.as_str(), "pdf");
        assert_eq!(
            two.choose(Some("../x")).unwrap_err().to_string(),
            "there is no processor \"../x\"; there is mp4, pdf"
        );
        assert_eq!(
            processors(&["mp4", "pdf"], None).choose(None).unwrap_err().to_string(),
            "no processor was named; there is mp4, pdf"
        );
        assert_eq!(
            Processors::default().choose(Some("a")).unwrap_err().to_string(),
            "there is no processor \"a\"; none is configured"
        );
    }

    #[test]
    fn a_file_is_accepted_by_its_type_or_by_its_ending() {
        let accepts = |patterns: &[&str], kind, name| {
            let accepts = patterns.iter().map(ToString::to_string).collect();
            Processor { accepts, ..processor("p") }.accepts(kind, name)
        };
        assert!(accepts(&[], "application/octet-stream", "x"));
        assert!(accepts(&["*/*"], "application/octet-stream", "x"));
        assert!(accepts(&["video/*"], "video/mp4", "x"));
        assert!(accepts(&["text/csv"], "Text/CSV; charset=utf-8", "x"));
        assert!(accepts(&["video/*", ".mkv"], "application/octet-stream", "Film.MKV"));
        assert!(accepts(&[".tar.gz"], "application/gzip", "a.tar.gz"));
        assert!(!accepts(&["video/*"], "audio/mp4", "x.mp4"));
        assert!(!accepts(&["video/*"], "videos/mp4", "x"));
        assert!(!accepts(&["video/*"], "video", "x"));
        assert!(!accepts(&["text/csv"], "text/csv2", "x"));
        assert!(!accepts(&[".mkv"], "text/plain", ".mkv"));
        assert!(!accepts(&[".mkv"], "text/plain", "xmkv"));
    }
}
