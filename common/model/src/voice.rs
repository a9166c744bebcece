//! Voice bridges: the numbers that callers type to join the audio of a meeting, and the ranges from
//! which Usher assigns them (ADR 14).

use std::{
    fmt,
    num::NonZeroU32,
    ops::{Range, RangeInclusive},
    str::FromStr,
};

/// The smallest and the largest number of digits of a voice bridge. BBB accepts fewer and more. With fewer
/// than five digits the bridge of a breakout room could be the test bridge, and Scalelite never assigned
/// more than nine.
const DIGITS: RangeInclusive<usize> = 5..=9;
const LOWEST: u32 = 10_000;
const HIGHEST: u32 = 999_999_999;

/// The test bridge of BBB. A meeting with it gets an internal id that begins with its `meetingID`, so BBB
/// would find it in place of other meetings (wire-contract 4.2).
pub const TEST_BRIDGE: &str = "99999";
const TEST_NUMBER: u32 = 99_999;

/// A voice bridge: five to nine digits, the first not 0, and never [`TEST_BRIDGE`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VoiceBridge(NonZeroU32);

impl VoiceBridge {
    /// Returns the voice bridge of a number, or `None` if the number cannot be one.
    pub fn new(number: u32) -> Option<Self> {
        let fits = (LOWEST..=HIGHEST).contains(&number) && number != TEST_NUMBER;
        NonZeroU32::new(number).filter(|_| fits).map(Self)
    }

    /// Returns the voice bridge of a text, or `None` if the text cannot be one. `012345` cannot: for a server
    /// it is another conference than `12345`.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = DIGITS.contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && !text.starts_with('0');
        text.parse().ok().filter(|_| plain).and_then(Self::new)
    }

    /// Returns the bridge as a number.
    pub fn number(self) -> u32 {
        self.0.get()
    }

    /// Returns the bridges that begin with this one and have one or two more digits. A server gives them to the
    /// breakout rooms of the meeting: the bridge of the parent, then the number of the room (ADR 15).
    pub fn of_breakouts(self) -> [Range<u32>; 2] {
        [10, 100].map(|scale| {
            let first = u64::from(self.number()) * scale;
            let end = (first + scale).min(u64::from(HIGHEST) + 1);
            let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
            number(first.min(end))..number(end)
        })
    }

    /// Returns the bridges of meetings whose breakout room could have this bridge, the longer one first.
    pub fn parents(self) -> impl Iterator<Item = Self> {
        [10, 100].into_iter().filter_map(move |scale| Self::new(self.number() / scale))
    }
}

impl fmt::Display for VoiceBridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for VoiceBridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A range of voice bridges to assign, written `10000-19999`. Both ends belong to it; [`TEST_BRIDGE`] never
/// does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoiceRange {
    first: u32,
    last: u32,
}

/// The reason why a text or number is no range of voice bridges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VoiceRangeError {
    /// The text does not have the form of a range.
    #[error("write it as FIRST-LAST, as in 10000-19999")]
    Form,
    /// An end has too few or too many digits.
    #[error("numbers have five to nine digits, the first not 0")]
    Digits,
    /// The last number is below the first, or the range has no number but the test bridge.
    #[error("the range has no number that can be assigned")]
    Empty,
}

impl VoiceRange {
    /// The range that meetings use when their own range is exhausted.
    pub const SPARE: Self = Self { first: 900_000_000, last: HIGHEST };

    /// Returns the range between two numbers, both included.
    ///
    /// # Errors
    /// The range is empty, or an end cannot be a voice bridge.
    pub fn new(first: u32, last: u32) -> Result<Self, VoiceRangeError> {
        if first < LOWEST || last > HIGHEST {
            return Err(VoiceRangeError::Digits);
        }
        let range = Self { first, last };
        if first > last || range.is_empty() { Err(VoiceRangeError::Empty) } else { Ok(range) }
    }

    /// Returns the range of all voice bridges with a number of digits, 5 to 9.
    ///
    /// # Errors
    /// The number of digits is outside 5 to 9.
    pub fn of_digits(digits: u32) -> Result<Self, VoiceRangeError> {
        let first = 10_u32.checked_pow(digits.saturating_sub(1)).ok_or(VoiceRangeError::Digits)?;
        Self::new(first, first.checked_mul(10).map_or(u32::MAX, |end| end - 1))
    }

    /// Returns the first number of the range.
    pub fn first(self) -> u32 {
        self.first
    }

    /// Returns the last number of the range.
    pub fn last(self) -> u32 {
        self.last
    }

