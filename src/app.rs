//! Builds stores, engine, orchestrator and ingress from the config, and wires them: the only place
//! that knows all of them.

pub(crate) mod engine;
mod files;
mod health;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use fileyard_ingress::{AcceptLimits, AttemptListeners, Services};
use fileyard_orchestrator::{
    Orchestrator, Parts,
    change::{Changes, Told},
    contract::urls::{Key, Urls},
    disk::Disk,
    engine::{HostDirs, oci},
    hint::Hints,
    intake::Intake,
    log::Logs,
};
use fileyard_storage::{Store, blob::BlobStore, clock::SystemClock, sqlite::SqliteStore};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use self::health::Checks;
use crate::config::{Config, show_duration};

/// How long what is under way may take to end after the first signal.
const DRAIN: Duration = Duration::from_secs(30);

/// Runs the service until it is told to stop.
pub(crate) async fn serve(config: Config) -> anyhow::Result<()> {
    let rows = SqliteStore::open(&config.data)?;
    let blobs = BlobStore::open(&config.store, &config.data)?;
    let (dirs, scratch) = (host_dirs(&config.data, &blobs), oci::containers(&config.data));
    // Both to their end, also where the store is another's: what was begun is cleaned up.
    let (claimed, choice) =
        tokio::join!(blobs.claim(rows.install()), engine::choose(&config, dirs.clone(), &scratch));
    claimed?;
    let database_failed = rows.failed();
    let changes = Changes::default();
    let store: Arc<dyn Store> = Arc::new(Told::new(rows, changes.clone()));
    let engine = engine::open(&config, choice, dirs, &*store).await?;
    let clock = Arc::new(SystemClock);
    let hints = Hints::new();
    let disk = Disk::new(&config.data, config.min_free);

    let intake = Intake::new(
        Arc::clone(&store),
        blobs.clone(),
        clock.clone(),
        config.processors.clone(),
        config.uploads,
        disk.clone(),
        hints.clone(),
    );
    // What a dead process left is gone before anything new comes in.
    intake.sweep().await?;

    let logs = Logs::new(
        Some(host_dirs(&config.data, &blobs)),
        store.install(),
        Arc::clone(&store),
        blobs.clone(),
    );
    let orchestrator = Orchestrator::new(Parts {
        store: Arc::clone(&store),
        blobs: blobs.clone(),
        engine,
        processors: config.processors.clone(),
        clock: clock.clone(),
        hints,
        disk: disk.clone(),
        concurrency: config.concurrency,
        queue_timeout: config.queue_timeout,
        keep_jobs: config.keep_jobs,
        urls: Some(Urls {
            port: config.urls.port,
            key: Key::load(&config.data)?,
            listeners: Arc::new(AttemptListeners),
        }),
    });
    let health = Checks::new(Arc::clone(&store), blobs.clone(), disk, orchestrator.clone());
    let listener = listen(&config)?;
    let stop = CancellationToken::new();
    let services = Services {
        intake: intake.clone(),
        store,
        changes,
        blobs: blobs.clone(),
        logs: Arc::new(logs),
        health: Arc::new(health),
        keep_jobs: config.keep_jobs,
        clock,
        public_url: config.http.public_url.clone(),
        access: config.http.access.clone(),
        stop: stop.clone(),
    };

    let mut running = tokio::spawn({
        let (orchestrator, intake, stop) = (orchestrator, intake.clone(), stop.clone());
        async move { orchestrator.run(&intake, stop, DRAIN).await }
    });
    announce(&config, &listener)?;
    let limits = AcceptLimits { connections: files::connections(), ..AcceptLimits::default() };
    let router = fileyard_ingress::router(services);
    let mut server = tokio::spawn(fileyard_ingress::serve(listener, router, limits, stop.clone()));

    tokio::select! {
        told = until_told_to_stop(database_failed) => told?,
        _ = &mut running => bail!("the orchestrator ended by itself; start the server again"),
    }
    tracing::info!("stopping: what is under way has {DRAIN:?} to end; containers run on");
    stop.cancel();
    let drained = timeout(DRAIN, async { tokio::join!(&mut server, intake.drain()).0 });
    match drained.await {
        Ok(served) => served.context("the server's task failed")?,
        Err(_) => {
            tracing::warn!("requests were still under way after {DRAIN:?}");
            server.abort();
        }
    }
    running.await.context("the orchestrator's task failed")?;
    // What was dropped on the way is taken back, as far as the drain allows.
    if timeout(DRAIN, blobs.settled()).await.is_err() {
        tracing::warn!("the store was still busy after {DRAIN:?}");
    }
    Ok(())
}

fn host_dirs(data: &Path, blobs: &BlobStore) -> HostDirs {
    HostDirs::new(data.join("tmp").join("attempts"), blobs.local_root().map(Path::to_owned))
}

fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    let address = config.http.listen;
    match fileyard_ingress::listen(address) {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "{address} is taken by another program; stop it, or choose another address with --listen"
        ),
        Err(error) => Err(error).with_context(|| format!("could not listen on {address}")),
    }
}

fn announce(config: &Config, listener: &TcpListener) -> anyhow::Result<()> {
    let address = listener.local_addr().context("the listener has no address")?;
    tracing::info!(data = %config.data.display(), "fileyard is at http://{address}/");
    if let Some(warning) = config.http.warning() {
        tracing::warn!("{warning}");
    }
    if let Some(kept) = config.keep_jobs {
        let kept = show_duration(kept);
        tracing::info!("jobs go {kept} after they end, with their files (retention.jobs)");
    }
    if config.processors.all.is_empty() {
        tracing::warn!(
            "no processor is configured; add this to fileyard.toml:\n\n{}",
            fileyard_ingress::FIRST_PROCESSOR
        );
    }
    Ok(())
}

/// Waits for SIGTERM or Ctrl-C; a second one ends the process at once. Fails when the database can
/// not be trusted any more: then nothing may be drained, only restarted.
async fn until_told_to_stop(mut database_failed: watch::Receiver<bool>) -> anyhow::Result<()> {
    let mut signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        () = either(&mut signals) => {}
        Ok(_) = database_failed.wait_for(|failed| *failed) => {
            bail!("the outcome of a commit is unknown, so this process ends at once; start it again");
        }
    }
    tokio::spawn(async move {
        either(&mut signals).await;
        tracing::warn!("told to stop a second time: ending at once");
        std::process::exit(130);
    });
    Ok(())
}

async fn either((terminate, interrupt): &mut (Signal, Signal)) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
