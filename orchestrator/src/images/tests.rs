//! What only the passing of time shows. The stories are in `tests/images.rs`.

use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    engine::{HostDirs, fake::FakeEngine},
    processor::tests::processor,
};

#[tokio::test]
async fn a_failure_is_told_while_it_is_fresh_and_no_longer() {
    let home = tempfile::tempdir().expect("a directory");
    let engine = FakeEngine::new(HostDirs::new(home.path().to_owned(), None));
    let (hints, processor) = (Hints::new(), processor("a"));
    let gate = ImageGate::new(Arc::new(engine.clone()), hints.clone(), CancellationToken::new());
    let mut ended = hints.listen();

    assert!(!gate.open(&processor), "it is looked for");
    ended.recv().await.expect("a hint");
    gate.forget(&processor.image);
    assert!(gate.open(&processor), "a job may be told that nobody has it");
    match gate.known().get_mut(&processor.image) {
        Some(Fetch::Failed(_, at)) => *at -= FRESH,
        other => panic!("{other:?}"),
    }
    assert!(!gate.open(&processor), "it is looked for again");
    ended.recv().await.expect("a hint");
    assert_eq!(engine.pulls().len(), 2);
    assert!(matches!(gate.used(&processor), Some(EngineError::Rejected(_))));
    assert!(gate.used(&processor).is_none(), "it is told once");
}
