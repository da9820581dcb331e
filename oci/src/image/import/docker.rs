//! What `docker save` writes: `manifest.json`, configs and layers.

use std::io::BufReader;

use serde::Deserialize;

use super::{Input, Room, manifest, nth, only_one, parse_names, usable};
use crate::image::{Image, ImageError, Place, digest::Digest, error::Context, work::Work};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl Place {
    pub(super) fn import_docker(
        &self,
        work: &Work,
        input: &Input,
        name: Option<String>,
    ) -> Result<Vec<Image>, ImageError> {
        let saved: Vec<Saved> =
            serde_json::from_slice(&input.json("manifest.json")?).map_err(|why| {
                ImageError::Image(format!("its manifest.json is not Docker's: {why}"))
            })?;
        let name = only_one(name, saved.len())?;
        saved.iter().map(|saved| self.import_saved(work, input, saved, name.as_deref())).collect()
    }

    fn import_saved(
        &self,
        work: &Work,
        input: &Input,
        saved: &Saved,
        name: Option<&str>,
    ) -> Result<Image, ImageError> {
        let own = saved.repo_tags.as_deref().unwrap_or_default();
        let names = match name {
            Some(name) => vec![name.to_owned()],
            None => parse_names(own.iter().map(String::as_str))?,
        };
        let text = input.json(&saved.config)?;
        verify(&saved.config, &text)?;
        let (_, diff_ids) = usable(&text)?;
        if diff_ids.len() != saved.layers.len() {
            return Err(ImageError::Image(format!(
                "it has {} layers, and its config speaks of {}",
                saved.layers.len(),
                diff_ids.len()
            )));
        }
        let (mut room, mut sizes) = (Room::of(self), Vec::new());
        for (n, (diff_id, member)) in diff_ids.iter().zip(&saved.layers).enumerate() {
            let tar = BufReader::with_capacity(128 << 10, input.open(member)?);
            let layer = self.add_known(work, diff_id, room.left(), tar);
            let layer = layer.context(|| nth(n, diff_ids.len()))?;
            room.take(&layer);
            sizes.push((diff_id.clone(), layer.tar_size));
        }
        self.add_image(work, &manifest(&text, &sizes)?, &text, &names)
    }
}

/// A config is called by its digest, as `HEX.json` or `blobs/sha256/HEX`.
fn verify(member: &str, text: &[u8]) -> Result<(), ImageError> {
    let name = member.rsplit('/').next().unwrap_or_default();
    let digest = Digest::from_digits(name.strip_suffix(".json").unwrap_or(name));
    if digest.is_some_and(|digest| digest != Digest::of(text)) {
        let words = format!("its config is not what it is called by: {member:?}");
        return Err(ImageError::Image(words));
    }
    Ok(())
}
