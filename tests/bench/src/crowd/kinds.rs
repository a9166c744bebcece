//! The crowds beside which the well-behaved tenant is measured, and what each sends.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use bytes::Bytes;
use usher_bbb::{call::ApiCall, query::encode};
use usher_bbb_sim::{FaultKind, SimFault};

use super::{
    cluster::CrowdCluster,
    load::{CrowdLoad, CrowdTraffic},
    requests::{self, get},
};

/// The size of a large body, bytes: the largest that an edge keeps in memory.
const LARGE_BODY: usize = 1 << 20;

/// The length of the parameters of a long request, bytes: below the default of `edge.max_head`.
const LONG_QUERY: usize = 60 << 10;

/// The parameters of a long request, and the entries of a long list: the limits of an edge.
const PARAMETERS: usize = 1000;
const LIST_ENTRIES: usize = 2000;

/// The query that is appended to a callback address, bytes.
const CALLBACK_QUERY: usize = 30 << 10;

/// The meeting of long requests.
const LONG_MEETING: &str = "long";

/// A kind of crowd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CrowdKind {
    Lists,
    ListsWithoutPause,
    UnknownIds,
    LargeBodies,
    LongParameters,
    IdleConnections,
    HungServer,
    DeadCallbacks,
}

impl CrowdKind {
    /// Every kind, in the order of the report. Callbacks that wait for their application stay in
    /// the store, so that they come last.
    pub(super) const ALL: [Self; 8] = [
        Self::Lists,
        Self::ListsWithoutPause,
        Self::UnknownIds,
        Self::LargeBodies,
        Self::LongParameters,
        Self::IdleConnections,
        Self::HungServer,
        Self::DeadCallbacks,
    ];

    /// Returns the name in the report.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Lists => "256 connections of lists",
            Self::ListsWithoutPause => "256 connections of lists without a pause",
            Self::UnknownIds => "256 connections of unknown ids",
            Self::LargeBodies => "32 connections of 1 MiB bodies",
            Self::LongParameters => "64 connections of the longest parameters",
            Self::IdleConnections => "5000 idle connections",
            Self::HungServer => "500 calls to a server that hangs",
            Self::DeadCallbacks => "64 connections of callbacks to a dead application",
        }
    }

    /// Returns whether the requirement applies. A crowd without pauses takes the core of the load
    /// generator, which the well-behaved tenant and its servers share.
    pub(super) fn has_goal(self) -> bool {
        self != Self::ListsWithoutPause
    }

    fn connections(self) -> usize {
        match self {
            Self::Lists | Self::ListsWithoutPause | Self::UnknownIds => 256,
            Self::LargeBodies => 32,
            Self::LongParameters | Self::DeadCallbacks => 64,
            Self::IdleConnections => 5000,
            Self::HungServer => 500,
        }
    }

    /// Returns the shortest time between two requests of one connection. Together the connections
    /// offer at most 5,120 requests, or 128 MiB, each second.
    fn interval(self) -> Duration {
        Duration::from_millis(match self {
            Self::ListsWithoutPause => 1,
            Self::Lists | Self::UnknownIds | Self::IdleConnections | Self::HungServer => 50,
            Self::LargeBodies | Self::LongParameters | Self::DeadCallbacks => 250,
        })
    }

    /// Prepares the cluster and returns the crowd.
    pub(super) async fn prepare(self, on: &CrowdCluster, divisor: usize) -> Result<CrowdLoad> {
        let traffic = match self {
            Self::Lists | Self::ListsWithoutPause => {
                let list = on.crowd.get("getMeetings", String::new());
                requests(move |_| list.clone())
            }
            Self::UnknownIds => {
                let client = on.crowd.clone();
                requests(move |number| client.get("isMeetingRunning", format!("meetingID=unknown-{number}")))
            }
            Self::LargeBodies => {
                let kind = "application/xml";
                let bodies =
                    [on.crowd.post("create", requests::create("seminar-0"), kind, &large_document())];
                in_turn(bodies)
            }
            Self::LongParameters => {
                on.must_succeed(&on.crowd.get("create", requests::create(LONG_MEETING))).await?;
                in_turn([
                    on.crowd.get("create", many_parameters()),
                    on.crowd.get("getRecordings", long_list()),
                ])
            }
            Self::IdleConnections => CrowdTraffic::Silence,
            Self::HungServer => {
                let sim = on.cluster.sims.first().context("the cluster has servers")?;
                let there = sim.meetings();
                let ids: Vec<String> = CrowdCluster::crowd_meetings()
                    .filter(|id| there.iter().any(|meeting| meeting.meeting_id.ends_with(id.as_str())))
                    .collect();
                let id = ids.into_iter().next().context("the server has no meeting of the crowd")?;
                sim.faults().set(SimFault::new(FaultKind::Hang).on(ApiCall::GetMeetingInfo)).await;
                let client = on.crowd.clone();
                // Equal reads at the same time would become one call.
                requests(move |number| client.get("getMeetingInfo", format!("meetingID={id}&n={number}")))
            }
            Self::DeadCallbacks => {
                let path = callback_path(on).await?;
                let more = "x".repeat(CALLBACK_QUERY);
                requests(move |number| get(&format!("{path}?n={number}&more={more}")))
            }
        };
        Ok(CrowdLoad {
            edge: on.neighbour.edge,
            connections: (self.connections() / divisor).max(1),
            interval: self.interval(),
            traffic,
        })
    }

    /// Undoes what the preparation changed.
    pub(super) async fn clean_up(self, on: &CrowdCluster) -> Result<()> {
        if self == Self::HungServer {
            for sim in &on.cluster.sims {
                sim.faults().clear().await;
            }
        }
        if self == Self::LongParameters {
            let end = format!("meetingID={LONG_MEETING}&password=mp");
            on.must_succeed(&on.crowd.get("end", end)).await?;
        }
        Ok(())
    }
}

