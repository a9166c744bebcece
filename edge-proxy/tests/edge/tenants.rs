//! Two tenants behind one edge, on the same servers, with the same ids.

use usher_bbb::{
    checksum::{ChecksumAlgorithm, sign_query},
    parse::{ServerReply as Parsed, meetings},
    query::RawQuery,
    secret::Secret,
};
use usher_model::{
    id::{MeetingId, TenantId},
    meeting::MeetingKey,
    routing::RouteState,
};

use crate::support::{Answer, Client, Cluster, eventually, tenant};

/// A client of one tenant.
pub(crate) struct Tenant {
    id: &'static str,
    client: Client,
}

impl Tenant {
    pub(crate) async fn join_cluster(cluster: &Cluster, id: &'static str) -> Self {
        if id != "default" {
            cluster.plane.set_tenant(tenant(id, &[&Self::secret(id)], &[]));
            cluster.settled().await;
        }
        Self { id, client: cluster.client.clone() }
    }

    pub(crate) fn secret(id: &str) -> String {
        if id == "default" { crate::support::SECRET.to_owned() } else { format!("secret of {id}") }
    }

    pub(crate) fn path(&self, call: &str, query: &str) -> String {
        let secret = Secret::new(&Self::secret(self.id));
        let signed = sign_query(ChecksumAlgorithm::Sha256, call, query.to_owned(), &secret);
        format!("/{}/bigbluebutton/api/{call}?{signed}", self.id)
    }

    pub(crate) async fn call(&self, call: &str, query: &str) -> Answer {
        self.client.get(&self.path(call, query)).await
    }

    async fn create(&self, cluster: &Cluster, id: &str) -> Answer {
        let answer = self.call("create", &format!("meetingID={id}&name=Room&moderatorPW={}", self.id)).await;
        assert!(answer.is_success(), "{answer:?}");
        let tenant = TenantId::parse(self.id).expect("is an id");
        let key = MeetingKey::new(tenant, MeetingId::parse(id).expect("is an id"));
        eventually("the meeting is confirmed", async || {
            cluster.plane.meeting(&key).is_some_and(|meeting| matches!(meeting.state, RouteState::Active(_)))
        })
        .await;
        cluster.settled().await;
        answer
    }

    async fn listed(&self) -> Vec<(String, String)> {
        let answer = self.call("getMeetings", "").await;
        assert!(!answer.body.contains("usher") && !answer.body.contains('~'), "{answer:?}");
        let Ok(Parsed::Success(listed)) = meetings(&answer.body) else { panic!("{answer:?}") };
        listed.into_iter().map(|meeting| (meeting.meeting_id, meeting.internal_id)).collect()
    }
}

#[tokio::test]
async fn two_tenants_use_one_id_at_once_and_each_meets_its_own() {
    let cluster = Cluster::start(1).await;
    let mut instances = Vec::new();
    let ids = ["default", "school", "other.school"];
    let mut tenants = Vec::new();
    for id in ids {
        tenants.push(Tenant::join_cluster(&cluster, id).await);
    }
    for tenant in &tenants {
        let created = tenant.create(&cluster, "room").await;
        assert_eq!((created.text("meetingID"), created.text("moderatorPW")), ("room", tenant.id));
        instances.push(created.text("internalMeetingID").to_owned());
    }
    let names: Vec<String> = cluster.sims[0].meetings().into_iter().map(|m| m.meeting_id).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    for (tenant, instance) in tenants.iter().zip(&instances) {
        assert_eq!(tenant.listed().await, [("room".to_owned(), instance.clone())]);
        for id in ["room", instance] {
            let info = tenant.call("getMeetingInfo", &format!("meetingID={id}")).await;
            assert_eq!((info.text("meetingID"), info.text("internalMeetingID")), ("room", instance.as_str()));
            assert!(!info.body.contains("usher") && !info.body.contains('~'), "{info:?}");
            let join = tenant.call("join", &format!("meetingID={id}&fullName=Ada&role=MODERATOR")).await;
            let (_, query) = join.location();
            let server = Client::new(cluster.sims[0].address());
            let page = server.get(&format!("/bigbluebutton/api/join?{query}")).await;
            assert_eq!(page.status, http::StatusCode::FOUND, "{page:?}");
        }
        let again = tenant.call("create", "meetingID=room&name=Room").await;
        assert_eq!(
            (again.key().as_str(), again.text("internalMeetingID")),
            ("duplicateWarning", &**instance)
        );
    }
    for (tenant, instance) in tenants.iter().zip(&instances) {
        for foreign in instances.iter().filter(|other| *other != instance) {
            for call in ["getMeetingInfo", "end"] {
                let answer = tenant.call(call, &format!("meetingID={foreign}")).await;
                assert_eq!(answer.key(), "notFound", "{call} of {foreign} by {}", tenant.id);
            }
        }
    }
    assert!(tenants[1].call("end", "meetingID=room&password=x").await.is_success());
    cluster.settled().await;
    for (index, tenant) in tenants.iter().enumerate() {
        let running = tenant.call("isMeetingRunning", "meetingID=room").await;
        assert_eq!(running.text("running"), if index == 1 { "false" } else { "true" }, "{}", tenant.id);
    }
}

