//! Signals, removal, and who sees what.

use fileyard_storage::id::InstallId;
use futures::StreamExt;

use super::Harness;
use crate::engine::{ContainerState, Listed, Signal};

/// 143, by our init or the engine's own doing.
pub async fn sigterm_ends_it(it: &Harness) {
    let spec = it.endless(&["say", "ready"]);
    it.engine.start(&spec).await.expect("a start");
    it.says(&spec.id, "ready").await;
    it.engine.signal(&spec.id, Signal::Term).await.expect("signalled");
    let facts = it.exit(&spec.id).await;
    assert_eq!((facts.code, facts.out_of_memory), (143, false));
    assert_eq!(it.engine.signal(&spec.id, Signal::Term).await, Ok(()), "it has exited");
    it.remove(&spec).await;
    assert_eq!(it.engine.signal(&spec.id, Signal::Term).await, Ok(()), "it is gone");
}

/// 137, and not for memory.
pub async fn sigkill_ends_what_ignores_sigterm(it: &Harness) {
    let spec = it.spec(&["say", "ready", "stubborn"]);
    it.engine.start(&spec).await.expect("a start");
    it.says(&spec.id, "ready").await;
    it.engine.signal(&spec.id, Signal::Term).await.expect("signalled");
    it.engine.signal(&spec.id, Signal::Kill).await.expect("signalled");
    let facts = it.exit(&spec.id).await;
    assert_eq!((facts.code, facts.out_of_memory), (137, false));
    it.remove(&spec).await;
}

/// Twice, for good measure.
pub async fn a_running_container_is_removed(it: &Harness) {
    let spec = it.endless(&["say", "ready"]);
    it.engine.start(&spec).await.expect("a start");
    it.says(&spec.id, "ready").await;
    let (first, second) = tokio::join!(it.engine.remove(&spec.id), it.engine.remove(&spec.id));
    assert_eq!((first, second), (Ok(()), Ok(())));
    assert_eq!(it.engine.inspect(&spec.id).await, Ok(None));
    assert_eq!(it.engine.remove(&spec.id).await, Ok(()));
}

/// Two installs on one engine leave each other alone.
pub async fn only_its_own_install_is_listed(it: &Harness) {
    let (running, ended) = (it.endless(&["say", "ready"]), it.spec(&["exit", "0"]));
    let mut strange = it.endless(&["say", "ready"]);
    strange.id.install = InstallId::new();
    for path in [it.dirs().out(&strange.id), it.dirs().attempt(&strange.id).join("in")] {
        std::fs::create_dir_all(path).expect("made");
    }
    std::fs::write(it.dirs().input(&strange.id, strange.input.as_ref().expect("an input")), "")
        .expect("written");
    for spec in [&running, &strange] {
        assert_eq!(it.engine.start(spec).await, Ok(ContainerState::Running));
    }
    it.run(&ended).await;

    let mut ours = it.engine.list(it.install).await.expect("a list");
    ours.sort_by_key(|listed| listed.id);
    let mut expected =
        vec![Listed { id: running.id, running: true }, Listed { id: ended.id, running: false }];
    expected.sort_by_key(|listed| listed.id);
    assert_eq!(ours, expected);
    let theirs = it.engine.list(strange.id.install).await.expect("a list");
    assert_eq!(theirs, [Listed { id: strange.id, running: true }]);
    for spec in [&running, &ended, &strange] {
        it.remove(spec).await;
    }
}

/// Of its start or its end, and of nobody else's.
pub async fn a_change_is_hinted(it: &Harness) {
    let mut hints = it.engine.changes(it.install);
    let mut strangers = it.engine.changes(InstallId::new());
    let spec = it.endless(&["say", "ready"]);
    it.engine.start(&spec).await.expect("a start");
    assert_eq!(hints.next().await, Some(spec.id), "of its start");
    it.engine.signal(&spec.id, Signal::Kill).await.expect("killed");
    assert_eq!(hints.next().await, Some(spec.id), "of its end");
    it.remove(&spec).await;
    assert!(futures::poll!(strangers.next()).is_pending());
}
