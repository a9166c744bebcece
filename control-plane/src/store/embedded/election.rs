//! Election within one process: the oldest candidate that keeps its lease alive leads.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::timeout;
use usher_model::revision::FencingToken;

use super::{
    shared_store::{SharedStore, closed},
    writer::WriteJob,
};
use crate::{
    ports::{LeaderLease, StoreEntry, StoreError},
    store::keys,
};

/// Enters a candidate and waits until it is the oldest.
pub(super) async fn campaign(
    shared: Arc<SharedStore>,
    candidate: &str,
    ttl: Duration,
) -> Result<Box<dyn LeaderLease>, StoreError> {
    let mut changes = shared.published.clone();
    let enter = |reply| WriteJob::Enter { candidate: candidate.to_owned(), ttl, reply };
    let mut token = shared.ask(enter).await?;
    loop {
        changes.mark_unchanged();
        let (leads, entered) = shared.read(|state| {
            let leads = oldest(state.below(keys::ELECTION)).is_some_and(|entry| entry.key == token.key);
            (leads, state.get(&token.key).is_some())
        });
        if leads {
            return Ok(Box::new(EmbeddedLease { shared, token }));
        }
        if !entered {
            token = shared.ask(enter).await?;
            continue;
        }
        // A waiting candidate renews its lease, because the writer removes candidates whose lease
        // ran out.
        match timeout(ttl / 3, changes.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(closed()),
            Err(_) => match shared.ask(|reply| WriteJob::Renew(token.key.clone(), reply)).await {
                Ok(_) | Err(StoreError::Rejected(_)) => {}
                Err(error) => return Err(error),
            },
        }
    }
}

/// Returns the candidate that leads.
pub(super) fn oldest<'a>(candidates: impl Iterator<Item = &'a StoreEntry>) -> Option<&'a StoreEntry> {
    candidates.min_by_key(|entry| entry.create_revision)
}

struct EmbeddedLease {
    shared: Arc<SharedStore>,
    token: FencingToken,
}

#[async_trait]
impl LeaderLease for EmbeddedLease {
    fn token(&self) -> FencingToken {
        self.token.clone()
    }

    async fn keep_alive(&mut self) -> Result<Duration, StoreError> {
        self.shared.ask(|reply| WriteJob::Renew(self.token.key.clone(), reply)).await
    }

    async fn resign(self: Box<Self>) -> Result<(), StoreError> {
        self.shared.ask(|reply| WriteJob::Leave(self.token.key.clone(), reply)).await
    }
}
