//! The voice bridge of a running meeting, which its server decides (ADR 14).

use usher_model::meeting::{MeetingRecord, RecordState};

use super::Meeting;
use crate::core::voice;

impl Meeting<'_> {
    /// Writes the number that the server lists for a meeting whose record has another number or
    /// none: the meeting was created before its tenant got a range, or by another party. If another
    /// meeting owns the number, callers reach that meeting, and the record gets no number. A
    /// breakout room gets no number from Usher. The write waits for a later poll while other work for
    /// the meeting is planned, because that work is more important.
    pub(super) fn settle_voice(&mut self, record: Option<&MeetingRecord>) {
        let case = self.case;
        let own = |record: &&MeetingRecord| record.server == self.zombie_key.server && !record.breakout;
        let Some(record) = record.filter(own) else { return };
        let RecordState::Active { internal_id, .. } = &record.state else { return };
        let said = case.listing.instance(internal_id).and_then(|listed| listed.voice_bridge);
        let Some(said) = said.filter(|said| record.voice_bridge != Some(*said)) else { return };
        let busy = self.draft.len() > 0 || self.outcome.end.is_some() || self.outcome.verify.is_some();
        if busy || self.record_changed() || case.fleet.voice_range(&self.key.tenant).is_none() {
            return;
        }
        let is_its = voice::adopt(&mut self.draft, case.fleet, self.key, said, case.now);
        let voice_bridge = is_its.then_some(said);
        if record.voice_bridge != voice_bridge {
            self.draft.set_record(self.key, MeetingRecord { voice_bridge, ..record.clone() });
        }
    }
}
