//! Run slots: how many containers there may be at once, in all and of each processor.
//!
//! A slot is held by whoever minds a container, from its claim until it has exited; what is only
//! being stored holds none.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fileyard_storage::id::ProcessorName;

use crate::hint::{Hint, Hints};

/// The count of containers.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    used: Arc<Mutex<HashMap<ProcessorName, usize>>>,
    limit: usize,
    hints: Hints,
}

/// One container's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Slots,
    processor: ProcessorName,
}

impl Slots {
    /// At most `limit` in all; tells `hints` when one is given back.
    #[must_use]
    pub(crate) fn new(limit: usize, hints: Hints) -> Self {
        Self { used: Arc::default(), limit, hints }
    }

    /// A slot, if there is one: `own` is the processor's limit, 0 for none.
    #[must_use]
    pub(crate) fn take(&self, processor: &ProcessorName, own: usize) -> Option<Slot> {
        let mut used = self.used();
        let mine = used.get(processor).copied().unwrap_or(0);
        if used.values().sum::<usize>() >= self.limit || (own > 0 && mine >= own) {
            return None;
        }
        used.insert(processor.clone(), mine + 1);
        Some(self.slot(processor))
    }

    /// A slot for a container that is there already, however many there are.
    #[must_use]
    pub(crate) fn force(&self, processor: &ProcessorName) -> Slot {
        *self.used().entry(processor.clone()).or_default() += 1;
        self.slot(processor)
    }

    /// Whether no processor could get one.
    #[must_use]
    pub(crate) fn full(&self) -> bool {
        self.used().values().sum::<usize>() >= self.limit
    }

    fn slot(&self, processor: &ProcessorName) -> Slot {
        Slot { slots: self.clone(), processor: processor.clone() }
    }

    fn used(&self) -> MutexGuard<'_, HashMap<ProcessorName, usize>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(used) = self.slots.used().get_mut(&self.processor) {
            *used = used.saturating_sub(1);
        }
        self.slots.hints.send(Hint::Queued);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_bounded_in_all_and_by_processor_and_come_back() {
        let slots = Slots::new(3, Hints::new());
        let (a, b): (ProcessorName, ProcessorName) =
            ("a".parse().expect("a name"), "b".parse().expect("a name"));
        let first = slots.take(&a, 1);
        assert!(first.is_some() && slots.take(&a, 1).is_none(), "a's own limit");
        let _two = (slots.take(&b, 0), slots.take(&b, 0));
        assert!(slots.full() && slots.take(&b, 0).is_none(), "the limit of all");
        let forced = slots.force(&b);
        drop(first);
        assert!(slots.full(), "a forced slot counts");
        drop(forced);
        assert!(slots.take(&a, 1).is_some());
    }
}
