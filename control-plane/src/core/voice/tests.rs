use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;
use usher_model::{
    id::{MeetingId, TenantId},
    meeting::MeetingKey,
    routing::TenantRoute,
    server::{SampledMeeting, ServerSample},
    tenant::TenantPolicy,
    voice::{VoiceBridge, VoiceRange},
};

use super::*;
use crate::core::{
    lifecycle::{self, CreateAnswer, CreateRequest, PlacementOutcome},
    placement::{InflightPlacements, PlacementRequest},
    plan::{FleetKey, Plan, PlanWrite},
    policy::Policy,
    reconcile::{MissingServer, on_sample, sweep},
    testkit::{FleetBench, iid, listed, sid, to_place},
};

fn bridge(number: u32) -> VoiceBridge {
    VoiceBridge::new(number).unwrap()
}

fn range(text: &str) -> VoiceRange {
    text.parse().unwrap()
}

fn meeting(tenant: &str, id: &str) -> MeetingKey {
    MeetingKey::new(TenantId::parse(tenant).unwrap(), MeetingId::parse(id).unwrap())
}

fn with_ranges(tenants: &[(&str, &str)]) -> FleetBench {
    let mut bench = FleetBench::with_servers(Policy::default(), &["a", "b"]);
    for (tenant, numbers) in tenants {
        set_range(&mut bench, tenant, numbers);
    }
    bench
}

fn set_range(bench: &mut FleetBench, tenant: &str, numbers: &str) {
    let policy = TenantPolicy { voice_bridges: Some(range(numbers)), ..TenantPolicy::default() };
    bench.write(PlanWrite::tenant(TenantRoute {
        policy,
        ..TenantRoute::new(TenantId::parse(tenant).unwrap())
    }));
}

fn request(meeting: &MeetingKey, wish: VoiceWish) -> CreateRequest {
    CreateRequest {
        placement: PlacementRequest { key: meeting.clone(), ..to_place("any") },
        token: format!("t-{meeting}"),
        request_digest: "".into(),
        supersede: false,
        voice: wish,
        parent: None,
    }
}

/// A create of the meeting; returns its number.
fn create_wanting(bench: &mut FleetBench, meeting: &MeetingKey, wish: VoiceWish) -> Option<VoiceBridge> {
    let step =
        lifecycle::place(&bench.fleet, &InflightPlacements::default(), &request(meeting, wish), bench.now)
            .unwrap();
    assert!(bench.commit(&step.plan));
    let record = match step.outcome {
        PlacementOutcome::New { record, .. } | PlacementOutcome::Existing(record) => record,
    };
    let answer = CreateAnswer {
        server: record.server.clone(),
        token: Some(record.token.clone()),
        internal_id: iid(&format!("{}-{}", meeting.meeting, bench.store.revision)),
        create_time_ms: 1,
        breakout: false,
    };
    let confirmed = lifecycle::confirm(&bench.fleet, meeting, &answer, bench.now.wall_ms);
    assert!(bench.commit(&confirmed.plan));
    assert_eq!(bench.fleet.record(meeting).unwrap().value.voice_bridge, record.voice_bridge);
    record.voice_bridge
}

fn create(bench: &mut FleetBench, meeting: &MeetingKey) -> Option<VoiceBridge> {
    create_wanting(bench, meeting, VoiceWish::default())
}

/// The meeting's meeting ends, and a poll has seen that.
fn end(bench: &mut FleetBench, meeting: &MeetingKey) {
    bench.write(PlanWrite::Delete(FleetKey::Record(meeting.clone())));
}

fn check(bench: &FleetBench) {
    let numbers: Vec<_> =
        bench.fleet.records().filter_map(|(key, stored)| Some((stored.value.voice_bridge?, key))).collect();
    let distinct: BTreeSet<_> = numbers.iter().map(|(bridge, _)| bridge).collect();
    assert_eq!(numbers.len(), distinct.len(), "two meetings have one number: {numbers:?}");
    for (bridge, meeting) in numbers {
        let holder = bench.fleet.voice().get(bridge).map(|stored| &stored.value.meeting);
        assert_eq!(holder, Some(meeting), "the number of a record is its meeting's");
        assert_ne!(bridge.number(), 99_999);
    }
}

