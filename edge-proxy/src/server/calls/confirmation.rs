//! The report to the control plane that a create succeeded.

use std::time::Duration;

use tracing::warn;
use usher_bbb::parse::CreateReply;
use usher_model::{id::ServerId, meeting::MeetingKey};
use usher_runtime::repeated_warnings::RequestWarnings;

use crate::control::placement::{CreateConfirmation, PlacementClient, PlacementError};

/// Tries to report a success. If all of them fail, polls find the meeting.
const TRIES: u32 = 5;
/// Pause before the second try; it is doubled before each further one.
const PAUSE: Duration = Duration::from_millis(200);

/// Returns the report of the instance that a server has made. For a breakout room, the time of the create
/// is the one in its internal id: the order of the instances of one room follows from it.
pub(super) fn confirmation(
    key: &MeetingKey,
    server: &ServerId,
    token: &str,
    created: &CreateReply,
) -> CreateConfirmation {
    let time = || created.internal_id.rsplit_once('-')?.1.parse().ok();
    CreateConfirmation {
        meeting: key.clone(),
        server: server.clone(),
        token: token.to_owned(),
        internal_id: created.internal_id.clone(),
        create_time_ms: created.breakout.then(time).flatten().unwrap_or(created.create_time_ms),
        breakout: created.breakout,
    }
}

/// Confirms a placed create, in several tries if no control plane answers.
pub(super) async fn confirm_placed(
    placement: PlacementClient,
    warnings: RequestWarnings,
    created: CreateConfirmation,
) {
    let server = &created.server;
    for attempt in 0..TRIES {
        match placement.confirm(&created).await {
            Ok(true) => return,
            Ok(false) => {
                if let Some(held_back) = warnings.admit("moved", server) {
                    warn!(%server, held_back, "a meeting moved elsewhere while it was created; it will be ended there");
                }
                return;
            }
            Err(error @ (PlacementError::Unreachable(_) | PlacementError::Declined(_))) => {
                if let Some(held_back) = warnings.admit("unconfirmed", server) {
                    warn!(%server, %error, attempt, held_back, "a create was not confirmed");
                }
                tokio::time::sleep(PAUSE * 2_u32.pow(attempt)).await;
            }
            Err(error) => {
                if let Some(held_back) = warnings.admit("refused confirmation", server) {
                    warn!(%server, %error, held_back, "a create was not confirmed");
                }
                return;
            }
        }
    }
}
