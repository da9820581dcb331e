//! Idempotency keys in memory.

use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    StoreError,
    clock::Timestamp,
    idempotency::{Idempotency, IdempotencyKey, IdempotencyStore, KeyState},
};

#[async_trait]
impl IdempotencyStore for MemoryStore {
    async fn key(&self, key: &IdempotencyKey) -> Result<Option<Idempotency>, StoreError> {
        Ok(self.tables().keys.get(key).cloned())
    }

    async fn forget_keys(&self, before: Timestamp) -> Result<(), StoreError> {
        self.tables()
            .keys
            .retain(|_, row| matches!(row.state, KeyState::Claimed { .. }) || row.at >= before);
        Ok(())
    }
}