#[test]
fn rooms_get_numbers_of_their_range_and_the_same_the_next_time() {
    let mut bench = with_ranges(&[("school", "10000-10099"), ("firm", "20000-20099")]);
    let (lesson, talk) = (meeting("school", "lesson"), meeting("firm", "lesson"));
    let (first, other) = (create(&mut bench, &lesson).unwrap(), create(&mut bench, &talk).unwrap());
    assert!(range("10000-10099").contains(first) && range("20000-20099").contains(other));
    assert_eq!(bench.fleet.routing().meeting(&lesson).unwrap().voice_bridge, Some(first), "edges know it");
    end(&mut bench, &lesson);
    bench.pass(Duration::from_hours(7 * 24));
    assert_eq!(create(&mut bench, &lesson), Some(first));
    check(&bench);
}

#[test]
fn without_a_range_no_meeting_gets_a_number() {
    let mut bench = with_ranges(&[("school", "10000-10099")]);
    let wanting = VoiceWish { wanted: Some(bridge(10_005)), ..VoiceWish::default() };
    assert_eq!(create_wanting(&mut bench, &meeting("firm", "talk"), wanting), None);
    assert_eq!(bench.fleet.voice().iter().len(), 0);
    let settings = usher_model::settings::Settings::default();
    let mut policy = Policy::new(&settings);
    policy.voice.bridges = Some(range("30000-39999"));
    let mut bench = FleetBench::with_servers(policy, &["a"]);
    let number = create(&mut bench, &meeting("firm", "talk")).unwrap();
    assert!(range("30000-39999").contains(number), "the range of those without their own");
}

#[test]
fn the_requested_number_is_given_if_it_is_free_and_in_range() {
    let mut bench = with_ranges(&[("school", "10000-10099")]);
    let wanting = |number| VoiceWish { wanted: VoiceBridge::new(number), ..VoiceWish::default() };
    let (one, two) = (meeting("school", "one"), meeting("school", "two"));
    assert_eq!(create_wanting(&mut bench, &one, wanting(10_050)), Some(bridge(10_050)));
    let second = create_wanting(&mut bench, &two, wanting(10_050)).unwrap();
    assert!(second != bridge(10_050) && range("10000-10099").contains(second));
    let far = create_wanting(&mut bench, &meeting("school", "far"), wanting(70_000)).unwrap();
    assert!(range("10000-10099").contains(far));
    end(&mut bench, &one);
    assert_eq!(create(&mut bench, &one), Some(bridge(10_050)), "it stays when it is not asked for again");
    end(&mut bench, &one);
    assert_eq!(create_wanting(&mut bench, &one, wanting(10_051)), Some(bridge(10_051)));
    assert!(bench.fleet.voice().get(bridge(10_050)).is_none(), "a meeting has one number");
    check(&bench);
}

#[test]
fn a_full_range_takes_back_the_number_that_is_longest_out_of_use_and_then_spares_some() {
    let mut bench = with_ranges(&[("school", "10000-10002")]);
    let meetings: Vec<_> = (0..5).map(|n| meeting("school", &format!("r{n}"))).collect();
    for meeting in &meetings[..3] {
        bench.pass(Duration::from_hours(25));
        create(&mut bench, meeting).unwrap();
    }
    let (oldest, newer) =
        (bench.fleet.voice().of(&meetings[0]).unwrap(), bench.fleet.voice().of(&meetings[1]).unwrap());
    end(&mut bench, &meetings[0]);
    end(&mut bench, &meetings[1]);
    assert_eq!(create(&mut bench, &meetings[3]), Some(oldest));
    assert_eq!(create(&mut bench, &meetings[0]), Some(newer), "whose number was taken gets another");
    let spare = create(&mut bench, &meetings[4]).unwrap();
    assert!(VoiceRange::SPARE.contains(spare), "no meeting waits for a number");
    check(&bench);
    end(&mut bench, &meetings[2]);
    end(&mut bench, &meetings[4]);
    assert!(range("10000-10002").contains(create(&mut bench, &meetings[4]).unwrap()), "and then it has one");
    assert!(bench.fleet.voice().get(spare).is_none());
}

#[test]
fn a_number_that_a_server_lists_for_another_meeting_is_not_given_out() {
    let mut bench = with_ranges(&[("school", "10000-10001")]);
    let foreign =
        SampledMeeting { key: None, voice_bridge: Some(bridge(10_000)), ..listed("foreign", "foreign-1") };
    let sample = ServerSample {
        watermark: 1,
        taken_at_ms: 0,
        meetings: vec![foreign],
        bbb_version: String::new(),
        term: 0,
    };
    bench.write(PlanWrite::Sample(sid("b"), sample));
    assert_eq!(create(&mut bench, &meeting("school", "one")), Some(bridge(10_001)));
    assert!(VoiceRange::SPARE.contains(create(&mut bench, &meeting("school", "two")).unwrap()));
}

