//! A daemon that goes away in the middle of things: a socket in between that a test can cut.

use std::{path::PathBuf, sync::Arc};

use fileyard_orchestrator::engine::{
    ContainerState, Engine, EngineError, HostDirs, LogPosition, LogStream,
    conformance::{Harness, text},
    docker::DockerEngine,
};
use futures::{StreamExt, TryStreamExt};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{UnixListener, UnixStream},
    sync::watch,
};

use crate::docker;

/// What the socket does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// Passes everything on.
    Through,
    /// Passes nothing on, and breaks off what is open.
    Cut,
    /// Passes a start on and keeps its answer to itself.
    LoseStarts,
}

struct Between {
    mood: watch::Sender<Mood>,
    socket: PathBuf,
    _home: TempDir,
}

impl Between {
    fn new() -> Self {
        let home = TempDir::new().unwrap();
        let socket = home.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let mood = watch::Sender::new(Mood::Through);
        let moods = mood.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, moods.clone()));
            }
        });
        Self { mood, socket, _home: home }
    }

    fn is(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }
}

async fn serve(mut client: UnixStream, mut moods: watch::Receiver<Mood>) {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    let path = host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock");
    let mood = *moods.borrow_and_update();
    if mood == Mood::Cut {
        return;
    }
    let mut daemon = UnixStream::connect(path).await.unwrap();
    let mut head = vec![0; 64 * 1024];
    let read = client.read(&mut head).await.unwrap();
    daemon.write_all(&head[..read]).await.unwrap();
    if mood == Mood::LoseStarts && String::from_utf8_lossy(&head[..read]).contains("/start") {
        // The answer has come, so the start was done.
        let _ = daemon.read(&mut head).await;
        return;
    }
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut daemon) => {}
        _ = moods.wait_for(|mood| *mood == Mood::Cut) => {}
    }
}

fn through(it: &Harness, between: &Between) -> DockerEngine {
    let dirs: HostDirs = it.dirs().clone();
    DockerEngine::new(&format!("unix://{}", between.socket.display()), dirs).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_reply_was_lost_was_done() {
    let (it, _) = docker();
    let between = Between::new();
    let engine = through(&it, &between);
    let spec = it.endless(&["say", "begun"]);
    between.is(Mood::LoseStarts);
    for _ in 0..2 {
        assert_eq!(engine.start(&spec).await, Ok(ContainerState::Running));
    }
    it.says(&spec.id, "begun").await;
    it.remove(&spec).await;
    it.leaves_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_broke_off_goes_on_where_it_was() {
    let (it, _) = docker();
    let between = Between::new();
    let engine = through(&it, &between);
    let spec = it.endless(&["say", "one", "say", "two", "err", "three"]);
    engine.start(&spec).await.unwrap();

    let mut log = engine.logs(&spec.id, LogPosition::default());
    let mut chunks = vec![log.try_next().await.unwrap().unwrap()];
    between.is(Mood::Cut);
    let broke = loop {
        match log.next().await {
            Some(Ok(chunk)) => chunks.push(chunk),
            other => break other,
        }
    };
    assert!(matches!(broke, Some(Err(EngineError::Unavailable(_)))), "{broke:?}");
    assert!(log.next().await.is_none());
    let away = engine.inspect(&spec.id).await;
    assert!(matches!(away, Err(EngineError::Unavailable(_))), "{away:?}");

    between.is(Mood::Through);
    let position = chunks.iter().fold(LogPosition::default(), LogPosition::after);
    let rest = engine.logs(&spec.id, position);
    let rest = rest.take(3 - chunks.len()).try_collect::<Vec<_>>().await.unwrap();
    chunks.extend(rest);
    assert_eq!(text(&chunks, LogStream::Stdout), "one\ntwo\n");
    assert_eq!(text(&chunks, LogStream::Stderr), "three\n");
    it.remove(&spec).await;
    it.leaves_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_come_again_after_a_break() {
    let (it, _) = docker();
    let between = Between::new();
    let engine = Arc::new(through(&it, &between));
    let mut hints = engine.changes(it.install);
    let (first, second) = (it.endless(&["say", "one"]), it.endless(&["say", "two"]));
    engine.start(&first).await.unwrap();
    assert_eq!(hints.next().await, Some(first.id));

    between.is(Mood::Cut);
    let hints = tokio::spawn(async move {
        hints.filter(|id| std::future::ready(*id == second.id)).next().await
    });
    // Started while nobody listens.
    it.engine.start(&second).await.unwrap();
    between.is(Mood::Through);
    assert_eq!(hints.await.unwrap(), Some(second.id));
    for spec in [&first, &second] {
        it.remove(spec).await;
    }
    it.leaves_nothing().await;
}
