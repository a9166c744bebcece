//! Administration: the writes that operators request. Some of them take several steps, each of
//! which may be refused and decided again.

use std::time::{Duration, Instant};

use usher_model::{
    id::{InternalMeetingId, ServerId, TenantId},
    meeting::{MeetingKey, ZombieKey},
    revision::Revision,
    routing::TenantRoute,
    server::{AdminState, Server, ServerSample},
};
use usher_runtime::clock;

use super::writer::{PlanWriter, WriteError, WriteReceipt};
use crate::core::{
    epoch::Epoch,
    fleet::Fleet,
    lifecycle::{
        self, AdminError, AdoptionOutcome, MeetingOrder, NewAddress, OperationProgress, PlannedStep,
        ServerOrder, SupersedeError, TenantError,
    },
    now::Now,
};

/// Longest wait until this replica has applied its own write, so that the answer shows it.
const SEE_WITHIN: Duration = Duration::from_secs(2);

/// A server at the time when its list of meetings is requested.
#[derive(Debug, Clone)]
pub struct ListTarget {
    /// The server's entry as operators set it.
    pub server: Server,
    /// The epoch to which the list belongs.
    pub epoch: Epoch,
}

/// The server was changed, or another epoch began, after its list was requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server or the epoch changed after the list was requested")]
pub struct StaleListTarget;

type AdminResult<T> = Result<T, WriteError<AdminError>>;

/// Administers the fleet by guarded writes; clones share one writer.
#[derive(Clone)]
pub struct FleetAdmin {
    writer: PlanWriter,
}

impl FleetAdmin {
    /// Returns an administration that writes by `writer`.
    pub fn new(writer: PlanWriter) -> Self {
        Self { writer }
    }

    /// Adds a server.
    ///
    /// # Errors
    /// A server of that name exists, or the store did not take the write.
    pub async fn create_server(&self, server: &Server, deadline: Instant) -> AdminResult<()> {
        self.once(deadline, |fleet, _| lifecycle::create_server(fleet, server.clone())).await
    }

    /// Changes a server. `change` is applied to the entry that is current at the time of the write;
    /// `admin` is the new admin state, if the change names one.
    ///
    /// # Errors
    /// The server does not exist, it is not as `seen`, it is to be disabled and meetings live on it,
    /// or the store did not take the write.
    pub async fn update_server(
        &self,
        id: &ServerId,
        seen: Option<u64>,
        change: impl Fn(&Server) -> Server,
        admin: Option<AdminState>,
        deadline: Instant,
    ) -> AdminResult<()> {
        let decide = |fleet: &Fleet, _| updated(fleet, id, &change, admin);
        if seen.is_some() || admin == Some(AdminState::Disabled) {
            return self.steps(ServerOrder::new(id.clone(), seen), deadline, decide).await;
        }
        // Without a revision the change is for the server as it is at the write, and a concurrent
        // change of other fields is no conflict.
        self.once(deadline, decide).await.map(drop)
    }

    /// Checks an update as [`Self::update_server`] does, without a write.
    ///
    /// # Errors
    /// The server does not exist, it is not as `seen`, or it is to be disabled and meetings live on
    /// it.
    pub async fn check_update(
        &self,
        id: &ServerId,
        seen: Option<u64>,
        change: impl Fn(&Server) -> Server,
        admin: Option<AdminState>,
    ) -> Result<(), AdminError> {
        self.see(seen).await;
        self.writer.fleet().read(|fleet| {
            ServerOrder::new(id.clone(), seen).check(fleet)?;
            updated(fleet, id, &change, admin).map(drop)
        })
    }

    /// Checks a new server as [`Self::create_server`] does, without a write.
    ///
    /// # Errors
    /// A server of that name exists, or another entry has the address.
    pub fn check_create(&self, server: &Server) -> Result<(), AdminError> {
        self.writer.fleet().read(|fleet| lifecycle::create_server(fleet, server.clone()).map(drop))
    }

    /// Gives a server another address, together with the other fields that `change` sets, and the
    /// admin state `admin` if the change names one.
    ///
    /// # Errors
    /// The server does not exist, it is not as `seen`, another entry has the address, meetings that
    /// the new address does not list live on it, or the store did not take the write.
    pub async fn relocate_server(
        &self,
        id: &ServerId,
        seen: Option<u64>,
        change: impl Fn(&Server) -> Server,
        admin: Option<AdminState>,
        address: NewAddress,
        deadline: Instant,
    ) -> AdminResult<()> {
        let order = ServerOrder::new(id.clone(), seen);
        let mut final_admin = admin;
        self.steps(order, deadline, |fleet, now| {
            let server = fleet.server(id).ok_or(AdminError::NotFound)?;
            // Intermediate steps disable the server; the last one restores its first admin state.
            let admin = *final_admin.get_or_insert(server.admin());
            lifecycle::relocate(fleet, &change(&server.stored.value), admin, address, now.wall_ms)
        })
        .await
    }

