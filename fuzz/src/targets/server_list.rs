//! Lists of servers in the format of other balancers.

use usher::core::server_list as lists;

/// Parses lists of servers: a parsed list can be written and parsed again.
pub(super) fn server_list(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match lists::parse(&text) {
        Ok(servers) => {
            let written = lists::write(&servers);
            let again = lists::parse(&written).unwrap_or_else(|faults| panic!("{faults}\n{written}"));
            assert_eq!(again, servers);
        }
        Err(faults) => assert!(!faults.to_string().is_empty()),
    }
}
