//! Watches of servers, meetings, edges and alarms over gRPC.

use std::{collections::BTreeMap, time::Duration};

use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;
use usher_bbb_sim::{BbbSim, SimOptions};
use usher_proto::v1::*;

use crate::{
    bench::{Bench, DEADLINE, EdgeServiceClient, FleetServiceClient, settings, until},
    hooks::memory,
    stream::Edge,
};

async fn next<T>(stream: &mut Streaming<T>) -> Result<T, Status> {
    let message = tokio::time::timeout(DEADLINE, stream.message()).await.expect("speaks in time");
    message.map(|message| message.expect("goes on"))
}

/// The meetings that a reader knows from a watch.
#[derive(Default)]
struct Reader {
    meetings: BTreeMap<String, Meeting>,
    revision: Option<Revision>,
    snapshots: usize,
}

impl Reader {
    async fn step(&mut self, stream: &mut Streaming<WatchMeetingsResponse>) -> Result<(), Status> {
        let message = next(stream).await?;
        if message.stage() == WatchStage::SnapshotEnd {
            self.snapshots += 1;
        }
        self.revision = message.revision.or(self.revision.take());
        for meeting in message.meetings {
            self.meetings.insert(meeting.name.clone(), meeting);
        }
        for name in message.removed {
            self.meetings.remove(&name);
        }
        Ok(())
    }

    /// Reads until the names of the meetings are these.
    async fn until(&mut self, stream: &mut Streaming<WatchMeetingsResponse>, rooms: &[&str]) {
        let expected: Vec<String> = rooms.iter().map(|room| name(room)).collect();
        while !self.meetings.keys().eq(expected.iter()) {
            self.step(stream).await.expect("goes on");
        }
    }
}

fn name(room: &str) -> String {
    format!("tenants/default/meetings/{}", room.replace('-', "%2D"))
}

