//! Log lines about servers that refuse requests by HTTP 4xx: one for each server and status, however many
//! requests a tenant sends there.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::StatusCode;
use usher_model::id::ServerId;

/// The shortest time between two lines about one server and status.
const PAUSE: Duration = Duration::from_mins(1);
/// The limit of servers and statuses that are remembered.
const MOST: usize = 1024;

/// The lines of the last minute.
#[derive(Debug, Default)]
pub(super) struct RefusalWarnings(Mutex<HashMap<(ServerId, StatusCode), RecentWarning>>);

#[derive(Debug)]
struct RecentWarning {
    at: Instant,
    /// The number of refusals since then.
    silent: u64,
}

impl RefusalWarnings {
    /// Notes a refusal. Returns the number of refusals that had no line since the last one, if a line is due now.
    pub(super) fn due(&self, server: &ServerId, status: StatusCode, now: Instant) -> Option<u64> {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |at: Instant| now.saturating_duration_since(at) < PAUSE;
        let about = (server.clone(), status);
        if let Some(warning) = recent.get_mut(&about) {
            if is_recent(warning.at) {
                warning.silent += 1;
                return None;
            }
            let silent = warning.silent;
            *warning = RecentWarning { at: now, silent: 0 };
            return Some(silent);
        }
        if recent.len() >= MOST {
            recent.retain(|_, warning| is_recent(warning.at));
        }
        if recent.len() >= MOST {
            return None;
        }
        recent.insert(about, RecentWarning { at: now, silent: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_refusals_of_a_server_have_one_line_a_minute() {
        let (warnings, start) = (RefusalWarnings::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let server = |id: &str| ServerId::parse(id).expect("is an id");
        let (large, long) = (StatusCode::PAYLOAD_TOO_LARGE, StatusCode::URI_TOO_LONG);
        assert_eq!(warnings.due(&server("a"), large, at(0)), Some(0));
        for second in 1..60 {
            assert_eq!(warnings.due(&server("a"), large, at(second)), None);
        }
        assert_eq!(warnings.due(&server("a"), long, at(59)), Some(0), "another status");
        assert_eq!(warnings.due(&server("b"), large, at(59)), Some(0), "another server");
        assert_eq!(warnings.due(&server("a"), large, at(60)), Some(59));
        assert_eq!(warnings.due(&server("a"), large, at(61)), None);
        assert_eq!(warnings.due(&server("a"), large, at(120)), Some(1));
        for number in 0..2 * MOST {
            warnings.due(&server(&format!("s{number}")), large, at(121));
        }
        assert_eq!(warnings.0.lock().expect("no test panics here").len(), MOST);
        assert_eq!(warnings.due(&server("new"), large, at(200)), Some(0), "older ones make room");
    }
}
