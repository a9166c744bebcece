//! Watches of servers, in paused time.

use std::time::Duration;

use futures::StreamExt as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use usher_runtime::tasks::TaskGroup;

use super::*;
use crate::{
    core::{
        plan::{FleetEvent, Stored},
        testkit::{health, sample, server, sid},
    },
    grpc::{
        list_query::ListQuery,
        watch::{WatchStream, Watchers},
    },
    tasks::fleet_handle::FleetHandle,
};

type ServerStream = WatchStream<v1::WatchServersResponse>;

/// Returns a fleet of one server with a sample, and its watchers.
fn fleet() -> (FleetHandle, Watchers) {
    let events = vec![
        FleetEvent::Server(sid("a"), Some(Stored { value: server("a"), created: 1, modified: 1 })),
        FleetEvent::Health(sid("a"), Some(Stored { value: health(9, 0), created: 1, modified: 1 })),
        FleetEvent::Sample(sid("a"), Some(Stored { value: sample(1, &[]), created: 1, modified: 1 })),
    ];
    let fleet = FleetHandle::of_events(events);
    let watchers = Watchers::new(fleet.clone(), TaskGroup::new());
    (fleet, watchers)
}

fn watch(watchers: &Watchers, filter: &str) -> ServerStream {
    let filter = ListQuery::filter::<ServerEntry<'_>>(filter).expect("is a filter");
    watchers.watch(ServerList, filter, None).expect("has a place")
}

async fn next(stream: &mut ServerStream) -> Result<v1::WatchServersResponse, Status> {
    stream.next().await.expect("goes on")
}

#[tokio::test(start_paused = true)]
async fn a_sample_without_a_revision_wakes_the_watchers_of_servers() {
    let (fleet, watchers) = fleet();
    let mut stream = watch(&watchers, "sample_age < 30s");
    let first = next(&mut stream).await.expect("is told");
    assert_eq!((first.stage(), first.servers.len()), (v1::WatchStage::SnapshotEnd, 1));
    let revision = first.revision;

    // Time alone ages the sample, which a sign of life tells.
    let begun = clock::now();
    let mut gone = next(&mut stream).await.expect("goes on");
    while gone.removed.is_empty() {
        gone = next(&mut stream).await.expect("goes on");
    }
    assert_eq!((gone.removed, gone.revision), (vec!["servers/a".to_owned()], revision));
    assert!(clock::now() - begun <= Duration::from_secs(40), "{:?}", clock::now() - begun);

    // A poll that writes no value is told within a second.
    let polled = clock::now();
    fleet.confirm_now(&sid("a"));
    let back = next(&mut stream).await.expect("goes on");
    assert_eq!((back.servers.len(), back.revision), (1, revision));
    assert!(back.servers[0].sample_age.is_some_and(|age| age.seconds <= 1), "{back:?}");
    assert!(clock::now() - polled < Duration::from_millis(1100), "{:?}", clock::now() - polled);

    // Further ones change no content, so the reader gets signs of life only.
    for _ in 0..3 {
        fleet.confirm_now(&sid("a"));
        let sign = next(&mut stream).await.expect("goes on");
        assert!(sign.servers.is_empty() && sign.removed.is_empty(), "{sign:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_resumed_watch_tells_each_server_after_the_next_sample() {
    let (fleet, watchers) = fleet();
    let at = Some(fleet.revision());
    for (filter, servers, removed) in [("", 1, 0), ("users > 0", 0, 1)] {
        let parsed = ListQuery::filter::<ServerEntry<'_>>(filter).expect("is a filter");
        let mut stream = watchers.watch(ServerList, parsed, at).expect("has a place");
        let resumed = next(&mut stream).await.expect("is told");
        assert_eq!((resumed.stage(), resumed.servers.len()), (v1::WatchStage::Changes, 0), "{filter}");
        fleet.confirm_now(&sid("a"));
        let told = next(&mut stream).await.expect("is told");
        assert_eq!((told.servers.len(), told.removed.len()), (servers, removed), "{filter}: {told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_no_message_for_twenty_seconds_is_ended() {
    let (_fleet, watchers) = fleet();
    let (mut slow, mut quick) = (watch(&watchers, ""), watch(&watchers, ""));
    let begun = clock::now();
    let mut heard = 0;
    // Four messages wait and one is about to be sent, each 10 s after the one before; it is given up
    // 20 s later.
    while clock::now() - begun < Duration::from_secs(75) {
        next(&mut quick).await.expect("a quick reader goes on");
        heard += 1;
    }
    assert!((7..=9).contains(&heard), "{heard}");
    let mut waiting = 0;
    let ended = loop {
        match next(&mut slow).await {
            Ok(_) => waiting += 1,
            Err(ended) => break ended,
        }
    };
    assert_eq!((waiting, ended.code()), (4, Code::ResourceExhausted), "{ended:?}");
    assert_eq!(ended.get_details_error_info().map(|info| info.reason).as_deref(), Some("SLOW_READER"));
    assert!(slow.next().await.is_none(), "the reason is the last word");
    next(&mut quick).await.expect("a quick reader goes on");
}
