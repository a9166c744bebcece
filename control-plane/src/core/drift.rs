//! The decision whether a poll is written (ADR 20, ADR 34). A sample of fifty meetings takes kilobytes
//! of the store's history, and most polls equal the poll before. A sample is written for the
//! differences in this table; without one of them the poll writes no value.
//!
//! | difference from the stored sample | reason |
//! |---|---|
//! | no sample of this epoch is stored | `fleet.knows`: the server was queried in this epoch |
//! | another leader wrote it | the other replicas take a sample as fresh only from the present leader |
//! | the entry of the server was changed after its poll | a cordoned server is disabled only by a later poll, and the other replicas take no earlier sample as fresh |
//! | a reservation that this poll ends | placement on every replica counts it until then (F9, F11) |
//! | a meeting began or ended, a fixed property of a meeting, the server's version | records, zombies, voice bridges and breakout rooms are judged by it |
//! | load, by more than a third of the load of a new meeting and more than 2 % | placement compares servers by it |
//! | users of a tenant with a limit, by more than one and more than 2 % | edges enforce the limit by it |
//! | users of a meeting, by less than that, for twelve polling intervals | operators look at the figures |
//!
//! The first four differences are as many as epochs, leaderships, changes of entries and creates; none
//! of them recurs poll by poll.

use std::time::{Duration, Instant};

use usher_model::{
    id::TenantId,
    server::{SampledMeeting, ServerSample},
};

use super::{
    fleet::{Fleet, FleetServer},
    load,
};

/// Polling intervals after which even the smallest difference in users is written.
const LASTING: u32 = 12;
/// One part in this number (2 %) of the stored users or load may differ without a new sample.
const SHARE: u64 = 50;

/// The first difference for which a sample is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleDifference {
    /// No sample of this epoch is stored.
    First,
    /// Another leader wrote the stored sample.
    Term,
    /// The entry of the server was changed after the poll of the stored sample was sent.
    Entry,
    /// The poll shows that a record without a listed meeting reserves no users any more.
    Reservation,
    /// A meeting began, ended or was replaced, or the server has another version.
    Meetings,
    /// The stored load would mislead placement.
    Load,
    /// The stored users would mislead the enforcement of a tenant's limit.
    Limit,
    /// The stored users differ slightly, and have done so for twelve polling intervals.
    Lasting,
}

/// Returns the reason to write a poll's sample; `None` if the stored one is as good.
pub fn difference(
    fleet: &Fleet,
    server: &FleetServer,
    fresh: &ServerSample,
    now: Instant,
) -> Option<SampleDifference> {
    let Some(stored) = fleet.sample_of_epoch(server) else { return Some(SampleDifference::First) };
    if stored.term != fresh.term {
        return Some(SampleDifference::Term);
    }
    if stored.watermark < server.stored.modified {
        return Some(SampleDifference::Entry);
    }
    if fleet.ends_reservation(server, fresh.watermark) {
        return Some(SampleDifference::Reservation);
    }
    if stored.bbb_version != fresh.bbb_version || !has_same_meetings(stored, fresh) {
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

/// Returns the difference from a stored number that is not written: 2 % of it, at least 1.
fn tolerated(stored: u64) -> u64 {
    (stored / SHARE).max(1)
}

/// Returns whether two lists have the same meetings with the same fixed properties, in any order.
fn has_same_meetings(stored: &ServerSample, fresh: &ServerSample) -> bool {
    let (stored, fresh) = (&stored.meetings, &fresh.meetings);
    let all_equal = |a: &[&SampledMeeting], b: &[&SampledMeeting]| {
        a.iter().zip(b).all(|(a, b)| has_same_properties(a, b))
    };
    let (mut stored, mut fresh): (Vec<_>, Vec<_>) = (stored.iter().collect(), fresh.iter().collect());
    if stored.len() != fresh.len() {
        return false;
    }
    // Most servers list their meetings in one order.
    if all_equal(&stored, &fresh) {
        return true;
    }
    for list in [&mut stored, &mut fresh] {
        list.sort_by(|a, b| {
            a.internal_id.cmp(&b.internal_id).then_with(|| a.external_id.cmp(&b.external_id))
        });
    }
    all_equal(&stored, &fresh)
}

/// Compares the properties that stay equal while a meeting runs.
fn has_same_properties(a: &SampledMeeting, b: &SampledMeeting) -> bool {
    // Each property is named, so that a new one is not forgotten here.
    let SampledMeeting {
        key,
        claim,
        external_id,
        internal_id,
        participants: _,
        age_ms: _,
        max_users,
        size_hint,
        breakout,
        named,
        voice_bridge,
        moderator_password: _,
    } = a;
    *internal_id == b.internal_id
        && *key == b.key
        && *claim == b.claim
        && *external_id == b.external_id
        && (*max_users, *size_hint, *breakout, *named) == (b.max_users, b.size_hint, b.breakout, b.named)
        && *voice_bridge == b.voice_bridge
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
