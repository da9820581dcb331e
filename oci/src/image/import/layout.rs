//! An OCI layout: `index.json`, and blobs called by their digests.

use std::io::{self, BufReader, Read};

use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use sha2::{Digest as _, Sha256};

use super::{Input, Room, nth, only_one, parse_names, usable};
use crate::image::{
    Image, ImageError, Place,
    config::{self, NOT_IMAGES},
    digest::Digest,
    error::Context,
    work::Work,
};

/// What containerd and BuildKit call an image by, and the standard, which has only a part of it.
const NAME: &str = "io.containerd.image.name";
const PART: &str = "org.opencontainers.image.ref.name";
/// Lists of lists that are looked into.
const MOST_NESTED: usize = 4;

impl Place {
    pub(super) fn import_layout(
        &self,
        work: &Work,
        input: &Input,
        name: Option<String>,
    ) -> Result<Vec<Image>, ImageError> {
        let index = parse_index(&input.json("index.json")?)?;
        let mine = config::of_this_machine(index.manifests())?;
        let name = only_one(name, mine.len())?;
        mine.into_iter().map(|it| self.import_described(work, input, it, name.as_deref())).collect()
    }

    fn import_described(
        &self,
        work: &Work,
        input: &Input,
        described: &Descriptor,
        name: Option<&str>,
    ) -> Result<Image, ImageError> {
        let names = match name {
            Some(name) => vec![name.to_owned()],
            None => parse_names(own_name(described))?,
        };
        let manifest = manifest_of(input, described)?;
        let parsed: ImageManifest = serde_json::from_slice(&manifest)
            .map_err(|why| ImageError::Image(format!("its manifest is none: {why}")))?;
        let text = blob(input, parsed.config())?;
        let (_, diff_ids) = usable(&text)?;
        if diff_ids.len() != parsed.layers().len() {
            return Err(ImageError::Image(format!(
                "its manifest speaks of {} layers, and its config of {}",
                parsed.layers().len(),
                diff_ids.len()
            )));
        }
        let mut room = Room::of(self);
        for (n, (diff_id, described)) in diff_ids.iter().zip(parsed.layers()).enumerate() {
            let added = verify(input, described).and_then(|path| {
                let tar = BufReader::with_capacity(128 << 10, input.open(&path)?);
                self.add_known(work, diff_id, room.left(), tar)
            });
            room.take(&added.context(|| nth(n, diff_ids.len()))?);
        }
        self.add_image(work, &manifest, &text, &names)
    }
}

/// The manifest itself, out of as many lists as it is in.
fn manifest_of(input: &Input, described: &Descriptor) -> Result<Vec<u8>, ImageError> {
    let mut described = described.clone();
    for _ in 0..MOST_NESTED {
        let text = blob(input, &described)?;
        if !config::is_list(&text) {
            return Ok(text);
        }
        let index = parse_index(&text)?;
        let mine = config::of_this_machine(index.manifests())?;
        described = mine
            .first()
            .map(|it| (*it).clone())
            .ok_or_else(|| ImageError::Image(NOT_IMAGES.into()))?;
    }
    Err(ImageError::Image("its lists of images do not end".into()))
}

fn parse_index(text: &[u8]) -> Result<ImageIndex, ImageError> {
    serde_json::from_slice(text)
        .map_err(|why| ImageError::Image(format!("its list of images is none: {why}")))
}

/// A small blob, verified.
fn blob(input: &Input, described: &Descriptor) -> Result<Vec<u8>, ImageError> {
    let digest = digest_of(described)?;
    let text = input.json(&path(&digest))?;
    if Digest::of(&text) == digest { Ok(text) } else { Err(not_so(&digest)) }
}

/// Where a large blob is, verified: nothing unpacks what is not what it is said to be.
fn verify(input: &Input, described: &Descriptor) -> Result<String, ImageError> {
    let digest = digest_of(described)?;
    let mut from = input.open(&path(&digest))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 128 << 10]);
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => hash.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    if Digest::finish(hash) == digest { Ok(path(&digest)) } else { Err(not_so(&digest)) }
}

fn digest_of(described: &Descriptor) -> Result<Digest, ImageError> {
    Digest::parse(described.digest().as_ref())
}

fn path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.digits())
}

fn not_so(digest: &Digest) -> ImageError {
    ImageError::Image(format!("{digest} in it is something else: it is damaged"))
}

/// A part alone, which is mostly a tag, is no name.
fn own_name(described: &Descriptor) -> Option<&str> {
    let said = described.annotations().as_ref()?;
    let part = || said.get(PART).filter(|name| name.contains([':', '/']));
    said.get(NAME).or_else(part).map(String::as_str)
}
