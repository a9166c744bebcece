//! What must hold once nothing is disturbed any more and some polls have passed.

use usher_common::{
    id::{InternalMeetingId, ServerId},
    meeting::{MeetingKey, RecordState},
    server::{AdminState, Health},
};

use super::checker::Checker;

impl Checker {
    /// Nothing leaked, nothing split, every record right, every server well.
    ///
    /// # Errors
    /// What is not as it must be, and of which meeting.
    pub(crate) fn at_rest(&self, servers: &[ServerId]) -> Result<(), (Option<MeetingKey>, String)> {
        for server in servers {
            let (admin, colour) = (self.truth.admin(server), self.truth.colour(server));
            if admin != Some(AdminState::Enabled) || colour != Health::Online {
                return Err((None, format!("{server} is {admin:?} and {colour:?}")));
            }
        }
        if let Some((zombie, state)) = self.truth.zombies.iter().next() {
            return Err((Some(zombie.meeting.clone()), format!("a zombie stands: {zombie:?} {state:?}")));
        }
        for (id, instance) in self.instances.iter() {
            let key = &instance.key;
            if instance.outlived {
                return Err((Some(key.clone()), format!("{id} runs, and what superseded it was ended")));
            }
            let named = self.truth.record(key).is_some_and(|record| {
                record.server == instance.server
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
                    format!("a record names what does not run: {:?}", stored.value),
                ));
            }
        }
        Ok(())
    }

    /// Returns what runs, by id.
    pub(crate) fn running(&self) -> Vec<(MeetingKey, ServerId, InternalMeetingId)> {
        let running = self.instances.iter();
        running.map(|(id, instance)| (instance.key.clone(), instance.server.clone(), id.clone())).collect()
    }
}
