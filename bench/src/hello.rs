//! The least that a server of the same kind can answer.

use axum::{Router, routing::get};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Address and port
    #[arg(long)]
    listen: String,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(&args.listen).await?;
        let router = Router::new().route("/", get(|| async { "Hello, World!" }));
        axum::serve(listener, router).await?;
        anyhow::bail!("it does not end by itself")
    })
}
