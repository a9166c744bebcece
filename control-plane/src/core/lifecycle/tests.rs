use bytes::Bytes;
use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::{MeetingRecord, RecordState, ZombieState},
    server::{AdminState, Health, Server},
};

use super::*;
use crate::core::{
    instance::create_time_of,
    placement::{InflightPlacements, NoServer},
    plan::PlanWrite,
    policy::Policy,
    testkit::{FleetBench, iid, key, sample, server, sid, to_place, zkey},
    voice::VoiceWish,
};

mod adopting;
mod relocating;
mod rooms;
mod rows;
mod servers;
mod storm;
mod unanswered;

fn bench() -> FleetBench {
    FleetBench::with_servers(Policy::default(), &["a", "b"])
}

fn request(token: &str) -> CreateRequest {
    CreateRequest {
        placement: to_place("m"),
        token: token.into(),
        request_digest: Bytes::new(),
        supersede: false,
        voice: VoiceWish::default(),
        parent: None,
    }
}

/// Places meeting `m` with the servers that `request` excludes left out; returns the chosen server
/// and whether the placement is new.
fn put(bench: &mut FleetBench, request: &CreateRequest) -> Result<(String, bool), NoServer> {
    let step = place(&bench.fleet, &InflightPlacements::default(), request, bench.now)?;
    assert!(bench.commit(&step.plan));
    Ok(match step.outcome {
        PlacementOutcome::Existing(record) => (record.server.to_string(), false),
        PlacementOutcome::New { record, .. } => (record.server.to_string(), true),
    })
}

/// Places meeting `m` on server `a`, whose create is not confirmed yet.
fn pending_on_a(bench: &mut FleetBench) {
    let mut request = request("t1");
    request.placement.excluded.push(sid("b"));
    assert_eq!(put(bench, &request), Ok(("a".into(), true)));
}

fn answer(server: &str, token: Option<&str>, instance: &str) -> CreateAnswer {
    let internal_id = iid(instance);
    let create_time_ms = create_time_of(&internal_id);
    CreateAnswer {
        server: sid(server),
        token: token.map(Into::into),
        internal_id,
        create_time_ms,
        breakout: false,
    }
}

fn confirm_now(bench: &mut FleetBench, answer: &CreateAnswer) -> bool {
    let step = confirm(&bench.fleet, &key("m"), answer, bench.now.wall_ms);
    assert!(bench.commit(&step.plan));
    step.outcome
}

/// Makes meeting `m` run on server `a` as instance `m-1`.
fn active_on_a(bench: &mut FleetBench) {
    pending_on_a(bench);
    assert!(confirm_now(bench, &answer("a", Some("t1"), "m-1")));
}

/// Returns the server, the state and the instance of the record of `m`.
fn record(bench: &FleetBench) -> Option<(String, &'static str, Option<String>)> {
    bench.fleet.record(&key("m")).map(|stored| {
        let state = match stored.value.state {
            RecordState::Pending => "pending",
            RecordState::Active { .. } => "active",
            RecordState::Ending { .. } => "ending",
        };
        let instance = stored.value.state.internal_id().map(ToString::to_string);
        (stored.value.server.to_string(), state, instance)
    })
}

/// Returns the state and the instance of the zombie of `m` on a server.
fn zombie(bench: &FleetBench, server: &str) -> Option<(ZombieState, Option<String>)> {
    let stored = bench.fleet.zombie(&zkey("m", server))?;
    Some((stored.value.state, stored.value.internal_id.as_ref().map(ToString::to_string)))
}

fn instance(id: &InternalMeetingId) -> EndReport<'_> {
    EndReport { instance: Some(id), ..EndReport::default() }
}

fn placement(token: &str) -> EndReport<'_> {
    EndReport { placement: Some(token), ..EndReport::default() }
}

fn due(instance: &str) -> (ZombieState, Option<String>) {
    (ZombieState::Due, Some(instance.into()))
}

fn waiting(instance: &str) -> (ZombieState, Option<String>) {
    (ZombieState::Waiting, Some(instance.into()))
}

fn at(server: &str, state: &'static str, instance: Option<&str>) -> (String, &'static str, Option<String>) {
    (server.into(), state, instance.map(Into::into))
}
