//! What a test does to a fake engine, and what it may ask of it.

use std::sync::atomic::Ordering;

use tokio::sync::Semaphore;

use super::{ContainerId, ContainerState, EngineError, FakeEngine};
use crate::engine::Reach;

impl FakeEngine {
    /// From now on every call is answered `Unavailable`, logs break off and hints are lost.
    /// Containers go on.
    pub fn go_down(&self) {
        self.shared.lock().down = true;
        self.shared.changed(None);
    }

    /// It answers again.
    pub fn come_back(&self) {
        self.shared.lock().down = false;
        self.shared.changed(None);
    }

    /// The next start is done, and answered `Unavailable`.
    pub fn lose_next_start_reply(&self) {
        self.shared.lock().lost_replies += 1;
    }

    /// The next start is not done, and answered so. Several are answered in turn.
    pub fn refuse_next_start(&self, error: EngineError) {
        self.shared.lock().refusals.push_back(error);
    }

    /// The next network is not made, and its maker told so. Several are answered in turn.
    pub fn refuse_next_network(&self, error: EngineError) {
        self.shared.lock().network_refusals.push_back(error);
    }

    /// How many refusals nobody has heard yet.
    #[must_use]
    pub fn refusals_left(&self) -> usize {
        let state = self.shared.lock();
        state.refusals.len() + state.network_refusals.len()
    }

    /// Every network there is, of every install, and what it lets its container reach.
    #[must_use]
    pub fn networks(&self) -> Vec<(ContainerId, Reach)> {
        self.shared.lock().networks.iter().map(|(id, reach)| (*id, *reach)).collect()
    }

    /// How often a network of this name was asked for and answered.
    #[must_use]
    pub fn network_asks(&self, id: &ContainerId) -> u32 {
        self.shared.lock().network_asks.get(id).copied().unwrap_or(0)
    }

    /// Containers go through this gate from now on.
    pub fn open_gate(&self, name: &str) {
        self.shared.lock().gates.insert(name.to_owned());
        self.shared.changed(None);
    }

    /// From now on no removal is done before it is let go.
    pub fn hold_removals(&self) {
        self.shared.removals.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// One removal is done, the one that was asked for first.
    pub fn let_a_removal_go(&self) {
        self.shared.removals.add_permits(1);
    }

    /// How many removals were asked for and are not done.
    #[must_use]
    pub fn removals_held(&self) -> usize {
        self.shared.removing.load(Ordering::Relaxed)
    }

    /// Puts an image into the registry, for [`super::Images::ensure`] to fetch.
    pub fn publish_image(&self, image: &str) {
        self.shared.lock().registry.insert(image.to_owned());
    }

    /// The next pull fails so. Several fail in turn.
    pub fn refuse_next_pull(&self, error: EngineError) {
        self.shared.lock().pull_refusals.push_back(error);
    }

    /// From now on pulls of this image do not end before [`Self::end_slow_pulls`].
    pub fn pull_slowly(&self, image: &str) {
        self.shared.lock().slow.insert(image.to_owned());
    }

    /// All pulls go on.
    pub fn end_slow_pulls(&self) {
        self.shared.lock().slow.clear();
        self.shared.changed(None);
    }

    /// From now on the name means another image. The one that had it stays.
    pub fn move_image(&self, image: &str) {
        self.shared.lock().add_image(image, 2);
    }

    /// Forgets an image that was there, and its name.
    pub fn drop_image(&self, image: &str) {
        let mut state = self.shared.lock();
        if let Some(digest) = state.images.remove(image) {
            state.digests.remove(&digest);
        }
    }

    /// The digest of the image that a container was made of.
    #[must_use]
    pub fn image_of(&self, id: &ContainerId) -> Option<String> {
        self.shared.lock().containers.get(id).map(|it| it.image.clone())
    }

    /// Every pull that was begun so far, in order.
    #[must_use]
    pub fn pulls(&self) -> Vec<String> {
        self.shared.lock().pulls.clone()
    }

    /// Removes a container behind everyone's back: no hint.
    pub fn lose_container(&self, id: &ContainerId) {
        self.shared.lock().containers.remove(id);
        self.shared.changed(None);
    }

    /// How often a container of this name was started, removed ones included. Never more than 1.
    #[must_use]
    pub fn starts(&self, id: &ContainerId) -> u32 {
        self.shared.lock().starts.get(id).copied().unwrap_or(0)
    }

    /// Every name that was ever started, and how often.
    #[must_use]
    pub fn all_starts(&self) -> Vec<(ContainerId, u32)> {
        self.shared.lock().starts.iter().map(|(id, n)| (*id, *n)).collect()
    }

    /// Everything that exists, of every install, whether the engine is down or not.
    #[must_use]
    pub fn containers(&self) -> Vec<(ContainerId, ContainerState)> {
        self.shared.lock().containers.iter().map(|(id, it)| (*id, it.state.clone())).collect()
    }

    /// A variable in a container's environment.
    #[must_use]
    pub fn env(&self, id: &ContainerId, name: &str) -> Option<String> {
        self.shared.lock().containers.get(id)?.env.get(name).cloned()
    }

    /// Whether a container waits at this gate now.
    #[must_use]
    pub fn is_at_gate(&self, id: &ContainerId, gate: &str) -> bool {
        let state = self.shared.lock();
        state.containers.get(id).is_some_and(|it| it.at_gate.as_deref() == Some(gate))
    }

    /// Returns as soon as `holds` does; it is asked again at every change of the engine.
    pub async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let mut version = self.shared.version.subscribe();
        while !holds(self) {
            version.changed().await.expect("the engine holds the sender");
        }
    }

    /// Returns as soon as some container waits at this gate, and says which.
    pub async fn at_gate(&self, gate: &str) -> ContainerId {
        let mut version = self.shared.version.subscribe();
        loop {
            if let Some(id) = self.waiting_at(gate) {
                return id;
            }
            version.changed().await.expect("the engine holds the sender");
        }
    }

    fn waiting_at(&self, gate: &str) -> Option<ContainerId> {
        let state = self.shared.lock();
        let mut all = state.containers.iter();
        all.find(|(_, it)| it.at_gate.as_deref() == Some(gate)).map(|(id, _)| *id)
    }
}
