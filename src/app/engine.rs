//! Which engine runs containers here, found out before the first job.

use std::{path::Path, sync::Arc};

use anyhow::bail;
use fileyard_oci::{image, runtime::Launcher};
use fileyard_orchestrator::{
    contract::quota::Trial,
    engine::{
        ContainerId, Engine, EngineError, EngineReport, HostDirs, Images,
        docker::DockerEngine,
        oci::{self, OciEngine},
        several::Several,
    },
};
use fileyard_storage::Store;

use crate::config::{Config, EngineKind, OutQuota};

/// This very program, also when its file was replaced since it was started.
const OURSELVES: &str = "/proc/self/exe";

/// What the config comes to on this machine.
pub(crate) struct Choice {
    /// The embedded one, or else Docker.
    embedded: bool,
    /// The Docker engine that was asked. It goes on being the one: what it said, it need not say again.
    docker: Option<DockerEngine>,
    /// Of the embedded one's containers: what it was tried with goes on being it as well.
    launcher: Launcher,
    /// Whether its containers' `/out` are to be file systems of their own.
    quotas: bool,
    /// What was found out about it.
    pub(crate) report: Result<EngineReport, EngineError>,
}

/// Looks which engine it is to be. Containers that show it are made below `scratch`, and removed.
pub(crate) async fn choose(config: &Config, dirs: HostDirs, scratch: &Path) -> Choice {
    let wanted = config.engine.out_quota;
    let (mut choice, trial) = tokio::join!(which(config, dirs, scratch), a_quota(wanted, scratch));
    choice.judge(trial, wanted).await;
    choice
}

async fn which(config: &Config, dirs: HostDirs, scratch: &Path) -> Choice {
    match config.engine.kind {
        EngineKind::Oci => our_own(config, scratch).await,
        EngineKind::Docker => a_daemon(config, dirs).await,
        EngineKind::Auto => {
            let own = our_own(config, scratch).await;
            match own.lacking() {
                None => own,
                Some(lack) => rather(own, a_daemon(config, dirs).await, &lack),
            }
        }
    }
}

/// A quota to be looked at, whichever engine it will be.
async fn a_quota(wanted: OutQuota, scratch: &Path) -> Result<Trial, String> {
    match wanted {
        OutQuota::None => Err("engine.out_quota is \"none\"".into()),
        OutQuota::Auto | OutQuota::Ext4 => Trial::begin(scratch).await,
    }
}

/// Docker where it can do more than our own, which lacks something. Of two that can do nothing it is
/// Docker that is waited for: a daemon may still be started.
fn rather(own: Choice, mut docker: Choice, lack: &str) -> Choice {
    let own_runs = own.report.as_ref().is_ok_and(|report| report.refusals.is_empty());
    let lack = format!("fileyard's own engine: {lack}");
    match &mut docker.report {
        Ok(report) if report.refusals.is_empty() => report.facts.push(format!("and not {lack}")),
        _ if own_runs => return own,
        Ok(report) => report.refusals.push(format!("and {lack}")),
        Err(EngineError::Unavailable(words)) => *words = format!("{words}; and {lack}"),
        Err(error) => *error = EngineError::Trouble(format!("{error}; and {lack}")),
    }
    docker
}

async fn our_own(config: &Config, scratch: &Path) -> Choice {
    let egress = config.needs_egress().then_some(config.urls.networks);
    let launcher = launcher();
    let report = oci::check(scratch, &launcher, egress).await;
    Choice { embedded: true, docker: None, launcher, quotas: false, report }
}

async fn a_daemon(config: &Config, dirs: HostDirs) -> Choice {
    let (docker, report) = match docker(config, dirs) {
        Ok(engine) => {
            let report = engine.check().await;
            (Some(engine), report)
        }
        Err(error) => (None, Err(error)),
    };
    Choice { embedded: false, docker, launcher: launcher(), quotas: false, report }
}

impl Choice {
    /// Whether this image is where its containers are made from; `data` is left as it is.
    ///
    /// # Errors
    /// When that can not be known, for a person.
    pub(crate) async fn has(&self, image: &str, data: &Path) -> Result<bool, String> {
        if let Some(docker) = &self.docker {
            let found = docker.resolve(image).await.map_err(|error| error.to_string())?;
            return Ok(found.is_some());
        }
        let store = data.join("images");
        if !store.is_dir() {
            return Ok(false);
        }
        let found = image::Store::open(&store).and_then(|store| store.find(image));
        Ok(found.map_err(|error| error.to_string())?.is_some())
    }

    /// How an image comes there that is only on this machine.
    pub(crate) fn way_in(&self, image: &str) -> String {
        match self.docker {
            Some(_) => format!("docker load, or docker pull {image}"),
            None => format!(
                "fileyard image import FILE, or where Docker has it: docker save {image} | \
                 fileyard image import -"
            ),
        }
    }