#[tokio::test]
async fn an_id_of_default_that_looks_like_a_tenants_is_not_that_tenants() {
    let cluster = Cluster::start(1).await;
    let default = Tenant::join_cluster(&cluster, "default").await;
    let school = Tenant::join_cluster(&cluster, "school").await;
    let theirs = school.create(&cluster, "room").await.text("internalMeetingID").to_owned();
    for id in ["school~room", "default~school~room"] {
        assert_eq!(default.call("getMeetingInfo", &format!("meetingID={id}")).await.key(), "notFound");
        let created = default.call("create", &format!("meetingID={id}&name=Room")).await;
        assert_eq!((created.key().as_str(), created.text("meetingID")), ("", id), "{created:?}");
        assert_ne!(created.text("internalMeetingID"), theirs);
        cluster.settled().await;
        let info = default.call("getMeetingInfo", &format!("meetingID={id}")).await;
        assert_eq!(info.text("meetingID"), id);
    }
    assert_eq!(school.listed().await, [("room".to_owned(), theirs)]);
    assert_eq!(cluster.sims[0].meetings().len(), 3);
}

#[tokio::test]
async fn an_id_that_does_not_fit_with_its_scope_is_refused() {
    let cluster = Cluster::start(1).await;
    let school = Tenant::join_cluster(&cluster, "school").await;
    let fits = "x".repeat(256 - "school~".len());
    assert!(school.call("create", &format!("meetingID={fits}&name=Room")).await.is_success());
    let answer = school.call("create", &format!("meetingID={fits}x&name=Room")).await;
    assert_eq!(answer.key(), "validationError");
    assert!(answer.text("message").contains("between 2 and 249"), "{answer:?}");
}

#[tokio::test]
async fn a_breakout_room_has_a_parent_of_its_own_tenant_or_none() {
    let cluster = Cluster::start(1).await;
    let default = Tenant::join_cluster(&cluster, "default").await;
    let school = Tenant::join_cluster(&cluster, "school").await;
    let parent = school.create(&cluster, "room").await.text("internalMeetingID").to_owned();
    let create = |id: &str, parent: &str| {
        format!("meetingID={id}&name=Room&isBreakout=true&sequence=1&parentMeetingID={parent}")
    };
    for (id, own) in [("one", "room"), ("two", &parent)] {
        let answer = school.call("create", &create(id, own)).await;
        assert_eq!(answer.text("parentMeetingID"), parent, "{answer:?}");
        let instance = answer.text("internalMeetingID");
        assert!(!instance.contains('~'), "`school~b` of another would find it: {answer:?}");
    }
    for (tenant, foreign) in
        [(&default, "room"), (&default, "school~room"), (&default, &*parent), (&school, "nowhere")]
    {
        let answer = tenant.call("create", &create("breakout", foreign)).await;
        assert_eq!(answer.key(), "parentMeetingDoesNotExist", "{foreign}");
        let hidden = format!("{}&isBreakout=false&parentMeetingID=room", create("breakout", foreign));
        assert_eq!(tenant.call("create", &hidden).await.key(), "parentMeetingDoesNotExist", "{foreign}");
    }
}

#[tokio::test]
async fn a_documents_refusal_names_the_tenants_own_id() {
    let cluster = Cluster::start(1).await;
    let school = Tenant::join_cluster(&cluster, "school").await;
    school.create(&cluster, "room").await;
    cluster.sims[0].restart();
    let path = school.path("insertDocument", "meetingID=room");
    let body = "<modules><module name=\"presentation\"/></modules>";
    let answer = cluster.client.send("POST", &path, &[("content-type", "application/xml")], body).await;
    assert_eq!(answer.text("message"), "Meeting with id [room] not found.", "{answer:?}");
}

