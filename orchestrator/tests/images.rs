//! Images over the fake engine: fetched when a server starts, waited for without a slot, pulled by
//! one at a time, and the same for an attempt whatever becomes of their names.

#![allow(clippy::unwrap_used, reason = "a story that can not go on has failed")]

mod yard;

use std::time::Duration;

use fileyard_orchestrator::{
    engine::{EngineError, Images, Pull},
    intake::{Intake, Order},
};
use fileyard_storage::{
    attempt::Contract,
    id::{AttemptNo, JobId},
    job::{EventKind, Job, JobEvent, JobState, ReasonCode, WaitingFor},
};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use yard::Yard;

const LONG: Duration = Duration::from_secs(30);

/// A yard whose default processor has an image that is not there.
fn with_image(name: &str, pull: Pull) -> Yard {
    let mut yard = Yard::exclusive();
    (yard.processor.image, yard.processor.pull) = (name.into(), pull);
    yard
}

fn waits_for_image(job: &Job) -> bool {
    matches!(job.state, JobState::Queued { waiting_for: Some(WaitingFor::Image), .. })
}

fn succeeded(job: &Job) -> bool {
    matches!(job.state, JobState::Succeeded { .. })
}

fn why(job: &Job) -> (ReasonCode, &str) {
    match &job.state {
        JobState::Failed { reason } => (reason.code, reason.message.as_str()),
        other => panic!("not failed: {other:?}"),
    }
}

/// What a job's history says with these words in it.
fn said<'a>(job: &'a Job, words: &str) -> Vec<&'a str> {
    let details = job.events.iter().filter_map(|event| event.detail.as_deref());
    details.filter(|detail| detail.contains(words)).collect()
}

/// What a job's history says of the image of each attempt.
fn images(job: &Job) -> Vec<Option<String>> {
    let claims = job.events.iter().filter(|event| event.kind == EventKind::Claimed);
    claims.map(|event| event.detail.clone()).collect()
}

/// The claim of a server that dies right after it.
async fn claim_and_die(yard: &Yard, id: JobId, image: Option<String>) {
    let claim = JobEvent::Claim {
        engine: "fake".into(),
        contract: Contract::Files,
        image,
        lease_until: yard.now(),
    };
    yard.store.apply(id, claim, yard.now()).await.unwrap();
}

