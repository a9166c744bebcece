//! The webhooks of BBB servers. bbb-webhooks 2 accepts SHA-1 only, for any configuration of the
//! server; bbb-webhooks 3 accepts the configured algorithms (wire-contract 1.2).

use std::sync::PoisonError;

use async_trait::async_trait;
use tokio::time::Instant;
use usher_bbb::{
    checksum::ChecksumAlgorithm,
    parse::{self, ListedHook, ServerReply},
    query,
    reply::Refusal,
};
use usher_model::server::Server;

use super::{BbbClient, call_failure::unreadable};
use crate::{notifications::ports::ServerHooks, ports::BbbCallError};

impl BbbClient {
    /// Makes a call that is signed as the server is configured, and then with SHA-1. The algorithm
    /// that the server accepts is remembered.
    async fn hook_call(
        &self,
        server: &Server,
        call: &'static str,
        query: &str,
    ) -> Result<String, BbbCallError> {
        let deadline = Instant::now() + self.call_deadline;
        let mut ways = vec![server.algorithm, ChecksumAlgorithm::Sha1];
        ways.dedup();
        let is_old = self.lock().contains(&server.id);
        if is_old {
            ways.reverse();
        }
        let mut last = Err(BbbCallError::Failed(Refusal::CHECKSUM_OF_HOOK.key.into()));
        for algorithm in ways {
            let signing = Server { algorithm, ..server.clone() };
            let answer = self.call(&signing, call, query, self.call_deadline, deadline).await?;
            let answer = answer.body.text()?;
            let outcome = parse::outcome(answer).map_err(|error| unreadable(&error))?;
            if outcome.success {
                if algorithm == ChecksumAlgorithm::Sha1 && server.algorithm != algorithm {
                    self.lock().insert(server.id.clone());
                } else if is_old {
                    self.lock().remove(&server.id);
                }
                return Ok(answer.to_owned());
            }
            let is_checksum = outcome.key == Refusal::CHECKSUM_OF_HOOK.key;
            last = Err(BbbCallError::Failed(outcome.key));
            if !is_checksum {
                break;
            }
        }
        last
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, std::collections::HashSet<usher_model::id::ServerId>> {
        self.old_hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ServerHooks for BbbClient {
    async fn hooks(&self, server: &Server) -> Result<Vec<ListedHook>, BbbCallError> {
        let answer = self.hook_call(server, "hooks/list", "").await?;
        match parse::hooks(&answer).map_err(|error| unreadable(&error))? {
            ServerReply::Success(listed) => Ok(listed),
            ServerReply::Failed(failure) => Err(BbbCallError::Failed(failure.key)),
        }
    }

    async fn create_hook(&self, server: &Server, url: &str, raw: bool) -> Result<(), BbbCallError> {
        let mut query = format!("callbackURL={}", query::encode(url));
        if raw {
            query.push_str("&getRaw=true");
        }
        self.hook_call(server, "hooks/create", &query).await.map(|_| ())
    }

    async fn destroy_hook(&self, server: &Server, id: &str) -> Result<(), BbbCallError> {
        let query = format!("hookID={}", query::encode(id));
        match self.hook_call(server, "hooks/destroy", &query).await {
            Err(BbbCallError::Failed(key)) if key == Refusal::HOOK_NOT_FOUND.key => Ok(()),
            done => done.map(|_| ()),
        }
    }
}
