//! Judgements as plans: each is guarded by the server and the counters it was made from.

use usher_model::{
    id::ServerId,
    server::{AdminState, ServerSample},
};

use super::counters::{FailureSuspicion, on_passive_failure, on_poll_failed, on_poll_ok};
use crate::core::{
    drift,
    fleet::{Fleet, FleetServer},
    now::Now,
    plan::{FleetKey, Plan, PlanWrite},
};

/// Plans the writes of a successful poll: the sample if it differs enough, and the counters if they
/// move; mostly no write at all. A disabled server, which is polled only to reap its zombies, writes no
/// value. Leader only.
pub fn poll_ok(fleet: &Fleet, id: &ServerId, sample: ServerSample, now: Now) -> Plan {
    let Some(server) = used(fleet, id) else { return Plan::default() };
    let mut plan = guarded(server);
    let record = server.health_record.as_ref().map(|stored| &stored.value);
    if let Some(record) = on_poll_ok(record, fleet.policy(), now.wall_ms) {
        plan.guard_seen(FleetKey::Health(id.clone()), server.health_record.as_ref());
        plan.writes.push(PlanWrite::Health(id.clone(), record));
    }
    if drift::difference(fleet, server, &sample, now.instant).is_some() {
        plan.writes.push(PlanWrite::Sample(id.clone(), sample));
    }
    plan
}

/// As [`poll_ok`], and writes the sample in any case, because the store may hold a sample that this
/// fleet does not show. Leader only.
pub fn poll_ok_in_full(fleet: &Fleet, id: &ServerId, sample: ServerSample, now: Now) -> Plan {
    let mut plan = poll_ok(fleet, id, sample.clone(), now);
    let is_listed = plan.writes.iter().any(|write| matches!(write, PlanWrite::Sample(..)));
    if !is_listed && used(fleet, id).is_some() {
        plan.writes.push(PlanWrite::Sample(id.clone(), sample));
    }
    plan
}

/// Plans the writes of a requested poll: the whole sample, and no counter. The counters have a time
/// base, so that frequent requests would change the health of a server. Leader only.
pub fn look_ok(fleet: &Fleet, id: &ServerId, sample: ServerSample) -> Plan {
    let Some(server) = used(fleet, id) else { return Plan::default() };
    let mut plan = guarded(server);
    plan.writes.push(PlanWrite::Sample(id.clone(), sample));
    plan
}

/// Plans the writes of a failed poll. Leader only.
pub fn poll_failed(
    fleet: &Fleet,
    id: &ServerId,
    suspicion: FailureSuspicion,
    reason: &str,
    now_ms: i64,
) -> Plan {
    let Some(server) = used(fleet, id) else { return Plan::default() };
    let record = server.health_record.as_ref().map(|stored| &stored.value);
    let failed = on_poll_failed(record, fleet.policy(), suspicion, reason, now_ms);
    // The first failure of an epoch is always written, because it shows that the server was polled.
    let told = record.filter(|_| !fleet.has_tried(server)).cloned();
    failed.or(told).map_or_else(Plan::default, |record| judged(server, record))
}

/// Plans the writes of a passive failure report, on any replica. [`super::PassiveFailureGate`] comes
/// first.
pub fn report_failure(fleet: &Fleet, id: &ServerId, reason: &str, now_ms: i64) -> Plan {
    let Some(server) = used(fleet, id) else { return Plan::default() };
    let record = server.health_record.as_ref().map(|stored| &stored.value);
    let record = on_passive_failure(record, fleet.policy(), reason, now_ms);
    record.map_or_else(Plan::default, |record| judged(server, record))
}

fn used<'a>(fleet: &'a Fleet, id: &ServerId) -> Option<&'a FleetServer> {
    fleet.server(id).filter(|server| server.admin() != AdminState::Disabled)
}

fn judged(server: &FleetServer, record: usher_model::server::HealthRecord) -> Plan {
    let mut plan = guarded(server);
    plan.guard_seen(FleetKey::Health(server.id().clone()), server.health_record.as_ref());
    plan.writes.push(PlanWrite::Health(server.id().clone(), record));
    plan
}

fn guarded(server: &FleetServer) -> Plan {
    let mut plan = Plan::default();
    plan.guard_seen(FleetKey::Server(server.id().clone()), Some(&server.stored));
    plan
}
