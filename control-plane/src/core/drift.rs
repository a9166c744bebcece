//! Which polls are written in full. A sample of fifty meetings takes kilobytes of the store's history, and most
//! polls see the same as the one before. The table names the differences for which the sample is written; without
//! one of them only the watermark is.
//!
//! | what differs from the stored sample | written | because |
//! |---|---|---|
//! | there is none of this epoch | sample | `fleet.knows`: the server was asked |
//! | meetings that began or ended, whatever is fixed of one, the server's version | sample | records, zombies, numbers and rooms are judged by it |
//! | load, by more than a third of what a new meeting counts, and by more than 2 % | sample | placement compares servers by it |
//! | users of a tenant that has a limit, by more than one and by more than 2 % | sample | edges enforce the limit by it |
//! | users of a meeting, less than that, for twelve polling intervals | sample | people look at the figures |
//! | ages, the order, users by less than that | watermark | reservations end by it, and its writing says how fresh the sample is |
//! | nothing | watermark | the same |

use std::time::{Duration, Instant};

use usher_model::{
    id::TenantId,
    server::{SampledMeeting, ServerSample},
};

use super::{
    fleet::{Fleet, FleetServer},
    load,
};

/// Polling intervals after which users that differ are written down, however few.
const LASTING: u32 = 12;
/// Share of the users, or of the load, by which either may differ from what is stored.
const SHARE: u64 = 50;

/// Why a sample is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleDifference {
    /// None of this epoch is stored.
    First,
    /// A meeting began or ended, or is another; or the server has another version.
    Meetings,
    /// Placement would be misled.
    Load,
    /// A tenant's limit would be.
    Limit,
    /// An operator who looks at the figures would be misled for long.
    Lasting,
}

/// Returns what makes a poll's sample worth writing; none where its watermark is enough.
pub fn difference(
    fleet: &Fleet,
    server: &FleetServer,
    fresh: &ServerSample,
    now: Instant,
) -> Option<SampleDifference> {
    let Some(stored) = fleet.sample_of_epoch(server) else { return Some(SampleDifference::First) };
    if stored.bbb_version != fresh.bbb_version || fixed(stored) != fixed(fresh) {
        return Some(SampleDifference::Meetings);
    }
    let settings = &fleet.policy().placement;
    let load =
        |sample: &ServerSample| sample.meetings.iter().map(|meeting| load::sampled(meeting, settings)).sum();
    let (was, is): (u64, u64) = (load(stored), load(fresh));
    if was.abs_diff(is) > (u64::from(settings.min_users) / 3).max(tolerated(was)) {
        return Some(SampleDifference::Load);
    }
    let users = |sample: &ServerSample, tenant: &TenantId| users_of(sample, tenant);
    for tenant in fleet.limited_tenants_on(server.id()) {
        let (was, is) = (users(stored, &tenant), users(fresh, &tenant));
        if was.abs_diff(is) > tolerated(was) {
            return Some(SampleDifference::Limit);
        }
    }
    let age = server.listed_at().map_or(Duration::MAX, |at| now.saturating_duration_since(at));
    let lasts = age >= fleet.policy().interval * LASTING;
    (lasts && participants(stored) != participants(fresh)).then_some(SampleDifference::Lasting)
}

/// Returns by how much a number may differ from what is stored.
fn tolerated(stored: u64) -> u64 {
    (stored / SHARE).max(1)
}

/// Returns all that does not change as long as the same meetings go on, whatever their order.
fn fixed(sample: &ServerSample) -> Vec<SampledMeeting> {
    let still = |meeting: &SampledMeeting| SampledMeeting {
        participants: 0,
        age_ms: 0,
        moderator_password: None,
        ..meeting.clone()
    };
    let mut fixed: Vec<SampledMeeting> = sample.meetings.iter().map(still).collect();
    fixed.sort_by(|a, b| a.internal_id.cmp(&b.internal_id).then_with(|| a.external_id.cmp(&b.external_id)));
    fixed
}

fn participants(sample: &ServerSample) -> Vec<(&str, u32)> {
    let of = |meeting: &'_ SampledMeeting| meeting.participants;
    let mut all: Vec<(&str, u32)> =
        sample.meetings.iter().map(|meeting| (meeting.internal_id.as_str(), of(meeting))).collect();
    all.sort_unstable();
    all
}

fn users_of(sample: &ServerSample, tenant: &TenantId) -> u64 {
    let of = |meeting: &&SampledMeeting| {
        !meeting.breakout && meeting.key.as_ref().is_some_and(|key| key.tenant == *tenant)
    };
    sample.meetings.iter().filter(of).map(|meeting| u64::from(meeting.participants)).sum()
}

#[cfg(test)]
mod tests;