    /// Tells whether the range has a voice bridge.
    pub fn contains(self, bridge: VoiceBridge) -> bool {
        (self.first..=self.last).contains(&bridge.number())
    }

    /// Returns the number of voice bridges in the range.
    pub fn len(self) -> u32 {
        let test = (self.first..=self.last).contains(&TEST_NUMBER);
        (self.last + 1).saturating_sub(self.first) - u32::from(test)
    }

    /// Tells whether the range is empty, which no constructed range is.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Returns the `index`th voice bridge, counted modulo the length of the range.
    ///
    /// # Panics
    /// Never, because a range has at least one number and only valid ones.
    pub fn nth(self, index: u64) -> VoiceBridge {
        let index = u32::try_from(index % u64::from(self.len())).unwrap_or(0);
        let number = self.first + index;
        let passes_test = (self.first..=number).contains(&TEST_NUMBER);
        VoiceBridge::new(number + u32::from(passes_test)).expect("a range holds voice bridges only")
    }
}

impl FromStr for VoiceRange {
    type Err = VoiceRangeError;

    fn from_str(text: &str) -> Result<Self, VoiceRangeError> {
        let (first, last) = text.split_once('-').ok_or(VoiceRangeError::Form)?;
        let end = |text: &str| {
            let text = text.trim();
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(VoiceRangeError::Form);
            }
            let fits = DIGITS.contains(&text.len()) && !text.starts_with('0');
            text.parse().ok().filter(|_| fits).ok_or(VoiceRangeError::Digits)
        };
        Self::new(end(first)?, end(last)?)
    }
}

impl fmt::Display for VoiceRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bridge(number: u32) -> VoiceBridge {
        VoiceBridge::new(number).unwrap()
    }

    #[test]
    fn only_what_a_server_and_a_caller_take_alike_is_a_bridge() {
        for text in ["10000", "12345", "999999999"] {
            assert_eq!(VoiceBridge::parse(text).map(|bridge| bridge.to_string()).as_deref(), Some(text));
        }
        for text in ["", "9999", "99999", "012345", "1000000000", "+12345", "12345 ", "12a45", "١٢٣٤٥"] {
            assert_eq!(VoiceBridge::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_range_reads_back_and_names_its_fault() {
        let range: VoiceRange = " 10000 - 19999 ".parse().unwrap();
        assert_eq!((range.to_string().as_str(), range.len()), ("10000-19999", 10_000));
        for (text, error) in [
            ("10000", VoiceRangeError::Form),
            ("a-b", VoiceRangeError::Form),
            ("-", VoiceRangeError::Form),
            ("1-5", VoiceRangeError::Digits),
            ("010000-19999", VoiceRangeError::Digits),
            ("10000-1999999999", VoiceRangeError::Digits),
            ("19999-10000", VoiceRangeError::Empty),
            ("99999-99999", VoiceRangeError::Empty),
        ] {
            assert_eq!(text.parse::<VoiceRange>(), Err(error), "{text}");
        }
        assert_eq!(VoiceRange::of_digits(9).map(|range| range.to_string()), Ok("100000000-999999999".into()));
        assert!(VoiceRange::of_digits(4).is_err() && VoiceRange::of_digits(10).is_err());
    }

    #[test]
    fn breakouts_have_their_parents_number_and_theirs_behind_it() {
        assert_eq!(bridge(12_345).of_breakouts(), [123_450..123_460, 1_234_500..1_234_600]);
        assert_eq!(bridge(1_234_516).parents().collect::<Vec<_>>(), [bridge(123_451), bridge(12_345)]);
        assert_eq!(bridge(123_451).parents().collect::<Vec<_>>(), [bridge(12_345)]);
        assert!(bridge(999_999_998).of_breakouts().iter().all(Range::is_empty), "no caller can type more");
    }

    proptest! {
        #[test]
        fn every_number_of_a_range_comes_once_in_a_round(first in 99_900_u32..100_050, size in 1_u32..200) {
            let Ok(range) = VoiceRange::new(first, first + size - 1) else { return Ok(()) };
            let round: std::collections::BTreeSet<_> =
                (0..u64::from(range.len())).map(|index| range.nth(index)).collect();
            prop_assert_eq!(round.len(), range.len() as usize);
            prop_assert!(round.iter().all(|bridge| range.contains(*bridge) && bridge.number() != TEST_NUMBER));
            prop_assert_eq!(range.nth(u64::from(range.len())), range.nth(0));
        }
    }
}