    /// Checks a change of address as [`Self::relocate_server`] does, without a write.
    ///
    /// # Errors
    /// The server does not exist, it is not as `seen`, another entry has the address, or meetings
    /// live on it that the change would lose.
    pub async fn check_relocation(
        &self,
        id: &ServerId,
        seen: Option<u64>,
        change: impl Fn(&Server) -> Server,
        admin: Option<AdminState>,
        address: NewAddress,
    ) -> Result<(), AdminError> {
        self.see(seen).await;
        let now_ms = self.writer.now().wall_ms;
        self.writer.fleet().read(|fleet| {
            ServerOrder::new(id.clone(), seen).check(fleet)?;
            let server = fleet.server(id).ok_or(AdminError::NotFound)?;
            let admin = admin.unwrap_or(server.admin());
            lifecycle::relocate(fleet, &change(&server.stored.value), admin, address, now_ms).map(drop)
        })
    }

    /// Enables, cordons or disables a server. If `seen` is given, the server must still be as it
    /// was.
    ///
    /// # Errors
    /// The server does not exist, it is not as `seen`, meetings live on it, or the store did not
    /// take the write.
    pub async fn set_admin(
        &self,
        id: &ServerId,
        seen: Option<u64>,
        admin: AdminState,
        deadline: Instant,
    ) -> AdminResult<()> {
        let order = ServerOrder::new(id.clone(), seen);
        self.steps(order, deadline, |fleet, _| lifecycle::set_admin(fleet, id, admin)).await
    }

    /// Removes a server.
    ///
    /// # Errors
    /// The server does not exist, it is not as `seen`, meetings live on it, or the store did not
    /// take the write.
    pub async fn delete_server(
        &self,
        id: &ServerId,
        seen: Option<u64>,
        deadline: Instant,
    ) -> AdminResult<()> {
        let order = ServerOrder::new(id.clone(), seen);
        let mut removed = false;
        let deleted = self.steps(order, deadline, |fleet, _| {
            let step = lifecycle::delete_server(fleet, id)?;
            removed |= step.outcome == OperationProgress::Done;
            Ok(step)
        });
        match deleted.await {
            // The answer to the own removal was lost.
            Err(WriteError::Decision(AdminError::NotFound)) if removed => Ok(()),
            deleted => deleted,
        }
    }

    /// Disables a server and frees its ids at once. If `seen` is given, the server must still be as
    /// it was. Returns the number of records that the server had.
    ///
    /// # Errors
    /// The server does not exist, it is not as `seen`, another operator enabled it while its ids
    /// were being freed, or the store did not take the write.
    pub async fn panic_server(
        &self,
        id: &ServerId,
        seen: Option<u64>,
        deadline: Instant,
    ) -> AdminResult<usize> {
        let records = self.writer.fleet().read(|fleet| fleet.record_count_on(id));
        let order = ServerOrder::new(id.clone(), seen);
        self.steps(order, deadline, |fleet, now| lifecycle::panic_server(fleet, id, now.wall_ms)).await?;
        Ok(records)
    }

    /// Frees an id whose server is not online. If `instance` is given, the id must still belong to
    /// it.
    ///
    /// # Errors
    /// The id has no record to supersede, it belongs to another instance by now, or the store did
    /// not take the write.
    pub async fn supersede(
        &self,
        key: &MeetingKey,
        instance: Option<InternalMeetingId>,
        deadline: Instant,
    ) -> Result<(), WriteError<SupersedeError>> {
        let mut order = MeetingOrder::new(key.clone(), instance);
        self.once(deadline, |fleet, now| {
            order.check(fleet)?;
            lifecycle::supersede(fleet, key, now.wall_ms)
        })
        .await
    }

    /// Drops a zombie without a poll that saw it end.
    ///
    /// # Errors
    /// The zombie does not exist, or the store did not take the write.
    pub async fn forget_zombie(&self, key: &ZombieKey, deadline: Instant) -> AdminResult<()> {
        self.once(deadline, |fleet, _| lifecycle::forget_zombie(fleet, key)).await
    }

    /// Adopts a meeting that a server listed just now.
    ///
    /// # Errors
    /// The server or the epoch changed after the list was requested, or the store did not take the
    /// write.
    pub async fn adopt(
        &self,
        asked: &ListTarget,
        key: &MeetingKey,
        sample: &ServerSample,
        deadline: Instant,
    ) -> Result<AdoptionOutcome, WriteError<StaleListTarget>> {
        self.once(deadline, |fleet, now| {
            let id = &asked.server.id;
            // The value is compared and not the revision, because the adoption of another meeting
            // may have written the server's key without a change.
            let as_asked = fleet.server(id).is_some_and(|server| server.stored.value == asked.server);
            if !as_asked || fleet.epoch() != asked.epoch {
                return Err(StaleListTarget);
            }
            Ok(lifecycle::adopt(fleet, id, key, sample, now.wall_ms))
        })
        .await
    }

