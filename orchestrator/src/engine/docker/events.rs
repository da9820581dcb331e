//! Hints from Docker's event stream, reconnected for ever.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bollard::{models::EventMessage, query_parameters::EventsOptions};
use fileyard_storage::{clock::Clock, clock::SystemClock, id::InstallId};
use futures::{StreamExt, stream::BoxStream};

use super::{client::Client, spec};
use crate::engine::ContainerId;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

struct Events {
    client: Arc<Client>,
    install: InstallId,
    /// From when on events are asked for, in seconds, so that none is lost between two streams or
    /// before the first one stands.
    since: i64,
    pause: Duration,
    open: Option<BoxStream<'static, Result<EventMessage, bollard::errors::Error>>>,
}

/// Containers of `install` that started, ended or were removed.
pub(super) fn changes(client: Arc<Client>, install: InstallId) -> BoxStream<'static, ContainerId> {
    let since = SystemClock.now().0 / 1000;
    let events = Events { client, install, since, pause: FIRST_PAUSE, open: None };
    futures::stream::unfold(events, async |mut events| {
        let id = events.next().await;
        Some((id, events))
    })
    .boxed()
}

impl Events {
    async fn next(&mut self) -> ContainerId {
        loop {
            let Some(stream) = &mut self.open else {
                self.open().await;
                continue;
            };
            match stream.next().await {
                Some(Ok(event)) => {
                    self.pause = FIRST_PAUSE;
                    self.since = event.time.unwrap_or(self.since);
                    if let Some(id) = container(&event) {
                        return id;
                    }
                }
                // Whatever it was: the daemon ended, or is about to.
                Some(Err(_)) | None => {
                    self.open = None;
                    self.client.forget().await;
                    tokio::time::sleep(self.pause).await;
                    self.pause = LONGEST_PAUSE.min(self.pause * 2);
                }
            }
        }
    }

    /// The stream opens when it is first polled.
    async fn open(&mut self) {
        let filters = HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            ("label".to_owned(), vec![format!("{}={}", spec::INSTALL, self.install)]),
            ("event".to_owned(), ["start", "die", "oom", "destroy"].map(str::to_owned).into()),
        ]);
        let options = EventsOptions {
            since: Some(self.since.to_string()),
            until: None,
            filters: Some(filters),
        };
        self.open = Some(match self.client.docker().await {
            Ok(docker) => docker.events(Some(options)).boxed(),
            Err(_) => futures::stream::empty().boxed(),
        });
    }
}

fn container(event: &EventMessage) -> Option<ContainerId> {
    event.actor.as_ref()?.attributes.as_ref()?.get("name")?.parse().ok()
}
