//! The metrics of the edge. The values of labels are bounded: never a meeting, tenant, user or URL.

mod cell_metrics;
mod shed_counters;

use std::time::Instant;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use usher_bbb::call::ApiCall;

use usher_runtime::clock;

pub use cell_metrics::{CellMetrics, StreamMetrics};
pub use shed_counters::ShedCounters;

use crate::{control::cell_directory::FollowedCell, core::admission::ShedReason};

/// The outcome of a request, the label `outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types)] // the names are the label's values
pub enum RequestOutcome {
    /// The answer is a success.
    success,
    /// The edge or the server refused the request.
    refused,
    /// The checksum was missing or wrong.
    checksum,
    /// The answer is the retryable error (I13).
    unavailable,
}

const OUTCOMES: [RequestOutcome; 4] =
    [RequestOutcome::success, RequestOutcome::refused, RequestOutcome::checksum, RequestOutcome::unavailable];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    call: &'static str,
    outcome: RequestOutcome,
}

/// The label `status`, of callbacks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: u16,
}

/// The label `answer`, of dial-ins.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabel {
    answer: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    call: &'static str,
}

/// Counters and durations of one call. They are looked up once at start, because a lookup by labels takes
/// a lock, and every request counts.
#[derive(Debug, Clone)]
struct CallMetrics {
    outcomes: [Counter; OUTCOMES.len()],
    seconds: Histogram,
}

/// The metrics of requests, by call and outcome.
#[derive(Debug, Clone)]
pub struct RequestMetrics {
    /// In the order of [`ApiCall`]; the last one is for requests that name no call.
    calls: Vec<CallMetrics>,
    /// Servers whose part was missing from a list, summed over all lists.
    pub partial_lists: Counter,
    /// Lists of recordings that were refused because a server had not answered.
    pub refused_lists: Counter,
    /// Reads that were answered by another request's call.
    pub shared_reads: Counter,
    /// Lookups of meetings that were answered by another request's lookup.
    pub shared_lookups: Counter,
    /// Creates that were sent to another server.
    pub second_tries: Counter,
    /// Refusals because of a limit, by reason.
    pub shed: ShedCounters,
    callbacks: Family<StatusLabel, Counter>,
    dial_ins: Family<AnswerLabel, Counter>,
    playback: Family<StatusLabel, Counter>,
    uploads: Family<StatusLabel, Counter>,
}

