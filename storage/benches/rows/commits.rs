//! One row, durable, beside one block; then as many uploads as come at once.

use std::{
    fmt::Write as _,
    fs::File,
    os::unix::fs::FileExt as _,
    path::Path,
    time::{Duration, Instant},
};

use fileyard_storage::{SqliteStore, upload::UploadStore as _};
use futures::StreamExt as _;

use crate::{life, median, timed, us};

const AT_ONCE: [usize; 5] = [1, 8, 64, 256, 1024];
/// In each round, of each.
const COMMITS: usize = 20;
/// That an upload writes: its own, and when it is complete its own again and its job's.
const ROWS: usize = 3;

pub(crate) async fn table(dir: &Path, rounds: usize) -> String {
    let data = dir.join("commits");
    std::fs::create_dir(&data).unwrap();
    let store = SqliteStore::open(&data).unwrap();
    let mut text = alone(&store, &File::create(dir.join("block")).unwrap(), rounds).await;
    text += "\n| uploads at once | rows a second | of one's | rows in a commit |\n| --- | --- | --- | --- |\n";
    let mut all = AT_ONCE.map(|_| Together::default());
    for _ in 0..rounds {
        for (at_once, all) in AT_ONCE.into_iter().zip(&mut all) {
            all.uploads(&store, at_once).await;
        }
    }
    let one = all[0].rate();
    for (at_once, all) in AT_ONCE.iter().zip(&all) {
        let (rate, together) = (all.rate(), all.rows as f64 / all.commits as f64);
        writeln!(text, "| {at_once} | {rate:.0} | {:.1} | {together:.1} |", rate / one).unwrap();
    }
    text
}

/// What came at once, in all rounds.
#[derive(Default)]
struct Together {
    rows: usize,
    commits: u64,
    took: Duration,
}

impl Together {
    /// One round more.
    async fn uploads(&mut self, store: &SqliteStore, at_once: usize) {
        let (before, from) = (store.counts(), Instant::now());
        let uploads = COMMITS * at_once.min(64);
        let all = futures::stream::iter(0..uploads).map(|_| life::submit(store));
        all.buffer_unordered(at_once).for_each(|_| async {}).await;
        self.took += from.elapsed();
        self.commits += store.counts().commits - before.commits;
        self.rows += uploads * ROWS;
    }

    fn rate(&self) -> f64 {
        self.rows as f64 / self.took.as_secs_f64()
    }
}

async fn alone(store: &SqliteStore, block: &File, rounds: usize) -> String {
    // The log of a database that is written to has its size already.
    for _ in 0..1000 {
        store.begin(life::upload()).await.unwrap();
    }
    let (mut blocks, mut rows) = (Vec::new(), Vec::new());
    for _ in 0..rounds * COMMITS {
        blocks.push(timed(async { sync(block) }).await.0);
        rows.push(timed(async { store.begin(life::upload()).await.unwrap() }).await.0);
    }
    let (block, row) = (us(median(&blocks)), us(median(&rows)));
    format!(
        "| what | us | of fdatasync |\n| --- | --- | --- |\n\
         | 4 KiB and fdatasync | {block:.0} | 1.00 |\n| one row, committed | {row:.0} | {:.2} |\n",
        row / block,
    )
}

/// The least that can be durable.
fn sync(file: &File) {
    file.write_all_at(&[7; 4096], 0).unwrap();
    file.sync_data().unwrap();
}
