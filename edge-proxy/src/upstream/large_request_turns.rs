//! Turns of the tenants at each server for sending it large requests.

use std::{
    collections::HashMap,
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout, timeout_at};
use usher_model::id::{ServerId, TenantId};

use super::fair_turns::{FairTurn, FairTurns};

/// The size from which a body takes a turn, bytes.
const LARGE: usize = 16 << 10;

/// The size of a body whose turn counts once. A larger one counts several times.
const COUNTED_ONCE: usize = 64 << 10;

/// The large requests that one edge sends to one server at a time.
const PLACES: usize = 1;

/// The large requests of one tenant that wait for one server.
const WAITING: usize = 512;

/// The longest time of a turn: 1 MiB takes 84 ms at 100 Mbit/s. A server that takes longer does not wait for the
/// bytes of this request, but for other things, such as the download of a presentation.
const LONGEST: Duration = Duration::from_millis(100);

/// The largest number of servers whose idle turns are kept.
const IDLE_MAX: usize = 1024;

/// The calls with large bodies at each server; clones share them.
///
/// Without turns, a tenant that sends 32 documents of 1 MiB or 64 of the longest forms at once made the creates
/// of all others on that server wait until it had received and read them all. A document that is passed on as it
/// comes takes no turn: its client would determine the turn's length.
#[derive(Debug, Clone, Default)]
pub(super) struct LargeRequestTurns(Arc<Mutex<HashMap<ServerId, FairTurns<TenantId>>>>);

/// The server has no place for a large request before the deadline of its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoTurn;

impl LargeRequestTurns {
    /// Waits until `tenant` may send a body of `size` bytes to a server. Returns `None` if the body needs no turn.
    ///
    /// # Errors
    /// No turn comes before `deadline`, or too many requests of the tenant wait.
    pub(super) async fn turn(
        &self,
        server: &ServerId,
        tenant: &TenantId,
        size: usize,
        deadline: Instant,
    ) -> Result<Option<FairTurn<TenantId>>, NoTurn> {
        if size < LARGE {
            return Ok(None);
        }
        let turns = self.of(server);
        // By size: a tenant with documents of 1 MiB sends one in its turn, and one with small ones several.
        let cost = (size / COUNTED_ONCE) as u64;
        let turn = timeout_at(deadline, turns.turn(tenant, cost)).await;
        turn.map_err(|_| NoTurn)?.map(Some).map_err(|_| NoTurn)
    }

    fn of(&self, server: &ServerId) -> FairTurns<TenantId> {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.len() > 2 * IDLE_MAX {
            servers.retain(|_, turns| turns.running() > 0);
        }
        servers.entry(server.clone()).or_insert_with(|| FairTurns::new(PLACES, WAITING)).clone()
    }
}

/// Makes a call, whose request has `turn` until the call ends or the turn has lasted its longest time.
pub(super) async fn during<T>(turn: Option<FairTurn<TenantId>>, call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    let Some(turn) = turn else { return call.await };
    let outcome = timeout(LONGEST, &mut call).await;
    drop(turn);
    match outcome {
        Ok(outcome) => outcome,
        Err(_) => call.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_gives_its_turn_up() {
        let (turns, server) = (LargeRequestTurns::default(), ServerId::parse("a").unwrap());
        let tenant = TenantId::parse("crowd").unwrap();
        let take = async |patience| turns.turn(&server, &tenant, LARGE, Instant::now() + patience).await;
        let hung: Vec<_> = futures::future::join_all((0..PLACES).map(|_| take(LONGEST))).await;
        assert!(take(LONGEST / 2).await.is_err(), "every place is taken");
        let hung =
            hung.into_iter().map(|turn| tokio::spawn(during(turn.unwrap(), std::future::pending::<()>())));
        let hung: Vec<_> = hung.collect();
        assert!(take(LONGEST * 2).await.is_ok());
        hung.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn small_requests_take_no_turn() {
        let (turns, server) = (LargeRequestTurns::default(), ServerId::parse("a").unwrap());
        let tenant = TenantId::parse("crowd").unwrap();
        let turn = turns.turn(&server, &tenant, LARGE - 1, Instant::now()).await;
        assert!(matches!(turn, Ok(None)), "{turn:?}");
    }

    #[tokio::test]
    async fn servers_that_come_and_go_take_bounded_memory() {
        let turns = LargeRequestTurns::default();
        for number in 0..5_000 {
            drop(turns.of(&ServerId::parse(&format!("s{number}")).unwrap()));
        }
        assert!(turns.0.lock().unwrap().len() <= 2 * IDLE_MAX + 1);
    }
}
