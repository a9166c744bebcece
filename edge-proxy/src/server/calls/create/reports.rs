//! Telling the control plane that a create succeeded.

use std::time::Duration;

use tracing::warn;
use usher_bbb::parse::CreateReply;
use usher_model::{id::ServerId, meeting::MeetingKey};

use crate::control::placement::{CreateConfirmation, PlacementClient, PlacementError};

/// Tries to report a success; where all fail, polls find the meeting.
const TRIES: u32 = 5;
/// Pause before the second try; doubled before each further one.
const PAUSE: Duration = Duration::from_millis(200);

/// Says which instance a server made; of a breakout room when, as its instance says it: the instances of one
/// room are told older from newer by that.
pub(in crate::server) fn confirmation(
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

/// Confirms a placed create.
pub(super) async fn confirm(placement: PlacementClient, created: CreateConfirmation) {
    let server = &created.server;
    for attempt in 0..TRIES {
        match placement.confirm(&created).await {
            Ok(true) => return,
            Ok(false) => {
                warn!(%server, "a meeting moved elsewhere while it was created; it will be ended there");
                return;
            }
            Err(error @ PlacementError::Unreachable(_)) => {
                warn!(%server, %error, attempt, "a create was not confirmed");
                tokio::time::sleep(PAUSE * 2_u32.pow(attempt)).await;
            }
            Err(error) => {
                warn!(%server, %error, "a create was not confirmed");
                return;
            }
        }
    }
}