fn requests(request: impl Fn(u64) -> Bytes + Send + Sync + 'static) -> CrowdTraffic {
    CrowdTraffic::Requests(Arc::new(request))
}

fn in_turn<const N: usize>(requests: [Bytes; N]) -> CrowdTraffic {
    self::requests(move |number| requests[number as usize % N].clone())
}

/// Returns a body of [`LARGE_BODY`] bytes with one presentation in it.
fn large_document() -> String {
    let begin = "<modules><module name=\"presentation\"><document name=\"a.pdf\">";
    let end = "</document></module></modules>";
    format!("{begin}{}{end}", "A".repeat(LARGE_BODY - begin.len() - end.len()))
}

/// Returns the parameters of a create: as many and as long as an edge accepts.
fn many_parameters() -> String {
    let mut query = requests::create(LONG_MEETING);
    let more = PARAMETERS - 4;
    let length = (LONG_QUERY - query.len()) / more - "&meta_k000=".len();
    let value = "v".repeat(length);
    for number in 0..more {
        query.push_str(&format!("&meta_k{number:03}={value}"));
    }
    query
}

/// Returns the parameters of a list of recordings: as many ids as an edge accepts.
fn long_list() -> String {
    let length = LONG_QUERY / LIST_ENTRIES - "%2C".len();
    let ids: Vec<String> = (0..LIST_ENTRIES).map(|number| format!("{number:0length$}")).collect();
    format!("recordID={}", encode(&ids.join(",")))
}

/// Creates a meeting with a callback to an application that is dead, and returns the path that its
/// server calls.
async fn callback_path(on: &CrowdCluster) -> Result<String> {
    let application = encode(&format!("http://{}/ended", on.dead_application.local_addr()?));
    let create = format!("{}&meta_endCallbackUrl={application}", requests::create("reported"));
    on.must_succeed(&on.crowd.get("create", create)).await?;
    let mut meetings = on.cluster.sims.iter().flat_map(usher_bbb_sim::BbbSim::meetings);
    let meeting = meetings.find(|meeting| meeting.meeting_id.ends_with("reported"));
    let meeting = meeting.context("a server has the meeting")?;
    let address = meeting.metadata.get("endcallbackurl").context("the meeting has a callback address")?;
    let path = address.find("/usher/callback/").context("the address is one of the edges")?;
    Ok(address[path..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_requests_are_as_long_as_an_edge_accepts() {
        let query = many_parameters();
        assert_eq!(query.split('&').count(), PARAMETERS);
        assert!((LONG_QUERY - 2 * PARAMETERS..=LONG_QUERY).contains(&query.len()), "{}", query.len());
        let list = long_list();
        assert_eq!(list.split("%2C").count(), LIST_ENTRIES);
        assert!(list.len() <= LONG_QUERY + "recordID=".len(), "{}", list.len());
        assert_eq!(large_document().len(), LARGE_BODY);
    }
}
