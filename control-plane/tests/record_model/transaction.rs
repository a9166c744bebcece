//! A plan of the core in the terms of the model.

use usher_control_plane::core::plan::{FleetKey, Plan, PlanGuard, PlanWrite};
use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::{MeetingRecord, RecordState, Zombie, ZombieState},
    server::AdminState,
};

use crate::state::{Admin, Counters, Rec, RecState, Slot, Zom, ZomState};

/// One write of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    Record(Option<Rec>),
    Zombie(usize, Option<Zom>),
    Health(usize, Option<Counters>),
    Admin(usize, Admin),
    /// A sample, and whether it shows an empty server.
    Sample(usize, bool),
}

impl Put {
    pub(crate) fn slot(self) -> Slot {
        match self {
            Self::Record(_) => Slot::Record,
            Self::Zombie(server, _) => Slot::Zombie(server),
            Self::Health(server, _) => Slot::Health(server),
            Self::Admin(server, _) => Slot::Server(server),
            Self::Sample(server, _) => Slot::Sample(server),
        }
    }
}

/// A guarded transaction. A guard says whether its key has to be absent, or as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Transaction {
    pub(crate) guards: Vec<(Slot, bool)>,
    pub(crate) puts: Vec<Put>,
}

impl Transaction {
    /// Translates a plan into the model's terms.
    pub(crate) fn new(plan: &Plan) -> Self {
        let guards = plan.guards.iter().filter_map(|guard| match guard {
            PlanGuard::Absent(key) => Some((slot(key)?, true)),
            PlanGuard::Unchanged(key, _) => Some((slot(key)?, false)),
        });
        Self { guards: guards.collect(), puts: plan.writes.iter().filter_map(put).collect() }
    }
}

fn slot(key: &FleetKey) -> Option<Slot> {
    match key {
        FleetKey::Server(id) => Some(Slot::Server(server(id))),
        FleetKey::Health(id) => Some(Slot::Health(server(id))),
        FleetKey::Record(_) => Some(Slot::Record),
        FleetKey::Zombie(key) => Some(Slot::Zombie(server(&key.server))),
        FleetKey::Sample(id) => Some(Slot::Sample(server(id))),
        FleetKey::Tenant(_) | FleetKey::Voice(_) => None,
    }
}

fn put(write: &PlanWrite) -> Option<Put> {
    match write {
        PlanWrite::Server(_, written) => {
            let admin = match written.admin {
                AdminState::Enabled => Admin::Enabled,
                AdminState::Cordoned => Admin::Cordoned,
                AdminState::Disabled => Admin::Disabled,
            };
            Some(Put::Admin(server(&written.id), admin))
        }
        PlanWrite::Health(id, counters) => {
            let (recover, error) = (counters.recover as u8, counters.error as u8);
            Some(Put::Health(server(id), Some(Counters { recover, error })))
        }
        PlanWrite::Record(_, record) => Some(Put::Record(Some(rec(record)))),
        PlanWrite::Zombie(key, zombie) => Some(Put::Zombie(server(&key.server), Some(zom(zombie)))),
        PlanWrite::Delete(key) => match slot(key)? {
            Slot::Record => Some(Put::Record(None)),
            Slot::Zombie(server) => Some(Put::Zombie(server, None)),
            Slot::Health(server) => Some(Put::Health(server, None)),
            Slot::Sample(server) => Some(Put::Sample(server, false)),
            Slot::Server(_) => panic!("the model removes no server"),
        },
        PlanWrite::Sample(id, sample) => Some(Put::Sample(server(id), sample.meetings.is_empty())),
        PlanWrite::Tenant(..) | PlanWrite::Voice(..) => None,
    }
}

/// Returns the index of a server of the model.
pub(crate) fn server(id: &ServerId) -> usize {
    id.as_str().strip_prefix('s').and_then(|index| index.parse().ok()).expect("named by the model")
}

/// Returns the number of an instance of the model.
pub(crate) fn instance(id: &InternalMeetingId) -> u8 {
    id.as_str().strip_prefix("i-").and_then(|number| number.parse().ok()).expect("named by the model")
}

pub(crate) fn rec(record: &MeetingRecord) -> Rec {
    let state = match &record.state {
        RecordState::Pending => RecState::Pending,
        RecordState::Active { internal_id, .. } => RecState::Active(instance(internal_id)),
        RecordState::Ending { internal_id } => RecState::Ending(internal_id.as_ref().map(instance)),
    };
    let token = record.token.strip_prefix('t').map_or(0, |number| number.parse().expect("a number"));
    Rec { state, server: server(&record.server) as u8, token }
}

fn zom(zombie: &Zombie) -> Zom {
    let state = match zombie.state {
        ZombieState::Waiting => ZomState::Waiting,
        ZombieState::Due => ZomState::Due,
        ZombieState::Ending => ZomState::Ending,
    };
    Zom { state, instance: zombie.internal_id.as_ref().map(instance) }
}
