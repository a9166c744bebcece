//! Complete tables on the wire and on disk: `SnapshotBegin`, chunks, `SnapshotEnd`.

use usher_model::{
    id::{MeetingId, TenantId},
    meeting::MeetingKey,
    revision::Revision,
    routing::{MeetingRoute, ServerRoute, TableDigest, TenantRoute},
};
use usher_proto::{
    ConvertError,
    v1::{SnapshotBegin, SnapshotChunk, SnapshotEnd, stream_routes_response::Message},
};

use super::table::{LiveTable, TenantSlot};

/// The number of meetings in one chunk of a snapshot that this edge writes.
const CHUNK: usize = 1_000;

/// The largest number of meetings for which memory is reserved only because a snapshot announces
/// them.
const TRUSTED_CAPACITY: u64 = 4_000_000;

/// The reason why a snapshot cannot become the table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// An entry lacks a required field or has an invalid one.
    #[error("entry of a snapshot")]
    Entry(#[from] ConvertError),
    /// A frame arrived out of order.
    #[error("snapshot frames out of order")]
    Order,
    /// Entries are missing or repeated.
    #[error("snapshot does not match its digest")]
    Incomplete,
}

/// Builds a new table from the frames of a snapshot, while requests use the old one.
#[derive(Debug)]
pub struct SnapshotBuilder {
    table: LiveTable,
    /// The number of meetings to reserve memory for.
    capacity: usize,
    shrink_allowed: bool,
}

/// A complete table, and whether the control plane flagged that it shrank.
#[derive(Debug)]
pub struct TableSnapshot {
    /// The table.
    pub table: LiveTable,
    /// The value of `SnapshotBegin.shrink_allowed`.
    pub shrink_allowed: bool,
}

impl SnapshotBuilder {
    /// Starts a table.
    ///
    /// # Errors
    /// The frame has no revision.
    pub fn begin(begin: SnapshotBegin) -> Result<Self, SnapshotError> {
        let revision: Revision = begin.revision.ok_or(ConvertError::Missing("revision"))?.into();
        Ok(Self {
            table: LiveTable::empty(revision),
            // A single tenant owns all meetings, so that its map never has to grow.
            capacity: if begin.tenants == 1 { begin.meetings.min(TRUSTED_CAPACITY) as usize } else { 0 },
            shrink_allowed: begin.shrink_allowed,
        })
    }

    /// Adds the entries of one chunk.
    ///
    /// # Errors
    /// An entry is unreadable.
    pub fn chunk(&mut self, chunk: SnapshotChunk) -> Result<(), SnapshotError> {
        let servers = chunk.servers.into_iter().map(ServerRoute::try_from).collect::<Result<_, _>>()?;
        let tenants = chunk.tenants.into_iter().map(TenantRoute::try_from).collect::<Result<_, _>>()?;
        let meetings = chunk.meetings.into_iter().map(MeetingRoute::try_from).collect::<Result<_, _>>()?;
        self.table.fill(servers, tenants, meetings, self.capacity);
        Ok(())
    }

    /// Checks that the table is complete.
    ///
    /// # Errors
    /// The table is incomplete.
    pub fn end(self, end: SnapshotEnd) -> Result<TableSnapshot, SnapshotError> {
        let revision = end.revision.map(Revision::from);
        if revision != Some(self.table.revision()) || end.digest != self.table.digest().0 {
            return Err(SnapshotError::Incomplete);
        }
        Ok(TableSnapshot { table: self.table, shrink_allowed: self.shrink_allowed })
    }
}

/// Writes a table as the frames of a snapshot. If the table changes meanwhile, the snapshot is a
/// mixture of its states, with the digest of the written entries and the revision at the beginning.
///
/// # Errors
/// The errors of `write`.
pub fn export<E>(table: &LiveTable, mut write: impl FnMut(Message) -> Result<(), E>) -> Result<(), E> {
    let revision = Some(table.revision().into());
    let servers = table.servers();
    let tenants: Vec<_> = table.tenants().iter().map(|(id, slot)| (id.clone(), slot.clone())).collect();
    let routes = || tenants.iter().filter_map(|(_, slot)| slot.route.as_deref());
    let mut digest = TableDigest::default();
    for server in &servers {
        digest.add(server.as_ref());
    }
    for tenant in routes() {
        digest.add(tenant);
    }
    write(Message::SnapshotBegin(SnapshotBegin {
        revision,
        servers: servers.len() as u64,
        tenants: routes().count() as u64,
        meetings: table.counts().meetings as u64,
        shrink_allowed: false,
    }))?;
    write(Message::SnapshotChunk(SnapshotChunk {
        servers: servers.iter().map(|server| server.as_ref().into()).collect(),
        tenants: routes().map(Into::into).collect(),
        meetings: Vec::new(),
    }))?;
    for (tenant, slot) in &tenants {
        export_meetings(table, tenant, slot, &mut digest, &mut write)?;
    }
    write(Message::SnapshotEnd(SnapshotEnd { revision, digest: digest.0 }))
}

fn export_meetings<E>(
    table: &LiveTable,
    tenant: &TenantId,
    slot: &TenantSlot,
    digest: &mut TableDigest,
    write: &mut impl FnMut(Message) -> Result<(), E>,
) -> Result<(), E> {
    let mut chunk = SnapshotChunk::default();
    let mut outcome = Ok(());
    slot.meetings.for_each(|found| {
        // Every id in the table was parsed when it arrived.
        let Ok(meeting) = MeetingId::parse(found.name) else { return };
        let key = MeetingKey::new(tenant.clone(), meeting);
        let route = MeetingRoute {
            voice_bridge: table.voice().of(&key),
            key,
            server: found.place.server.id().clone(),
            state: found.state(),
        };
        digest.add(&route);
        chunk.meetings.push((&route).into());
        if chunk.meetings.len() == CHUNK && outcome.is_ok() {
            outcome = write(Message::SnapshotChunk(std::mem::take(&mut chunk)));
        }
    });
    outcome?;
    write(Message::SnapshotChunk(chunk))
}
