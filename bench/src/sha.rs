//! One core's SHA-256, by the same code as fileyard's: the pace that an upload's digest sets.

use std::hint::black_box;

use crate::{
    data,
    run::{Run, Stopwatch},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    size: u64,
}

pub(crate) fn run(args: &Args) -> Run {
    let block = data::block();
    let watch = Stopwatch::start();
    black_box(data::digest(&block, args.size));
    watch.stop(1, args.size)
}
