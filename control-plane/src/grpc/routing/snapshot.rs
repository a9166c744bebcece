//! A routing table, cut into chunks.

use prost::Message as _;
use usher_model::routing::RoutingTable;
use usher_proto::v1::{
    MeetingRoute, ServerRoute, SnapshotBegin, SnapshotChunk, SnapshotEnd, StreamRoutesResponse, TenantRoute,
    stream_routes_response::Message,
};

/// Size in bytes at which a chunk is full; its last entry may exceed it.
const CHUNK_BYTES: usize = 256 << 10;

/// Cuts a table into frames, which are made on demand.
pub(super) fn frames(
    table: &RoutingTable,
    shrink_allowed: bool,
) -> impl Iterator<Item = StreamRoutesResponse> {
    let begin = SnapshotBegin {
        revision: Some(table.revision().into()),
        servers: table.servers().len() as u64,
        tenants: table.tenants().len() as u64,
        meetings: table.meeting_count() as u64,
        shrink_allowed,
    };
    let end = SnapshotEnd { revision: Some(table.revision().into()), digest: table.digest().0 };
    let begin = std::iter::once(Message::SnapshotBegin(begin));
    let end = std::iter::once(Message::SnapshotEnd(end));
    begin.chain(chunks(table)).chain(end).map(|message| StreamRoutesResponse { message: Some(message) })
}

enum SnapshotEntry {
    Server(ServerRoute),
    Tenant(TenantRoute),
    Meeting(MeetingRoute),
}

/// Servers come before the meetings that live on them, so that no edge sees a meeting without its
/// server.
fn chunks(table: &RoutingTable) -> impl Iterator<Item = Message> {
    let servers = table.servers().map(|server| SnapshotEntry::Server(server.into()));
    let tenants = table.tenants().map(|tenant| SnapshotEntry::Tenant(tenant.into()));
    let meetings = table.meetings().map(|meeting| SnapshotEntry::Meeting(meeting.into()));
    let mut entries = servers.chain(tenants).chain(meetings).peekable();
    std::iter::from_fn(move || {
        entries.peek()?;
        let (mut chunk, mut size) = (SnapshotChunk::default(), 0);
        while size < CHUNK_BYTES
            && let Some(entry) = entries.next()
        {
            size += chunk.add(entry);
        }
        Some(Message::SnapshotChunk(chunk))
    })
}

trait Add {
    fn add(&mut self, entry: SnapshotEntry) -> usize;
}

impl Add for SnapshotChunk {
    /// Adds an entry and returns its approximate size in bytes.
    fn add(&mut self, entry: SnapshotEntry) -> usize {
        match entry {
            SnapshotEntry::Server(server) => {
                let size = server.encoded_len();
                self.servers.push(server);
                size
            }
            SnapshotEntry::Tenant(tenant) => {
                let size = tenant.encoded_len();
                self.tenants.push(tenant);
                size
            }
            SnapshotEntry::Meeting(meeting) => {
                let size = meeting.encoded_len();
                self.meetings.push(meeting);
                size
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use usher_model::{
        id::{MeetingId, ServerId, TenantId},
        meeting::MeetingKey,
        revision::Revision,
        routing::{MeetingRoute, RouteState, RoutingDelta},
    };

    use super::*;

    #[test]
    fn x4_a_table_is_cut_into_chunks_of_bounded_size_that_hold_all_of_it() {
        let mut table = RoutingTable::empty(Revision::new(1, 0));
        let mut delta = RoutingDelta::new(table.revision(), Revision::new(1, 7));
        for number in 0..20_000 {
            let meeting = MeetingId::parse(&format!("{number:0>40}")).expect("is an id");
            let key = MeetingKey::new(TenantId::default_tenant(), meeting);
            let server = ServerId::parse("bbb1").expect("is an id");
            let state = RouteState::Pending;
            let route = MeetingRoute { key: key.clone(), server, state, voice_bridge: None };
            delta.meetings.insert(key, Some(route));
        }
        table.apply(&delta).expect("fits");
        let frames: Vec<_> = frames(&table, false).collect();
        assert!(frames.len() > 4);
        assert!(frames.iter().all(|frame| frame.encoded_len() < 1 << 20));
        let meetings: usize = frames
            .iter()
            .filter_map(|frame| match &frame.message {
                Some(Message::SnapshotChunk(chunk)) => Some(chunk.meetings.len()),
                _ => None,
            })
            .sum();
        assert_eq!(meetings, 20_000);
        assert!(matches!(&frames[frames.len() - 1].message,
            Some(Message::SnapshotEnd(end)) if end.digest == table.digest().0));
    }
}
