//! All layers of an image, a few at once.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufReader, Read},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, stream};
use oci_spec::image::Descriptor;
use tokio::time::sleep;

use super::{Pull, blocking, described, download::Download};
use crate::image::{
    ImageError,
    digest::Digest,
    error::Context,
    import::{Room, nth},
    layers::{Layer, Unpacking},
    unpack::keep_free,
    work::Work,
};

/// Layers that are fetched at once.
const AT_ONCE: usize = 3;
/// How often it is said how far it is.
const SAY: Duration = Duration::from_millis(250);
/// How often it is looked whether somebody else is done with a layer.
const LOOK: Duration = Duration::from_millis(100);

/// The layers of one pull.
pub(super) struct Layers<'a> {
    pull: &'a Pull<'a>,
    work: &'a Arc<Work>,
    wanted: Vec<Wanted>,
    /// How many the image has, some of them maybe several times.
    all: usize,
    room: Mutex<Room>,
    so_far: Mutex<SoFar>,
    stop: Stop,
}

/// A layer, by what it is and by what the registry has of it.
struct Wanted {
    nth: usize,
    diff_id: Digest,
    digest: Digest,
    size: u64,
}

/// What is here of each, in bytes of the registry's.
struct SoFar {
    bytes: BTreeMap<usize, u64>,
    done: usize,
    said: Instant,
}