/// What `fileyard serve` has, without its HTTP.
struct Server {
    intake: Intake,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Server {
    fn start(yard: &Yard) -> Self {
        let (orchestrator, intake) = (yard.orchestrator(), yard.intake());
        let stop = CancellationToken::new();
        let (own, stopped) = (intake.clone(), stop.clone());
        let serving = tokio::spawn(async move { orchestrator.run(&own, stopped, LONG).await });
        Self { intake, stop, serving }
    }

    async fn submit(&self, script: &str) -> JobId {
        yard::submit(&self.intake, script, Order::default()).await
    }

    /// Far sooner than its drain would end by itself.
    async fn stop(self) {
        self.stop.cancel();
        timeout(LONG / 2, self.serving).await.expect("it ends at once").unwrap();
    }
}

/// Returns as soon as the engine has begun so many pulls.
async fn pulls(yard: &Yard, count: usize) {
    let begun = yard.engine.until(|engine| engine.pulls().len() >= count);
    timeout(LONG, begun).await.unwrap_or_else(|_| panic!("{:?}", yard.engine.pulls()));
}

async fn until(yard: &Yard, id: JobId, wanted: impl Fn(&Job) -> bool) -> Job {
    let deadline = std::time::Instant::now() + LONG;
    loop {
        let job = yard.job(id).await;
        if wanted(&job) {
            return job;
        }
        assert!(std::time::Instant::now() < deadline, "never came to pass: {job:#?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn an_image_is_fetched_before_anybody_wants_it() {
    let yard = with_image("later", Pull::Missing);
    yard.engine.publish_image("later");
    let server = Server::start(&yard);
    pulls(&yard, 1).await;
    let id = server.submit("result 1").await;
    assert!(succeeded(&until(&yard, id, |job| job.state.is_terminal()).await));
    assert_eq!(yard.engine.pulls(), ["later"], "there is nothing left to fetch");
    server.stop().await;
}

#[tokio::test]
async fn jobs_and_the_start_share_one_pull_and_go_on_when_it_ends() {
    let yard = with_image("later", Pull::Missing);
    yard.engine.publish_image("later");
    yard.engine.pull_slowly("later");
    let server = Server::start(&yard);
    let ids = [server.submit("result 1").await, server.submit("result 2").await];
    until(&yard, ids[0], waits_for_image).await;
    assert_eq!(yard.engine.pulls(), ["later"]);
    yard.engine.end_slow_pulls();
    for id in ids {
        assert!(succeeded(&until(&yard, id, |job| job.state.is_terminal()).await));
    }
    assert_eq!(yard.engine.pulls(), ["later"]);
    server.stop().await;
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn who_waits_for_an_image_keeps_no_slot_from_others() {
    let mut yard = with_image("later", Pull::Missing);
    yard.other("ready", "fake");
    yard.engine.publish_image("later");
    yard.engine.pull_slowly("later");
    let orchestrator = yard.orchestrator();
    // As many as there are slots.
    let waiting = [yard.submit("result 1").await, yard.submit("result 2").await];
    for _ in 0..3 {
        let id = yard.submit_to("ready", "result 3").await;
        assert!(succeeded(&yard.ended(&orchestrator, id).await));
    }
    assert!(waits_for_image(&yard.job(waiting[0]).await), "the next in line is told");
    assert!(matches!(yard.job(waiting[1]).await.state, JobState::Queued { .. }));
    yard.engine.end_slow_pulls();
    for id in waiting {
        assert!(succeeded(&yard.ended(&orchestrator, id).await));
    }
    yard.assert_nothing_is_left().await;
}

/// Nobody waits for ever, and no two try at once.
#[tokio::test]
async fn a_pull_that_is_refused_ends_the_jobs_that_waited_for_it() {
    let yard = with_image("nobody-has-this", Pull::Missing);
    let orchestrator = yard.orchestrator();
    let ids = [yard.submit("result 1").await, yard.submit("result 2").await];
    for id in ids {
        let job = yard.ended(&orchestrator, id).await;
        let (code, words) = why(&job);
        assert_eq!(code, ReasonCode::StartFailed);
        assert!(words.contains("nobody-has-this not found"), "{words}");
    }
    assert_eq!(yard.engine.pulls().len(), 2, "a failure is told to one job, and tried again");
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn a_registry_s_trouble_is_the_infrastructure_s_and_no_attempt_pulls_by_itself() {
    let yard = with_image("later", Pull::Missing);
    yard.engine.publish_image("later");
    yard.engine.refuse_next_pull(EngineError::Trouble("the registry stalls".into()));
    let orchestrator = yard.orchestrator();
    let id = yard.submit("result 1").await;
    let job = yard.ended(&orchestrator, id).await;
    assert!(succeeded(&job), "{job:#?}");
    assert_eq!((job.attempt, job.infrastructure, job.retries), (Some(AttemptNo(2)), 1, 0));
    assert_eq!(said(&job, "the registry stalls").len(), 1, "{job:#?}");
    assert_eq!(yard.engine.pulls().len(), 2);
    yard.assert_nothing_is_left().await;
}

#[tokio::test]
async fn an_image_that_was_removed_while_nobody_looked_is_fetched_again() {
    let yard = Yard::exclusive();
    let orchestrator = yard.orchestrator();
    let id = yard.submit("result 1").await;
    assert!(succeeded(&yard.ended(&orchestrator, id).await));
    yard.engine.drop_image("fake");
    yard.engine.publish_image("fake");
    let id = yard.submit("result 1").await;
    let job = yard.ended(&orchestrator, id).await;
    assert!(succeeded(&job), "{job:#?}");
    assert_eq!((job.infrastructure, job.retries, yard.engine.pulls().len()), (1, 0, 1));
    yard.assert_nothing_is_left().await;
}

/// Before there is a job: the server tries again by itself.
#[tokio::test]
async fn what_failed_in_passing_at_the_start_is_fetched_all_the_same() {
    let yard = with_image("later", Pull::Missing);
    yard.engine.publish_image("later");
    yard.engine.refuse_next_pull(EngineError::Trouble("the registry stalls".into()));
    let server = Server::start(&yard);
    pulls(&yard, 2).await;
    server.stop().await;
}

#[tokio::test]
async fn an_image_that_may_not_be_fetched_and_is_not_there_fails_its_jobs() {
    let yard = with_image("later", Pull::Never);
    yard.engine.publish_image("later");
    let orchestrator = yard.orchestrator();
    let id = yard.submit("result 1").await;
    let job = yard.ended(&orchestrator, id).await;
    assert_eq!(why(&job), (ReasonCode::StartFailed, "the image later is not there"));
    assert_eq!(images(&job), [None]);
    assert!(yard.engine.pulls().is_empty());
    yard.assert_nothing_is_left().await;
}

/// Two processors may have the same image: it is had once, as the one wants it that does want it.
#[tokio::test]
async fn an_image_of_several_processors_is_fetched_once_if_any_of_them_may() {
    for (first, second) in [(Pull::Never, Pull::Missing), (Pull::Missing, Pull::Never)] {
        let mut yard = with_image("later", first);
        yard.other("zz", "later").pull = second;
        yard.engine.publish_image("later");
        let server = Server::start(&yard);
        pulls(&yard, 1).await;
        server.stop().await;
        assert_eq!(yard.engine.pulls(), ["later"], "{first:?} and {second:?}");
    }
}

#[tokio::test]
async fn a_shutdown_ends_pulls() {
    let yard = with_image("later", Pull::Missing);
    yard.engine.publish_image("later");
    yard.engine.pull_slowly("later");
    let server = Server::start(&yard);
    pulls(&yard, 1).await;
    server.stop().await;
    let settle = async || {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    };
    settle().await;
    yard.engine.end_slow_pulls();
    settle().await;
    assert_eq!(yard.engine.resolve("later").await, Ok(None), "nobody goes on with it");
}

#[tokio::test]
async fn an_attempt_keeps_its_image_though_the_name_moves_while_its_server_is_dead() {
    let yard = Yard::exclusive();
    let id = yard.submit("gate end").await;
    let before = digest(&yard).await;
    claim_and_die(&yard, id, Some(before.clone())).await;
    yard.engine.move_image("fake");
    let after = digest(&yard).await;
    assert_ne!(before, after);

    let next = yard.orchestrator();
    yard.tick_until(&next, id, |_| yard.engine.is_at_gate(&yard.container(id, 1), "end")).await;
    assert_eq!(yard.engine.image_of(&yard.container(id, 1)).unwrap(), before);
    let row = yard.store.attempt(id, AttemptNo(1)).await.unwrap().unwrap();
    assert_eq!(row.image, Some(before));
    yard.engine.open_gate("end");
    assert!(succeeded(&yard.ended(&next, id).await));

    let later = yard.submit("result 1").await;
    let job = yard.ended(&next, later).await;
    assert_eq!(images(&job), [Some(format!("image {after}"))]);
    yard.assert_nothing_is_left().await;
}

/// What the name means now is another attempt's, and the processor is not blamed.
#[tokio::test]
async fn an_attempt_whose_image_was_removed_is_followed_by_one_with_another() {
    let yard = Yard::exclusive();
    let id = yard.submit("result 1").await;
    let before = digest(&yard).await;
    claim_and_die(&yard, id, Some(before.clone())).await;
    yard.engine.drop_image("fake");
    yard.engine.move_image("fake");
    let after = digest(&yard).await;

    let job = yard.ended(&yard.orchestrator(), id).await;
    assert!(succeeded(&job), "{job:#?}");
    assert_eq!(images(&job), [before.as_str(), &after].map(|it| Some(format!("image {it}"))));
    assert_eq!((job.infrastructure, job.retries), (1, 0));
    let why = said(&job, "was removed");
    assert!(matches!(why[..], [one] if one.contains("fake") && one.contains(&before)), "{why:?}");
    yard.assert_nothing_is_left().await;
}

/// A row of a server that kept no digest, or could not ask for one: it is made of what the name means.
#[tokio::test]
async fn an_attempt_without_a_digest_goes_by_the_name() {
    let yard = Yard::exclusive();
    let id = yard.submit("result 1").await;
    claim_and_die(&yard, id, None).await;
    let job = yard.ended(&yard.orchestrator(), id).await;
    assert!(succeeded(&job), "{job:#?}");
    assert_eq!((job.attempt, images(&job)), (Some(AttemptNo(1)), vec![None]));

    // Without that either, it waits for its image as any other job does.
    let id = yard.submit("result 1").await;
    claim_and_die(&yard, id, None).await;
    yard.engine.drop_image("fake");
    yard.engine.publish_image("fake");
    let job = yard.ended(&yard.orchestrator(), id).await;
    assert!(succeeded(&job), "{job:#?}");
    assert_eq!((job.infrastructure, yard.engine.pulls().len()), (1, 1));
    yard.assert_nothing_is_left().await;
}

async fn digest(yard: &Yard) -> String {
    yard.engine.resolve("fake").await.unwrap().expect("it is there")
}
