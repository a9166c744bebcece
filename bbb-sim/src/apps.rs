//! The clock of the apps server: it carries out each end when it is due, also if no request comes.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{state::ServerState, time};

/// Carries out ends until `stop`.
pub(crate) async fn run(state: Arc<ServerState>, stop: CancellationToken) -> anyhow::Result<()> {
    loop {
        let next_ms = state.memory().next_end_ms();
        let due = async {
            match next_ms {
                Some(at) => {
                    tokio::time::sleep(Duration::from_millis(at.saturating_sub(time::now_ms()))).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = state.end_accepted.notified() => {}
            () = due => state.report_changes(),
        }
    }
}
