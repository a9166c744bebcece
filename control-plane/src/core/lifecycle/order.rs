//! The subject of an operator's order (ADR 22). An order may be carried out late: its replica is
//! suspended, or a transaction is refused and decided again. By then the server may have been
//! enabled again, or the id may belong to a newer meeting. So an order names its subject, each of
//! its transactions is guarded by that subject, and an order whose subject has changed is refused
//! with an error to the operator.

use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::{MeetingKey, RecordState},
    server::Server,
};

use super::{admin_error::AdminError, supersede::SupersedeError};
use crate::core::{
    fleet::Fleet,
    plan::{Plan, PlanWrite},
};

/// An order about a server, valid until another party changes the server's entry.
#[derive(Debug, Clone)]
pub struct ServerOrder {
    id: ServerId,
    /// Revision of the server's entry that the next step expects; `None` before the first step.
    stands_at: Option<u64>,
    /// The server's entry as the last step planned to write it.
    written: Option<Server>,
}

impl ServerOrder {
    /// Begins an order. `seen` is the revision of the server that the operator saw; without it the
    /// order applies to the server as the first step finds it.
    pub fn new(id: ServerId, seen: Option<u64>) -> Self {
        Self { id, stands_at: seen, written: None }
    }

    /// Returns the revision of the server that the next step expects; `None` if it is not known
    /// yet.
    pub fn seen(&self) -> Option<u64> {
        self.stands_at
    }

    /// Checks that the fleet still has the server for which the order was given. The own write of a
    /// step whose answer was lost is recognised by its content.
    ///
    /// # Errors
    /// Returns [`AdminError::NotFound`] if the server does not exist, and [`AdminError::Changed`]
    /// if another party changed it.
    pub fn check(&mut self, fleet: &Fleet) -> Result<(), AdminError> {
        let stored = &fleet.server(&self.id).ok_or(AdminError::NotFound)?.stored;
        let own = self.stands_at.is_none_or(|revision| revision == stored.modified)
            || self.written.as_ref() == Some(&stored.value);
        if !own {
            return Err(AdminError::Changed);
        }
        self.stands_at = Some(stored.modified);
        Ok(())
    }

    /// Notes the server's entry that a step is about to write.
    pub fn plans(&mut self, plan: &Plan) {
        let written = plan.writes.iter().find_map(|write| match write {
            PlanWrite::Server(id, server) if *id == self.id => Some(server.clone()),
            _ => None,
        });
        self.written = written.or(self.written.take());
    }
}

/// An order about a meeting, valid while its record names the instance for which it was given.
#[derive(Debug, Clone)]
pub struct MeetingOrder {
    key: MeetingKey,
    subject: Option<OrderSubject>,
}

/// Identifies one record among the successive records of an id.
#[derive(Debug, Clone, PartialEq, Eq)]
enum OrderSubject {
    Instance(InternalMeetingId),
    /// The token of a placement that no server has confirmed.
    Placement(String),
}

impl MeetingOrder {
    /// Begins an order. `instance` is the one that the operator saw; without it the order applies
    /// to the record as the first step finds it.
    pub fn new(key: MeetingKey, instance: Option<InternalMeetingId>) -> Self {
        Self { key, subject: instance.map(OrderSubject::Instance) }
    }

    /// Checks that the fleet still has the record for which the order was given.
    ///
    /// # Errors
    /// Returns [`SupersedeError::NotFound`] if the id has no record, and
    /// [`SupersedeError::Changed`] if the record names another instance or placement.
    pub fn check(&mut self, fleet: &Fleet) -> Result<(), SupersedeError> {
        let record = &fleet.record(&self.key).ok_or(SupersedeError::NotFound)?.value;
        let is = match &record.state {
            RecordState::Pending => OrderSubject::Placement(record.token.clone()),
            state => match state.internal_id() {
                Some(instance) => OrderSubject::Instance(instance.clone()),
                None => OrderSubject::Placement(record.token.clone()),
            },
        };
        if *self.subject.get_or_insert_with(|| is.clone()) == is {
            Ok(())
        } else {
            Err(SupersedeError::Changed)
        }
    }
}

