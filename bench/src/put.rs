//! Files straight into a bucket, by the client that fileyard uses, from memory: what a store and
//! its client can do when nobody stands before them.

use std::sync::Arc;

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use object_store::{
    ClientOptions, MultipartUpload, ObjectStoreExt, PutPayload,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    data,
    run::{Run, Stopwatch},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    endpoint: String,
    #[arg(long)]
    bucket: String,
    #[arg(long)]
    size: u64,
    #[arg(long, default_value_t = 1)]
    count: u64,
    #[arg(long, default_value_t = 1)]
    parallel: usize,
    /// Bytes of a part; a file that fits in one is one PUT
    #[arg(long, default_value_t = 8 << 20)]
    part: usize,
    /// Parts of one file on their way at once
    #[arg(long, default_value_t = 2)]
    flying: usize,
}

/// The keys are in `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
pub(crate) fn run(args: &Args) -> anyhow::Result<Run> {
    let store = AmazonS3Builder::new()
        .with_endpoint(&args.endpoint)
        .with_bucket_name(&args.bucket)
        .with_region("us-east-1")
        .with_access_key_id(std::env::var("AWS_ACCESS_KEY_ID").context("AWS_ACCESS_KEY_ID")?)
        .with_secret_access_key(
            std::env::var("AWS_SECRET_ACCESS_KEY").context("AWS_SECRET_ACCESS_KEY")?,
        )
        // As fileyard does where the service is on the same machine.
        .with_unsigned_payload(true)
        .with_client_options(ClientOptions::new().with_allow_http(true).with_timeout_disabled())
        .build()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let part = Part::new(args.part);
    let watch = Stopwatch::start();
    runtime.block_on(all(args, Arc::new(store), &part))?;
    Ok(watch.stop(args.count, args.count * args.size))
}

async fn all(args: &Args, store: Arc<AmazonS3>, part: &Part) -> anyhow::Result<()> {
    let slots = Arc::new(Semaphore::new(args.parallel.max(1)));
    let mut files = JoinSet::new();
    for n in 0..args.count {
        let slot = Arc::clone(&slots).acquire_owned().await?;
        let (store, part) = (Arc::clone(&store), part.clone());
        let (size, flying) = (args.size, args.flying.max(1));
        files.spawn(async move {
            let _slot = slot;
            file(&store, &Path::from(format!("put/{n}.bin")), size, &part, flying).await
        });
        while let Some(done) = files.try_join_next() {
            done??;
        }
    }
    while let Some(done) = files.join_next().await {
        done??;
    }
    Ok(())
}

async fn file(
    store: &AmazonS3,
    path: &Path,
    size: u64,
    part: &Part,
    flying: usize,
) -> anyhow::Result<()> {
    if size <= part.0.len() as u64 {
        store.put(path, part.payload(size)).await?;
        return Ok(());
    }
    let mut upload = store.put_multipart(path).await?;
    let (mut left, mut parts) = (size, JoinSet::new());
    while left > 0 {
        let n = left.min(part.0.len() as u64);
        if parts.len() >= flying
            && let Some(done) = parts.join_next().await
        {
            done??;
        }
        parts.spawn(upload.put_part(part.payload(n)));
        left -= n;
    }
    while let Some(done) = parts.join_next().await {
        done??;
    }
    upload.complete().await?;
    Ok(())
}

/// A part's bytes, shared by all that are sent.
#[derive(Clone)]
struct Part(Bytes);

impl Part {
    fn new(size: usize) -> Self {
        let block = data::block();
        let mut part = BytesMut::with_capacity(size);
        data::chunks(&block, size as u64).for_each(|chunk| part.extend_from_slice(chunk));
        Self(part.freeze())
    }

    fn payload(&self, size: u64) -> PutPayload {
        self.0.slice(..usize::try_from(size).expect("it is in memory")).into()
    }
}
