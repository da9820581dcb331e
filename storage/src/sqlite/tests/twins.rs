//! SQLite and memory, side by side under the same random commands, say and keep the same.

use proptest::prelude::*;

use super::fresh;
use crate::{
    MemoryStore, Store, StoreError,
    attempt::{AttemptEvent, Gift, GivenResult, PendingMultipart, Stored},
    blob::{BlobKey, Digest},
    clock::Timestamp,
    conformance::sample::{
        adopt, arrival, claim, exited, fail, heartbeat, multipart, retry, stop, succeed, t, upload,
    },
    id::{AttemptNo, ClaimId, Fence, InstallId, JobId, Tenant},
    idempotency::{Claim, IdempotencyKey, Route, Settling},
    job::{
        Budget, Gone, JobEvent, JobFilter, OwnerEvent, Params, QueueQuery, ReasonCode, StateName,
    },
    upload::{Arrival, Upload, UploadEvent},
};

/// A command about one of a few uploads, or about the job or an attempt that comes of it.
#[derive(Debug, Clone)]
enum Command {
    Begin,
    Upload(UploadEvent),
    Complete { with: usize, settles: bool },
    Forget,
    ForgetKeys,
    Retry,
    Prune,
    ForgetPruned,
    Job(JobEvent),
    Attempt(AttemptNo, AttemptEvent),
}

fn any_command() -> impl Strategy<Value = Command> {
    let lease_until = t(50_000);
    let of_upload = prop_oneof![
        (0..99_u64).prop_map(move |offset| UploadEvent::Advance { offset, lease_until }),
        "m[12]".prop_map(|id| UploadEvent::BeginMultipart { multipart: multipart(&id) }),
        Just(UploadEvent::Abandon),
    ];
    let owned = prop_oneof![
        Just(heartbeat()),
        Just(OwnerEvent::Started),
        Just(stop()),
        (0..2_i64).prop_map(exited),
        Just(succeed()),
        Just(fail(ReasonCode::OutOfMemory)),
        (0..90_000_i64).prop_map(|pause| retry(Budget::Processor, t(pause))),
    ];
    let fence = || (0..4_u64).prop_map(Fence);
    let of_job = prop_oneof![
        4 => Just(claim()),
        2 => fence().prop_map(|from| adopt(from, Gone::LeaseExpired)),
        1 => Just(JobEvent::Cancel),
        1 => Just(JobEvent::Expire),
        1 => Just(JobEvent::Wait { on: None }),
        12 => (fence(), owned).prop_map(|(fence, event)| JobEvent::Own(fence, event)),
    ];
    let pending = PendingMultipart { key: BlobKey::Probe, multipart: multipart("m") };
    let stored = Stored { content_type: "é".into(), size: u64::MAX, sha256: Digest([3; 32]) };
    let value = serde_json::json!({"is": "valid", "n": [u64::MAX, 0.1]});
    let of_program = prop_oneof![
        Just(Gift::Begin { name: "a".into() }),
        (0..3_u32).prop_map(move |index| Gift::Store { index, stored: stored.clone() }),
        (0..3_u32).prop_map(|index| Gift::Drop { index }),
        Just(Gift::Result { result: GivenResult::Valid { value } }),
        Just(Gift::Over { words: "too much".into() }),
    ];
    let of_attempt = prop_oneof![
        Just(AttemptEvent::Remove),
        Just(AttemptEvent::BeginMultipart { pending }),
        fence().prop_map(|fence| AttemptEvent::Adopt { fence }),
        (fence(), of_program).prop_map(|(fence, gift)| AttemptEvent::Give { fence, gift }),
    ];
    prop_oneof![
        4 => Just(Command::Begin),
        3 => of_upload.prop_map(Command::Upload),
        6 => (0..POOL, any::<bool>())
            .prop_map(|(with, settles)| Command::Complete { with, settles }),
        1 => Just(Command::Forget),
        1 => Just(Command::ForgetKeys),
        2 => Just(Command::Retry),
        2 => Just(Command::Prune),
        1 => Just(Command::ForgetPruned),
        16 => of_job.prop_map(Command::Job),
        3 => (1..3_u32, of_attempt).prop_map(|(no, event)| Command::Attempt(AttemptNo(no), event)),
    ]
}

const POOL: usize = 4;

/// The key that uploads of the pool claim: the first two for one request, the third for another.
fn key() -> IdempotencyKey {
    let key = "k".parse().unwrap();
    IdempotencyKey { tenant: Tenant::default(), route: Route::Raw, key }
}

