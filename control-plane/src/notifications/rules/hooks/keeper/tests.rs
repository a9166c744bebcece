use proptest::prelude::*;

use super::*;

fn sid(id: &str) -> ServerId {
    ServerId::parse(id).expect("is an id")
}

fn hook(id: &str, url: &str, raw: bool, meeting: bool) -> ListedHook {
    let meeting_id = meeting.then(|| "room".to_owned());
    ListedHook { id: id.into(), callback_url: url.into(), raw, meeting_id }
}

fn ours(url: &str) -> bool {
    url.starts_with("our")
}

/// A server as bbb-webhooks is one: a second hook for an address is none.
fn perform(hooks: &mut Vec<ListedHook>, steps: &[HookStep], next: &mut u32) {
    for step in steps {
        match step {
            HookStep::Create { url, raw } if hooks.iter().all(|hook| hook.callback_url != *url) => {
                *next += 1;
                hooks.push(hook(&format!("new-{next}"), url, *raw, false));
            }
            HookStep::Create { .. } => {}
            HookStep::Destroy { id } => hooks.retain(|hook| hook.id != *id),
        }
    }
}

proptest! {
    /// K1, K2: for any hooks on a server, and any call that is lost on the way.
    #[test]
    fn a_server_with_any_hooks_gets_the_wanted_ones_and_then_needs_no_step(
        before in prop::collection::vec(
            (prop_oneof![Just("our1"), Just("our2"), Just("our3"), Just("theirs")], any::<bool>(), any::<bool>()), 0..30),
        wanted in prop::collection::btree_map(prop_oneof![Just("our1"), Just("our2")], any::<bool>(), 0..3),
        lost in prop::collection::vec(any::<bool>(), 0..8),
    ) {
        let wanted: BTreeMap<String, bool> = wanted.into_iter().map(|(url, raw)| (url.to_owned(), raw)).collect();
        let mut hooks: Vec<_> = before.iter().enumerate()
            .map(|(at, (url, raw, meeting))| hook(&at.to_string(), url, *raw, *meeting)).collect();
        let theirs = |hooks: &[ListedHook]| hooks.iter().filter(|hook| !ours(&hook.callback_url)).cloned().collect::<Vec<_>>();
        let before = theirs(&hooks);
        let (mut next, mut lost) = (0, lost.into_iter());
        for _ in 0..20 {
            let mut steps = plan(&wanted, &hooks, ours);
            prop_assert!(steps.len() <= AT_ONCE);
            if steps.is_empty() {
                break;
            }
            // A call failed on the way: the next look sees the hooks that exist.
            if lost.next() == Some(true) {
                steps.truncate(steps.len() / 2);
            }
            perform(&mut hooks, &steps, &mut next);
        }
        prop_assert_eq!(plan(&wanted, &hooks, ours), []);
        prop_assert_eq!(theirs(&hooks), before);
        let standing: Vec<_> = hooks.iter().filter(|hook| ours(&hook.callback_url))
            .map(|hook| (hook.callback_url.clone(), hook.raw)).collect();
        prop_assert_eq!(standing.len(), wanted.len());
        prop_assert!(standing.iter().all(|(url, raw)| wanted.get(url) == Some(raw)));
    }
}

#[test]
fn a_new_address_stands_before_the_old_one_goes() {
    let wanted = BTreeMap::from([("our-new".to_owned(), false)]);
    let steps = plan(&wanted, &[hook("1", "our-old", false, false)], ours);
    assert_eq!(
        steps,
        [HookStep::Create { url: "our-new".into(), raw: false }, HookStep::Destroy { id: "1".into() }]
    );
}

#[test]
fn a_server_needs_the_hooks_of_all_registrations() {
    let registration = |raw| RegisteredHook {
        tenant: usher_model::id::TenantId::default_tenant(),
        url: "https://app.test/".into(),
        meeting: None,
        events: Vec::new(),
        raw,
        created_at_ms: 0,
        created_by: None,
    };
    assert!(WantedHooks::of([]).is_empty());
    assert_eq!(WantedHooks::of([&registration(false)]), WantedHooks { mapped: true, raw: false });
    assert_eq!(
        WantedHooks::of([&registration(true), &registration(false)]),
        WantedHooks { mapped: true, raw: true }
    );
}

const PERIOD: Duration = Duration::from_secs(30);
const MAPPED: WantedHooks = WantedHooks { mapped: true, raw: false };

fn subject(id: &str, wish: WantedHooks, reachable: bool) -> (ServerId, HookServer) {
    (sid(id), HookServer { wish, used: true, reachable })
}

