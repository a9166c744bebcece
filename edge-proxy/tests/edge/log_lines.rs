//! The log of an edge: no crowd of requests fills it, for any kind of failure.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, Once},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::{DefaultGuard, Interest},
};
use usher_bbb::{call::ApiCall, query::encode};
use usher_bbb_sim::{FaultKind, SimFault, SimOptions, SimRecording};
use usher_model::server::Health;

use crate::support::{Cluster, signed};

/// Most lines of one kind that a crowd of requests causes. A test takes no longer than two pauses between lines.
const MOST: usize = 3;

/// The lines of one message.
#[derive(Debug, Default)]
struct RepeatedLine {
    count: usize,
    /// The other fields of the first line, as `name=value`.
    fields: Vec<String>,
}

/// The lines of an edge in this thread, by message.
#[derive(Debug, Clone, Default)]
struct LogLines(Arc<Mutex<BTreeMap<String, RepeatedLine>>>);

impl LogLines {
    /// Collects the lines of this thread until the guard is dropped.
    fn collected() -> (Self, DefaultGuard) {
        static OTHER_TESTS: Once = Once::new();
        OTHER_TESTS.call_once(|| {
            tracing::subscriber::set_global_default(UndecidedSubscriber).expect("no other test sets one");
        });
        let lines = Self::default();
        (lines.clone(), tracing::subscriber::set_default(lines))
    }

    /// Returns the lines, and forgets them.
    fn take(&self) -> BTreeMap<String, RepeatedLine> {
        std::mem::take(&mut *self.0.lock().expect("no test panics here"))
    }
}

#[derive(Default)]
struct LineFields {
    message: String,
    others: Vec<String>,
}

impl Visit for LineFields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.others.push(format!("{field}={value:?}"));
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
        let mut fields = LineFields::default();
        event.record(&mut fields);
        let mut lines = self.0.lock().expect("no test panics here");
        let line = lines.entry(fields.message).or_default();
        line.count += 1;
        if line.count == 1 {
            line.fields = fields.others;
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// The subscriber of all threads that collect no lines. `tracing` remembers for the whole process whether anything
/// wants a line, and decides so when the first thread comes to it. A thread without a subscriber would decide against
/// the line for all tests; this subscriber has each thread decide for itself.
struct UndecidedSubscriber;

impl Subscriber for UndecidedSubscriber {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Checks that a crowd caused the line `expected`, and no line often.
fn few(lines: &LogLines, expected: &str) {
    let lines = lines.take();
    assert!(lines.keys().any(|line| line.contains(expected)), "`{expected}` is not among {lines:?}");
    assert!(lines.values().all(|line| line.count <= MOST), "{lines:?}");
}

#[tokio::test]
async fn one_tenants_requests_cause_few_lines_of_each_kind() {
    let (lines, _guard) = LogLines::collected();
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
    let (lines, _guard) = LogLines::collected();
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

/// Checks that there is one line with a message, and that it has these fields.
fn one(lines: &LogLines, message: &str, fields: &[&str]) {
    let lines = lines.take();
    let line = lines.get(message).unwrap_or_else(|| panic!("`{message}` is not among {lines:?}"));
    assert_eq!(line.count, 1, "{lines:?}");
    for field in fields {
        assert!(line.fields.iter().any(|has| has == field), "{field}: {line:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_logged_once_with_its_reason() {
    let (lines, _guard) = LogLines::collected();
    let server = SimOptions { body_limit: 1 << 20, ..SimOptions::new("server-secret-0").at_once() };
    let cluster = Cluster::over(server).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    lines.take();
    let path = format!("/bigbluebutton/api/insertDocument?{}", signed("insertDocument", "meetingID=room"));
    let name = "x".repeat(3 << 19);
    let body =
        format!("<modules><module name=\"presentation\"><document>{name}</document></module></modules>");
    for _ in 0..3 {
        let kind = [("content-type", "application/xml")];
        let answer = cluster.client.send("POST", &path, &kind, body.clone()).await;
        assert_eq!(answer.key(), "validationError", "{answer:?}");
    }
    one(&lines, "a server refuses requests", &["server=s0", "call=\"insertDocument\"", "status=413"]);

    // With every server cordoned the log once said that no control plane answers.
    cluster.plane.decline_placements(Some("POOL_EMPTY"));
    for number in 0..3 {
        assert!(
            cluster.client.call("create", &format!("meetingID=m{number}&name=Room")).await.is_retryable()
        );
    }
    let error = "error=no control plane can do it now: no server takes the meeting: pool_empty";
    one(&lines, "a meeting was not placed", &[error]);
}