    /// Says what holds between two looks at `/out`, and why nothing does.
    async fn judge(&mut self, trial: Result<Trial, String>, wanted: OutQuota) {
        let found = match trial {
            Ok(trial) => self.seen(trial).await,
            Err(words) => Err(words),
        };
        // What runs nothing needs none.
        if self.report.as_ref().is_ok_and(|report| !report.refusals.is_empty()) {
            if let Err(words) = found {
                tracing::debug!("a quota of /out was tried, too: {words}");
            }
            return;
        }
        self.quotas = found.is_ok();
        match (&mut self.report, found, wanted) {
            (Err(_), Err(words), OutQuota::Auto) => {
                tracing::warn!("/out has no quota before the next start: {words}");
            }
            (Err(_), ..) => {}
            (Ok(report), Ok(()), _) => report.facts.push("quotas for /out".into()),
            (Ok(report), Err(words), OutQuota::None) => {
                report.facts.push(format!("no quotas for /out: {words}"));
            }
            (Ok(report), Err(words), OutQuota::Auto) => report
                .warnings
                .push(format!("/out has no quota, and is only looked at once a second: {words}")),
            (Ok(report), Err(words), OutQuota::Ext4) => {
                report.refusals.push(format!("engine.out_quota is \"ext4\", and {words}"));
            }
        }
    }

    /// On Docker the daemon must see it too.
    async fn seen(&self, trial: Trial) -> Result<(), String> {
        let seen = match &self.docker {
            Some(docker) => docker.sees(&trial.file()).await,
            None => Ok(()),
        };
        trial.end().await.and(seen)
    }

    /// What it can not do of all that is asked.
    fn lacking(&self) -> Option<String> {
        match &self.report {
            Ok(report) => {
                let lacks: Vec<&str> =
                    report.refusals.iter().chain(&report.lacks).map(String::as_str).collect();
                (!lacks.is_empty()).then(|| lacks.join("; "))
            }
            Err(error) => Some(error.to_string()),
        }
    }
}

/// The engine for a server. A daemon that is away is no reason not to start: jobs wait for it.
/// What an earlier server left on the other engine is minded there.
pub(super) async fn open(
    config: &Config,
    choice: Choice,
    dirs: HostDirs,
    store: &dyn Store,
) -> anyhow::Result<Arc<dyn Engine>> {
    let Choice { embedded, docker, launcher, quotas, report } = choice;
    let dirs = dirs.with_quotas(quotas);
    match report {
        Ok(report) => {
            tracing::info!(engine = report.engine, facts = report.facts.join("; "), "containers");
            for warning in report.lacks.iter().chain(&report.warnings) {
                tracing::warn!(engine = report.engine, "{warning}");
            }
            if !report.refusals.is_empty() {
                bail!("this engine can not be used: {}", report.refusals.join("; "));
            }
        }
        Err(error) if config.engine.out_quota == OutQuota::Ext4 => bail!(
            "engine.out_quota is \"ext4\", and whether that can be had is not known while the \
             engine does not answer: {error}"
        ),
        Err(error) => tracing::warn!(%error, "jobs will wait until the engine answers"),
    }
    let engine = match docker {
        Some(docker) => Arc::new(docker.with_quotas(quotas)),
        None => one(embedded, config, dirs.clone(), launcher.clone())?,
    };
    let old = if embedded { "docker" } else { "oci" };
    let left = store.unremoved().await?.into_iter().filter(|attempt| attempt.engine == old);
    let ids: Vec<ContainerId> = left
        .map(|it| ContainerId { install: store.install(), job: it.job, attempt: it.no })
        .collect();
    if ids.is_empty() {
        return Ok(engine);
    }
    tracing::info!(engine = engine.name(), "{} attempts are still on another engine", ids.len());
    Ok(Arc::new(Several::new(engine, one(!embedded, config, dirs, launcher)?, ids)))
}

fn one(
    embedded: bool,
    config: &Config,
    dirs: HostDirs,
    launcher: Launcher,
) -> Result<Arc<dyn Engine>, EngineError> {
    Ok(match embedded {
        true => {
            let engine = OciEngine::new(&config.data, dirs, launcher)?;
            let engine = engine.with_mirrors(config.engine.mirrors.clone());
            Arc::new(engine.with_networks(config.urls.networks))
        }
        false => Arc::new(docker(config, dirs)?),
    })
}

fn launcher() -> Launcher {
    Launcher::new(OURSELVES.into())
}

fn docker(config: &Config, dirs: HostDirs) -> Result<DockerEngine, EngineError> {
    let engine = DockerEngine::new(&config.engine.docker_host, dirs)?;
    Ok(engine.with_networks(config.urls.networks, config.needs_networks()))
}