#[test]
fn servers_are_looked_at_when_they_come_change_return_and_once_a_period() {
    let (mut keeper, now) = (KeeperSchedule::new(PERIOD), Instant::now());
    let fleet = |reachable| [subject("a", MAPPED, true), subject("b", MAPPED, reachable)];
    assert_eq!(keeper.work(&fleet(false), now), [(sid("a"), MAPPED)], "one that is offline is not asked");
    assert!(keeper.work(&fleet(false), now).is_empty(), "one look at a time");
    keeper.finished(&sid("a"), MAPPED, HookCheckOutcome::Kept, now);
    assert_eq!(keeper.work(&fleet(true), now), [(sid("b"), MAPPED)], "it is back");
    keeper.finished(&sid("b"), MAPPED, HookCheckOutcome::Kept, now);
    assert!(keeper.work(&fleet(true), now + PERIOD / 2).is_empty());
    assert_eq!(keeper.work(&fleet(true), now + PERIOD).len(), 2);
    keeper.finished(&sid("a"), MAPPED, HookCheckOutcome::Kept, now + PERIOD);
    keeper.finished(&sid("b"), MAPPED, HookCheckOutcome::Kept, now + PERIOD);
    let more = [subject("a", WantedHooks { raw: true, ..MAPPED }, true), subject("b", MAPPED, true)];
    assert_eq!(keeper.work(&more, now + PERIOD).len(), 1, "something else is wanted of it");
    assert_eq!(keeper.outcomes().count(), 2);
    assert!(keeper.work(&[], now).is_empty());
    assert_eq!(keeper.outcomes().count(), 0, "servers that are gone are forgotten");
}

#[test]
fn a_server_lacks_its_hooks_until_it_was_seen_with_the_wanted_ones() {
    let (mut keeper, now) = (KeeperSchedule::new(PERIOD), Instant::now());
    let more = WantedHooks { raw: true, ..MAPPED };
    let fleet = |wish| [subject("a", wish, true), subject("b", wish, false), subject("c", wish, true)];
    keeper.work(&fleet(MAPPED), now);
    assert_eq!(keeper.lacking(), 3, "nobody has looked yet");
    keeper.finished(&sid("a"), MAPPED, HookCheckOutcome::Changed, now);
    keeper.finished(&sid("c"), MAPPED, HookCheckOutcome::Unsupported, now);
    assert_eq!(keeper.lacking(), 3, "what was changed is looked at again");
    keeper.work(&fleet(MAPPED), now);
    keeper.finished(&sid("a"), MAPPED, HookCheckOutcome::Kept, now);
    assert_eq!(keeper.lacking(), 2);
    keeper.work(&fleet(more), now);
    assert_eq!(keeper.lacking(), 3, "it has but what was wanted before");
    keeper.finished(&sid("a"), more, HookCheckOutcome::Failed, now);
    assert_eq!(keeper.lacking(), 3);
    keeper.work(&fleet(WantedHooks::default()), now);
    assert_eq!(keeper.lacking(), 0, "nobody wants any more");
}

#[test]
fn a_server_that_is_disabled_gives_its_hooks_back_and_is_asked_no_more() {
    let (mut keeper, now) = (KeeperSchedule::new(PERIOD), Instant::now());
    let disabled = [(sid("a"), HookServer { wish: WantedHooks::default(), used: false, reachable: true })];
    assert!(keeper.work(&disabled, now).is_empty(), "it was never used");
    assert_eq!(keeper.work(&[subject("a", MAPPED, true)], now).len(), 1);
    keeper.finished(&sid("a"), MAPPED, HookCheckOutcome::Kept, now);
    assert_eq!(keeper.work(&disabled, now), [(sid("a"), WantedHooks::default())]);
    keeper.finished(&sid("a"), WantedHooks::default(), HookCheckOutcome::Kept, now);
    assert!(keeper.work(&disabled, now + PERIOD * 1000).is_empty());
}

#[test]
fn a_fleet_without_hooks_is_left_alone_once_it_was_seen_to_be_one() {
    let (mut keeper, now) = (KeeperSchedule::new(PERIOD), Instant::now());
    let fleet = [subject("a", WantedHooks::default(), true)];
    assert_eq!(keeper.work(&fleet, now).len(), 1, "somebody may have left one there");
    keeper.finished(&sid("a"), WantedHooks::default(), HookCheckOutcome::Changed, now);
    assert_eq!(keeper.work(&fleet, now).len(), 1, "was everything taken out?");
    keeper.finished(&sid("a"), WantedHooks::default(), HookCheckOutcome::Kept, now);
    assert!(keeper.work(&fleet, now + PERIOD * 1000).is_empty());
}

/// K3, and a server that fails is looked at less and less, but at least every five minutes.
#[test]
fn a_server_that_fails_is_tried_again_and_delays_no_other() {
    let (mut keeper, mut now) = (KeeperSchedule::new(PERIOD), Instant::now());
    let fleet = [subject("a", MAPPED, true), subject("b", MAPPED, true)];
    assert_eq!(keeper.work(&fleet, now).len(), 2);
    keeper.finished(&sid("a"), MAPPED, HookCheckOutcome::Failed, now);
    keeper.finished(&sid("b"), MAPPED, HookCheckOutcome::Kept, now);
    for _ in 0..20 {
        let mut waited = Duration::ZERO;
        while keeper.work(&fleet[..1], now).is_empty() {
            now += Duration::from_secs(1);
            waited += Duration::from_secs(1);
            assert!(waited <= LONGEST_PAUSE);
        }
        keeper.finished(&sid("a"), MAPPED, HookCheckOutcome::Failed, now);
    }
    assert_eq!(keeper.work(&fleet[1..], now).len(), 1, "the other had its turn all along");
}
