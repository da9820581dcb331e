//! By `urls`: an attempt's desk and its listener, from before its container starts until its exit is
//! in its row.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use fileyard_storage::{
    StoreError,
    attempt::{Attempt, Contract, GivenResult},
    failpoint,
};
use serde_json::Value;
use tokio::{sync::watch, time::sleep};

use super::{Halt, Owner, PAUSE};
use crate::{
    contract::urls::{Addresses, Claims, Counter, Desk, Limits, Listening, Open, Urls, expiry},
    engine::Gateway,
};

/// A desk that is open.
pub(super) struct Served {
    desk: Desk,
    at: SocketAddr,
    over: watch::Receiver<bool>,
    _listening: Box<dyn Listening>,
}

/// Why a desk could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotServed {
    /// This server was built without the contract.
    #[error("this server does not serve the `urls` contract")]
    NotOffered,
    /// The address can not be had.
    #[error("{}", words(*at, error))]
    Listen {
        /// Which.
        at: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The row can not be read.
    #[error(transparent)]
    Rows(#[from] StoreError),
}

impl Owner {
    /// Opens the desk at this gateway, if it is not open there.
    pub(super) async fn serve(&mut self, gateway: IpAddr) -> Result<(), NotServed> {
        let parts = &self.inner.parts;
        let Urls { port, key, listeners } = parts.urls.as_ref().ok_or(NotServed::NotOffered)?;
        let at = SocketAddr::new(gateway, *port);
        if self.served.as_ref().is_some_and(|served| served.at == at) {
            return Ok(());
        }
        let networks = parts.engine.networks().ok_or(NotServed::NotOffered)?;
        let row = self.row().await?;
        let limits =
            Limits { files: self.processor.max_outputs, bytes: self.processor.max_output_size };
        let vitals = Arc::clone(&self.vitals);
        let (told, over) = watch::channel(row.given.over.is_some());
        let desk = Desk::new(Counter {
            store: Arc::clone(&parts.store),
            blobs: parts.blobs.clone(),
            clock: Arc::clone(&parts.clock),
            disk: parts.disk.clone(),
            key: key.clone(),
            id: self.id,
            job: self.job.clone(),
            fence: self.fence,
            said: Box::new(move |progress| vitals.said(progress)),
            over: told,
            open: Open::new(limits, &row),
        });
        let refused = |error| NotServed::Listen { at, error };
        let listener = networks.listen(&self.id, at).await.map_err(refused)?;
        let listening = listeners.listen(listener, desk.clone()).await.map_err(refused)?;
        self.served = Some(Served { desk, at, over, _listening: listening });
        failpoint::hit("listening");
        Ok(())
    }

    /// The port of the listener that its container reaches, if it reaches one.
    pub(super) fn listener(&self) -> Option<u16> {
        let urls = self.inner.parts.urls.as_ref().filter(|_| self.contract == Contract::Urls);
        urls.map(|urls| urls.port)
    }

    /// The same, for a container that runs already: asked again at every look, until it is so.
    pub(super) async fn serve_again(&mut self) {
        let Some(Gateway { address }) = self.gateway.filter(|_| self.contract == Contract::Urls)
        else {
            return;
        };
        if let Err(error) = self.serve(address).await {
            tracing::warn!(%error, "could not serve the container's addresses; trying again");
        }
    }

    /// What the container finds in its environment, once the desk is open.
    pub(super) fn addresses(&self) -> Option<Addresses> {
        let (served, urls) = (self.served.as_ref()?, self.inner.parts.urls.as_ref()?);
        let claims = Claims {
            tenant: self.job.asked.tenant.clone(),
            job: self.id.job,
            attempt: self.id.attempt,
            expires: expiry(&self.processor, self.inner.parts.clock.now()),
        };
        Some(Addresses::new(served.at, &claims, &urls.key))
    }

    /// Whether the program sent more than it may.
    pub(super) fn is_over(&self) -> bool {
        self.served.as_ref().is_some_and(|served| *served.over.borrow())
    }

    /// Returns once, when that comes to be so.
    pub(super) async fn over(&mut self) {
        let told = match &mut self.served {
            Some(served) => served.over.changed().await.is_ok(),
            None => false,
        };
        if !told {
            std::future::pending::<()>().await;
        }
    }

    /// Ends what is being sent and the listener; the last trouble of ours that the program met.
    /// Once the exit is in the row: before it, something might still be taken.
    pub(super) async fn close_desk(&mut self) -> Option<String> {
        let served = self.served.take()?;
        served.desk.close().await
    }

    /// What the program gave back, once nothing more of it is taken.
    pub(super) async fn given(&self) -> Result<Attempt, Halt> {
        loop {
            match self.row().await {
                Ok(row) => return Ok(row),
                Err(StoreError::NotFound(_)) => return Err(Halt::Lost),
                Err(error) => {
                    tracing::warn!(%error, "could not read the attempt's row; trying again");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn row(&self) -> Result<Attempt, StoreError> {
        let (job, no) = (self.id.job, self.id.attempt);
        let row = self.inner.parts.store.attempt(job, no).await?;
        row.ok_or_else(|| StoreError::NotFound(format!("attempt {no} of job {job}")))
    }
}

/// The result that a program sent: null where it sent none.
pub(super) fn result(row: &Attempt) -> Result<Value, String> {
    match &row.given.result {
        None => Ok(Value::Null),
        Some(GivenResult::Valid { value }) => Ok(value.clone()),
        Some(GivenResult::Invalid { words }) => Err(words.clone()),
    }
}

fn words(at: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{at} is taken by another program, and containers are to reach fileyard there; stop it, \
             or choose another urls.port"
        ),
        io::ErrorKind::AddrNotAvailable => format!(
            "{at} is not an address of this machine: the `urls` contract needs a Docker daemon on \
             the same machine, and in the same network, as fileyard"
        ),
        _ => format!("could not listen on {at}: {error}"),
    }
}
