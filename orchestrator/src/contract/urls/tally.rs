//! What an attempt has given back so far, and whether more of it is within its limits: numbers in
//! memory. The row is the truth; these are read from it when a desk opens.

use std::collections::HashMap;

use fileyard_storage::{attempt::Given, job::Place};

/// How much an attempt may give back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Outputs.
    pub(crate) files: usize,
    /// Bytes of all of them together.
    pub(crate) bytes: u64,
}

/// A program may send an output again, but not without end: each time takes a place in its row.
const SPARE_PUTS: usize = 10_000;

#[derive(Debug)]
pub(super) struct Tally {
    limits: Limits,
    /// Size and place of what is stored, by name.
    stored: HashMap<String, (u64, Place)>,
    /// Of all of that.
    bytes: u64,
    /// Name and bytes so far of what is on its way, by a number of this tally's own: a few.
    coming: HashMap<u64, (String, u64)>,
    begun: usize,
    next: u64,
}

impl Tally {
    pub(super) fn new(limits: Limits, given: &Given) -> Self {
        let stored: HashMap<_, _> = given
            .outputs
            .iter()
            .filter_map(|it| Some((it.name.clone(), (it.stored.as_ref()?.size, it.place))))
            .collect();
        let bytes = stored.values().fold(0_u64, |sum, (size, _)| sum.saturating_add(*size));
        let begun = given.begun as usize;
        Self { limits, stored, bytes, coming: HashMap::new(), begun, next: 0 }
    }

    /// One more output is coming, of at least so many bytes; its number here.
    ///
    /// # Errors
    /// What is over its limit.
    pub(super) fn begin(&mut self, name: &str, announced: u64) -> Result<u64, String> {
        let mut new: Vec<&str> = self.coming.values().map(|(name, _)| &name[..]).collect();
        new.push(name);
        new.sort_unstable();
        new.dedup();
        new.retain(|name| !self.stored.contains_key(*name));
        if self.stored.len() + new.len() > self.limits.files {
            return Err(format!(
                "its outputs are more than {} files (max_outputs)",
                self.limits.files
            ));
        }
        if self.begun >= self.limits.files + SPARE_PUTS {
            return Err(format!("it sent outputs more than {} times", self.begun));
        }
        if self.bytes_beside(name).saturating_add(announced) > self.limits.bytes {
            return Err(self.too_large());
        }
        self.begun += 1;
        self.next += 1;
        self.coming.insert(self.next, (name.to_owned(), 0));
        Ok(self.next)
    }

    /// So many bytes more of it came.
    ///
    /// # Errors
    /// That this is over the limit.
    pub(super) fn more(&mut self, which: u64, bytes: u64) -> Result<(), String> {
        let Some((name, size)) = self.coming.get_mut(&which) else { return Ok(()) };
        *size = size.saturating_add(bytes);
        let name = name.clone();
        if self.bytes_beside(&name) > self.limits.bytes { Err(self.too_large()) } else { Ok(()) }
    }

    /// It is stored there. Of two that have one name the last to begin stays, as it does in the
    /// row, where they may come in another order; where the other is.
    pub(super) fn stored(&mut self, which: u64, place: Place) -> Option<Place> {
        let (name, size) = self.coming.remove(&which)?;
        match self.stored.get(&name) {
            Some((_, last)) if last.index > place.index => return Some(place),
            _ => {}
        }
        self.bytes = self.bytes.saturating_add(size);
        let (before, earlier) = self.stored.insert(name, (size, place))?;
        self.bytes -= before;
        Some(earlier)
    }

    /// It broke off.
    pub(super) fn broke_off(&mut self, which: u64) {
        self.coming.remove(&which);
    }

    /// The most bytes that any output may have.
    pub(super) fn most(&self) -> u64 {
        self.limits.bytes
    }

    /// All that is stored or coming, but what is stored under this name: that will be replaced.
    fn bytes_beside(&self, name: &str) -> u64 {
        let replaced = self.stored.get(name).map_or(0, |(size, _)| *size);
        let coming = self.coming.values().map(|(_, size)| *size);
        coming.fold(self.bytes - replaced, u64::saturating_add)
    }

    fn too_large(&self) -> String {
        format!("its outputs are more than {} bytes (max_output_size)", self.limits.bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fileyard_storage::id::Fence;

    use super::*;

    fn tally(files: usize, bytes: u64) -> Tally {
        Tally::new(Limits { files, bytes }, &Given::default())
    }

    fn at(index: u32) -> Place {
        Place { fence: Fence(1), index }
    }

    #[test]
    fn files_are_counted_by_name_and_bytes_together() {
        let mut tally = tally(2, 10);
        let a = tally.begin("a", 0).unwrap();
        tally.more(a, 6).unwrap();
        let b = tally.begin("b", 4).unwrap();
        assert!(tally.begin("c", 0).unwrap_err().contains("2 files"));
        assert!(tally.begin("b", 5).unwrap_err().contains("10 bytes"));
        tally.more(b, 4).unwrap();
        assert!(tally.more(b, 1).unwrap_err().contains("10 bytes"));
        tally.broke_off(b);
        assert_eq!(tally.stored(a, at(0)), None);
        assert!(tally.begin("b", 5).is_err());
        assert!(tally.begin("b", 4).is_ok());
    }

    #[test]
    fn what_is_sent_again_takes_the_place_of_what_was() {
        let mut tally = tally(1, 10);
        let first = tally.begin("a", 10).unwrap();
        tally.more(first, 10).unwrap();
        tally.stored(first, at(7));
        let second = tally.begin("a", 10).unwrap();
        tally.more(second, 10).unwrap();
        assert_eq!(tally.stored(second, at(8)), Some(at(7)));
        for _ in 0..SPARE_PUTS - 1 {
            let again = tally.begin("a", 0).unwrap();
            tally.broke_off(again);
        }
        assert!(tally.begin("a", 0).unwrap_err().contains("times"));
    }

    #[test]
    fn of_two_at_once_the_last_to_begin_stays_whichever_is_stored_first() {
        for later_first in [false, true] {
            let mut tally = tally(1, 10);
            let (early, late) = (tally.begin("a", 2).unwrap(), tally.begin("a", 3).unwrap());
            tally.more(early, 2).unwrap();
            tally.more(late, 3).unwrap();
            let mut stored = [(early, at(0)), (late, at(1))];
            if later_first {
                stored.reverse();
            }
            let removed = stored.map(|(which, place)| tally.stored(which, place));
            assert_eq!(removed, [None, Some(at(0))], "{later_first}");
            assert_eq!(tally.bytes_beside("b"), 3);
        }
    }
}
