//! The watch of a small list that no revision orders: it is compared every second, and told when it
//! has changed.

use std::{convert::Infallible, time::Duration};

use tokio::time::sleep;
use usher_runtime::clock;

use super::watchers::{WatchEnd, WatchSender, WatchStream, Watchers};
use crate::grpc::status::RpcRefusal;

/// Interval of the comparisons.
const LOOK: Duration = Duration::from_secs(1);
/// Longest time without a message.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// A list that can be compared.
pub(in crate::grpc) trait PolledSnapshot: Send + Sync + 'static {
    /// The list as it was told.
    type State: PartialEq + Default + Send + Sync;
    /// The message of the stream.
    type Message: Send + 'static;

    /// Returns the present list.
    fn state(&self) -> Self::State;
    /// Makes the messages that lead from one state to another; `is_first` if the reader knows no state.
    fn messages(&self, told: &Self::State, now: &Self::State, is_first: bool) -> Vec<Self::Message>;
}

impl Watchers {
    /// Watches a list from its present state.
    ///
    /// # Errors
    /// All places are taken.
    pub(in crate::grpc) fn watch_polled<S: PolledSnapshot>(
        &self,
        list: S,
    ) -> Result<WatchStream<S::Message>, RpcRefusal> {
        self.stream(|sender| async move {
            match run(&list, &sender).await {
                Ok(never) => match never {},
                Err(end) => end,
            }
        })
    }
}

async fn run<S: PolledSnapshot>(list: &S, sender: &WatchSender<S::Message>) -> Result<Infallible, WatchEnd> {
    let (mut told, mut is_first, mut told_at) = (S::State::default(), true, clock::now());
    loop {
        let now = list.state();
        let is_due = clock::now().saturating_duration_since(told_at) >= HEARTBEAT;
        if is_first || is_due || now != told {
            for message in list.messages(&told, &now, is_first) {
                sender.send(message).await?;
            }
            (told, is_first, told_at) = (now, false, clock::now());
        }
        sleep(LOOK).await;
    }
}