/// Told when a pull ends, however it does: what it left on other threads ends too.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<'a> Layers<'a> {
    pub(super) fn new(
        pull: &'a Pull<'a>,
        work: &'a Arc<Work>,
        diff_ids: &[Digest],
        descriptors: &[Descriptor],
    ) -> Result<Self, ImageError> {
        if diff_ids.len() != descriptors.len() {
            return Err(ImageError::Image(format!(
                "its manifest speaks of {} layers, and its config of {}",
                descriptors.len(),
                diff_ids.len()
            )));
        }
        // Some have one layer several times, as an empty one.
        let mut wanted = BTreeMap::new();
        for (n, (diff_id, descriptor)) in diff_ids.iter().zip(descriptors).enumerate() {
            let (digest, size) = described(descriptor).context(|| nth(n, diff_ids.len()))?;
            wanted.entry(diff_id).or_insert((n, digest, size));
        }
        let wanted = wanted.into_iter().map(|(diff_id, (nth, digest, size))| Wanted {
            nth,
            diff_id: diff_id.clone(),
            digest,
            size,
        });
        let mut wanted: Vec<Wanted> = wanted.collect();
        wanted.sort_by_key(|it| it.nth);
        let so_far = SoFar { bytes: BTreeMap::new(), done: 0, said: Instant::now() };
        let room = Mutex::new(Room::of(&pull.place));
        let all = diff_ids.len();
        Ok(Self {
            pull,
            work,
            wanted,
            all,
            room,
            so_far: Mutex::new(so_far),
            stop: Stop::default(),
        })
    }

    /// Until all of them are here.
    pub(super) async fn fetch(self) -> Result<(), ImageError> {
        let mut missing = Vec::new();
        for wanted in &self.wanted {
            match self.there(wanted).await? {
                Some(layer) => self.done(wanted, &layer)?,
                None => missing.push(wanted),
            }
        }
        self.check_room(missing.iter().fold(0, |sum, wanted| sum.saturating_add(wanted.size)))?;
        let layers: Vec<_> = missing.into_iter().map(|wanted| self.named(wanted)).collect();
        stream::iter(layers).buffer_unordered(AT_ONCE).try_collect::<()>().await
    }

    async fn named(&self, wanted: &Wanted) -> Result<(), ImageError> {
        self.one(wanted).await.context(|| nth(wanted.nth, self.all))
    }

    async fn one(&self, wanted: &Wanted) -> Result<(), ImageError> {
        let alone = self.alone(wanted).await?;
        // Whoever had it before us may have unpacked it.
        if let Some(there) = self.there(wanted).await? {
            return self.done(wanted, &there);
        }
        let path = self.work.fresh("blob");
        let download =
            Download::new(&self.pull.registry, wanted.digest.clone(), wanted.size, path.clone());
        download.run(&|bytes| self.say(wanted, bytes, false)).await?;
        let unpacked = self.unpack(wanted, path, alone).await?;
        self.done(wanted, &unpacked)
    }

    async fn there(&self, wanted: &Wanted) -> Result<Option<Layer>, ImageError> {
        let (place, work) = (self.pull.place.clone(), self.work.clone());
        let layer = wanted.diff_id.clone();
        blocking(move || place.count_on(&work, &layer)).await
    }

    /// Before it is downloaded, so that of two pulls one does both.
    async fn alone(&self, wanted: &Wanted) -> Result<Unpacking, ImageError> {
        let mut said = false;
        loop {
            let (place, layer) = (self.pull.place.clone(), wanted.diff_id.clone());
            if let Some(alone) = blocking(move || place.try_unpacking(&layer)).await? {
                return Ok(alone);
            }
            if !said {
                let nth = nth(wanted.nth, self.all);
                (self.pull.progress)(format!("waiting for {nth}, which somebody else fetches"));
                said = true;
            }
            sleep(LOOK).await;
        }
    }

    /// Unpacked it takes at least as much as it does now.
    fn check_room(&self, bytes: u64) -> Result<(), ImageError> {
        let free = bytes.saturating_add(self.pull.place.limits.keep_free);
        keep_free(&File::open(&self.pull.place.dir)?, free)
    }

    async fn unpack(
        &self,
        wanted: &Wanted,
        path: PathBuf,
        alone: Unpacking,
    ) -> Result<Layer, ImageError> {
        let (place, work) = (self.pull.place.clone(), self.work.clone());
        let (layer, stop) = (wanted.diff_id.clone(), self.stop.0.clone());
        let left = lock(&self.room).left();
        blocking(move || {
            let blob = Stoppable { from: File::open(&path)?, stop };
            // By name nobody needs it any more, and its room is free as soon as it is read.
            fs::remove_file(&path)?;
            let tar = BufReader::with_capacity(128 << 10, blob);
            place.add_alone(&work, &layer, left, tar, &alone)
        })
        .await
    }

    fn done(&self, wanted: &Wanted, layer: &Layer) -> Result<(), ImageError> {
        let mut room = lock(&self.room);
        if layer.tar_size > room.left() {
            let words = "with it the image unpacks to more than an image may";
            return Err(ImageError::Image(words.into()));
        }
        room.take(layer);
        drop(room);
        self.say(wanted, wanted.size, true);
        Ok(())
    }

    fn say(&self, wanted: &Wanted, bytes: u64, done: bool) {
        let mut so_far = lock(&self.so_far);
        so_far.bytes.insert(wanted.nth, bytes);
        so_far.done += usize::from(done);
        if !done && so_far.said.elapsed() < SAY {
            return;
        }
        so_far.said = Instant::now();
        let here = so_far.bytes.values().fold(0, |sum: u64, it| sum.saturating_add(*it));
        let all = self.wanted.iter().fold(0, |sum: u64, it| sum.saturating_add(it.size));
        let (done, layers) = (so_far.done, self.wanted.len());
        drop(so_far);
        (self.pull.progress)(format!("{done} of {layers} layers, {} of {}", mib(here), mib(all)));
    }
}

/// Ends with an error once nobody wants it any more.
struct Stoppable {
    from: File,
    stop: Arc<AtomicBool>,
}

impl Read for Stoppable {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other(ImageError::Passing("it was given up".into())));
        }
        self.from.read(into)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn mib(bytes: u64) -> String {
    // Of what a person reads, a tenth is enough.
    let tenths = bytes.saturating_mul(10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
