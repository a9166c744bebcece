//! Which meeting callers reach by which number. Only meetings that have one are in it, so that a fleet
//! without telephones pays nothing.

use foldhash::quality::RandomState;
use papaya::HashMap;
use usher_model::{meeting::MeetingKey, voice::VoiceBridge};

/// Numbers by meeting, and meetings by number; changed in place while it is read.
#[derive(Debug, Default)]
pub struct VoiceNumbers {
    by_meeting: HashMap<MeetingKey, VoiceBridge, RandomState>,
    by_number: HashMap<VoiceBridge, MeetingKey, RandomState>,
}

impl VoiceNumbers {
    /// Returns a meeting's number.
    pub fn of(&self, meeting: &MeetingKey) -> Option<VoiceBridge> {
        self.by_meeting.pin().get(meeting).copied()
    }

    /// Returns the meeting that has a number.
    pub fn meeting(&self, bridge: VoiceBridge) -> Option<MeetingKey> {
        self.by_number.pin().get(&bridge).cloned()
    }

    /// Sets a meeting's number and returns the one it had. A number that passes from one meeting to
    /// another in one delta is the other's, whichever comes first.
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
    fn a_number_that_moves_is_the_new_meetings_in_whatever_order_it_is_told() {
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
