//! One state of the model. It holds no revision and no time: a guard asks only whether a key changed
//! since it was seen, a watermark only whether something was written after the poll was sent. So the
//! state space is finite, and two histories that differ in their numbers alone are one state.

/// The servers of the model, by index.
pub(crate) const SERVERS: [usize; 2] = [0, 1];

/// State of the one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RecState {
    Pending,
    Active(u8),
    Ending(Option<u8>),
}

/// The one record. Tokens are numbers of creates plus one; 0 is a record that no create made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Rec {
    pub(crate) state: RecState,
    pub(crate) server: u8,
    pub(crate) token: u8,
}

impl Rec {
    pub(crate) fn instance(self) -> Option<u8> {
        match self.state {
            RecState::Pending => None,
            RecState::Active(instance) => Some(instance),
            RecState::Ending(instance) => instance,
        }
    }

    pub(crate) fn is_active_elsewhere(self, server: usize) -> bool {
        usize::from(self.server) != server && matches!(self.state, RecState::Active(_))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ZomState {
    Waiting,
    Due,
    Ending,
}

/// A zombie of the one id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Zom {
    pub(crate) state: ZomState,
    pub(crate) instance: Option<u8>,
}

/// Counters of a server's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Counters {
    pub(crate) recover: u8,
    pub(crate) error: u8,
}

/// Admin state of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Admin {
    Enabled,
    Cordoned,
    Disabled,
}

/// Content of the store, or a replica's view of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct View {
    pub(crate) rec: Option<Rec>,
    pub(crate) zom: [Option<Zom>; 2],
    pub(crate) admin: [Admin; 2],
    /// The stored sample shows no meeting, by a poll sent since the server was changed.
    pub(crate) empty: [bool; 2],
    pub(crate) health: [Option<Counters>; 2],
}

/// A key of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Slot {
    Record,
    Zombie(usize),
    Health(usize),
    Server(usize),
    Sample(usize),
}

impl Slot {
    pub(crate) fn bit(self) -> u16 {
        match self {
            Self::Record => 1,
            Self::Zombie(server) => 1 << (1 + server),
            Self::Health(server) => 1 << (3 + server),
            Self::Server(server) => 1 << (5 + server),
            Self::Sample(server) => 1 << (7 + server),
        }
    }
}

impl View {
    pub(crate) fn is_absent(&self, slot: Slot) -> bool {
        match slot {
            Slot::Record => self.rec.is_none(),
            Slot::Zombie(server) => self.zom[server].is_none(),
            Slot::Health(server) => self.health[server].is_none(),
            Slot::Server(_) | Slot::Sample(_) => false,
        }
    }
}

/// The replica that is behind: its view, and the keys that have changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Lag {
    pub(crate) view: View,
    pub(crate) stale: u16,
}

/// Where a create has got to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Create {
    Unborn,
    /// Its request travels; `placed` when a placement was made for it, else it was forwarded.
    Sent {
        to: u8,
        placed: bool,
    },
    /// Its answer is on the way back, or waits to be confirmed.
    Answered {
        to: u8,
        placed: bool,
        instance: u8,
    },
    Gone,
}

/// A poll under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Poll {
    /// Meetings that the server listed; none before its answer. 0 is an empty list.
    pub(crate) seen: Option<u8>,
    /// The record changed after the watermark.
    pub(crate) record_changed: bool,
    /// The zombie here changed after the watermark.
    pub(crate) zombie_changed: bool,
    /// The server's entry changed after the poll was sent: the answer is not written.
    pub(crate) server_changed: bool,
    /// It was sent after the deadline of the create that made the record.
    pub(crate) late: bool,
}

/// An application's `end` under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AppEnd {
    Sent(Meant),
    Answered(Meant),
}

/// The edge's knowledge of the meeting that it ends; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Meant {
    pub(crate) server: u8,
    pub(crate) instance: u8,
    /// Of a record that was PENDING.
    pub(crate) token: u8,
}

impl AppEnd {
    pub(crate) fn meant(self) -> Meant {
        let (Self::Sent(meant) | Self::Answered(meant)) = self;
        meant
    }

    pub(crate) fn meant_mut(&mut self) -> &mut Meant {
        let (Self::Sent(meant) | Self::Answered(meant)) = self;
        meant
    }
}

impl Meant {
    pub(crate) fn of(rec: Rec) -> Self {
        let instance = rec.instance().unwrap_or(0);
        Self { server: rec.server, instance, token: if instance == 0 { rec.token } else { 0 } }
    }
}

