//! The calls that may be sent again after their answers were lost.

use std::time::Duration;

/// The longest time that another address may take for an answer before the next one is called.
const ATTEMPT: Duration = Duration::from_secs(3);

/// The effect of a call that is carried out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repetition {
    /// The second one has the effect and the answer of the first.
    Same,
    /// As `Same`, but the call may take long, because a BBB server is called.
    SameButLong,
    /// The second one finds the resource gone, which the first one removed.
    Gone,
    /// The second one may be refused because of the first, or act twice.
    Unknown,
    /// The call is a stream of answers without an end.
    Stream,
}

impl Repetition {
    /// Returns the effect of repeating a method, by the path `/PACKAGE.SERVICE/METHOD`. Creates carry
    /// a request id (ADR 35).
    pub fn of(path: &str) -> Self {
        let method = path.rsplit('/').next().unwrap_or_default();
        let begins = |words: &[&str]| words.iter().any(|word| method.starts_with(word));
        match method {
            "PollServer" | "AdoptMeetings" => Self::SameButLong,
            "AddTenantSecret" | "EnableServer" | "CordonServer" | "RetryDelivery" => Self::Same,
            _ if begins(&["List", "Get", "Create"]) => Self::Same,
            _ if begins(&["Delete", "Forget"]) => Self::Gone,
            _ if begins(&["Watch"]) => Self::Stream,
            _ => Self::Unknown,
        }
    }

    /// Returns whether the call may be sent again after a lost answer.
    pub fn is_harmless(self) -> bool {
        self != Self::Unknown
    }

    /// Returns the longest time of an attempt while `others` more addresses can be called.
    pub fn patience(self, longest: Duration, others: usize) -> Duration {
        match self {
            Self::Same | Self::Gone | Self::Stream if others > 0 => longest.min(ATTEMPT),
            _ => longest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_without_a_second_effect_are_sent_again() {
        for (method, repetition) in [
            ("ListMeetings", Repetition::Same),
            ("GetServer", Repetition::Same),
            ("CreateTenant", Repetition::Same),
            ("DeleteServer", Repetition::Gone),
            ("ForgetZombie", Repetition::Gone),
            ("PollServer", Repetition::SameButLong),
            ("WatchServers", Repetition::Stream),
            ("PanicServer", Repetition::Unknown),
            ("EndMeeting", Repetition::Unknown),
            ("UpdateServer", Repetition::Unknown),
            ("RemoveTenantSecret", Repetition::Unknown),
        ] {
            assert_eq!(Repetition::of(&format!("/usher.v1.X/{method}")), repetition, "{method}");
        }
    }

    #[test]
    fn an_attempt_is_short_only_if_another_address_is_left() {
        let longest = Duration::from_secs(15);
        assert_eq!(Repetition::Same.patience(longest, 1), ATTEMPT);
        assert_eq!(Repetition::Same.patience(longest, 0), longest);
        assert_eq!(Repetition::Unknown.patience(longest, 3), longest);
        assert_eq!(Repetition::SameButLong.patience(longest, 3), longest);
        assert_eq!(Repetition::Same.patience(Duration::from_millis(5), 3), Duration::from_millis(5));
    }
}