#[cfg(test)]
mod tests {
    use usher_model::server::AdminState;

    use super::*;
    use crate::core::{
        lifecycle::{OperationProgress, evacuate, panic_server, set_admin, supersede},
        policy::Policy,
        testkit::{FleetBench, iid, key, record, sid},
    };

    fn bench() -> FleetBench {
        let mut bench = FleetBench::with_servers(Policy::default(), &["a", "b"]);
        bench.write(PlanWrite::Record(key("m"), record("a", "i-1")));
        bench
    }

    fn modified(bench: &FleetBench) -> u64 {
        bench.fleet.server(&sid("a")).unwrap().stored.modified
    }

    /// Carries out one step of a panic, as the control plane's task does.
    fn panic_step(bench: &mut FleetBench, order: &mut ServerOrder) -> Result<OperationProgress, AdminError> {
        order.check(&bench.fleet)?;
        let step = panic_server(&bench.fleet, &sid("a"), 0)?;
        order.plans(&step.plan);
        assert!(bench.commit(&step.plan));
        Ok(step.outcome)
    }

    fn enable(bench: &mut FleetBench) {
        let step = set_admin(&bench.fleet, &sid("a"), AdminState::Enabled).unwrap();
        assert!(bench.commit(&step.plan));
    }

    #[test]
    fn h15_a_panic_goes_on_by_its_own_steps_alone() {
        let mut bench = bench();
        let mut order = ServerOrder::new(sid("a"), Some(modified(&bench)));
        while panic_step(&mut bench, &mut order).unwrap() == OperationProgress::Again {}
        assert!(bench.fleet.record(&key("m")).is_none());
    }

    #[test]
    fn h15_a_late_panic_frees_no_id_of_a_server_that_was_enabled_again() {
        let mut bench = bench();
        let mut order = ServerOrder::new(sid("a"), None);
        assert_eq!(panic_step(&mut bench, &mut order), Ok(OperationProgress::Again));
        let late = evacuate(&bench.fleet, &sid("a"), "panic", 0);
        enable(&mut bench);
        assert!(!bench.commit(&late), "a plan that was decided before is refused");
        assert_eq!(panic_step(&mut bench, &mut order), Err(AdminError::Changed));
        assert!(bench.fleet.record(&key("m")).is_some());
    }

    #[test]
    fn an_order_is_for_the_server_that_the_operator_saw() {
        let mut bench = bench();
        let mut order = ServerOrder::new(sid("a"), Some(modified(&bench)));
        for admin in [AdminState::Cordoned, AdminState::Enabled] {
            let step = set_admin(&bench.fleet, &sid("a"), admin).unwrap();
            assert!(bench.commit(&step.plan));
        }
        assert_eq!(panic_step(&mut bench, &mut order), Err(AdminError::Changed));
    }

    #[test]
    fn a_supersede_is_for_the_instance_that_the_operator_saw() {
        let mut bench = bench();
        bench.unhealthy("a");
        let mut order = MeetingOrder::new(key("m"), Some(iid("i-1")));
        assert_eq!(order.check(&bench.fleet), Ok(()));
        let late = supersede(&bench.fleet, &key("m"), 0).unwrap();
        bench.write(PlanWrite::Record(key("m"), record("a", "i-2")));
        assert!(!bench.commit(&late.plan));
        assert_eq!(order.check(&bench.fleet), Err(SupersedeError::Changed));
        let mut found = MeetingOrder::new(key("m"), None);
        assert_eq!(found.check(&bench.fleet), Ok(()));
        bench.write(PlanWrite::Record(key("m"), record("a", "i-3")));
        assert_eq!(found.check(&bench.fleet), Err(SupersedeError::Changed), "once found, it is that one");
    }
}