#[test]
fn a_number_that_a_server_refuses_gives_way_to_another() {
    let mut bench = with_ranges(&[("school", "10000-10099")]);
    let lesson = meeting("school", "lesson");
    let first = create(&mut bench, &lesson).unwrap();
    end(&mut bench, &lesson);
    let refused = VoiceWish { wanted: Some(first), refused: vec![first] };
    let second = create_wanting(&mut bench, &lesson, refused).unwrap();
    assert!(second != first && range("10000-10099").contains(second));
    check(&bench);
}

#[test]
fn no_meeting_is_reached_by_the_number_of_anothers_breakout_room() {
    let mut bench = with_ranges(&[("school", "12340-12349"), ("firm", "123400-123499")]);
    for n in 0..10 {
        create(&mut bench, &meeting("school", &format!("r{n}"))).unwrap();
    }
    let talk = create(&mut bench, &meeting("firm", "talk")).unwrap();
    assert!(VoiceRange::SPARE.contains(talk), "{talk} begins with the number of a meeting");
    let mut bench = with_ranges(&[("school", "12340-12340"), ("firm", "123400-123409")]);
    create(&mut bench, &meeting("firm", "talk")).unwrap();
    assert_ne!(create(&mut bench, &meeting("school", "r")), Some(bridge(12_340)));
}

#[test]
fn two_replicas_that_give_one_number_to_two_rooms_cannot_both_be_right() {
    let mut bench = with_ranges(&[("school", "10000-10000"), ("firm", "10000-10000")]);
    let plan = |bench: &FleetBench, meeting: &MeetingKey| {
        let request = request(meeting, VoiceWish::default());
        lifecycle::place(&bench.fleet, &InflightPlacements::default(), &request, bench.now).unwrap().plan
    };
    let (one, two) = (meeting("school", "one"), meeting("firm", "two"));
    let plans = [plan(&bench, &one), plan(&bench, &two)];
    assert_eq!(plans.map(|plan| bench.commit(&plan)), [true, false]);
    end(&mut bench, &one);
    // One meeting comes back while the other takes its number.
    let (back, taking) = (plan(&bench, &one), plan(&bench, &two));
    let mut other = FleetBench { store: bench.store.clone(), fleet: bench.fleet.clone(), now: bench.now };
    assert_eq!([&back, &taking].map(|plan| bench.commit(plan)), [true, false]);
    assert_eq!([&taking, &back].map(|plan| other.commit(plan)), [true, false]);
}

#[test]
fn an_unused_number_is_kept_for_a_while_and_one_in_use_for_ever() {
    let mut bench = with_ranges(&[("school", "10000-10099")]);
    let (idle, runs) = (meeting("school", "idle"), meeting("school", "runs"));
    create(&mut bench, &idle).unwrap();
    create(&mut bench, &runs).unwrap();
    end(&mut bench, &idle);
    let swept = |bench: &mut FleetBench| {
        let plans: Vec<Plan> = sweep(&bench.fleet, MissingServer::Removed, bench.now).plans;
        plans.iter().filter(|plan| bench.commit(plan)).count()
    };
    bench.pass(Duration::from_hours(59 * 24));
    assert_eq!(swept(&mut bench), 0);
    bench.pass(Duration::from_hours(2 * 24));
    assert_eq!(swept(&mut bench), 1);
    assert_eq!((bench.fleet.voice().of(&idle), bench.fleet.voice().of(&runs).is_some()), (None, true));
}

/// The number of a running meeting, as its server says.
fn poll(bench: &mut FleetBench, meeting: &MeetingKey, said: u32) {
    let stored = bench.fleet.record(meeting).unwrap();
    let meeting = SampledMeeting {
        key: Some(meeting.clone()),
        internal_id: stored.value.state.internal_id().unwrap().clone(),
        voice_bridge: VoiceBridge::new(said),
        ..listed("any", "any-1")
    };
    let (server, watermark) = (stored.value.server.clone(), bench.store.revision);
    let sample = ServerSample {
        watermark,
        taken_at_ms: 0,
        meetings: vec![meeting],
        bbb_version: String::new(),
        term: 0,
    };
    let work = on_sample(&bench.fleet, &server, &sample, bench.now.instant, bench.now);
    for plan in work.plans {
        assert!(bench.commit(&plan));
    }
    check(bench);
}

