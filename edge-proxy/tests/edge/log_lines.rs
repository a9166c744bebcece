//! The log of an edge: no crowd of requests fills it, whatever they fail of.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};
use usher_bbb::{call::ApiCall, query::encode};
use usher_bbb_sim::{FaultKind, SimFault, SimRecording};
use usher_model::server::Health;

use crate::support::Cluster;

/// Most lines of one kind that a crowd of requests causes. A test takes no longer than two pauses between lines.
const MOST: usize = 3;

/// The lines of an edge in this thread, by level and message.
#[derive(Debug, Clone, Default)]
struct LogLines(Arc<Mutex<BTreeMap<String, usize>>>);

impl LogLines {
    /// Returns the numbers of lines, and forgets them.
    fn take(&self) -> BTreeMap<String, usize> {
        std::mem::take(&mut *self.0.lock().expect("no test panics here"))
    }
}

#[derive(Default)]
struct LineMessage(String);

impl Visit for LineMessage {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl Subscriber for LogLines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::INFO && metadata.target().starts_with("usher")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = LineMessage::default();
        event.record(&mut message);
        *self.0.lock().expect("no test panics here").entry(message.0).or_default() += 1;
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Checks that a crowd caused the line `expected`, and no line often.
fn few(lines: &LogLines, expected: &str) {
    let lines = lines.take();
    assert!(lines.keys().any(|line| line.contains(expected)), "`{expected}` is not among {lines:?}");
    assert!(lines.values().all(|count| *count <= MOST), "{lines:?}");
}

#[tokio::test]
async fn one_tenants_requests_cause_few_lines_of_each_kind() {
    let lines = LogLines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let cluster = Cluster::start_with(2, |settings| {
        settings.public_url = Some("https://usher.test".into());
    })
    .await;
    cluster.sims[1].add_recording(SimRecording::new("kept", 17));
    let recording = cluster.sims[1].recordings()[0].record_id.clone();
    cluster.client.create("known").await;
    cluster.confirmed("known").await;
    let home = cluster.home("known");
    lines.take();
    let crowd = async |call: &str, query: &dyn Fn(usize) -> String| {
        let calls = (0..20).map(|number| {
            let (client, query) = (cluster.client.clone(), query(number));
            async move { client.call(call, &query).await }
        });
        futures::future::join_all(calls).await
    };

    let own = encode("https://usher.test/usher/callback/forged");
    crowd("create", &|number| format!("meetingID=own-{number}&name=Room&meta_endCallbackUrl={own}")).await;
    few(&lines, "Usher's own address");

    let fault = |call| SimFault::new(FaultKind::Status500).on(call);
    cluster.sims[home].faults().set(fault(ApiCall::Create)).await;
    for answer in crowd("create", &|_| "meetingID=known&name=Room".into()).await {
        assert!(answer.is_retryable(), "{answer:?}");
    }
    few(&lines, "a create of a known meeting has no answer");
    cluster.sims[1 - home].faults().set(fault(ApiCall::Create)).await;
    crowd("create", &|number| format!("meetingID=new-{number}&name=Room")).await;
    few(&lines, "the outcome of a create is unknown");

    cluster.sims[1].faults().set(fault(ApiCall::PublishRecordings)).await;
    crowd("publishRecordings", &|_| format!("recordID={recording}&publish=true")).await;
    few(&lines, "a server did not answer");

    cluster.plane.alter_server(&format!("s{}", 1 - home), |server| server.health = Health::Offline);
    cluster.settled().await;
    crowd("getRecordings", &|number| format!("meetingID=room-{number}")).await;
    few(&lines, "servers are missing from a list");
}

/// Without a control plane every create fails, and every end stays unreported.
#[tokio::test]
async fn without_a_control_plane_requests_cause_few_lines() {
    let lines = LogLines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let cluster = Cluster::start(1).await;
    for number in 0..10 {
        cluster.client.create(&format!("m{number}")).await;
        cluster.confirmed(&format!("m{number}")).await;
    }
    lines.take();
    cluster.plane.kill().await;
    for number in 0..10 {
        assert!(cluster.client.call("end", &format!("meetingID=m{number}")).await.is_success());
        assert!(
            cluster.client.call("create", &format!("meetingID=n{number}&name=Room")).await.is_retryable()
        );
    }
    few(&lines, "an end was not reported");
}
