//! Tests of the fan-out, in paused time.

use usher_model::{
    id::{MeetingId, TenantId},
    meeting::MeetingKey,
    revision::Revision,
    routing::RoutingDelta,
};
use usher_runtime::tasks::TaskGroup;

use super::*;

/// A running fan-out with some streams.
struct FanOutCase {
    changes: broadcast::Sender<PublishedChange>,
    streams: Vec<broadcast::Receiver<PublishedChange>>,
    tasks: TaskGroup,
    at: Revision,
}

impl FanOutCase {
    fn start(streams: usize) -> Self {
        let (fan_out, tasks) = (RouteFanOut::new(), TaskGroup::new());
        let changes = broadcast::Sender::new(BACKLOG);
        let streams = (0..streams).map(|_| fan_out.subscribe()).collect();
        let receiver = changes.subscribe();
        tasks.spawn("route fan-out", |stop| fan_out.run(receiver, stop));
        Self { changes, streams, tasks, at: Revision::new(1, 0) }
    }

    /// Publishes the change of one meeting.
    fn change(&mut self) {
        let next = Revision::new(1, self.at.seq + 1);
        let mut delta = RoutingDelta::new(self.at, next);
        let meeting = MeetingId::parse(&format!("m{}", next.seq)).unwrap();
        delta.meetings.insert(MeetingKey::new(TenantId::default_tenant(), meeting), None);
        let published = Arc::new(PublishedDelta::new(self.at, Arc::new(delta)));
        self.changes.send(PublishedChange::Delta(published)).unwrap();
        self.at = next;
    }

    /// Returns the next delta on the last stream, and the time until it arrived.
    async fn delta(&mut self) -> (Arc<PublishedDelta>, Duration) {
        let begun = clock::now();
        match self.streams.last_mut().unwrap().recv().await {
            Ok(PublishedChange::Delta(delta)) => (delta, clock::now() - begun),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_after_a_pause_waits_for_no_other() {
    let mut case = FanOutCase::start(500);
    for _ in 0..3 {
        case.change();
        let (delta, waited) = case.delta().await;
        assert_eq!((delta.revision(), waited), (case.at, Duration::ZERO));
        tokio::time::sleep(LONGEST).await;
    }
    case.tasks.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_changes_reaches_many_streams_in_few_frames_within_milliseconds() {
    let mut case = FanOutCase::start(500);
    let (mut held, mut frames) = (case.at, 0);
    for _ in 0..100 {
        case.change();
        let begun = clock::now();
        tokio::time::sleep(Duration::from_millis(1)).await;
        while let Ok(PublishedChange::Delta(delta)) = case.streams.last_mut().unwrap().try_recv() {
            assert_eq!(delta.base(), held, "each frame continues the one before");
            (held, frames) = (delta.revision(), frames + 1);
        }
        assert!(case.at.seq - held.seq <= 8, "{held} of {} after {:?}", case.at, clock::now() - begun);
    }
    assert!((12..=20).contains(&frames), "{frames} frames");
    case.tasks.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn changes_for_few_streams_wait_only_while_others_are_passed_on() {
    let mut case = FanOutCase::start(STREAMS_EACH - 1);
    for _ in 0..100 {
        case.change();
        let (delta, waited) = case.delta().await;
        assert_eq!((delta.revision(), delta.len(), waited), (case.at, 1, Duration::ZERO));
    }
    (0..3).for_each(|_| case.change());
    let (delta, waited) = case.delta().await;
    assert_eq!((delta.revision(), delta.len(), waited), (case.at, 3, Duration::ZERO));
    case.tasks.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn another_epoch_reaches_the_streams_after_the_changes_before_it() {
    let mut case = FanOutCase::start(500);
    (0..2).for_each(|_| case.change());
    case.changes.send(PublishedChange::Reset).unwrap();
    let (delta, _) = case.delta().await;
    assert_eq!((delta.base(), delta.revision()), (Revision::new(1, 0), case.at));
    assert!(matches!(case.streams[0].recv().await, Ok(PublishedChange::Delta(_))));
    assert!(matches!(case.streams[0].recv().await, Ok(PublishedChange::Reset)));
    case.tasks.shutdown().await;
}