#[test]
fn a_meeting_that_was_taken_over_keeps_its_number() {
    let mut bench = with_ranges(&[]);
    let old = meeting("school", "old");
    assert_eq!(create(&mut bench, &old), None);
    poll(&mut bench, &old, 394_201_124);
    assert_eq!(bench.fleet.voice().of(&old), None, "nothing is noted where nobody gets numbers");
    set_range(&mut bench, "school", "10000-10099");
    poll(&mut bench, &old, 394_201_124);
    let number = bridge(394_201_124);
    assert_eq!(bench.fleet.routing().meeting(&old).unwrap().voice_bridge, Some(number));
    end(&mut bench, &old);
    let next = create(&mut bench, &old).unwrap();
    assert!(range("10000-10099").contains(next), "its next meeting gets one of the range");
    assert!(bench.fleet.voice().get(number).is_none());
}

#[test]
fn callers_reach_the_meeting_of_the_number_when_a_foreign_meeting_has_it_too() {
    let mut bench = with_ranges(&[("school", "10000-10099")]);
    let (one, two) = (meeting("school", "one"), meeting("school", "two"));
    let number = create(&mut bench, &one).unwrap();
    create(&mut bench, &two).unwrap();
    poll(&mut bench, &two, number.number());
    let number_of =
        |bench: &FleetBench, meeting| bench.fleet.routing().meeting(meeting).unwrap().voice_bridge;
    assert_eq!((number_of(&bench, &one), number_of(&bench, &two)), (Some(number), None));
}

#[derive(Debug, Clone)]
enum Step {
    Create(u8, Option<u32>),
    End(u8),
    Poll(u8, u32),
    Range(u8, u32, u32),
    Pass(u32),
    Sweep,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let number = || 99_990_u32..100_010;
    let step = prop_oneof![
        5 => (0..12_u8, proptest::option::of(number())).prop_map(|(meeting, wanted)| Step::Create(meeting, wanted)),
        3 => (0..12_u8).prop_map(Step::End),
        1 => (0..12_u8, number()).prop_map(|(meeting, said)| Step::Poll(meeting, said)),
        1 => (0..3_u8, number(), 0_u32..12).prop_map(|(tenant, first, more)| Step::Range(tenant, first, more)),
        1 => (0_u32..40).prop_map(Step::Pass),
        1 => Just(Step::Sweep),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    /// In every history no two meetings have one number, none has 99999, a number is of its tenant's
    /// range or a spare one when it is assigned, and a meeting has its number again unless another took
    /// it.
    #[test]
    fn numbers_are_unique_stable_and_of_their_range(steps in steps()) {
        let tenants = ["x", "y", "z"];
        let of = |n: u8| meeting(tenants[usize::from(n % 3)], &format!("r{n}"));
        let mut bench = with_ranges(&[("x", "99990-99995"), ("y", "99993-100003"), ("z", "99998-100000")]);
        for step in steps {
            match step {
                Step::Create(n, wanted) => {
                    let meeting = of(n);
                    let range = bench.fleet.voice_range(&meeting.tenant).unwrap();
                    let (running, held) = (bench.fleet.record(&meeting).is_some(), bench.fleet.voice().of(&meeting));
                    let wish = VoiceWish { wanted: wanted.and_then(VoiceBridge::new), ..VoiceWish::default() };
                    let number = create_wanting(&mut bench, &meeting, wish.clone());
                    if running {
                        continue;
                    }
                    let number = number.expect("nobody goes without");
                    prop_assert!(range.contains(number) || VoiceRange::SPARE.contains(number) || held == Some(number));
                    if let Some(held) = held && range.contains(held) {
                        prop_assert!(number == held || wish.wanted == Some(number));
                    }
                }
                Step::End(n) => if bench.fleet.record(&of(n)).is_some() { end(&mut bench, &of(n)) },
                Step::Poll(n, said) => if bench.fleet.record(&of(n)).is_some() { poll(&mut bench, &of(n), said) },
                Step::Range(tenant, first, more) => if let Ok(numbers) = VoiceRange::new(first, first + more) {
                    set_range(&mut bench, tenants[usize::from(tenant)], &numbers.to_string());
                },
                Step::Pass(days) => bench.pass(Duration::from_hours(u64::from(days) * 24)),
                Step::Sweep => for plan in sweep(&bench.fleet, MissingServer::Removed, bench.now).plans { bench.commit(&plan); },
            }
            check(&bench);
        }
        // Once all have ended and been created once more, each is in its range as far as that goes round.
        for n in 0..12 {
            if bench.fleet.record(&of(n)).is_some() { end(&mut bench, &of(n)); }
        }
        for (n, tenant) in tenants.iter().enumerate() {
            set_range(&mut bench, tenant, &format!("1000{n}0-1000{n}9"));
        }
        for n in 0..12 {
            let number = create(&mut bench, &of(n)).unwrap();
            prop_assert!(bench.fleet.voice_range(&of(n).tenant).unwrap().contains(number));
        }
        check(&bench);
    }
}
