//! Load that one meeting adds to its server.

use usher_model::{
    id::{MeetingId, TenantId},
    meeting::MeetingKey,
    scope::{self, TenantScope, is_altered},
    server::SampledMeeting,
    settings::PlacementSettings,
};

/// An expected number of users counts at most this many times the floor (S3).
const HINT_CAP: u32 = 5;

/// Returns the users a young meeting counts at least: `min_users`, raised by its size hint, capped
/// by its limit, and never 0, so that every placement raises the score (S3, F12).
pub fn floor(max_users: u32, size_hint: u32, settings: &PlacementSettings) -> u32 {
    let hinted = size_hint.min(settings.min_users.saturating_mul(HINT_CAP));
    let floor = settings.min_users.max(hinted).max(1);
    if max_users == 0 { floor } else { floor.min(max_users) }
}

/// Returns the load of one listed meeting (S1): its users, at least the floor while it is young.
/// Breakout rooms count 0, because their users sit in the parent.
pub fn sampled(meeting: &SampledMeeting, settings: &PlacementSettings) -> u64 {
    if meeting.breakout {
        return 0;
    }
    let young = u128::from(meeting.age_ms) < settings.join_buffer.as_millis();
    let least = if young { floor(meeting.max_users, meeting.size_hint, settings) } else { 0 };
    u64::from(meeting.participants.max(least))
}

/// Returns the meeting of a listed one: by its mark, else by the tenant for which another balancer says
/// it created it, else as a meeting of tenant `default`. Without a mark the result is a guess, good
/// enough to recognise a known meeting, never to adopt one. Breakout rooms that a server made have no
/// meeting of their own.
pub fn listed_key(meeting: &SampledMeeting) -> Option<MeetingKey> {
    if !meeting.is_addressed() {
        return None;
    }
    // The guess would be another meeting's id where the server squeezed white space.
    let is_exact = !is_altered(meeting.external_id.as_str(), meeting.internal_id.as_str());
    meeting.key.clone().or_else(|| {
        if !is_exact {
            return None;
        }
        let on_server = meeting.external_id.as_str();
        let (tenant, id) = match &meeting.claim {
            Some(tenant) => (tenant.clone(), MeetingId::parse(scope::unscoped_id(on_server)?)),
            None => {
                let tenant = TenantId::default_tenant();
                let id = MeetingId::parse(TenantScope::of(&tenant).original(on_server)?);
                (tenant, id)
            }
        };
        Some(MeetingKey::new(tenant, id.ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_the_floor_is_capped_by_the_limit_and_raised_by_a_capped_hint() {
        let settings = PlacementSettings { min_users: 15, ..PlacementSettings::default() };
        for ((max_users, hint), wanted) in [
            ((0, 0), 15),
            ((4, 0), 4),
            ((0, 40), 40),
            ((0, 10), 15),  // a hint never lowers it
            ((0, 900), 75), // five times the floor
            ((30, 900), 30),
            ((200, 900), 75),
        ] {
            assert_eq!(floor(max_users, hint, &settings), wanted, "limit {max_users}, hint {hint}");
        }
        let none = PlacementSettings { min_users: 0, ..PlacementSettings::default() };
        assert_eq!(floor(0, 0, &none), 1, "every placement counts (F12)");
    }
}
