//! What operators ask for, some of it in several steps that may each be refused and made again.

use std::time::{Duration, Instant};

use usher_model::{
    id::{InternalMeetingId, ServerId, TenantId},
    meeting::{MeetingKey, ZombieKey},
    revision::Revision,
    routing::TenantRoute,
    server::{AdminState, Server, ServerSample},
};
use usher_runtime::clock;

use super::writer::{WriteError, Writer, Written};
use crate::core::{
    epoch::Epoch,
    fleet::Fleet,
    lifecycle::{
        self, AdminError, Adoption, MeetingOrder, NewAddress, Progress, ServerOrder, Step, SupersedeError,
        TenantError,
    },
    now::Now,
};

/// Longest wait until this replica sees what it has written, so that its answer shows it.
const SEE_WITHIN: Duration = Duration::from_secs(2);

/// A server, as it is when it is asked for its list.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What operators described.
    pub server: Server,
    /// The one its list is of.
    pub epoch: Epoch,
}

/// The server was changed, or another epoch began, since it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("changed since it was asked")]
pub struct Stale;

type Outcome<T> = Result<T, WriteError<AdminError>>;

/// Administers by guarded writes; clones share everything.
#[derive(Clone)]
pub struct Admin {
    writer: Writer,
}

impl Admin {
    /// Writes by `writer`.
    pub fn new(writer: Writer) -> Self {
        Self { writer }
    }

    /// Adds a server.
    ///
    /// # Errors
    /// There is one of that name, or the store did not take it.
    pub async fn create_server(&self, server: &Server, deadline: Instant) -> Outcome<()> {
        self.once(deadline, |fleet, _| lifecycle::create_server(fleet, server.clone())).await
    }

    /// Changes a server by `change`, which is applied to what stands when it is written.
    ///
    /// # Errors
    /// There is none, it is not as `seen`, or the store did not take it.
    pub async fn update_server(
        &self,
        id: &ServerId,
        seen: Option<u64>,
        change: impl Fn(&Server) -> Server,
        deadline: Instant,
    ) -> Outcome<()> {
        self.see(seen).await;
        self.once(deadline, |fleet, _| {
            let old = fleet.server(id).ok_or(AdminError::NotFound)?;
            lifecycle::update_server(fleet, change(&old.stored.value), seen)
        })
        .await
    }

    /// Gives a server another address, with the other fields that `change` sets.
    ///
    /// # Errors
    /// There is none, it is not as `seen`, another entry has the address, meetings live on it that the
    /// address does not list, or the store did not take it.
    pub async fn relocate_server(
        &self,
        id: &ServerId,
        seen: Option<u64>,
        change: impl Fn(&Server) -> Server,
        address: NewAddress,
        deadline: Instant,
    ) -> Outcome<()> {
        let order = ServerOrder::new(id.clone(), seen);
        let mut in_the_end = None;
        self.steps(order, deadline, |fleet, now| {
            let server = fleet.server(id).ok_or(AdminError::NotFound)?;
            // Steps in between close the server; the last one restores its first admin state.
            let admin = *in_the_end.get_or_insert(server.admin());
            lifecycle::relocate(fleet, &change(&server.stored.value), admin, address, now.wall_ms)
        })
        .await
    }

    /// Enables, cordons or disables a server that is as `seen`, where the caller minds.
    ///
    /// # Errors
    /// There is none, it is not as `seen`, meetings live on it, or the store did not take it.
    pub async fn set_admin(
        &self,
        id: &ServerId,
        seen: Option<u64>,
        admin: AdminState,
        deadline: Instant,
    ) -> Outcome<()> {
        let order = ServerOrder::new(id.clone(), seen);
        self.steps(order, deadline, |fleet, _| lifecycle::set_admin(fleet, id, admin)).await
    }

    /// Removes a server.
    ///
    /// # Errors
    /// There is none, it is not as `seen`, meetings live on it, or the store did not take it.
    pub async fn delete_server(&self, id: &ServerId, seen: Option<u64>, deadline: Instant) -> Outcome<()> {
        let order = ServerOrder::new(id.clone(), seen);
        self.steps(order, deadline, |fleet, _| lifecycle::delete_server(fleet, id)).await
    }

    /// Takes a server out that is as `seen`, where the caller minds, and frees its ids at once. Returns how
    /// many records it had.
    ///
    /// # Errors
    /// There is none, it is not as `seen`, another party enabled it while its ids were being freed, or the store
    /// did not take it.
    pub async fn panic_server(&self, id: &ServerId, seen: Option<u64>, deadline: Instant) -> Outcome<usize> {
        let records = self.writer.fleet().read(|fleet| fleet.record_count_on(id));
        let order = ServerOrder::new(id.clone(), seen);
        self.steps(order, deadline, |fleet, now| lifecycle::panic_server(fleet, id, now.wall_ms)).await?;
        Ok(records)
    }

