//! The voice bridges of meetings. Only meetings that have one are stored, so that a fleet without
//! telephones pays no cost.

use foldhash::quality::RandomState;
use papaya::HashMap;
use usher_model::{meeting::MeetingKey, voice::VoiceBridge};

/// The voice bridges by meeting, and the meetings by voice bridge; changed in place while readers
/// use them.
#[derive(Debug, Default)]
pub struct VoiceNumbers {
    by_meeting: HashMap<MeetingKey, VoiceBridge, RandomState>,
    by_number: HashMap<VoiceBridge, MeetingKey, RandomState>,
}

impl VoiceNumbers {
    /// Returns the voice bridge of a meeting.
    pub fn of(&self, meeting: &MeetingKey) -> Option<VoiceBridge> {
        self.by_meeting.pin().get(meeting).copied()
    }

    /// Returns the meeting that has a voice bridge.
    pub fn meeting(&self, bridge: VoiceBridge) -> Option<MeetingKey> {
        self.by_number.pin().get(&bridge).cloned()
    }

    /// Sets the voice bridge of a meeting and returns the former one. If a voice bridge moves from
    /// one meeting to another in one delta, the second meeting has it afterwards, in whichever
    /// order the two changes arrive.
    pub(super) fn set(&self, meeting: &MeetingKey, bridge: Option<VoiceBridge>) -> Option<VoiceBridge> {
        let (by_meeting, by_number) = (self.by_meeting.pin(), self.by_number.pin());
        let old = match bridge {
            Some(bridge) => {
                by_number.insert(bridge, meeting.clone());
                by_meeting.insert(meeting.clone(), bridge).copied()
            }
            None => by_meeting.remove(meeting).copied(),
        };
        if let Some(old) = old.filter(|old| bridge != Some(*old))
            && by_number.get(&old) == Some(meeting)
        {
            by_number.remove(&old);
        }
        old
    }
}

#[cfg(test)]
mod tests {
    use usher_model::id::{MeetingId, TenantId};

    use super::*;

    #[test]
    fn a_number_that_moves_is_the_new_meetings_in_either_order_of_the_changes() {
        let [one, two] = ["one", "two"]
            .map(|id| MeetingKey::new(TenantId::default_tenant(), MeetingId::parse(id).unwrap()));
        let number = VoiceBridge::new(12_345);
        for given_first in [true, false] {
            let numbers = VoiceNumbers::default();
            assert_eq!(numbers.set(&one, number), None);
            if given_first {
                numbers.set(&two, number);
                assert_eq!(numbers.set(&one, None), number);
            } else {
                assert_eq!(numbers.set(&one, None), number);
                numbers.set(&two, number);
            }
            assert_eq!(numbers.meeting(number.unwrap()), Some(two.clone()));
            assert_eq!((numbers.of(&one), numbers.of(&two)), (None, number));
            assert_eq!(numbers.set(&two, VoiceBridge::new(12_346)), number);
            assert_eq!(numbers.meeting(number.unwrap()), None);
        }
    }
}
