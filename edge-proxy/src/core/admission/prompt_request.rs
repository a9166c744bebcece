//! The requests that never wait for a turn.

use usher_bbb::call::ApiCall;

/// Largest query and body of a request that never waits for a turn, bytes together. Applications send some
/// hundred bytes; reading ten times as much takes some hundredths of a millisecond.
const PROMPT_MAX: u64 = 8 << 10;

/// Returns whether a request of `size` bytes, query and body together, never waits for a turn: the calls that
/// a person waits for in order to be in a meeting. `size` is `None` if the client has not announced it.
pub fn is_prompt(call: Option<ApiCall>, size: Option<u64>) -> bool {
    matches!(call, Some(ApiCall::Join | ApiCall::Create | ApiCall::End))
        && size.is_some_and(|size| size <= PROMPT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_joins_creates_and_ends_are_prompt() {
        for call in [ApiCall::Join, ApiCall::Create, ApiCall::End] {
            assert!(is_prompt(Some(call), Some(PROMPT_MAX)));
            assert!(!is_prompt(Some(call), Some(PROMPT_MAX + 1)));
            assert!(!is_prompt(Some(call), None));
        }
        assert!(!is_prompt(Some(ApiCall::GetMeetings), Some(0)));
        assert!(!is_prompt(None, Some(0)));
    }
}
