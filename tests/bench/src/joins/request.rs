//! Join requests that are signed in advance: the benchmark measures the server, not the client's
//! hashing.

use usher_bbb::{
    checksum::{ChecksumAlgorithm, sign_query},
    secret::Secret,
};

use crate::synthetic;

/// A request as it is sent, and the expected target of its redirect.
#[derive(Debug)]
pub(crate) struct PreparedRequest {
    pub(crate) bytes: Vec<u8>,
    /// The beginning of the `Location` of a correct answer.
    pub(crate) leads_to: Vec<u8>,
}

/// Prepares joins of up to `count` meetings, spread over a table of `meetings`.
pub(crate) fn prepare(count: usize, meetings: usize) -> Vec<PreparedRequest> {
    let secret = Secret::new(synthetic::SECRET);
    let count = count.min(meetings);
    (0..count).map(|number| join(number * (meetings / count.max(1)), &secret)).collect()
}

fn join(meeting: usize, secret: &Secret) -> PreparedRequest {
    let query = format!(
        "fullName=Ada+Lovelace+{meeting}&meetingID={}&role=VIEWER&userID=user-{meeting}&\
         avatarURL=https%3A%2F%2Fmoodle.example.org%2Fpluginfile.php%2F2145%2Fuser%2Ficon%2Fboost%2Ff1\
         &redirect=true&userdata-bbb_skip_check_audio=true",
        synthetic::meeting_id(meeting),
    );
    let signed = sign_query(ChecksumAlgorithm::Sha256, "join", query, secret);
    let head = "HTTP/1.1\r\nhost: bbb.example.org\r\naccept: */*\r\n\r\n";
    PreparedRequest {
        bytes: format!("GET /bigbluebutton/api/join?{signed} {head}").into_bytes(),
        leads_to: format!("{}join?", synthetic::server_url(meeting)).into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_spread_over_the_table_and_as_long_as_real_ones() {
        let requests = prepare(10, 1_000);
        assert_eq!(requests.len(), 10);
        let last = String::from_utf8(requests[9].bytes.clone()).unwrap();
        assert!(last.contains("meetingID=00000900-"), "{last}");
        let path = last.split(' ').nth(1).unwrap();
        assert!((300..400).contains(&path.len()), "{} bytes", path.len());
        assert_eq!(prepare(10, 4).len(), 4);
    }
}