async fn watch(bench: &Bench, filter: &str, resume: Option<Revision>) -> Streaming<WatchMeetingsResponse> {
    let request = WatchMeetingsRequest { parent: "tenants/-".into(), filter: filter.into(), resume };
    bench.meetings().watch_meetings(request).await.expect("is watched").into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_the_present_meetings_and_then_each_change_and_resumes_by_revision() {
    let bench = Bench::with_servers(1).await;
    bench.create("room-1").await;
    let (mut reader, mut stream) = (Reader::default(), watch(&bench, "", None).await);
    reader.until(&mut stream, &["room-1"]).await;
    bench.create("room-2").await;
    reader.until(&mut stream, &["room-1", "room-2"]).await;
    while reader.meetings[&name("room-2")].state() != RecordState::Active {
        reader.step(&mut stream).await.expect("goes on");
    }
    bench.sim("bbb1").end_meeting("room-1");
    reader.until(&mut stream, &["room-2"]).await;
    assert_eq!(reader.snapshots, 1);
    drop(stream);

    // The watch tells the changes of the meantime, and only those.
    bench.create("room-3").await;
    let mut stream = watch(&bench, "", reader.revision).await;
    reader.until(&mut stream, &["room-2", "room-3"]).await;
    assert_eq!(reader.snapshots, 1, "a resumed watch tells no snapshot");

    // The watch removes an entry that its filter no longer admits.
    let (mut reader, mut stream) = (Reader::default(), watch(&bench, "state = active", None).await);
    reader.until(&mut stream, &["room-2", "room-3"]).await;
    bench.sim("bbb1").end_meeting("room-3");
    reader.until(&mut stream, &["room-2"]).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_does_not_resume_in_another_epoch_or_at_a_forgotten_revision() {
    let bench = Bench::with_servers(1).await;
    let status = FleetServiceClient::new(bench.channel.clone()).get_status(GetStatusRequest {}).await;
    let now = status.expect("answers").into_inner().revision.expect("is known");
    for (resume, reason) in [
        (Revision { epoch: now.epoch ^ 1, ..now }, "OTHER_EPOCH"),
        (Revision { seq: 0, ..now }, "REVISION_FORGOTTEN"),
    ] {
        let mut stream = watch(&bench, "", Some(resume)).await;
        let refused = next(&mut stream).await.expect_err("cannot resume");
        assert_eq!(refused.code(), Code::OutOfRange, "{refused:?}");
        assert_eq!(refused.get_details_error_info().map(|info| info.reason).as_deref(), Some(reason));
    }
    let mut stream = watch(&bench, "", Some(Revision { seq: now.seq + 1_000_000, ..now })).await;
    assert_eq!(next(&mut stream).await.expect_err("is ahead").code(), Code::Unavailable);
    let request = WatchServersRequest { filter: "nope = 1".into(), resume: None };
    let refused = bench.servers().watch_servers(request).await.expect_err("has no such field");
    assert_eq!(refused.code(), Code::InvalidArgument);
    bench.stop().await;
}

/// A replica that follows the store since before the compaction knows the changes; one that read the
/// compacted store does not.
#[tokio::test(flavor = "multi_thread")]
async fn watches_resume_after_a_compaction_where_the_changes_are_known() {
    let store = memory();
    let sim = BbbSim::start(SimOptions::new("server-secret")).await.expect("listens");
    let mut old = Bench::on(settings(), store.clone()).await;
    old.add("bbb1", &sim, AdminState::Enabled).await;
    old.sims.push(sim);
    old.until_health("bbb1", Health::Online).await;
    old.create("room-1").await;
    let (mut reader, mut meetings) = (Reader::default(), watch(&old, "", None).await);
    reader.until(&mut meetings, &["room-1"]).await;
    let servers = async |bench: &Bench, resume| {
        let request = WatchServersRequest { filter: String::new(), resume };
        bench.servers().watch_servers(request).await.expect("is watched").into_inner()
    };
    let mut stream = servers(&old, None).await;
    let snapshot = next(&mut stream).await.expect("is told");
    assert_eq!((snapshot.stage(), snapshot.servers.len()), (WatchStage::SnapshotEnd, 1));
    drop((meetings, stream));

    old.create("room-2").await;
    let cordon = CordonServerRequest { name: "servers/bbb1".into(), etag: String::new() };
    old.servers().cordon_server(cordon).await.expect("is cordoned");
    let present = store.read_prefix("meta").await.expect("is read").revision;
    store.compact(present).await.expect("is compacted");
    let mut meetings = watch(&old, "", reader.revision).await;
    reader.until(&mut meetings, &["room-1", "room-2"]).await;
    assert_eq!(reader.snapshots, 1, "a resumed watch tells no snapshot");
    let mut stream = servers(&old, snapshot.revision).await;
    let resumed = next(&mut stream).await.expect("is told");
    assert_eq!(resumed.stage(), WatchStage::Changes);
    assert_eq!(resumed.servers[0].admin_state(), AdminState::Cordoned);

    let new = Bench::on(settings(), store.clone()).await;
    let mut meetings = watch(&new, "", snapshot.revision).await;
    let mut stream = servers(&new, snapshot.revision).await;
    let refused = [
        next(&mut meetings).await.expect_err("are forgotten"),
        next(&mut stream).await.expect_err("are forgotten"),
    ];
    for refused in refused {
        let reason = refused.get_details_error_info().map(|info| info.reason);
        assert_eq!((refused.code(), reason.as_deref()), (Code::OutOfRange, Some("REVISION_FORGOTTEN")));
    }
    // The reader begins anew and knows the same.
    let (mut anew, mut meetings) = (Reader::default(), watch(&new, "", None).await);
    anew.until(&mut meetings, &["room-1", "room-2"]).await;
    let again = next(&mut servers(&new, None).await).await.expect("is told");
    assert_eq!((again.stage(), again.servers.len()), (WatchStage::SnapshotEnd, 1));
    new.stop().await;
    old.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_watched_with_their_health_and_meetings() {
    let bench = Bench::with_servers(1).await;
    let request = WatchServersRequest::default();
    let mut stream = bench.servers().watch_servers(request).await.expect("is watched").into_inner();
    let mut servers: BTreeMap<String, Server> = BTreeMap::new();
    let mut follow = async |is_there: &dyn Fn(&BTreeMap<String, Server>) -> bool| {
        while !is_there(&servers) {
            let message = next(&mut stream).await.expect("goes on");
            servers.extend(message.servers.into_iter().map(|server| (server.name.clone(), server)));
            message.removed.iter().for_each(|name| drop(servers.remove(name)));
        }
    };
    follow(&|servers| servers.len() == 1).await;
    bench.create("room-1").await;
    follow(&|servers| servers["servers/bbb1"].meetings == 1).await;
    let sim = BbbSim::start(SimOptions::new("server-secret")).await.expect("listens");
    bench.add("bbb2", &sim, AdminState::Enabled).await;
    follow(&|servers| servers.get("servers/bbb2").is_some_and(|s| s.health() == Health::Online)).await;
    let disable = DisableServerRequest { name: "servers/bbb2".into(), etag: String::new() };
    bench.servers().disable_server(disable).await.expect("is disabled");
    follow(&|servers| servers["servers/bbb2"].admin_state() == AdminState::Disabled).await;
    let delete = DeleteServerRequest { name: "servers/bbb2".into(), etag: String::new() };
    bench.servers().delete_server(delete).await.expect("is removed");
    follow(&|servers| servers.len() == 1).await;
    assert!(servers.values().all(|server| server.secret.is_empty()));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_and_alarms_are_watched() {
    let bench = Bench::on(settings(), memory()).await;
    let watch = EdgeServiceClient::new(bench.channel.clone()).watch_edges(WatchEdgesRequest {}).await;
    let mut stream = watch.expect("is watched").into_inner();
    let first = next(&mut stream).await.expect("goes on");
    assert_eq!((first.stage(), first.edges.len()), (WatchStage::SnapshotEnd, 0));
    let edge = Edge::connect(&bench, "edge-a", None).await;
    let mut come = next(&mut stream).await.expect("goes on");
    while come.edges.is_empty() {
        come = next(&mut stream).await.expect("goes on");
    }
    assert_eq!((come.stage(), come.edges[0].name.as_str()), (WatchStage::Changes, "edges/edge-a"));
    drop(edge);
    let mut gone = next(&mut stream).await.expect("goes on");
    while gone.removed.is_empty() {
        gone = next(&mut stream).await.expect("goes on");
    }
    assert_eq!(gone.removed, ["edges/edge-a"]);

    let watch = FleetServiceClient::new(bench.channel.clone()).watch_alarms(WatchAlarmsRequest {}).await;
    let mut stream = watch.expect("is watched").into_inner();
    let mut alarms = next(&mut stream).await.expect("goes on").alarms;
    let sim = BbbSim::start(SimOptions::new("another")).await.expect("listens");
    bench.add("bbb1", &sim, AdminState::Enabled).await;
    while alarms.is_empty() {
        alarms = next(&mut stream).await.expect("goes on").alarms;
    }
    assert!(alarms.iter().all(|alarm| !alarm.detail.is_empty() && alarm.replicas.len() == 1), "{alarms:?}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_are_limited_and_end_when_the_control_plane_stops() {
    let bench = Bench::with_servers(0).await;
    let mut streams = Vec::new();
    let refused = loop {
        match bench.servers().watch_servers(WatchServersRequest::default()).await {
            Ok(stream) => streams.push(stream.into_inner()),
            Err(refused) => break refused,
        }
    };
    assert_eq!((streams.len(), refused.code()), (64, Code::ResourceExhausted), "{refused:?}");
    // A reader that is gone leaves its place.
    drop(streams.split_off(1));
    until("places are free", async || {
        let again = bench.servers().watch_servers(WatchServersRequest::default()).await;
        again.is_ok().then_some(())
    })
    .await;
    let mut stream = streams.remove(0);
    next(&mut stream).await.expect("tells the present servers");
    let (ended, ()) = tokio::join!(
        async {
            loop {
                match tokio::time::timeout(Duration::from_secs(30), stream.message()).await.expect("ends") {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("a stop has its reason"),
                    Err(status) => return status,
                }
            }
        },
        bench.stop()
    );
    assert_eq!(ended.code(), Code::Unavailable, "{ended:?}");
}
