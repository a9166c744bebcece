//! `EdgeService`: the edges connected to this replica.

use std::collections::BTreeMap;

use tonic::{Request, Response, Status};
use usher_proto::v1::{self, ListEdgesRequest, ListEdgesResponse, edge_service_server::EdgeService};
use usher_runtime::clock;

use super::{page::PageRequest, servers::duration};
use crate::tasks::{
    edges::{ConnectedEdges, EdgeEntry},
    fleet_handle::FleetHandle,
};

/// The implementation of `EdgeService`.
pub(super) struct EdgeAdmin {
    edges: ConnectedEdges,
    fleet: FleetHandle,
}

impl EdgeAdmin {
    /// Returns the service that lists `edges`.
    pub(super) fn new(edges: ConnectedEdges, fleet: FleetHandle) -> Self {
        Self { edges, fleet }
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
        let (held, now) = (self.fleet.revision(), clock::now());
        let show = |edge: EdgeEntry| v1::Edge {
            name: format!("edges/{}", edge.id),
            lag: edge.lag(held),
            lag_time: Some(duration(edge.lag_time(now))),
            connected: Some(duration(now.saturating_duration_since(edge.connected_at))),
            applied: edge.applied.map(Into::into),
            address: edge.address,
            version: edge.version,
            shed: shed_counts(edge.shed),
        };
        let page = page.cut(self.edges.list().into_iter(), |edge| edge.id.to_string(), show);
        Ok(Response::new(ListEdgesResponse {
            edges: page.items,
            next_page_token: page.next,
            total_size: page.total,
        }))
    }
}

/// Returns refusals by limit as messages.
pub(super) fn shed_counts(shed: BTreeMap<String, u64>) -> Vec<v1::ShedCount> {
    shed.into_iter().map(|(reason, count)| v1::ShedCount { reason, count }).collect()
}