    /// Creates or changes a tenant so that it equals `tenant`.
    ///
    /// # Errors
    /// The store did not take the write.
    pub async fn set_tenant(&self, tenant: &TenantRoute, deadline: Instant) -> AdminResult<()> {
        self.once(deadline, |fleet, _| Ok(lifecycle::set_tenant(fleet, tenant.clone()))).await
    }

    /// Adds a tenant.
    ///
    /// # Errors
    /// A tenant of that name exists, a host belongs to another tenant, or the store did not take
    /// the write.
    pub async fn create_tenant(
        &self,
        tenant: &TenantRoute,
        deadline: Instant,
    ) -> Result<(), WriteError<TenantError>> {
        self.once(deadline, |fleet, _| lifecycle::create_tenant(fleet, tenant.clone())).await
    }

    /// Changes a tenant. `change` is applied to the tenant that is current at the time of the
    /// write.
    ///
    /// # Errors
    /// The tenant does not exist, it is not as `seen`, a host belongs to another tenant, or the
    /// store did not take the write.
    pub async fn update_tenant(
        &self,
        id: &TenantId,
        seen: Option<u64>,
        change: impl Fn(&TenantRoute) -> Result<TenantRoute, TenantError>,
        deadline: Instant,
    ) -> Result<(), WriteError<TenantError>> {
        self.once(deadline, |fleet, _| lifecycle::update_tenant(fleet, id, seen, &change)).await
    }

    /// Removes a tenant.
    ///
    /// # Errors
    /// The tenant does not exist, it is not as `seen`, or the store did not take the write.
    pub async fn delete_tenant(
        &self,
        id: &TenantId,
        seen: Option<u64>,
        deadline: Instant,
    ) -> Result<(), WriteError<TenantError>> {
        self.once(deadline, |fleet, _| lifecycle::delete_tenant(fleet, id, seen)).await
    }

    /// Waits for a revision that the operator saw at another replica. A decision from an older
    /// fleet would be refused as a conflict although the operator saw the newest state.
    async fn see(&self, revision: Option<u64>) {
        let Some(seq) = revision else { return };
        let epoch = self.writer.fleet().revision().epoch;
        let _ = self.writer.fleet().reach(Revision::new(epoch, seq), SEE_WITHIN).await; // if it is late, the decision refuses the order
    }

    async fn once<T, E>(
        &self,
        deadline: Instant,
        decide: impl FnMut(&Fleet, Now) -> Result<PlannedStep<T>, E>,
    ) -> Result<T, WriteError<E>> {
        let WriteReceipt { outcome, revision } = self.writer.write(deadline, None, decide).await?;
        // The write is done whether or not this replica has applied it in time.
        let _ = self.writer.fleet().reach(revision, SEE_WITHIN).await;
        Ok(outcome)
    }

    /// Carries out an order step by step. Between two steps this replica must apply the first one's
    /// write: in an older fleet the server would look as if another operator had changed it.
    async fn steps(
        &self,
        mut order: ServerOrder,
        deadline: Instant,
        mut decide: impl FnMut(&Fleet, Now) -> Result<PlannedStep<OperationProgress>, AdminError>,
    ) -> AdminResult<()> {
        self.see(order.seen()).await;
        loop {
            let decide = |fleet: &Fleet, now| {
                order.check(fleet)?;
                let step = decide(fleet, now)?;
                order.plans(&step.plan);
                Ok(step)
            };
            let WriteReceipt { outcome, revision } = self.writer.write(deadline, None, decide).await?;
            let patience = match outcome {
                OperationProgress::Done => SEE_WITHIN, // the write is done, applied in time or not
                OperationProgress::Again => deadline.saturating_duration_since(clock::now()),
            };
            match (outcome, self.writer.fleet().reach(revision, patience).await) {
                (OperationProgress::Done, _) => return Ok(()),
                (OperationProgress::Again, Ok(())) => {}
                (OperationProgress::Again, Err(_)) => return Err(WriteError::Deadline),
            }
        }
    }
}

/// Decides an update of the entry that is current in `fleet`.
fn updated(
    fleet: &Fleet,
    id: &ServerId,
    change: impl Fn(&Server) -> Server,
    admin: Option<AdminState>,
) -> Result<PlannedStep<OperationProgress>, AdminError> {
    let old = fleet.server(id).ok_or(AdminError::NotFound)?;
    // The order that the write belongs to compares the revision.
    lifecycle::update_server(fleet, change(&old.stored.value), None, admin)
}
