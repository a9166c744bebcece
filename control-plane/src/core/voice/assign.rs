//! Giving numbers out, keeping them, taking them back.

use usher_model::{
    meeting::MeetingKey,
    server::AdminState,
    voice::{VoiceBridge, VoiceRange},
};

use super::{assignment::VoiceAssignment, wish::VoiceWish};
use crate::core::{
    draft::PlanDraft,
    fleet::{Fleet, id_hash},
    now::Now,
    plan::Plan,
};

/// Numbers that are looked at here and there in a range before it is searched in order.
const PROBES: u64 = 32;
/// Numbers that are looked at in order: every one of a range that is no larger.
const SEARCHED: u64 = 100_000;
/// How exactly is written down when a meeting was last created.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Entries that one sweep takes back at most.
const MOST_EXPIRED: usize = 500;

/// Gives the meeting of a create its number, if its tenant's meetings have numbers. The candidates in
/// order: the requested number, if it is free and in the range; the present number of the meeting, if
/// it is in the range; a free number of the range, the same for the same meeting if possible; the
/// number of the range whose meeting was created longest ago and does not run, the tenant's own
/// meetings first; the present number outside the range; a spare number.
pub(in crate::core) fn assign(
    draft: &mut PlanDraft<'_>,
    fleet: &Fleet,
    meeting: &MeetingKey,
    wish: &VoiceWish,
    now: Now,
) -> Option<VoiceBridge> {
    let range = fleet.voice_range(&meeting.tenant)?;
    let search = Search { fleet, meeting, refused: &wish.refused };
    let held = fleet.voice().of(meeting).filter(|bridge| !wish.refused.contains(bridge));
    let chosen = wish
        .wanted
        .filter(|bridge| range.contains(*bridge) && search.is_free(*bridge))
        .or_else(|| held.filter(|bridge| range.contains(*bridge)))
        .or_else(|| search.free_in(range))
        .or_else(|| search.reclaim(draft, range))
        .or(held)
        .or_else(|| search.free_in(VoiceRange::SPARE))?;
    take(draft, fleet, meeting, chosen, now);
    Some(chosen)
}

/// Notes the number that a server reports for a running meeting. Returns `false` if the number is that
/// of another meeting, which runs or may run: callers then reach that one.
pub(in crate::core) fn adopt(
    draft: &mut PlanDraft<'_>,
    fleet: &Fleet,
    meeting: &MeetingKey,
    said: VoiceBridge,
    now: Now,
) -> bool {
    if let Some(stored) = fleet.voice().get(said)
        && stored.value.meeting != *meeting
    {
        if !is_idle(fleet, &stored.value.meeting) {
            return false;
        }
        draft.guard_record(&stored.value.meeting);
    }
    take(draft, fleet, meeting, said, now);
    true
}

/// Returns the number a meeting has, for a record that is made after the fact.
pub(in crate::core) fn held(
    draft: &mut PlanDraft<'_>,
    fleet: &Fleet,
    meeting: &MeetingKey,
) -> Option<VoiceBridge> {
    let held = fleet.voice().of(meeting)?;
    draft.guard_voice(held);
    Some(held)
}

/// Takes back the numbers of meetings that have not been created for longer than numbers are kept, and
/// do not run. A clock that jumps ahead takes them back early; most meetings then get the same again.
pub(in crate::core) fn expired(fleet: &Fleet, now: Now) -> Vec<Plan> {
    let keep = i64::try_from(fleet.policy().voice.keep.as_millis()).unwrap_or(i64::MAX);
    let is_old = |used_at_ms: i64| now.wall_ms.saturating_sub(used_at_ms) > keep;
    let old = fleet.voice().by_age().take_while(|(_, stored)| is_old(stored.value.used_at_ms));
    let idle = old.filter(|(_, stored)| is_idle(fleet, &stored.value.meeting));
    idle.take(MOST_EXPIRED)
        .map(|(bridge, stored)| {
            let mut draft = PlanDraft::new(fleet, now.wall_ms);
            draft.guard_record(&stored.value.meeting);
            draft.remove_voice(bridge);
            draft.into_plan()
        })
        .collect()
}

