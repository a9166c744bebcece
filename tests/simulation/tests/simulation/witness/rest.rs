//! The invariants at rest: after the end of all faults and some polls.

use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::{MeetingKey, RecordState},
    server::{AdminState, Health},
};

use super::checker::InvariantChecker;
use crate::servers::home;

impl InvariantChecker {
    /// Checks that no meeting is leaked or split, every record is right, and every server is
    /// online.
    ///
    /// # Errors
    /// The first violation, with its meeting.
    pub(crate) fn at_rest(&self, servers: &[ServerId]) -> Result<(), (Option<MeetingKey>, String)> {
        for server in servers {
            let (admin, health) = (self.truth.admin(server), self.truth.health(server));
            if admin != Some(AdminState::Enabled) || health != Health::Online {
                return Err((None, format!("{server} is {admin:?} and {health:?}")));
            }
        }
        if let Some((zombie, state)) = self.truth.zombies.iter().next() {
            return Err((Some(zombie.meeting.clone()), format!("a zombie is left: {zombie:?} {state:?}")));
        }
        for (id, instance) in self.instances.iter() {
            let key = &instance.key;
            if instance.outlived {
                return Err((
                    Some(key.clone()),
                    format!("{id} runs, and the instance that superseded it was ended"),
                ));
            }
            let named = self.truth.record(key).is_some_and(|record| {
                home(&record.server) == instance.server
                    && matches!(&record.state, RecordState::Active { internal_id, .. } if internal_id == id)
            });
            if !named {
                let record = self.truth.record(key);
                return Err((
                    Some(key.clone()),
                    format!("I4: {id} runs and is not routed; record {record:?}"),
                ));
            }
        }
        for (key, stored) in &self.truth.records {
            let named = stored.value.state.internal_id();
            if named.is_none_or(|id| self.instances.get(id).is_none()) {
                return Err((
                    Some(key.clone()),
                    format!("a record names a meeting that does not run: {:?}", stored.value),
                ));
            }
        }
        Ok(())
    }

    /// Returns the running meetings, by id.
    pub(crate) fn running(&self) -> Vec<(MeetingKey, ServerId, InternalMeetingId)> {
        let running = self.instances.iter();
        running.map(|(id, instance)| (instance.key.clone(), instance.server.clone(), id.clone())).collect()
    }
}

mod tests {
    use usher_control_plane::core::policy::Policy;
    use usher_model::{
        id::{InternalMeetingId, MeetingId, ServerId, TenantId},
        meeting::MeetingKey,
    };

    use crate::witness::{EndCause, InvariantChecker};

    #[tokio::test]
    async fn an_instance_superseded_by_an_ended_one_must_not_run() {
        let mut checker = InvariantChecker::new(Policy::default());
        let key = MeetingKey::new(TenantId::default_tenant(), MeetingId::parse("room").unwrap());
        let instances = ["room-1", "room-2"].map(|id| InternalMeetingId::parse(id).unwrap());
        for (instance, server) in instances.iter().zip(["a", "b"]) {
            checker.instance_created(&key, &ServerId::parse(server).unwrap(), instance);
            checker.acknowledged(instance);
        }
        checker.instance_ended(&instances[1], &EndCause::Application);
        checker.end_acknowledged(&key);
        let (_, why) = checker.at_rest(&[]).unwrap_err();
        assert!(why.contains("room-1") && why.contains("superseded"), "{why}");
        checker.acknowledged(&instances[0]);
        let (_, why) = checker.at_rest(&[]).unwrap_err();
        assert!(!why.contains("superseded"), "a client got it since: {why}");
    }
}
