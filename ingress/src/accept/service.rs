//! The router as hyper's service, with its bodies' ends noted in the connection's [`Link`].

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use http::{HeaderValue, Request, Response, header};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use tower_service::Service as _;

use super::{House, buffer::Buffer, link::Link};

/// What hyper hands a connection's requests to.
pub(super) struct Service {
    house: Arc<House>,
    link: Arc<Link>,
    /// hyper's, which is there as long as this is.
    _buffer: Buffer,
}

impl Service {
    pub(super) fn new(house: Arc<House>, link: Arc<Link>, buffer: Buffer) -> Self {
        Self { house, link, _buffer: buffer }
    }
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response<Outgoing>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (house, link) = (Arc::clone(&self.house), Arc::clone(&self.link));
        link.asked(!request.body().is_end_stream());
        let request = request.map(|body| Body::new(Asked { body, link: Arc::clone(&link) }));
        let answering = house.router.clone().call(request);
        async move {
            let Ok(mut response) = answering.await;
            let state = link.state();
            // Without the rest of the body it is not known where the next request begins.
            if state.unread || state.requests >= house.limits.requests || house.stop.is_cancelled()
            {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            Ok(response.map(|body| Outgoing { body, link }))
        }
        .boxed()
    }
}

/// A request's body.
struct Asked {
    body: Incoming,
    link: Arc<Link>,
}

impl hyper::body::Body for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.link.read();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body.
pub(super) struct Outgoing {
    body: Body,
    link: Arc<Link>,
}

impl hyper::body::Body for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.link.answered();
    }
}
