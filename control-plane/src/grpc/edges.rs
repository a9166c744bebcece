//! `EdgeService`: the edges of the cluster. Those at this replica are known exactly, those at others
//! by the statements of these replicas (ADR 38).

use std::collections::BTreeMap;

use tonic::{Request, Response, Status};
use usher_model::id::EdgeId;
use usher_proto::{
    time::{duration, timestamp},
    v1::{
        self, GetEdgeRequest, GetEdgeResponse, ListEdgesRequest, ListEdgesResponse, WatchEdgesRequest,
        WatchEdgesResponse, edge_service_server::EdgeService,
    },
};
use usher_runtime::clock;

use super::{
    page::PageRequest,
    replicas,
    status::RpcRefusal,
    watch::{PolledSnapshot, WatchStream, Watchers},
};
use crate::{
    core::replicas::{BEHIND, EdgeStatement},
    tasks::{edges::EdgeEntry, fleet_handle::FleetHandle, replicas::ReplicaDirectory},
};

/// Edges of one message of a watch.
const ENTRIES: usize = 500;

/// The implementation of `EdgeService`.
pub(super) struct EdgeAdmin {
    list: EdgeList,
    watchers: Watchers,
}

/// The edges of all replicas, as messages.
#[derive(Clone)]
pub(super) struct EdgeList {
    replicas: ReplicaDirectory,
    fleet: FleetHandle,
}

impl EdgeAdmin {
    /// Returns the service over `list`.
    pub(super) fn new(list: EdgeList, watchers: Watchers) -> Self {
        Self { list, watchers }
    }
}

#[tonic::async_trait]
impl EdgeService for EdgeAdmin {
    async fn list_edges(
        &self,
        request: Request<ListEdgesRequest>,
    ) -> Result<Response<ListEdgesResponse>, Status> {
        let request = request.into_inner();
        let page = PageRequest::parse(request.page_size, &request.page_token)?;
        let all = self.list.all().into_values();
        let page = page.cut(all, |edge| edge.name.clone(), |edge| edge);
        Ok(Response::new(ListEdgesResponse {
            edges: page.items,
            next_page_token: page.next,
            total_size: page.total,
        }))
    }

    type WatchEdgesStream = WatchStream<WatchEdgesResponse>;

    async fn watch_edges(
        &self,
        _: Request<WatchEdgesRequest>,
    ) -> Result<Response<Self::WatchEdgesStream>, Status> {
        Ok(Response::new(self.watchers.watch_polled(self.list.clone())?))
    }

    async fn get_edge(&self, request: Request<GetEdgeRequest>) -> Result<Response<GetEdgeResponse>, Status> {
        let name = request.into_inner().name;
        let wrong = || RpcRefusal::field("name", "write it as `edges/ID`");
        let id = name.strip_prefix("edges/").ok_or_else(wrong)?;
        let id = EdgeId::parse(id).map_err(|error| RpcRefusal::field("name", error.to_string()))?;
        let missing = || RpcRefusal::NotFound { kind: "edge", name: name.clone() };
        let edge = self.list.all().remove(&id).ok_or_else(missing)?;
        Ok(Response::new(GetEdgeResponse { edge: Some(edge) }))
    }
}

impl EdgeList {
    /// Returns the list of the edges that all replicas state.
    pub(super) fn new(replicas: ReplicaDirectory, fleet: FleetHandle) -> Self {
        Self { replicas, fleet }
    }

    /// Returns all edges. An edge that moved from one replica to another is listed at the one to
    /// which it connected last, and at this one if it is connected here.
    pub(super) fn all(&self) -> BTreeMap<EdgeId, v1::Edge> {
        let (held, now) = (self.fleet.revision(), clock::now());
        let own = self.replicas.own();
        let mut stated: BTreeMap<EdgeId, (String, EdgeStatement)> = BTreeMap::new();
        for replica in self.replicas.others() {
            for edge in replica.statement.unwrap_or_default().edges {
                let is_later =
                    stated.get(&edge.id).is_none_or(|(_, old)| old.connected_ms < edge.connected_ms);
                if is_later {
                    stated.insert(edge.id.clone(), (replica.name.clone(), edge));
                }
            }
        }
        let now_ms = own.wall_ms(now);
        let stated =
            stated.into_iter().map(|(id, (replica, edge))| (id, from_statement(&replica, edge, now_ms)));
        let mut all: BTreeMap<EdgeId, v1::Edge> = stated.collect();
        for edge in own.edges.list() {
            let connect_time = Some(timestamp(own.wall_ms(edge.connected_at)));
            let shown = from_entry(&own.name, edge.clone(), connect_time, (held, now));
            all.insert(edge.id, shown);
        }
        all
    }
}

