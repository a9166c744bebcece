//! The join at once and the join that waits are one: for every head that both take, the answers are equal.

use std::{sync::Mutex, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;
use usher_bbb::{
    checksum::{ChecksumAlgorithm, sign},
    secret::Secret,
};
use usher_model::{
    id::{InternalMeetingId, MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    revision::Revision,
    routing::{MeetingRoute, RoutingDelta},
    server::{AdminState, Health},
    settings::MeetingSettings,
    tenant::TenantPolicy,
};
use usher_runtime::control_planes::ControlPlanes;
use usher_runtime::tasks::TaskGroup;

use super::*;
use crate::{
    control::{
        cell_directory::{CellDirectory, FollowedCell},
        current_table::CurrentTable,
        meeting_lookups::MeetingLookups,
        placement::PlacementClient,
        table::LiveTable,
    },
    core::admission::ByteBudget,
    server::{
        admission::{BodyLimits, TenantBudget},
        request::RequestVerifier,
    },
};

const SECRET: &str = "lb-Secret.0123456789ABCDEFabcdef";
/// The internal id of the meeting `room` of tenant `default`.
const INTERNAL: &str = "1b207ab13f8038171631249ec58a709cb7bd5d1c-1795989740259";

fn tenant(id: &str) -> TenantRoute {
    let rule = |rule: &str| rule.parse().expect("is a rule");
    let policy = TenantPolicy {
        join_rules: vec![rule("remove:avatarURL"), rule("override:guest=true"), rule("default:userdata-a=ü")],
        ..TenantPolicy::default()
    };
    let route = TenantRoute::new(TenantId::parse(id).expect("is an id"));
    TenantRoute { secrets: [Secret::new(SECRET)].into_iter().collect(), policy, ..route }
}

fn table() -> LiveTable {
    let start = Revision::new(7, 1);
    let mut delta = RoutingDelta::new(start, Revision::new(7, 2));
    for (id, health) in [("s0", Health::Online), ("s1", Health::Unhealthy), ("s2", Health::Offline)] {
        let route = ServerRoute {
            id: ServerId::parse(id).expect("is an id"),
            url: format!("https://{id}.test/bigbluebutton/api/"),
            secret: Secret::new("server secret"),
            admin: AdminState::Enabled,
            health,
            algorithm: ChecksumAlgorithm::Sha256,
        };
        delta.servers.insert(route.id.clone(), Some(route));
    }
    let hosted = TenantRoute { hosts: vec!["hosted.test".into()], ..tenant("hosted") };
    let off = TenantRoute { enabled: false, ..tenant("off") };
    let default = TenantRoute { policy: TenantPolicy::default(), ..tenant("default") };
    for route in [default, tenant("school"), hosted, off] {
        delta.tenants.insert(route.id.clone(), Some(route));
    }
    for (tenant, meeting, server, instance) in [
        ("default", "room", "s0", Some(INTERNAL)),
        ("default", "a ü\u{1f600}", "s1", Some("i-1")),
        ("default", "cafe", "s0", Some("i-2")),
        ("default", "pending", "s0", None),
        ("default", "gone", "s2", Some("i-3")),
        ("school", "room", "s1", Some("i-4")),
        ("school", "school~room", "s0", Some("i-5")),
        ("hosted", "room", "s0", Some("i-6")),
        ("off", "room", "s0", Some("i-7")),
    ] {
        let id = |id| InternalMeetingId::parse(id).expect("is an id");
        let route = MeetingRoute {
            key: MeetingKey::new(
                TenantId::parse(tenant).expect("is an id"),
                MeetingId::parse(meeting).expect("is an id"),
            ),
            server: ServerId::parse(server).expect("is an id"),
            state: instance.map_or(RouteState::Pending, |instance| RouteState::Active(id(instance))),
            voice_bridge: None,
        };
        delta.meetings.insert(route.key.clone(), Some(route));
    }
    let table = LiveTable::empty(start);
    table.apply(&delta).expect("follows the empty table");
    table
}

/// The two ways of a join, over one table.
struct BothWays {
    verifier: RequestVerifier,
    joins: JoinCalls,
}

impl BothWays {
    fn new() -> Arc<Self> {
        let current = Arc::new(CurrentTable::default());
        current.replace(table());
        let planes = ControlPlanes::new(&["http://127.0.0.1:1".to_owned()], None).expect("is an address");
        let rules = DeploymentRules::new(&MeetingSettings {
            join_exclude: vec!["logo".into()],
            ..MeetingSettings::default()
        });
        Arc::new(Self {
            verifier: RequestVerifier {
                cells: Arc::new(CellDirectory::new(
                    vec![FollowedCell { name: None, current: Arc::clone(&current) }],
                    Gauge::default(),
                )),
                budget: TenantBudget::new(0),
                bytes: ByteBudget::new(0),
                bodies: BodyLimits { largest: 1 << 10, silence: Duration::from_secs(5) },
                documents: Duration::from_secs(5),
                serves_hooks: false,
            },
            joins: JoinCalls {
                current,
                locator: MeetingLocator::new(MeetingLookups::new(
                    PlacementClient::new(planes, Counter::default()),
                    TaskGroup::new(),
                    Counter::default(),
                )),
                rules: Arc::new(rules),
            },
        })
    }

    /// Returns the answers in both ways, as text; `None` if the table alone does not decide.
    async fn answers(&self, request: Request<Incoming>) -> Option<[String; 2]> {
        let at_once = self.joins.answer_at_once(&JoinCalls::head(&request)?)?;
        let waited = match self.verifier.verify(request).await {
            Ok(request) => self.joins.answer(&request).await,
            Err(reply) => *reply,
        };
        Some([text(at_once).await, text(waited).await])
    }

    /// Sends the head of a request, and returns the answers in both ways; `None` if the head is not readable or
    /// not taken at once.
    async fn send(self: Arc<Self>, head: String) -> Option<[String; 2]> {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let answers = Arc::new(Mutex::new(None));
        let found = Arc::clone(&answers);
        let service = service_fn(move |request: Request<Incoming>| {
            let (ways, found) = (Arc::clone(&self), Arc::clone(&found));
            async move {
                *found.lock().expect("no test panics here") = ways.answers(request).await;
                Ok::<_, std::convert::Infallible>(http::Response::new(Empty::<Bytes>::new()))
            }
        });
        client.write_all(head.as_bytes()).await.expect("the pipe has room");
        client.shutdown().await.expect("the pipe is open");
        // An unreadable head is an error of the connection.
        let _ = http1::Builder::new().half_close(true).serve_connection(TokioIo::new(server), service).await;
        answers.lock().expect("no test panics here").take()
    }
}

async fn text(reply: CallReply) -> String {
    let (head, body) = reply.response.into_parts();
    let body = body.collect().await.expect("is in memory").to_bytes();
    format!("{:?} {:?} {:?} {:?} {body:?}", head.status, head.headers, reply.outcome, reply.shed)
}

fn select(from: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(from)
}

/// Parameters of a join: mostly valid ones, in any order, some with bytes that a URL should not hold.
fn parameters() -> impl Strategy<Value = String> {
    let id = select(&[
        "meetingID=room",
        "meetingID=room",
        "meetingID=a+%C3%BC%F0%9F%98%80",
        "meetingID=a%20ü\u{1f600}",
        "meeting%49D=room",
        "meetingID=cafe",
        "meetingID=pending",
        "meetingID=gone",
        "meetingID=nowhere",
        "meetingID=school~room",
        "meetingID=",
        "meetingID=a,b",
        "meetingID=1b207ab13f8038171631249ec58a709cb7bd5d1c-1795989740259",
    ]);
    let required = select(&[
        "fullName=Ada&role=VIEWER",
        "fullName=Jürgen&role=MODERATOR",
        "role=VIEWER&fullName=%F0%9F%98%80",
        "fullName=Ada&password=mp",
        "fullName=Ada&password=x",
        "fullName=Ada",
        "role=VIEWER",
        "fullName=Ada&role=VIEWER&fullName=Eva",
    ]);
    let other = select(&[
        "x=ü|{}^`",
        "avatarURL=https://a.test/ä",
        "guest=maybe",
        "guest=false",
        "auth=1",
        "logo=l",
        "&",
        "y",
        "=z",
        "errorRedirectUrl=https%3A%2F%2Fapp.test%2Fü",
        "logoutURL=https%3A%2F%2Fapp.test%2F%3Fa%3D1",
        "userdata-a=東京",
        "%75serdata-b=%zz",
        "redirect=false",
        "meetingID=room",
        "createTime=1",
    ]);
    (id, required, prop::collection::vec((any::<bool>(), other), 0..4)).prop_map(|(id, required, others)| {
        let mut all = vec![id.to_owned(), required.to_owned()];
        for (first, other) in others {
            all.insert(if first { 0 } else { all.len() }, other.to_owned());
        }
        all.join("&")
    })
}

fn head() -> impl Strategy<Value = String> {
    let path = select(&[
        "/bigbluebutton/api/join",
        "/bigbluebutton/api/join",
        "/school/bigbluebutton/api/join",
        "//bigbluebutton//api/join/",
        "/off/bigbluebutton/api/join",
        "/nobody/bigbluebutton/api/join",
    ]);
    let fields = select(&[
        "",
        "",
        "content-length: 100\r\n",
        "content-length: 5000000000\r\n",
        "transfer-encoding: chunked\r\n",
        "content-length: 4000\r\ncontent-type: application/x-www-form-urlencoded\r\n",
        "content-length: 9000\r\ncontent-type: application/xml\r\n",
        "content-type: text/plain\r\n",
        "accept: application/json\r\n",
    ]);
    let (method, host) =
        (select(&["GET", "GET", "HEAD", "POST"]), select(&["x.test", "hosted.test", "Hosted.Test:8443"]));
    let signing = select(&["end", "end", "end", "first", "wrong", "twice", "none"]);
    (method, path, parameters(), signing, host, fields).prop_map(
        |(method, path, query, signing, host, fields)| {
            let checksum = sign(ChecksumAlgorithm::Sha1, "join", &query, &Secret::new(SECRET));
            let query = match signing {
                "first" => format!("checksum={checksum}&{query}"),
                "wrong" => format!("{query}&checksum={}", "0".repeat(40)),
                "twice" => format!("{query}&checksum={checksum}&checksum={checksum}"),
                "none" => query,
                _ => format!("{query}&checksum={checksum}"),
            };
            format!("{method} {path}?{query} HTTP/1.1\r\nhost: {host}\r\n{fields}\r\n")
        },
    )
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]
    #[test]
    fn both_ways_of_a_join_answer_alike(head in head()) {
        if let Some([at_once, waited]) = runtime().block_on(async { BothWays::new().send(head.clone()).await }) {
            prop_assert_eq!(at_once, waited, "{}", head);
        }
    }
}

/// The heads at which the two ways once differed.
#[test]
fn raw_bytes_and_announced_bodies_make_no_difference() {
    let query = "fullName=Jürgen|{x}&meetingID=room&role=VIEWER";
    let checksum = sign(ChecksumAlgorithm::Sha1, "join", query, &Secret::new(SECRET));
    let target = format!("/bigbluebutton/api/join?{query}&checksum={checksum}");
    for fields in ["", "content-length: 5000000000\r\n"] {
        let head = format!("GET {target} HTTP/1.1\r\nhost: x\r\n{fields}\r\n");
        let answers = runtime().block_on(async { BothWays::new().send(head).await });
        let [at_once, waited] = answers.expect("the table decides");
        assert_eq!(at_once, waited, "{fields}");
        assert!(
            at_once.contains("302") && at_once.contains("fullName=J%C3%BCrgen|{x}&meetingID=room"),
            "{at_once}"
        );
    }
}