fn pool() -> Vec<Upload> {
    let (one, other) = (ClaimId::new(), ClaimId::new());
    let claims = [Some(one), Some(one), Some(other), None];
    let upload = |by: Option<ClaimId>| {
        let claim = by.map(|by| Claim { key: key(), by });
        Upload { claim, ..upload() }
    };
    claims.map(upload).into()
}

fn settling(upload: &Upload) -> Option<Settling> {
    let (fingerprint, shortcut) = (Digest([1; 32]), None);
    upload.claim.clone().map(|claim| Settling { claim, fingerprint, shortcut })
}

/// The id that a retry of the job `at` that place is to have: a second one is a conflict.
fn again(at: usize) -> JobId {
    JobId::from_u128(at as u128 + 1)
}

/// What one store makes of a command, as text: whatever it returns, down to the words of an error.
async fn answer(
    store: &impl Store,
    pool: &[Upload],
    at: usize,
    command: &Command,
    now: Timestamp,
) -> String {
    let upload = &pool[at];
    let arrivals = |with: usize| -> Vec<Arrival> {
        let both = if with == at { vec![at] } else { vec![at, with] };
        both.into_iter().map(|i| arrival(&pool[i], if i == 0 { "webp" } else { "mp4" })).collect()
    };
    match command.clone() {
        Command::Begin => said(&store.begin(upload.clone()).await),
        Command::Upload(event) => said(&store.apply_to_upload(upload.id, event, now).await),
        Command::Complete { with, settles } => {
            let settling = settling(upload).filter(|_| settles);
            said(&store.complete(arrivals(with), settling, now).await)
        }
        Command::ForgetKeys => said(&store.forget_keys(now).await),
        Command::Retry => said(&store.retry(upload.job, again(at), Params::new(), now).await),
        Command::Prune => said(&store.prune(now, 2).await),
        Command::ForgetPruned => said(&store.forget_pruned(vec![upload.job]).await),
        Command::Forget => said(&store.forget_upload(upload.id).await),
        Command::Job(event) => said(&store.apply(upload.job, event, now).await),
        Command::Attempt(no, event) => said(&store.apply_to_attempt(upload.job, no, event).await),
    }
}

/// All that can be read, as text.
async fn everything(store: &impl Store, pool: &[Upload], now: Timestamp) -> Vec<String> {
    let mut all = vec![
        said(&store.receiving(3).await),
        said(&store.abandoned(3).await),
        said(&store.running().await),
        said(&store.unremoved().await),
        said(&store.waiting_since(now, 3).await),
        said(&store.key(&key()).await),
        said(&store.pruned(Some(again(0)), 9).await),
    ];
    for at in 0..POOL {
        all.push(said(&store.job(again(at)).await));
    }
    for upload in pool {
        all.push(said(&store.upload(upload.id).await));
        all.push(said(&store.job(upload.job).await));
        all.push(said(&store.attempt(upload.job, AttemptNo(1)).await));
    }
    for skip in [Vec::new(), vec!["webp".parse().unwrap()]] {
        let query = QueueQuery { due_by: now, skip, limit: 3 };
        all.push(said(&store.queued(&query).await));
    }
    for state in [None].into_iter().chain(StateName::ALL.map(Some)) {
        let filter = JobFilter { state, ..JobFilter::default() };
        all.push(said(&store.jobs(&filter, Some(pool[POOL - 1].job), 3).await));
    }
    all
}

fn said<T: std::fmt::Debug>(outcome: &Result<T, StoreError>) -> String {
    format!("{outcome:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sqlite_and_memory_answer_alike(
        commands in prop::collection::vec((0..POOL, any_command(), 0..9_000_i64), 0..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome: Result<(), TestCaseError> = runtime.block_on(async {
            let (sqlite, memory) = (fresh(), MemoryStore::new(InstallId::new()));
            let pool = pool();
            let mut now = t(0);
            for (at, command, later) in &commands {
                now = Timestamp(now.0 + later);
                let one = answer(&*sqlite, &pool, *at, command, now).await;
                let other = answer(&memory, &pool, *at, command, now).await;
                prop_assert_eq!(one, other, "{:?}", command);
            }
            let one = everything(&*sqlite, &pool, now).await;
            let other = everything(&memory, &pool, now).await;
            prop_assert_eq!(one, other);
            Ok(())
        });
        outcome?;
    }
}