/// An edge as it was told to a watcher.
#[derive(Debug, Clone)]
pub(super) struct ToldEdge(v1::Edge);

impl PartialEq for ToldEdge {
    /// Compares the fields that do not change all the time.
    fn eq(&self, other: &Self) -> bool {
        let steady = |edge: &v1::Edge| {
            let behind =
                edge.lag_duration.as_ref().is_some_and(|time| time.seconds >= BEHIND.as_secs().cast_signed());
            (edge.address.clone(), edge.version.clone(), edge.replica.clone(), edge.connect_time, behind)
        };
        steady(&self.0) == steady(&other.0)
    }
}

impl PolledSnapshot for EdgeList {
    type State = BTreeMap<EdgeId, ToldEdge>;
    type Message = WatchEdgesResponse;

    fn state(&self) -> Self::State {
        self.all().into_iter().map(|(id, edge)| (id, ToldEdge(edge))).collect()
    }

    fn messages(&self, told: &Self::State, now: &Self::State, is_first: bool) -> Vec<WatchEdgesResponse> {
        let changed = now.iter().filter(|(id, edge)| told.get(*id) != Some(*edge));
        let changed: Vec<v1::Edge> = changed.map(|(_, edge)| edge.0.clone()).collect();
        let removed = told.iter().filter(|(id, _)| !now.contains_key(*id));
        let mut removed: Vec<String> = removed.map(|(_, edge)| edge.0.name.clone()).collect();
        let mut chunks = changed.chunks(ENTRIES).peekable();
        let mut messages = Vec::new();
        loop {
            let edges = chunks.next().unwrap_or_default().to_vec();
            let is_last = chunks.peek().is_none();
            let stage = match (is_first, is_last) {
                (true, false) => v1::WatchStage::Snapshot,
                (true, true) => v1::WatchStage::SnapshotEnd,
                (false, _) => v1::WatchStage::Changes,
            };
            let removed = std::mem::take(&mut removed);
            messages.push(WatchEdgesResponse { stage: stage.into(), edges, removed });
            if is_last {
                return messages;
            }
        }
    }
}

fn from_statement(replica: &str, edge: EdgeStatement, now_ms: i64) -> v1::Edge {
    let since =
        |ms: i64| duration(std::time::Duration::from_millis(now_ms.saturating_sub(ms).max(0).unsigned_abs()));
    v1::Edge {
        name: format!("edges/{}", edge.id),
        address: edge.address,
        version: edge.version,
        lag_duration: edge.behind_since_ms.map(since),
        connection_age: Some(since(edge.connected_ms)),
        connect_time: Some(timestamp(edge.connected_ms)),
        replica: replicas::name(replica),
        ..v1::Edge::default()
    }
}

fn from_entry(
    replica: &str,
    edge: EdgeEntry,
    connect_time: Option<prost_types::Timestamp>,
    (held, now): (usher_model::revision::Revision, std::time::Instant),
) -> v1::Edge {
    v1::Edge {
        name: format!("edges/{}", edge.id),
        lag: edge.lag(held),
        lag_duration: Some(duration(edge.lag_time(now))),
        connection_age: Some(duration(now.saturating_duration_since(edge.connected_at))),
        applied: edge.applied.map(Into::into),
        address: edge.address,
        version: edge.version,
        shed: shed_counts(edge.shed),
        connect_time,
        replica: replicas::name(replica),
    }
}

/// Returns refusals by limit as messages.
pub(super) fn shed_counts(shed: BTreeMap<String, u64>) -> Vec<v1::ShedCount> {
    shed.into_iter().map(|(reason, count)| v1::ShedCount { reason, count }).collect()
}
