//! Judgements as plans: each is guarded by the server and the counters it was made from.

use usher_model::{
    id::ServerId,
    server::{AdminState, SampleFreshness, ServerSample},
};

use super::counters::{FailureSuspicion, on_passive_failure, on_poll_failed, on_poll_ok};
use crate::core::{
    drift,
    fleet::{Fleet, FleetServer},
    now::Now,
    plan::{FleetKey, Plan, PlanWrite},
};

/// Plans what a successful poll writes: the sample where it differs enough, else that it does not; the counters
/// when they move. A disabled server, polled only to reap its zombies, writes nothing. Leader only.
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
    } else {
        // Of this sample and of no other.
        plan.guard_seen(FleetKey::Sample(id.clone()), server.sample.as_ref());
        plan.writes.push(PlanWrite::Freshness(id.clone(), SampleFreshness { watermark: sample.watermark }));
    }
    plan
}

/// Plans what a poll writes that somebody asked for: all that it saw, and no counter. They have a time base, so
/// that asking often would turn a server red or green. Leader only.
pub fn look_ok(fleet: &Fleet, id: &ServerId, sample: ServerSample) -> Plan {
    let Some(server) = used(fleet, id) else { return Plan::default() };
    let mut plan = guarded(server);
    plan.writes.push(PlanWrite::Sample(id.clone(), sample));
    plan
}

/// Plans what a failed poll writes. Leader only.
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
    // The first failure of an epoch is written down whatever it changes: the server was asked.
    let told = record.filter(|_| !fleet.has_tried(server)).cloned();
    failed.or(told).map_or_else(Plan::default, |record| judged(server, record))
}

/// Plans what a passive failure report writes. Any replica; [`super::PassiveGate`] comes first.
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