impl RequestMetrics {
    fn new(registry: &mut Registry) -> Self {
        let requests = Family::<RequestLabels, Counter>::default();
        let seconds = Family::<CallLabels, Histogram, fn() -> Histogram>::new_with_constructor(|| {
            Histogram::new([0.0001, 0.0005, 0.002, 0.01, 0.05, 0.2, 1.0, 5.0, 30.0])
        });
        registry.register("usher_edge_requests", "Requests by call and outcome", requests.clone());
        registry.register("usher_edge_request_seconds", "Time to answer", seconds.clone());
        let of = |call: &'static str| CallMetrics {
            outcomes: OUTCOMES
                .map(|outcome| requests.get_or_create(&RequestLabels { call, outcome }).clone()),
            seconds: seconds.get_or_create(&CallLabels { call }).clone(),
        };
        let name = |call: ApiCall| if call == ApiCall::Root { "root" } else { call.name() };
        let calls = ApiCall::all().map(name).chain(["unknown"]).map(of).collect();
        let counter = |registry: &mut Registry, name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let callbacks = Family::default();
        let help = "Callbacks of servers, by the status they were answered with";
        registry.register("usher_edge_callbacks", help, Family::clone(&callbacks));
        let dial_ins = Family::default();
        let help = "Questions of FreeSWITCH about callers, by the answer";
        registry.register("usher_edge_dial_ins", help, Family::clone(&dial_ins));
        let playback = Family::default();
        let help = "Requests for files of recordings, by the status they were answered with";
        registry.register("usher_edge_playback_requests", help, Family::clone(&playback));
        let uploads = Family::default();
        let help = "Requests of servers that upload recordings, by the status they were answered with";
        registry.register("usher_edge_recording_uploads", help, Family::clone(&uploads));
        Self {
            playback,
            uploads,
            callbacks,
            dial_ins,
            calls,
            shed: ShedCounters::new(registry),
            partial_lists: counter(
                registry,
                "usher_edge_partial_lists",
                "Servers missing from lists of meetings, sessions and recordings",
            ),
            refused_lists: counter(
                registry,
                "usher_edge_refused_lists",
                "Lists of recordings refused because a server did not answer",
            ),
            shared_reads: counter(
                registry,
                "usher_edge_shared_reads",
                "Reads answered by another request's call",
            ),
            shared_lookups: counter(
                registry,
                "usher_edge_shared_lookups",
                "Lookups of unknown meetings answered by another request's lookup",
            ),
            second_tries: counter(
                registry,
                "usher_edge_second_tries",
                "Creates that were sent to another server after one that did not act",
            ),
        }
    }

    /// Counts a callback or event of a server, by the status that it was answered with.
    pub fn callback(&self, status: http::StatusCode) {
        self.callbacks.get_or_create(&StatusLabel { status: status.as_u16() }).inc();
    }

    /// Counts a request for a file of a recording, by the status that it was answered with.
    pub fn playback(&self, status: http::StatusCode) {
        self.playback.get_or_create(&StatusLabel { status: status.as_u16() }).inc();
    }

    /// Counts a request of a server that uploads a recording, by the status that it was answered with.
    pub fn recording_upload(&self, status: http::StatusCode) {
        self.uploads.get_or_create(&StatusLabel { status: status.as_u16() }).inc();
    }

    /// Counts a question of `FreeSWITCH` about a caller, by the answer.
    pub fn dial_in(&self, answer: &'static str) {
        self.dial_ins.get_or_create(&AnswerLabel { answer }).inc();
    }

    /// Counts a request that was received at `begun`, with its duration until now.
    pub fn count(&self, call: Option<ApiCall>, outcome: RequestOutcome, begun: Instant) {
        let index = call.map_or(self.calls.len() - 1, |call| call as usize);
        let Some(per_call) = self.calls.get(index) else { return };
        per_call.outcomes[outcome as usize].inc();
        per_call.seconds.observe(clock::now().saturating_duration_since(begun).as_secs_f64());
    }
}

/// Every metric of one edge.
#[derive(Debug, Clone)]
pub struct EdgeMetrics {
    /// The metrics of requests.
    pub requests: RequestMetrics,
    /// The metrics of each cell.
    pub cells: Vec<CellMetrics>,
    /// Tenants and hosts that several cells have.
    pub conflicts: Gauge,
    /// Connections of clients that are open.
    pub connections: Gauge,
    /// Connections refused because there were too many (F13).
    pub connections_shed: Counter,
}

impl EdgeMetrics {
    /// Registers every metric. Those of the tables are read from `cells` when they are exported.
    pub fn new(registry: &mut Registry, cells: &[FollowedCell]) -> Self {
        let requests = RequestMetrics::new(registry);
        let (connections, conflicts) = (Gauge::default(), Gauge::default());
        // The same counter under two names: the older one is in alerts of operators.
        let connections_shed = requests.shed.of(ShedReason::Connections);
        registry.register("usher_edge_connections", "Open connections of clients", connections.clone());
        registry.register(
            "usher_edge_connections_shed",
            "Connections over the limit",
            connections_shed.clone(),
        );
        if cells.len() > 1 {
            registry.register(
                "usher_edge_tenant_conflicts",
                "Tenants and hosts that several cells have",
                conflicts.clone(),
            );
        }
        let cells = CellMetrics::register(registry, cells, &requests.shed);
        Self { requests, cells, conflicts, connections, connections_shed }
    }
}