#[tokio::test]
async fn everything_a_server_gets_of_a_tenant_is_scoped() {
    let cluster = Cluster::start(1).await;
    let school = Tenant::join_cluster(&cluster, "school").await;
    school.create(&cluster, "room").await;
    for (call, query) in [
        ("isMeetingRunning", "meetingID=room"),
        ("getMeetingInfo", "x=1&meeting%49D=room&y=2"),
        ("sendChatMessage", "meetingID=room&message=Hi"),
        ("end", "meetingID=room"),
    ] {
        school.call(call, query).await;
    }
    let calls = cluster.sims[0].calls();
    let about = calls.iter().filter(|call| call.name != "getMeetings");
    for call in about {
        let id = RawQuery::new(&call.query).first("meetingID").unwrap_or_default().into_owned();
        assert_eq!(id, "school~room", "{call:?}");
    }
    let info = calls.iter().find(|call| call.name == "getMeetingInfo").unwrap();
    assert_eq!(info.query, "x=1&meetingID=school~room&y=2");
}

/// Servers search for the beginning of an internal id first: `42` could be a meeting of any tenant
/// there.
#[tokio::test]
async fn an_id_that_could_be_the_beginning_of_an_internal_one_reaches_its_own_meeting_only() {
    let cluster = Cluster::start(1).await;
    let default = Tenant::join_cluster(&cluster, "default").await;
    let school = Tenant::join_cluster(&cluster, "school").await;
    let theirs = school.create(&cluster, "room").await.text("internalMeetingID").to_owned();
    for id in [&theirs, &theirs[..40], &theirs[..2]] {
        let created = default.call("create", &format!("meetingID={id}&name=Room&moderatorPW=own")).await;
        assert_eq!(created.text("moderatorPW"), "own", "{created:?}");
        // The join follows at once, with the table that the edge has by then.
        let join = default.call("join", &format!("meetingID={id}&fullName=Ada&role=MODERATOR")).await;
        let (_, query) = join.location();
        let own = created.text("internalMeetingID");
        assert_eq!(RawQuery::new(&query).first("meetingID").as_deref(), Some(own));
        cluster.settled().await;
        let info = default.call("getMeetingInfo", &format!("meetingID={id}")).await;
        assert_eq!((info.text("internalMeetingID"), info.text("meetingID")), (own, id));
        assert!(default.call("end", &format!("meetingID={id}")).await.is_success());
    }
    assert_eq!(school.listed().await, [("room".to_owned(), theirs)]);
}

/// A server squeezes white space in its answers: `a  b` comes back as `a b`, which is another id.
#[tokio::test]
async fn an_id_with_two_blanks_is_shown_as_it_was_given_and_is_another_than_with_one() {
    let cluster = Cluster::start(1).await;
    let tenants =
        [Tenant::join_cluster(&cluster, "default").await, Tenant::join_cluster(&cluster, "school").await];
    for tenant in &tenants {
        for (encoded, id) in [("a%20%20b", "a  b"), ("a%20b", "a b")] {
            let created = tenant.call("create", &format!("meetingID={encoded}&name=Room&record=true")).await;
            assert!(created.is_success(), "{created:?}");
            assert_eq!(created.text("meetingID"), id);
            let instance = created.text("internalMeetingID").to_owned();
            let key = MeetingKey::new(
                TenantId::parse(tenant.id).expect("is an id"),
                MeetingId::parse(id).expect("is an id"),
            );
            eventually("the meeting is confirmed", async || {
                cluster.plane.meeting(&key).is_some_and(|route| {
                    matches!(&route.state, RouteState::Active(internal) if internal.as_str() == instance)
                })
            })
            .await;
            cluster.settled().await;
            for asked in [encoded, &instance] {
                let shown = tenant.call("getMeetingInfo", &format!("meetingID={asked}")).await;
                assert_eq!((shown.text("meetingID"), shown.text("internalMeetingID")), (id, &*instance));
                assert!(!shown.body.contains("usher"), "{}", shown.body);
            }
        }
        let listed = tenant.call("getMeetings", "").await;
        let Ok(Parsed::Success(listed)) = meetings(&listed.body) else { panic!("{}", listed.body) };
        let mut ids: Vec<_> = listed.iter().map(|meeting| meeting.meeting_id.as_str()).collect();
        ids.sort_unstable();
        assert_eq!(ids, ["a  b", "a b"]);
    }
    assert_eq!(cluster.sims[0].meetings().len(), 4);
}
