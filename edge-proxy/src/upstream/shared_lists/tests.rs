use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use usher_bbb::{checksum::ChecksumAlgorithm, reply, secret::Secret};
use usher_model::server::{AdminState, Health};

use super::*;

const INTERVAL: Duration = Duration::from_secs(1);

fn server(url: &str) -> ServerRoute {
    ServerRoute {
        id: ServerId::parse("a").unwrap(),
        url: url.into(),
        secret: Secret::new("s"),
        admin: AdminState::Enabled,
        health: Health::Online,
        algorithm: ChecksumAlgorithm::Sha256,
    }
}

fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).unwrap()
}

fn lists(interval: Duration) -> SharedLists {
    SharedLists::new(interval, 1 << 20, TaskGroup::new(), Counter::default())
}

/// Calls of a server that are counted and end when they are told to.
#[derive(Default)]
struct FakeServer {
    calls: AtomicUsize,
    gate: Notify,
}

impl FakeServer {
    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Returns the list for a tenant, from a call that is counted and ends at once.
    async fn ask(&self, lists: &SharedLists, url: &str, id: &str) -> PartOutcome {
        let fetch = || {
            self.calls.fetch_add(1, Ordering::SeqCst);
            async { ListPart::read(EveryServerList::Meetings, reply::meetings([]), AnswerBytes::default()) }
        };
        lists.part(&server(url), EveryServerList::Meetings, &tenant(id), fetch).await
    }

    /// Returns the list from a call that ends when the gate opens.
    async fn ask_slowly(self: &Arc<Self>, lists: &SharedLists, id: &str, text: String) -> PartOutcome {
        let fetch = || {
            self.calls.fetch_add(1, Ordering::SeqCst);
            let own = Arc::clone(self);
            async move {
                own.gate.notified().await;
                ListPart::read(EveryServerList::Meetings, text, AnswerBytes::default())
            }
        };
        lists.part(&server("u"), EveryServerList::Meetings, &tenant(id), fetch).await
    }
}

#[tokio::test(start_paused = true)]
async fn lists_within_the_interval_are_one_call_for_all_tenants() {
    let (lists, fake) = (lists(INTERVAL), FakeServer::default());
    for id in ["a", "b", "a", "c"] {
        assert!(fake.ask(&lists, "u", id).await.is_some());
        tokio::time::advance(Duration::from_millis(200)).await;
    }
    assert_eq!(fake.calls(), 1);
    tokio::time::advance(Duration::from_millis(200)).await;
    assert!(fake.ask(&lists, "u", "a").await.is_some());
    assert_eq!(fake.calls(), 2, "the interval counts from the beginning of the call");
    assert!(fake.ask(&lists, "elsewhere", "a").await.is_some());
    assert_eq!(fake.calls(), 3, "the server has moved");
    assert_eq!(lists.shared.get(), 3);
}

#[tokio::test(start_paused = true)]
async fn without_an_interval_only_the_lists_under_way_are_shared() {
    let (lists, fake) = (lists(Duration::ZERO), Arc::new(FakeServer::default()));
    for _ in 0..3 {
        assert!(fake.ask(&lists, "u", "a").await.is_some());
    }
    assert_eq!(fake.calls(), 3);
    let text = reply::meetings([]);
    let (one, two) = (fake.ask_slowly(&lists, "a", text.clone()), fake.ask_slowly(&lists, "b", text));
    let mut both = Box::pin(futures::future::join(one, two));
    assert!(futures::poll!(&mut both).is_pending());
    fake.gate.notify_one();
    let (one, two) = both.await;
    assert!(one.is_some() && two.is_some());
    assert_eq!(fake.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_sees_its_own_change_and_others_within_the_interval() {
    let (lists, fake) = (lists(INTERVAL), FakeServer::default());
    fake.ask(&lists, "u", "a").await;
    lists.changed(&server("u").id, &tenant("a"));
    fake.ask(&lists, "u", "b").await;
    assert_eq!(fake.calls(), 1, "not theirs");
    fake.ask(&lists, "u", "a").await;
    fake.ask(&lists, "u", "a").await;
    fake.ask(&lists, "u", "b").await;
    assert_eq!(fake.calls(), 2, "the new part is for all");
    lists.changed(&ServerId::parse("b").unwrap(), &tenant("a"));
    fake.ask(&lists, "u", "a").await;
    assert_eq!(fake.calls(), 2, "at another server");
}

#[tokio::test(start_paused = true)]
async fn a_part_that_began_before_a_change_is_not_shown_after_it() {
    let (lists, fake) = (lists(INTERVAL), Arc::new(FakeServer::default()));
    let mut old = Box::pin(fake.ask_slowly(&lists, "a", reply::meetings([])));
    assert!(futures::poll!(&mut old).is_pending());
    lists.changed(&server("u").id, &tenant("a"));
    let mut new = Box::pin(fake.ask_slowly(&lists, "a", reply::meetings([])));
    assert!(futures::poll!(&mut new).is_pending());
    assert_eq!(fake.calls(), 2);
    fake.gate.notify_waiters();
    tokio::task::yield_now().await;
    fake.gate.notify_one();
    fake.gate.notify_one();
    assert!(old.await.is_some() && new.await.is_some());
}

#[tokio::test(start_paused = true)]
async fn failures_are_not_kept_and_nothing_is_kept_beyond_the_interval() {
    let (lists, fake) = (lists(INTERVAL), Arc::new(FakeServer::default()));
    for calls in 1..=2 {
        fake.gate.notify_one();
        assert!(fake.ask_slowly(&lists, "a", "<html>".into()).await.is_none());
        assert_eq!(fake.calls(), calls);
    }
    fake.ask(&lists, "u", "a").await;
    assert!(lists.lock().kept > 0);
    tokio::time::sleep(INTERVAL * 2).await;
    let parts = lists.lock();
    assert_eq!((parts.kept, parts.slots.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_callers_have_gone_is_not_under_way_for_ever() {
    let (lists, fake) = (lists(INTERVAL), Arc::new(FakeServer::default()));
    let mut asked = Box::pin(fake.ask_slowly(&lists, "a", reply::meetings([])));
    assert!(futures::poll!(&mut asked).is_pending());
    drop(asked);
    fake.gate.notify_one();
    tokio::time::sleep(INTERVAL * 2).await;
    fake.ask(&lists, "u", "a").await;
    assert_eq!(fake.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_more_parts_are_kept_than_there_is_memory_for() {
    let (mut lists, fake) = (lists(INTERVAL), FakeServer::default());
    lists.kept_max = 1;
    for calls in 1..=3 {
        assert!(fake.ask(&lists, "u", "a").await.is_some());
        assert_eq!((fake.calls(), lists.lock().slots.len()), (calls, 0));
    }
}
