//! The number of connections that a listener may have, from the setting and the limit of file
//! descriptors, as a pure function.
//!
//! Calls to servers and control planes, the ops port, and files need descriptors too. Without a
//! reserve for them, a crowd of idle clients would take the last one, and joins, metrics and the
//! routing stream would fail with the new connections.

/// Smallest reserve: the connections that are refused with an answer, and some calls to servers.
const RESERVE_LEAST: u64 = 128;
/// Largest reserve. More calls to servers are not under way at the same time.
const RESERVE_MOST: u64 = 8_192;
/// Most connections without a setting, however many descriptors the system allows: some systems
/// allow a thousand million, and the memory of so many connections is not there.
const UNCONFIGURED_MOST: u64 = 100_000;

/// The number of connections of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConnectionCapacity {
    /// Connections that are served at the same time, at least 1.
    pub(super) most: usize,
    /// The limit of descriptors that the setting needs, if the one in force is too low for it.
    pub(super) needed: Option<u64>,
}

/// Returns the capacity of a listener in a process with a limit of `descriptors`, of which the
/// setting asks for `configured` connections; 0 means as many as the limit allows.
pub(super) fn connection_capacity(configured: u32, descriptors: u64) -> ConnectionCapacity {
    let reserve = (descriptors / 4).clamp(RESERVE_LEAST, RESERVE_MOST);
    let allowed = descriptors.saturating_sub(reserve).max(1);
    let wanted = match configured {
        0 => UNCONFIGURED_MOST.min(allowed),
        most => u64::from(most),
    };
    let needed = (wanted > allowed).then(|| descriptors_for(wanted));
    ConnectionCapacity { most: usize::try_from(wanted.min(allowed)).unwrap_or(usize::MAX), needed }
}

/// Returns the lowest limit of descriptors that allows so many connections.
fn descriptors_for(connections: u64) -> u64 {
    let quarter = connections.div_ceil(3);
    connections + quarter.clamp(RESERVE_LEAST, RESERVE_MOST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_a_setting_the_limit_of_descriptors_decides_less_a_reserve() {
        let most = |descriptors| connection_capacity(0, descriptors).most;
        assert_eq!(most(1_024), 768);
        assert_eq!(most(65_536), 65_536 - 8_192);
        assert_eq!(most(u64::MAX), 100_000);
        assert_eq!(most(64), 1, "hardly a process can start with so few");
    }

    #[test]
    fn a_setting_above_the_limit_names_the_limit_that_it_needs() {
        assert_eq!(connection_capacity(500, 1_024), ConnectionCapacity { most: 500, needed: None });
        let short = connection_capacity(50_000, 1_024);
        assert_eq!(short, ConnectionCapacity { most: 768, needed: Some(58_192) });
    }

    proptest! {
        #[test]
        fn a_reserve_stays_and_the_limit_that_is_named_is_enough(configured: u32, descriptors in 256_u64..) {
            let capacity = connection_capacity(configured, descriptors);
            prop_assert!(capacity.most as u64 + RESERVE_LEAST <= descriptors);
            match capacity.needed {
                None if configured > 0 => prop_assert_eq!(capacity.most, configured as usize),
                None => {}
                Some(needed) => {
                    prop_assert!(needed > descriptors);
                    let raised = connection_capacity(configured, needed);
                    prop_assert_eq!(raised, ConnectionCapacity { most: configured as usize, needed: None });
                }
            }
        }
    }
}
