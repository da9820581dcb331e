//! What is asked of rows all day, with a short history and with a long one.

use std::{fmt::Write as _, time::Duration};

use fileyard_storage::{
    id::JobId,
    job::{JobFilter, JobStore as _, StateName},
};
use futures::StreamExt as _;
use rand::seq::IndexedRandom as _;

use crate::{history::History, life, median, timed, us};

/// The columns of the table.
const ASKED: [&str; 6] = [
    "a job",
    "each of 16 at once",
    "what is due",
    "a claim",
    "a page of 50",
    "a page of what succeeded",
];
const READS: usize = 500;
const READS_AT_ONCE: usize = 16;
const CLAIMS: usize = 20;
const PAGE: usize = 50;

/// What it took, for each of [`ASKED`].
type Times = [Vec<Duration>; ASKED.len()];

pub(crate) async fn table(histories: &[History], rounds: usize) -> String {
    let mut all: Vec<Times> = histories.iter().map(|_| Times::default()).collect();
    for history in histories {
        // What a server that runs has in memory.
        ask(history).await;
    }
    for _ in 0..rounds {
        for (history, all) in histories.iter().zip(&mut all) {
            let new = ask(history).await;
            all.iter_mut().zip(new).for_each(|(all, new)| all.extend(new));
        }
    }
    let mut text = "| jobs, in us and of the first | database |".to_owned();
    ASKED.iter().for_each(|asked| text += &format!(" {asked} |"));
    text = format!("{text}\n|{}\n", " --- |".repeat(2 + ASKED.len()));
    let first = all[0].each_ref().map(|times| us(median(times)));
    for (history, all) in histories.iter().zip(&all) {
        let mib = history.bytes as f64 / f64::from(1 << 20);
        write!(text, "| {} | {mib:.1} MiB |", history.jobs).unwrap();
        for (times, first) in all.iter().zip(first) {
            let time = us(median(times));
            write!(text, " {time:.0} ({:.2}) |", time / first).unwrap();
        }
        text.push('\n');
    }
    text
}

async fn ask(history: &History) -> Times {
    let (store, any) = (&history.store, || *history.some.choose(&mut rand::rng()).unwrap());
    let read = |id: JobId| async move { store.job(id).await.unwrap().unwrap() };
    let [mut reads, mut dues, mut claims] = [const { Vec::new() }; 3];
    for _ in 0..READS {
        reads.push(timed(read(any())).await.0);
    }
    let many = futures::stream::iter(0..READS).map(|_| read(any()));
    let many = many.buffer_unordered(READS_AT_ONCE).for_each(|_| async {});
    let (many, ()) = timed(many).await;
    for _ in 0..CLAIMS {
        life::submit(store).await;
        let (looked, due) = timed(life::due(store)).await;
        dues.push(looked);
        let (claimed, job) = timed(life::claim(store, due)).await;
        claims.push(claimed);
        life::finish(store, &job).await;
    }
    let mut pages = [const { Vec::new() }; 2];
    for (state, pages) in [None, Some(StateName::Succeeded)].into_iter().zip(&mut pages) {
        let filter = JobFilter { state, ..JobFilter::default() };
        for _ in 0..CLAIMS {
            let page = async { store.jobs(&filter, Some(any()), PAGE).await.unwrap() };
            pages.push(timed(page).await.0);
        }
    }
    let [page, succeeded] = pages;
    [reads, vec![many / READS as u32], dues, claims, page, succeeded]
}