/// Returns whether no instance of a meeting runs, as far as this replica knows.
fn is_idle(fleet: &Fleet, meeting: &MeetingKey) -> bool {
    fleet.record(meeting).is_none() && fleet.zombies_of(meeting).next().is_none()
}

/// Writes down that the meeting has this number and no other.
fn take(draft: &mut PlanDraft<'_>, fleet: &Fleet, meeting: &MeetingKey, bridge: VoiceBridge, now: Now) {
    if let Some(other) = fleet.voice().of(meeting)
        && other != bridge
    {
        draft.remove_voice(other);
    }
    let stands = fleet.voice().get(bridge).is_some_and(|stored| {
        stored.value.meeting == *meeting
            && (0..DAY_MS).contains(&now.wall_ms.saturating_sub(stored.value.used_at_ms))
    });
    if stands {
        draft.guard_voice(bridge);
    } else {
        draft.set_voice(bridge, VoiceAssignment { meeting: meeting.clone(), used_at_ms: now.wall_ms });
    }
}

/// A search for the number of one meeting.
struct Search<'a> {
    fleet: &'a Fleet,
    meeting: &'a MeetingKey,
    refused: &'a [VoiceBridge],
}

impl Search<'_> {
    /// Returns whether the meeting may have a number: no other meeting has it, and a caller who types
    /// it, or the number of a breakout room behind it, can reach no other meeting.
    fn is_free(&self, bridge: VoiceBridge) -> bool {
        self.fleet.voice().get(bridge).is_none_or(|stored| stored.value.meeting == *self.meeting)
            && self.is_clear(bridge)
    }

    fn is_clear(&self, bridge: VoiceBridge) -> bool {
        let book = self.fleet.voice();
        let others = |bridge| book.get(bridge).is_some_and(|stored| stored.value.meeting != *self.meeting);
        let mut below = bridge.of_breakouts().into_iter().flat_map(|numbers| book.between(numbers));
        !self.refused.contains(&bridge)
            && !bridge.parents().any(others)
            && !below.any(|(_, meeting)| meeting != self.meeting)
            && !self.is_listed_for_another(bridge)
    }

    /// Returns whether a server lists the number for another meeting, ours or not.
    fn is_listed_for_another(&self, bridge: VoiceBridge) -> bool {
        let mut used = self.fleet.servers().filter(|server| server.admin() != AdminState::Disabled);
        used.any(|server| server.lists_bridge_for_another(bridge, self.meeting))
    }

    /// Finds a free number of a range. The search starts at a place that follows from the meeting's
    /// name alone, so that a meeting whose number was dropped mostly finds it again.
    fn free_in(&self, range: VoiceRange) -> Option<VoiceBridge> {
        let start = id_hash(&format!("voice\n{}\n{}", self.meeting.tenant, self.meeting.meeting));
        let stride = (start >> 32) | 1;
        let probes = (0..PROBES).map(|probe| (start >> 1).wrapping_add(probe.wrapping_mul(stride)));
        let length = u64::from(range.len());
        let in_order = (0..length.min(SEARCHED)).map(|step| start % length + step);
        probes.chain(in_order).map(|index| range.nth(index)).find(|bridge| self.is_free(*bridge))
    }

    /// Finds the number of a range whose meeting was created longest ago and does not run, the tenant's
    /// own meetings first.
    fn reclaim(&self, draft: &mut PlanDraft<'_>, range: VoiceRange) -> Option<VoiceBridge> {
        let book = self.fleet.voice();
        let mut idle = book.by_age().take(SEARCHED as usize).filter(|(bridge, stored)| {
            let meeting = &stored.value.meeting;
            range.contains(*bridge)
                && meeting != self.meeting
                && is_idle(self.fleet, meeting)
                && self.is_clear(*bridge)
        });
        let first = idle.next()?;
        let own = |(_, stored): &(_, &crate::core::plan::Stored<VoiceAssignment>)| {
            stored.value.meeting.tenant == self.meeting.tenant
        };
        let (bridge, stored) = if own(&first) { first } else { idle.find(own).unwrap_or(first) };
        draft.guard_record(&stored.value.meeting);
        Some(bridge)
    }
}