    /// Frees an id whose server is not online. `instance` is the one that is meant, where the caller minds.
    ///
    /// # Errors
    /// There is nothing to supersede, the id is another instance's by now, or the store did not take it.
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

    /// Drops a zombie unseen.
    ///
    /// # Errors
    /// There is none, or the store did not take it.
    pub async fn forget_zombie(&self, key: &ZombieKey, deadline: Instant) -> Outcome<()> {
        self.once(deadline, |fleet, _| lifecycle::forget_zombie(fleet, key)).await
    }

    /// Takes over a meeting that a server listed just now.
    ///
    /// # Errors
    /// The server, or the whole store, is not as it was when it was asked, or the store did not take it.
    pub async fn adopt(
        &self,
        asked: &Asked,
        key: &MeetingKey,
        sample: &ServerSample,
        deadline: Instant,
    ) -> Result<Adoption, WriteError<Stale>> {
        self.once(deadline, |fleet, now| {
            let id = &asked.server.id;
            // Its value and not its revision: taking over another one may have written it anew.
            let as_asked = fleet.server(id).is_some_and(|server| server.stored.value == asked.server);
            if !as_asked || fleet.epoch() != asked.epoch {
                return Err(Stale);
            }
            Ok(lifecycle::adopt(fleet, id, key, sample, now.wall_ms))
        })
        .await
    }

    /// Makes a tenant what it is to be, if it is not.
    ///
    /// # Errors
    /// The store did not take it.
    pub async fn set_tenant(&self, tenant: &TenantRoute, deadline: Instant) -> Outcome<()> {
        self.once(deadline, |fleet, _| Ok(lifecycle::set_tenant(fleet, tenant.clone()))).await
    }

    /// Adds a tenant.
    ///
    /// # Errors
    /// There is one of that name, a host is another's, or the store did not take it.
    pub async fn create_tenant(
        &self,
        tenant: &TenantRoute,
        deadline: Instant,
    ) -> Result<(), WriteError<TenantError>> {
        self.once(deadline, |fleet, _| lifecycle::create_tenant(fleet, tenant.clone())).await
    }

    /// Changes a tenant by `change`, which is applied to what stands when it is written.
    ///
    /// # Errors
    /// There is none, it is not as `seen`, a host is another's, or the store did not take it.
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
    /// There is none, it is not as `seen`, or the store did not take it.
    pub async fn delete_tenant(
        &self,
        id: &TenantId,
        seen: Option<u64>,
        deadline: Instant,
    ) -> Result<(), WriteError<TenantError>> {
        self.once(deadline, |fleet, _| lifecycle::delete_tenant(fleet, id, seen)).await
    }

    /// Waits a moment until this replica has come to a revision that the operator saw at another one.
    async fn see(&self, revision: Option<u64>) {
        let Some(seq) = revision else { return };
        let epoch = self.writer.fleet().revision().epoch;
        let _ = self.writer.fleet().reach(Revision::new(epoch, seq), SEE_WITHIN).await; // else it is refused
    }

    async fn once<T, E>(
        &self,
        deadline: Instant,
        decide: impl FnMut(&Fleet, Now) -> Result<Step<T>, E>,
    ) -> Result<T, WriteError<E>> {
        let Written { outcome, revision } = self.writer.write(deadline, None, decide).await?;
        // Late or not, it is written.
        let _ = self.writer.fleet().reach(revision, SEE_WITHIN).await;
        Ok(outcome)
    }

    /// Carries out an order step by step. Between two steps this replica has to see the write of the first
    /// one: from an older fleet the server would look as if another party had changed it.
    async fn steps(
        &self,
        mut order: ServerOrder,
        deadline: Instant,
        mut decide: impl FnMut(&Fleet, Now) -> Result<Step<Progress>, AdminError>,
    ) -> Outcome<()> {
        self.see(order.seen()).await;
        loop {
            let decide = |fleet: &Fleet, now| {
                order.check(fleet)?;
                let step = decide(fleet, now)?;
                order.plans(&step.plan);
                Ok(step)
            };
            let Written { outcome, revision } = self.writer.write(deadline, None, decide).await?;
            let patience = match outcome {
                Progress::Done => SEE_WITHIN, // late or not, it is written
                Progress::Again => deadline.saturating_duration_since(clock::now()),
            };
            match (outcome, self.writer.fleet().reach(revision, patience).await) {
                (Progress::Done, _) => return Ok(()),
                (Progress::Again, Ok(())) => {}
                (Progress::Again, Err(_)) => return Err(WriteError::Deadline),
            }
        }
    }
}
