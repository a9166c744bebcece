//! The limit of file descriptors of this process. Each connection, listener and open file takes one, and a
//! process without a free one answers neither clients nor the ops port.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::{info, warn};

/// Raises the limit in force to the one that the system allows this process, and logs it. Many systems start a
/// program with 1,024 descriptors and allow it hundreds of thousands: the low limit protects programs that call
/// `select`, which Usher does not.
pub fn raise_limit() {
    let (in_force, allowed) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => return warn!(%error, "the limit of file descriptors cannot be read"),
    };
    if in_force >= allowed {
        return info!(descriptors = in_force, "the limit of file descriptors is the highest allowed");
    }
    match setrlimit(Resource::RLIMIT_NOFILE, allowed, allowed) {
        Ok(()) => info!(descriptors = allowed, before = in_force, "the limit of file descriptors was raised"),
        Err(error) => {
            warn!(%error, descriptors = in_force, allowed, "the limit of file descriptors cannot be raised");
        }
    }
}

/// Returns the number of descriptors that this process may have open at the same time; `u64::MAX` if the system
/// does not tell.
pub fn limit() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(in_force, _)| in_force)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_the_highest_allowed() {
        let (_, allowed) = getrlimit(Resource::RLIMIT_NOFILE).expect("has a limit");
        raise_limit();
        assert_eq!(limit(), allowed);
    }
}
