//! A server's new address, which is verified before it is stored.

use std::time::{Duration, Instant};

use usher_model::{
    id::{InternalMeetingId, ServerId},
    server::Server,
};

use super::{ServerRpc, WriteEffect, input::MaskedServerUpdate};
use crate::{
    core::lifecycle::{AdminError, NewAddress},
    grpc::{name, status::RpcRefusal},
    tasks::writer::WriteError,
};

/// Longest call to the new address; the rest of the caller's time is for the store.
const ASK_WITHIN: Duration = Duration::from_secs(5);

impl ServerRpc {
    /// Gives a server another address by `update`, or only checks that. While meetings live on the server, the new
    /// address must list at least one of their instances. One instance in common proves that it is
    /// the same server, because an internal id contains the time of its creation.
    pub(super) async fn relocate(
        &self,
        id: &ServerId,
        seen: Option<u64>,
        update: &MaskedServerUpdate,
        force: bool,
        (effect, deadline): (WriteEffect, Instant),
    ) -> Result<(), RpcRefusal> {
        let change = |old: &Server| update.apply(old);
        let (wanted, watermark, named, users) = self
            .fleet
            .read(|fleet| {
                let server = fleet.server(id)?;
                let records = fleet.records_on(id).filter_map(|(_, stored)| stored.value.state.internal_id());
                let zombies = fleet.zombies_on(id).filter_map(|(_, stored)| stored.value.internal_id.clone());
                let named: Vec<InternalMeetingId> = records.cloned().chain(zombies).collect();
                Some((change(&server.stored.value), fleet.revision().seq, named, server.users()))
            })
            .ok_or_else(|| RpcRefusal::NotFound { kind: "server", name: name::server(id) })?;
        let (address, why) = if named.is_empty() {
            (NewAddress::AnotherServer, "its creates are under way")
        } else {
            self.ask(&wanted, watermark, &named).await
        };
        let address = match address {
            NewAddress::AnotherServer if force => NewAddress::Forced,
            address => address,
        };
        let relocated = match effect {
            WriteEffect::Written => {
                self.admin.relocate_server(id, seen, change, update.admin, address, deadline).await
            }
            WriteEffect::CheckOnly => {
                let checked = self.admin.check_relocation(id, seen, change, update.admin, address).await;
                checked.map_err(WriteError::Decision)
            }
        };
        relocated.map_err(|error| match error {
            WriteError::Decision(AdminError::HasMeetings { meetings, .. })
                if address == NewAddress::AnotherServer =>
            {
                RpcRefusal::Precondition {
                    reason: "SERVER_HAS_MEETINGS",
                    subject: name::server(id),
                    problem: format!(
                        "{meetings} meetings with {users} users live on `{}`, and {why}: cordon it and wait \
                         until it is empty, or repeat with force, which ends them at the old address",
                        name::server(id)
                    ),
                }
            }
            other => RpcRefusal::admin(other, id),
        })
    }

    /// Requests the list of the new address and compares it with the server's instances.
    async fn ask(
        &self,
        wanted: &Server,
        watermark: u64,
        named: &[InternalMeetingId],
    ) -> (NewAddress, &'static str) {
        match tokio::time::timeout(ASK_WITHIN, self.bbb.poll(wanted, watermark)).await {
            Ok(Ok(sample)) if sample.meetings.iter().any(|listed| named.contains(&listed.internal_id)) => {
                (NewAddress::SameServer, "")
            }
            Ok(Ok(_)) => (NewAddress::AnotherServer, "the new address lists none of them"),
            Ok(Err(_)) => (NewAddress::AnotherServer, "the new address does not answer as a server does"),
            Err(_) => (NewAddress::AnotherServer, "the new address does not answer in time"),
        }
    }
}
