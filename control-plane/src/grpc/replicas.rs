//! `ReplicaService`: the control planes of the cluster.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tonic::{Request, Response, Status};
use usher_proto::{
    time::timestamp,
    v1::{
        self, GetReplicaRequest, GetReplicaResponse, ListReplicasRequest, ListReplicasResponse,
        replica_service_server::ReplicaService,
    },
};

use super::{page::PageRequest, status::RpcRefusal};
use crate::tasks::replicas::{LiveReplica, ReplicaDirectory};

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The implementation of `ReplicaService`.
pub(super) struct ReplicaRpc(pub(super) ReplicaDirectory);

#[tonic::async_trait]
impl ReplicaService for ReplicaRpc {
    async fn list_replicas(
        &self,
        request: Request<ListReplicasRequest>,
    ) -> Result<Response<ListReplicasResponse>, Status> {
        let request = request.into_inner();
        let page = PageRequest::parse(request.page_size, &request.page_token)?;
        let show = |replica: LiveReplica| self.shown(replica);
        let page = page.cut(self.0.list().into_iter(), |replica| replica.name.clone(), show);
        Ok(Response::new(ListReplicasResponse {
            replicas: page.items,
            next_page_token: page.next,
            total_size: page.total,
        }))
    }

    async fn get_replica(
        &self,
        request: Request<GetReplicaRequest>,
    ) -> Result<Response<GetReplicaResponse>, Status> {
        let wanted = request.into_inner().name;
        if !wanted.starts_with("replicas/") {
            return Err(RpcRefusal::field("name", "write it as `replicas/NAME`").into());
        }
        let found = self.0.list().into_iter().find(|replica| name(&replica.name) == wanted);
        let missing = || RpcRefusal::NotFound { kind: "replica", name: wanted.clone() };
        let replica = self.shown(found.ok_or_else(missing)?);
        Ok(Response::new(GetReplicaResponse { replica: Some(replica) }))
    }
}

impl ReplicaRpc {
    fn shown(&self, replica: LiveReplica) -> v1::Replica {
        let role = if replica.leads { v1::ReplicaRole::Leader } else { v1::ReplicaRole::Follower };
        let answering = replica.name == self.0.own().name;
        let statement = replica.statement.unwrap_or_default();
        let edges = statement.edges.len().saturating_add(statement.more_edges as usize);
        v1::Replica {
            name: name(&replica.name),
            role: role.into(),
            answering,
            start_time: (statement.started_ms > 0).then(|| timestamp(statement.started_ms)),
            version: statement.version,
            edges: u32::try_from(edges).unwrap_or(u32::MAX),
            alarms: statement
                .alarms
                .into_iter()
                .map(|alarm| v1::Alarm { kind: alarm.name, detail: alarm.detail, replicas: Vec::new() })
                .collect(),
        }
    }
}

/// Returns the alarms that any replica raises, in the order of their kinds. The text is the one of the
/// replica that answers, if it raises the alarm.
pub(super) fn alarms(directory: &ReplicaDirectory) -> Vec<v1::Alarm> {
    let mut all: BTreeMap<String, v1::Alarm> = BTreeMap::new();
    for replica in directory.list() {
        let is_own = replica.name == directory.own().name;
        for alarm in replica.statement.unwrap_or_default().alarms {
            let entry = all.entry(alarm.name.clone()).or_default();
            if is_own || entry.detail.is_empty() {
                entry.detail = alarm.detail;
            }
            entry.kind = alarm.name;
            entry.replicas.push(name(&replica.name));
        }
    }
    all.into_values().collect()
}

/// Returns the resource name of a replica, percent-encoded where it is no id.
pub(super) fn name(replica: &str) -> String {
    format!("replicas/{}", utf8_percent_encode(replica, ENCODED))
}
