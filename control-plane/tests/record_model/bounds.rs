//! How large a configuration is: the search closes within these bounds.

use usher_model::settings::ZombiePolicy;

/// Role of a second replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Second {
    /// There is only one replica.
    None,
    /// It serves edges from a fleet that is behind and catches up now and then.
    Behind,
    /// It leads, stands still for a while, is deposed, and goes on where it was: with the polls that
    /// were under way, and a fleet that stays as it was then.
    Deposed,
}

/// Bounds of one search.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Creates of the one id; at most [`crate::state::MOST_CREATES`].
    pub(crate) creates: usize,
    /// No create is refused and no request or answer of one is lost.
    pub(crate) reliable: bool,
    /// Failed polls and failed calls that count against a server.
    pub(crate) faults: u8,
    /// HT. With 1 a good check makes a server online, with 2 the server first keeps its health.
    pub(crate) healthy_threshold: u8,
    /// UT. With 1 a fault makes a server offline, with 2 first unhealthy.
    pub(crate) unhealthy_threshold: u8,
    /// Meetings that end by themselves.
    pub(crate) own_ends: u8,
    /// `end` calls of the application.
    pub(crate) app_ends: u8,
    /// Number of operators' supersedes, and of creates that carry the flag.
    pub(crate) supersedes: u8,
    /// Panics; each server may be enabled again after one.
    pub(crate) panics: u8,
    /// Servers that are cordoned, to be disabled when they are empty; each may be enabled again.
    pub(crate) cordons: u8,
    /// Treatment of the meetings of a server that returns.
    pub(crate) zombie_policy: ZombiePolicy,
    /// Servers on which another balancer runs a meeting of the id at the start. With one or two, every
    /// meeting is adopted, unless operators choose the meetings.
    pub(crate) foreign: u8,
    /// Number of times that an operator adopts a server's list; polls then adopt only meetings of ours.
    pub(crate) adopts: u8,
    /// Times that `zombie_ttl` has passed for everything at once.
    pub(crate) sweeps: u8,
    /// Times that all records and zombies are lost.
    pub(crate) wipes: u8,
    /// Both entries are one server, as when an operator adds it twice.
    pub(crate) aliased: bool,
    /// Role of a second replica.
    pub(crate) second: Second,
    /// Number of states after which the search stops.
    pub(crate) most_states: usize,
}

impl Bounds {
    /// Two creates, a server that becomes offline and online again, and a meeting that ends by itself.
    pub(crate) const BASE: Self = Self {
        creates: 2,
        reliable: false,
        faults: 1,
        healthy_threshold: 1,
        unhealthy_threshold: 1,
        own_ends: 1,
        app_ends: 0,
        supersedes: 0,
        panics: 0,
        cordons: 0,
        zombie_policy: ZombiePolicy::Restore,
        foreign: 0,
        adopts: 0,
        sweeps: 0,
        wipes: 0,
        aliased: false,
        second: Second::None,
        most_states: 3_000_000,
    };
}
