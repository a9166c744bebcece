//! The health state machine (requirements A1–A3), as pure functions of the stored counters.
//!
//! ```text
//!            HT successes in a row                UT failures without HT successes
//!   green <────────────────────────── yellow ──────────────────────────> red
//!     │  one failed poll or call        ▲                                  │
//!     └─────────────────────────────────┘                                  │
//!     ▲                       HT successes in a row                        │
//!     └────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Failures stick more than successes: the error count goes back to 0 only at green. The health is
//! derived from the counters and never stored, so that every replica sees the same one. Every
//! function returns the record to write, or nothing when nothing changed.

use usher_model::server::{Health, HealthRecord};

use crate::core::policy::Policy;

/// Window in which changes from green to yellow count as flapping, milliseconds (H17).
const FLAP_WINDOW_MS: i64 = 10 * 60 * 1000;
/// Changes within the window that cost nothing.
const FLAPS_FREE: u32 = 3;
/// Polling intervals within which failed calls count as a gray failure.
pub(super) const FAILED_CALLS_WINDOW: i64 = 90;
/// Highest threshold that flapping alone can lead to.
const FLAP_CAP: u32 = 24;

/// Whether failures are believed to say something about the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureSuspicion {
    /// They are.
    None,
    /// Most servers fail: probably we are cut off. Nothing turns red.
    Us,
    /// Most servers have failed for so long that they are believed after all.
    HeldTooLong,
}

/// Returns the health of a server; without a record it is on probation, one success from green.
pub fn health_of(record: Option<&HealthRecord>, policy: &Policy) -> Health {
    match record {
        Some(record) if record.recover >= healthy_threshold(record, policy) => Health::Online,
        Some(record) if record.error >= policy.unhealthy_threshold => Health::Offline,
        _ => Health::Unhealthy,
    }
}

/// Returns how many successes in a row this server needs: HT, doubled for each change from green to
/// yellow beyond the third within ten minutes before the last one (H17). It depends on the record
/// alone: the list was cut when its newest entry was made.
pub fn healthy_threshold(record: &HealthRecord, policy: &Policy) -> u32 {
    let flaps = u32::try_from(record.flapped_at_ms.len()).unwrap_or(u32::MAX);
    let doubled = 1_u32.checked_shl(flaps.saturating_sub(FLAPS_FREE)).unwrap_or(u32::MAX);
    policy.healthy_threshold.saturating_mul(doubled).min(FLAP_CAP.max(policy.healthy_threshold))
}

/// Judges a successful poll.
pub fn on_poll_ok(record: Option<&HealthRecord>, policy: &Policy, now_ms: i64) -> Option<HealthRecord> {
    let old = current(record, policy, now_ms);
    if health_of(record, policy) == Health::Online {
        return None;
    }
    let threshold = healthy_threshold(&old, policy);
    let recover = old.recover.saturating_add(1);
    if recover < threshold {
        return Some(HealthRecord { recover, ..old });
    }
    Some(HealthRecord {
        recover: threshold,
        error: 0,
        since_ms: now_ms,
        stood_ms: 0,
        reason: String::new(),
        ..old
    })
}

/// Judges a failed poll. While `suspicion` says that the fault is probably ours, nothing turns red.
pub fn on_poll_failed(
    record: Option<&HealthRecord>,
    policy: &Policy,
    suspicion: FailureSuspicion,
    reason: &str,
    now_ms: i64,
) -> Option<HealthRecord> {
    let was = health_of(record, policy);
    let old = current(record, policy, now_ms);
    let mut new = HealthRecord { recover: 0, reason: reason.to_owned(), ..old.clone() };
    if was != Health::Offline {
        let most = match suspicion {
            FailureSuspicion::None | FailureSuspicion::HeldTooLong => policy.unhealthy_threshold,
            FailureSuspicion::Us => policy.unhealthy_threshold - 1,
        };
        // An error count that stands already is never lowered: red stays red, I6.
        new.error = old.error.saturating_add(1).min(most).max(old.error);
    }
    finish(was, old, new, record.is_some(), policy, now_ms)
}

/// Judges a call that failed although polls succeed: green turns yellow, never red (H9). It is no failed
/// poll, and brings red no nearer: there it takes all the polls it takes (H16).
pub fn on_passive_failure(
    record: Option<&HealthRecord>,
    policy: &Policy,
    reason: &str,
    now_ms: i64,
) -> Option<HealthRecord> {
    let was = health_of(record, policy);
    let old = current(record, policy, now_ms);
    let mut new = HealthRecord { recover: 0, reason: reason.to_owned(), ..old.clone() };
    note_failed_call(&mut new, policy, now_ms);
    finish(was, old, new, record.is_some(), policy, now_ms)
}

fn finish(
    was: Health,
    old: HealthRecord,
    mut new: HealthRecord,
    stored: bool,
    policy: &Policy,
    now_ms: i64,
) -> Option<HealthRecord> {
    if was == Health::Online {
        // One that lies ahead was noted before the clock was set back: it says nothing any more.
        new.flapped_at_ms.retain(|at| (0..FLAP_WINDOW_MS).contains(&now_ms.saturating_sub(*at)));
        new.flapped_at_ms.push(now_ms);
    }
    let counters = |record: &HealthRecord| (record.recover, record.error);
    let noted = new.calls_failed_at_ms != old.calls_failed_at_ms;
    if stored && counters(&new) == counters(&old) && was != Health::Online && !noted {
        return None; // a new wording of the reason alone is not worth a write
    }
    if health_of(Some(&new), policy) != was {
        new.since_ms = now_ms;
        new.stood_ms = 0;
    }
    Some(new)
}

/// Returns what is stored, or what a new server starts with: `(HT-1, 0)`, yellow (A8).
fn current(record: Option<&HealthRecord>, policy: &Policy, now_ms: i64) -> HealthRecord {
    record.cloned().unwrap_or_else(|| HealthRecord {
        recover: policy.healthy_threshold - 1,
        error: 0,
        since_ms: now_ms,
        reason: String::new(),
        flapped_at_ms: Vec::new(),
        stood_ms: 0,
        calls_failed_at_ms: Vec::new(),
    })
}

/// Notes a failed call; `false` when one was noted within the last interval.
fn note_failed_call(record: &mut HealthRecord, policy: &Policy, now_ms: i64) -> bool {
    let age = |at: &i64| now_ms.saturating_sub(*at);
    let noted = &mut record.calls_failed_at_ms;
    if noted.last().is_some_and(|at| (0..interval_ms(policy)).contains(&age(at))) {
        return false;
    }
    let window = interval_ms(policy).saturating_mul(FAILED_CALLS_WINDOW);
    noted.retain(|at| (0..window).contains(&age(at)));
    noted.push(now_ms);
    true
}

pub(super) fn interval_ms(policy: &Policy) -> i64 {
    i64::try_from(policy.interval.as_millis()).unwrap_or(i64::MAX)
}