/// How often something that is bounded has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Spent {
    pub(crate) faults: u8,
    pub(crate) own_ends: u8,
    pub(crate) app_ends: u8,
    pub(crate) supersedes: u8,
    pub(crate) panics: u8,
    pub(crate) cordons: u8,
    pub(crate) sweeps: u8,
    pub(crate) wipes: u8,
    pub(crate) adopts: u8,
}

/// Most creates that a configuration may have.
pub(crate) const MOST_CREATES: usize = 4;

/// State of the whole cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) store: View,
    /// Replica 1, while it is behind; replica 0 never is.
    pub(crate) lag: Option<Lag>,
    /// The replica whose fencing token holds.
    pub(crate) leader: u8,
    /// The instance that runs on each server; 0 is none. Changed by [`State::set_live`] alone.
    pub(crate) live: [u8; 2],
    /// Both entries are one server.
    pub(crate) aliased: bool,
    pub(crate) creates: [Create; MOST_CREATES],
    /// Requests under way without a waiting caller.
    pub(crate) orphans: [u8; 2],
    /// By replica and server.
    pub(crate) polls: [[Option<Poll>; 2]; 2],
    /// Instances with an `end` under way, by server, one bit each.
    pub(crate) ends: [u16; 2],
    pub(crate) app_end: Option<AppEnd>,
    /// Instances whose create was answered SUCCESS, by us or by another balancer, one bit each.
    pub(crate) acked: u16,
    /// Instances that were superseded, requested to end or abandoned, one bit each.
    pub(crate) released: u16,
    /// Instances without our mark, one bit each.
    pub(crate) foreign: u16,
    /// Servers that an operator's panic has disabled.
    pub(crate) panicked: [bool; 2],
    pub(crate) next: u8,
    pub(crate) spent: Spent,
}

pub(crate) fn bit(instance: u8) -> u16 {
    1 << instance
}

impl State {
    /// A cluster of two online servers, led by `leader`, on which so many unmarked meetings run.
    pub(crate) fn start(leader: u8, foreign: u8, healthy_threshold: u8, aliased: bool) -> Self {
        let online = Some(Counters { recover: healthy_threshold, error: 0 });
        let (admin, empty) = ([Admin::Enabled; 2], [false; 2]);
        let unmarked = (1..=foreign).fold(0, |set, instance| set | bit(instance));
        Self {
            store: View { rec: None, zom: [None; 2], admin, empty, health: [online; 2] },
            lag: None,
            leader,
            live: [u8::from(foreign > 0), if foreign > 1 { 2 } else { u8::from(aliased && foreign > 0) }],
            aliased,
            creates: [Create::Unborn; MOST_CREATES],
            orphans: [0; 2],
            polls: [[None; 2]; 2],
            ends: [0; 2],
            app_end: None,
            acked: unmarked,
            released: 0,
            foreign: unmarked,
            panicked: [false; 2],
            next: foreign + 1,
            spent: Spent::default(),
        }
    }

    pub(crate) fn view(&self, replica: usize) -> &View {
        match &self.lag {
            Some(lag) if replica == 1 => &lag.view,
            _ => &self.store,
        }
    }

    pub(crate) fn release(&mut self, instance: Option<u8>) {
        self.released |= instance.map_or(0, bit);
    }

    /// Starts an instance on a server, or with 0 ends the instance there.
    pub(crate) fn set_live(&mut self, server: usize, instance: u8) {
        if self.aliased {
            self.live = [instance; 2];
        } else {
            self.live[server] = instance;
        }
    }

    /// A create request arrives: idempotent, as BBB's is.
    pub(crate) fn arrive(&mut self, server: usize) -> u8 {
        if self.live[server] == 0 {
            self.set_live(server, self.next);
            self.next += 1;
        }
        self.live[server]
    }

    /// Returns whether no edge waits for an answer. Other messages under way may be lost.
    pub(crate) fn is_quiet(&self) -> bool {
        self.creates.iter().all(|create| matches!(create, Create::Unborn | Create::Gone))
    }

    /// Loses every request, answer and `end` that is under way, and each poll.
    pub(crate) fn lose_messages(&mut self) {
        (self.orphans, self.ends, self.polls, self.app_end) = ([0; 2], [0; 2], [[None; 2]; 2], None);
    }
}
